"""Jobs of delivery: send a slice, look after messages whose fate is unknown."""

from app import queues, tenancy
from app.delivery import sending, unknown


def send_slice(tenant_id: int, slice_id: int) -> None:
    """Send whoever waits in a slice."""
    with tenancy.tenant(tenant_id):
        sending.send_slice(slice_id)


def reconcile(tenant_id: int) -> None:
    """Take over from dead workers, and ask the providers about what is unknown."""
    queues.begun("jobs.delivery.reconcile", tenant_id)
    with tenancy.tenant(tenant_id):
        unknown.reconcile()
