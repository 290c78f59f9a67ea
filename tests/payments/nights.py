"""The nightly comparison of our books with a payment provider's."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app import tenancy
from app.payments import reconciliation
from tests.payments.shop import Buyer


def night(buyer: Buyer, days: int = 1) -> None:
    """Compare as the job does so many nights after today."""
    with buyer.app.app_context(), tenancy.tenant(buyer.tenant_id):
        reconciliation.compare(buyer.tenant_id, datetime.now(UTC) + timedelta(days=days))


def found(buyer: Buyer) -> list[tuple[Any, ...]]:
    return buyer.database.execute(
        "SELECT kind, ours_yen, theirs_yen, settled_by FROM payment_difference ORDER BY id"
    ).fetchall()
