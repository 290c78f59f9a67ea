"""Jobs of delivery: send what is due, mark links that expired."""

from app import queues, tenancy
from app.delivery import dispatch, link_expiry


def send() -> None:
    """Send what is due, slice by slice.

    The job names no slice: the database says which comes next.
    """
    queues.begun("jobs.delivery.send")
    dispatch.serve()


def expire_links(tenant_id: int) -> None:
    """Mark recipients whose link has expired."""
    with tenancy.tenant(tenant_id):
        link_expiry.expire_links(tenant_id)
