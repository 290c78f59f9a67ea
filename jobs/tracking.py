"""Jobs of tracking: what providers pushed and time brought becomes states, what managers ordered becomes files."""

from app import queues, tenancy
from app.delivery import link_expiry
from app.exports import export_jobs
from app.outcomes import receipts
from app.tenancy import time_limits
from jobs import aside


def apply_receipts(tenant_id: int) -> None:
    """Apply the receipts that wait."""
    queues.begun("jobs.tracking.apply_receipts", tenant_id)
    aside.run("jobs.tracking.apply_receipts", tenant_id, _apply_receipts)


def _apply_receipts(tenant_id: int) -> None:
    with tenancy.tenant(tenant_id):
        receipts.apply_waiting(tenant_id)


def expire_links(tenant_id: int) -> None:
    """Let people stand as expired whose link is over."""
    with tenancy.tenant(tenant_id):
        link_expiry.expire_links(tenant_id)


def make_export(tenant_id: int, export_id: int) -> None:
    """Make a file."""
    with tenancy.tenant(tenant_id), time_limits.of(time_limits.BULK):
        export_jobs.make(export_id)


def order_daily(tenant_id: int) -> None:
    """Order the files that are made each day."""
    with tenancy.tenant(tenant_id):
        export_jobs.order_daily()
