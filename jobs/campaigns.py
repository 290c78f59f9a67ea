"""Jobs of campaigns: begin those whose time has come."""

from app import tenancy
from app.campaigns import lifecycle


def start(tenant_id: int, campaign_id: int) -> None:
    """Begin a scheduled campaign, unless somebody else did or it was withdrawn."""
    with tenancy.tenant(tenant_id):
        lifecycle.start(campaign_id)
