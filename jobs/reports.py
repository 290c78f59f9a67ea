"""Jobs of reports: compare totals with counts, and count the campaigns of before."""

from datetime import UTC, datetime

from app import queues, tenancy
from app.reports import totals_upkeep
from app.tenancy import time_limits


def recount(tenant_id: int) -> None:
    """Count the company's campaigns that are due; another job goes on after a shift."""
    queues.begun("jobs.reports.recount", tenant_id)
    with tenancy.tenant(tenant_id), time_limits.limited_to(time_limits.BULK):
        done = totals_upkeep.recount_due(tenant_id, datetime.now(UTC))
    if not done:
        queues.enqueue("jobs.reports.recount", tenant_id, once=True)
