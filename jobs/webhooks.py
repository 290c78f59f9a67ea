"""Jobs of webhooks: deliver what happened, forget what was delivered long ago."""

from app import queues, tenancy
from app.webhooks import delivery_log, dispatch
from app.webhooks.endpoints import DELIVER


def deliver() -> None:
    """Serve the endpoints of all companies; the job names none."""
    queues.begun(DELIVER)
    dispatch.serve()


def forget(tenant_id: int) -> None:
    """Drop deliveries that are over and old."""
    with tenancy.tenant(tenant_id):
        delivery_log.forget_old()
