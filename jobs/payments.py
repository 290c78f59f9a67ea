"""Jobs of the payments room."""

from app import queues, tenancy
from app.delivery import shutdown
from app.payments import asking, reconciliation


def ask(tenant_id: int) -> None:
    """Ask about the payments that are due: those that an event told of, those under way."""
    queues.begun("jobs.payments.ask", tenant_id)
    with tenancy.tenant(tenant_id):
        more = asking.ask_due(tenant_id, stopping=shutdown.is_asked)
    if more:
        queues.enqueue("jobs.payments.ask", tenant_id, once=True)


def reconcile_day(tenant_id: int) -> None:
    """Compare the payment providers' books with ours, once a night."""
    queues.begun("jobs.payments.reconcile_day", tenant_id)
    with tenancy.tenant(tenant_id):
        reconciliation.compare(tenant_id)
