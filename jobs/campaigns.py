"""Jobs of campaigns: begin those whose time has come, move people by the hundred thousand."""

from app import queues, tenancy
from app.campaigns import bulk_operations, lifecycle

# then others that wait on the queue have their turn; seconds
_WAVE_TURN_S = 10


def start(tenant_id: int, campaign_id: int) -> None:
    """Begin a scheduled campaign, unless somebody else did or it was withdrawn."""
    with tenancy.tenant(tenant_id):
        lifecycle.start(campaign_id)


def wave(tenant_id: int, campaign_id: int) -> None:
    """Go on with what moves a campaign's people."""
    with tenancy.tenant(tenant_id):
        if not bulk_operations.run(campaign_id, for_s=_WAVE_TURN_S):
            queues.enqueue("jobs.campaigns.wave", tenant_id, campaign_id)
