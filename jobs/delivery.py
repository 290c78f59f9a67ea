"""Jobs of delivery: send what is due, look after messages whose fate is unknown."""

from app import queues, tenancy
from app.delivery import dispatch
from app.outcomes import missing_receipts, unknown
from jobs import aside


def send() -> None:
    """Send what is due, turn by turn. The job names no slice: whose turn it is, the database says."""
    queues.begun("jobs.delivery.send")
    dispatch.serve()


def reconcile(tenant_id: int) -> None:
    """Take over from dead workers, and ask the providers about what is unknown."""
    queues.begun("jobs.delivery.reconcile", tenant_id)
    aside.run("jobs.delivery.reconcile", tenant_id, _reconcile)


def _reconcile(tenant_id: int) -> None:
    with tenancy.tenant(tenant_id):
        unknown.reconcile()


def poll(tenant_id: int) -> None:
    """Ask the providers about what they accepted and never told of again."""
    queues.begun("jobs.delivery.poll", tenant_id)
    aside.run("jobs.delivery.poll", tenant_id, _poll)


def _poll(tenant_id: int) -> None:
    with tenancy.tenant(tenant_id):
        missing_receipts.poll(tenant_id)
