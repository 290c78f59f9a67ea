"""The times that pass, and the messages that leave, before an unknown SMS counts as absent."""

from dataclasses import replace

from jobs import outcomes
from tests import factories
from tests.launched import Job


def make_due(job: Job) -> None:
    job.make_due()
    job.change("UPDATE slice SET check_at = now() WHERE campaign_id = %s AND check_at IS NOT NULL", job.campaign_id)


def settled(job: Job) -> None:
    """Let the settle time pass, and the time between two questions."""
    job.change("""
        UPDATE send_log SET answered_at = answered_at - interval '20 minutes',
            started_at = started_at - interval '20 minutes', asked_at = asked_at - interval '1 hour',
            absent_at = absent_at - interval '1 hour'
        WHERE state = 'unknown'
    """)
    make_due(job)


def witnessed(job: Job) -> Job:
    """Send another campaign by the same account: its messages are accepted after the settle time."""
    campaign_id = factories.campaign(job.tenant_id, sms_account_id=job.account_id)
    people = factories.people(job.tenant_id, campaign_id, 3)
    other = replace(job, campaign_id=campaign_id, people=people, slices=factories.launch(job.tenant_id, campaign_id))
    other.send()
    assert set(other.states()) <= {"accepted", "delivered"}
    return other


def proven_absent(job: Job) -> None:
    """Let two look-ups show the list fresh and the messages absent."""
    settled(job)
    witnessed(job)
    outcomes.reconcile(job.tenant_id)
    settled(job)
    outcomes.reconcile(job.tenant_id)
