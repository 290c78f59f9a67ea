"""A real worker, killed while it moves a campaign's people: the next one goes on where it stopped."""

from collections.abc import Callable
from dataclasses import replace

from app import config, queues, tenancy
from app.campaigns import lifecycle, preflight
from app.extensions import db
from app.models import Campaign
from jobs import sweep
from tests import factories
from tests.jobs.conftest import Program
from tests.launched import Job
from tests.raw_states import set_back
from tests.waiting import until

PEOPLE = 3_000


def test_a_killed_worker_loses_and_doubles_nobody(
    launched: Callable[..., Job],
    start: Callable[..., Program],
) -> None:
    job = launched(PEOPLE)
    job.change("DELETE FROM event")
    job.change("DELETE FROM slice")
    set_back(job.database, "recipient", sms_state="draft")
    set_back(job.database, "campaign", state="draft", launched_at=None)
    user_id = factories.user(job.tenant_id)
    config.install(replace(config.settings(), at_once_people=0))
    with tenancy.tenant(job.tenant_id):
        digest = preflight.run(job.campaign_id).digest
        lifecycle.launch(job.campaign_id, user_id=user_id, digest=digest)
    worker = start("worker", "tracking", SLICE_ROWS="10")
    until(lambda: job.states().get("queued", 0) > 100)
    worker.kill()
    left = job.states()
    assert 100 < left["queued"] < PEOPLE, left
    assert left["queued"] % 10 == 0
    with tenancy.tenant(job.tenant_id):
        assert db.session.get_one(Campaign, job.campaign_id).state == "sending"
    queues.queue(queues.TRACKING).empty()
    job.change("UPDATE wave SET stepped_at = now() - interval '1 minute'")
    sweep.sweep()
    start("worker", "tracking", SLICE_ROWS="500")
    until(lambda: job.states() == {"queued": PEOPLE})
    events = job.rows(
        "SELECT count(*) AS n, count(DISTINCT recipient_id) AS people FROM event"
        " WHERE campaign_id = %s AND track = 'sms' AND state = 'queued'"
    )
    assert events == [{"n": PEOPLE, "people": PEOPLE}]
    slices = job.rows("SELECT first_id, last_id FROM slice WHERE campaign_id = %s ORDER BY first_id")
    assert [
        person.id for part in slices for person in job.people if part["first_id"] <= person.id <= part["last_id"]
    ] == [person.id for person in job.people]
