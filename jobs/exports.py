"""Jobs of exports: make the files that managers ordered."""

from app import tenancy
from app.exports import export_jobs
from app.tenancy import time_limits


def make_export(tenant_id: int, export_id: int) -> None:
    """Make a file."""
    with tenancy.tenant(tenant_id), time_limits.limited_to(time_limits.BULK):
        export_jobs.make(export_id)


def order_daily(tenant_id: int) -> None:
    """Order the files that are made each day."""
    with tenancy.tenant(tenant_id):
        export_jobs.order_daily()
