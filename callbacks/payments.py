"""Payment providers' webhooks: verified over the raw body, kept, answered; a job asks the provider what is true."""

from datetime import UTC, datetime

import structlog
from flask import Blueprint, Response, request
from sqlalchemy import text

from app import queues, tenancy
from app.accounts import Unusable
from app.payments import gateway, provider_events
from app.providers.payments.base import BadSignature, UnclearCharge

bp = Blueprint("payment_callbacks", __name__)

# the providers' largest events hold a few kilobytes; PayPay's are not signed, so that anybody can send one
_BODY_LIMIT = 64 * 1024

_log = structlog.get_logger()


@bp.post("/callbacks/payment/<int(max=9223372036854775807):account_id>")
def webhook(account_id: int) -> Response:
    """Take one webhook: 200 once it is kept, also when it was kept before; 400 unless it is the provider's own."""
    tenant_id = _owner(account_id)
    if tenant_id is None:
        return Response(status=404)
    request.max_content_length = _BODY_LIMIT
    with tenancy.tenant(tenant_id):
        try:
            provider, account = gateway.open_account(account_id)
            headers = {name.lower(): value for name, value in request.headers}
            event = provider.webhook(account, headers, request.get_data(), datetime.now(UTC))
        except Unusable:
            return Response(status=404)
        except (BadSignature, UnclearCharge) as fault:
            _log.warning("webhook refused", account_id=account_id, reason=type(fault).__name__)
            return Response(status=400)
        if provider_events.store(tenant_id, account_id, event):
            queues.offer("jobs.payments.ask", tenant_id)
    return Response(status=200)


def _owner(account_id: int) -> int | None:
    with tenancy.platform(), tenancy.transaction() as connection:
        tenant_id: int | None = connection.execute(
            text("SELECT tenant_id FROM payment_account WHERE id = :id"),
            {"id": account_id},
        ).scalar()
        return tenant_id
