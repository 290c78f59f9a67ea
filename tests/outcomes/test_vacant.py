"""A number that a service calls vacant is proposed for the list of those not sent to, never put on it by itself."""

from collections.abc import Callable

from app import tenancy
from app.extensions import db
from app.models import Suppression, SuppressionProposal
from app.suppression import proposals
from tests import steps
from tests.launched import Job

Launched = Callable[..., Job]


def propose(job: Job) -> int:
    with tenancy.tenant(job.tenant_id), tenancy.transaction() as connection:
        return proposals.propose_vacant(connection, job.ids())


def test_vacant_numbers_are_proposed_once_and_no_others(launched: Launched) -> None:
    job = launched(3)
    steps.fail(job.people[0].id, code="vacant:30005")
    steps.fail(job.people[1].id, code="unconnected")
    assert propose(job) == 1
    assert propose(job) == 0
    with tenancy.tenant(job.tenant_id):
        (proposal,) = db.session.query(SuppressionProposal)
        assert (proposal.recipient_id, proposal.source) == (job.people[0].id, "vacant")
        assert db.session.query(Suppression).count() == 0


def test_one_that_a_clerk_dismissed_is_left_alone_for_a_while(launched: Launched) -> None:
    job = launched(1)
    steps.fail(job.people[0].id, code="vacant:30005")
    propose(job)
    with tenancy.tenant(job.tenant_id):
        proposals.dismiss(db.session.query(SuppressionProposal).one().id, actor="user:1")
    assert propose(job) == 0
    job.change("UPDATE suppression_proposal SET settled_at = now() - interval '91 days' WHERE recipient_id > %s", 0)
    assert propose(job) == 1
