"""Jobs of campaigns: begin those whose time has come, check them, move people by the hundred thousand."""

from app import queues, tenancy
from app.campaigns import bulk_operations, lifecycle, ordered_checks
from app.tenancy import time_limits
from app.work_budget import SHORT_SHIFT_S


def start(tenant_id: int, campaign_id: int) -> None:
    """Begin a scheduled campaign, unless somebody else did or it was withdrawn."""
    with tenancy.tenant(tenant_id):
        lifecycle.start(campaign_id)


def run_bulk_operation(tenant_id: int, campaign_id: int, *, shift_s: float = SHORT_SHIFT_S) -> None:
    """Go on with what moves a campaign's people; after `shift_s` another job does."""
    with tenancy.tenant(tenant_id):
        if not bulk_operations.run(campaign_id, shift_s=shift_s):
            queues.enqueue("jobs.campaigns.run_bulk_operation", tenant_id, campaign_id)


def preflight(tenant_id: int, campaign_id: int) -> None:
    """Render every SMS and page of a campaign whose check is due."""
    with tenancy.tenant(tenant_id), time_limits.limited_to(time_limits.BULK):
        ordered_checks.run(campaign_id)
