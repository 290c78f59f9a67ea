"""Jobs of the payments room."""

from app import queues, tenancy
from app.payments import notices, reconcile


def apply_notices(tenant_id: int) -> None:
    """Act upon the webhooks that wait."""
    queues.begun("jobs.payments.apply_notices", tenant_id)
    with tenancy.tenant(tenant_id):
        more = notices.apply(tenant_id)
    if more:
        queues.enqueue("jobs.payments.apply_notices", tenant_id, once=True)


def poll(tenant_id: int) -> None:
    """Ask about payments under way that nothing was heard of."""
    queues.begun("jobs.payments.poll", tenant_id)
    with tenancy.tenant(tenant_id):
        notices.poll(tenant_id)


def reconcile_day(tenant_id: int) -> None:
    """Compare the payment sites' books with ours, once a night."""
    queues.begun("jobs.payments.reconcile_day", tenant_id)
    with tenancy.tenant(tenant_id):
        reconcile.compare(tenant_id)
