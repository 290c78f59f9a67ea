"""Jobs of outcomes: receipts become states, providers are asked about what is unknown or silent."""

from app import queues, tenancy
from app.outcomes import missing_receipts, receipts, unknown
from jobs import slow_queries


def apply_receipts(tenant_id: int) -> None:
    """Apply the receipts that wait."""
    queues.begun("jobs.outcomes.apply_receipts", tenant_id)
    slow_queries.run("jobs.outcomes.apply_receipts", tenant_id, _apply_receipts)


def _apply_receipts(tenant_id: int) -> None:
    with tenancy.tenant(tenant_id):
        receipts.apply_waiting(tenant_id)


def reconcile(tenant_id: int) -> None:
    """Take over from dead workers, and ask the providers about what is unknown."""
    queues.begun("jobs.outcomes.reconcile", tenant_id)
    slow_queries.run("jobs.outcomes.reconcile", tenant_id, _reconcile)


def _reconcile(tenant_id: int) -> None:
    with tenancy.tenant(tenant_id):
        unknown.reconcile()


def poll(tenant_id: int) -> None:
    """Ask the providers about what they accepted and never reported again."""
    queues.begun("jobs.outcomes.poll", tenant_id)
    slow_queries.run("jobs.outcomes.poll", tenant_id, _poll)


def _poll(tenant_id: int) -> None:
    with tenancy.tenant(tenant_id):
        missing_receipts.poll(tenant_id)
