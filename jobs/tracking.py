"""Jobs of tracking: what providers pushed becomes states."""

from app import queues, tenancy
from app.delivery import receipts


def apply_receipts(tenant_id: int) -> None:
    """Apply the receipts that wait."""
    queues.begun("jobs.tracking.apply_receipts", tenant_id)
    with tenancy.tenant(tenant_id):
        receipts.apply_waiting(tenant_id)
