"""失効: who has a link that is over stands so from its last moment on, and nobody else; a new SMS brings a new link."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask

from app import queues, tenancy
from app.config import Settings
from app.delivery import link_expiry, resend, shutdown
from app.extensions import db, vault
from app.identity import unlock, visit
from app.models import Campaign
from app.reports.campaign_totals import figures
from app.states import transitions
from app.states.vocabulary import PAGE, PAYMENT, SMS, PageState, PaymentState, SmsState
from jobs import delivery, sweep
from tests import decided, factories, steps
from tests.clock import standing_clock
from tests.launched import Job
from tests.plans import explained, touched
from tests.raw_states import force, set_back

Launched = Callable[..., Job]

JOB = "jobs.delivery.expire_links"
# the carrier learns that the second is switched off
PHONES = ["+819012341234", "+819012340001"]


@pytest.fixture
def sent(launched: Launched) -> Launched:
    """A campaign that was sent."""

    def make(count: int, **given: Any) -> Job:
        job = launched(count, retry_times=0, **given)
        job.send()
        assert job.states() == {"accepted": count}
        return job

    return make


def look(job: Job, **limits: Any) -> None:
    """Let the sweep find what is due, and the worker do it within `limits`."""
    sweep.sweep()
    for (tenant_id,) in queues.waiting(JOB):
        with tenancy.tenant(tenant_id):
            link_expiry.expire_links(tenant_id, **limits)
    queues.queue(queues.TRACKING).empty()


def end_links(job: Job, *ids: int) -> None:
    """Let the links of these people, or of all, have ended a minute ago; it is time to look."""
    job.change(
        "UPDATE recipient SET link_expires_at = now() - interval '1 minute' WHERE id = ANY(%s)", list(ids or job.ids())
    )
    job.change("UPDATE slice SET links_end_at = now()")


def pages(job: Job) -> list[str]:
    return [job.person(person.id)["page_state"] for person in job.people]


def page_events(job: Job, recipient_id: int) -> list[tuple[str, datetime, str]]:
    rows = job.rows(
        "SELECT state, at, actor FROM event"
        " WHERE campaign_id = %s AND recipient_id = %s AND track = 'page' ORDER BY id",
        recipient_id,
    )
    return [(row["state"], row["at"], row["actor"]) for row in rows]


def test_a_lease_has_the_slice_looked_at_soon_and_then_when_its_first_link_ends(sent: Launched) -> None:
    job = sent(3)
    wait = job.slice()["links_end_at"] - datetime.now(UTC)
    assert timedelta(minutes=4) < wait <= timedelta(minutes=5)
    job.change("UPDATE slice SET links_end_at = now()")
    look(job)
    assert pages(job) == ["unopened"] * 3
    assert job.slice()["links_end_at"] == min(job.person(person.id)["link_expires_at"] for person in job.people)


def test_a_lease_brings_the_look_forward(launched: Launched) -> None:
    job = launched(3)
    job.change("UPDATE slice SET links_end_at = now() + interval '30 days'")
    job.send()
    assert job.slice()["links_end_at"] - datetime.now(UTC) <= timedelta(minutes=5)


def test_a_link_ends_at_its_very_second_and_only_for_who_has_not_come_through(
    sent: Launched, database: psycopg.Connection, settings: Settings
) -> None:
    states = [state for state in PageState if state is not PageState.EXPIRED]
    job = sent(len(states))
    end = datetime(2037, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
    job.change("UPDATE recipient SET link_expires_at = %s", end)
    job.change("UPDATE slice SET links_end_at = now()")
    for person, state in zip(job.people, states, strict=True):
        steps.reach(PAGE, state, [person.id])
    before = [page_events(job, person.id) for person in job.people]
    look(job)
    assert pages(job) == states
    digest = vault.token_digest(job.people[1].token)
    with standing_clock(database, settings, end - timedelta(microseconds=1)) as clock:
        delivery.expire_links(job.tenant_id)
        assert pages(job) == states
        with tenancy.tenant(job.tenant_id):
            assert visit.by_id(job.people[1].id, digest) is not None
        clock.to(end)
        with tenancy.tenant(job.tenant_id):
            assert visit.by_id(job.people[1].id, digest) is None, "the page says the same"
        delivery.expire_links(job.tenant_id)
    assert pages(job) == ["expired"] * 3 + states[3:]
    told = [page_events(job, person.id)[len(known) :] for person, known in zip(job.people, before, strict=True)]
    assert told == [[("expired", end, "system")]] * 3 + [[]] * 3
    assert job.slice()["links_end_at"] is None, "nobody is left whose link may end"


def test_the_time_told_is_the_end_of_the_link_and_not_that_of_the_look(sent: Launched) -> None:
    job = sent(2)
    end_links(job)
    ended_at = job.person(job.people[0].id)["link_expires_at"]
    look(job)
    assert page_events(job, job.people[0].id) == [("expired", ended_at, "system")]


def test_who_waits_for_an_sms_keeps_the_page_and_is_looked_at_again(sent: Launched) -> None:
    job = sent(4)
    draft, *others = job.ids()
    set_back(job.database, "recipient", [draft], sms_state="draft")
    for person_id, state in zip(others, [SmsState.QUEUED, SmsState.SENDING, SmsState.DELIVERED], strict=True):
        steps.reach(SMS, state, [person_id])
    end_links(job)
    look(job)
    assert pages(job) == ["unopened"] * 3 + ["expired"]
    wait = job.slice()["links_end_at"] - datetime.now(UTC)
    assert timedelta(minutes=59) < wait <= timedelta(hours=1)
    steps.call_off(*job.ids()[:3])
    job.change("UPDATE slice SET links_end_at = now()")
    look(job)
    assert pages(job) == ["expired"] * 4


def test_people_who_never_had_a_link_are_not_expired(launched: Launched) -> None:
    job = launched(3)
    job.change("UPDATE slice SET links_end_at = now()")
    look(job)
    assert pages(job) == ["unopened"] * 3
    assert job.slice()["links_end_at"] is None, "the lease that gives links says when to look"


def test_a_slice_that_a_worker_holds_is_looked_at_again_soon(launched: Launched) -> None:
    """Its claims come while nobody has a link yet, or only such as end much later."""
    job = launched(3)
    job.change("UPDATE slice SET links_end_at = now(), leased_until = now() + interval '1 minute'")
    look(job)
    wait = job.slice()["links_end_at"] - datetime.now(UTC)
    assert timedelta(minutes=4) < wait <= timedelta(minutes=5)


@pytest.mark.parametrize("paying", [PaymentState.STARTED, PaymentState.PENDING])
def test_nobody_who_is_paying_is_expired_until_that_is_over(sent: Launched, paying: PaymentState) -> None:
    job = sent(2, payment=True)
    payer = job.people[0].id
    steps.verify(payer)
    steps.reach(PAYMENT, paying, [payer])
    end_links(job, payer)
    look(job)
    assert pages(job) == ["verified", "unopened"]
    wait = job.slice()["links_end_at"] - datetime.now(UTC)
    assert timedelta(minutes=59) < wait <= timedelta(hours=1)
    steps.reach(PAYMENT, PaymentState.EXPIRED, [payer])
    job.change("UPDATE slice SET links_end_at = now()")
    look(job)
    assert pages(job) == ["expired", "unopened"]


def test_sent_again_a_person_has_a_link_that_lives(sent: Launched) -> None:
    job = sent(2, phones=PHONES)
    steps.fail(job.people[1].id, code="gave_up:busy")
    # nobody used the link: who did gets no second SMS
    job.change("UPDATE recipient SET failed_attempts = 2")
    end_links(job)
    look(job)
    assert pages(job) == ["expired"] * 2
    token = job.people[1].token
    user_id = factories.user(job.tenant_id, "clerk")
    with tenancy.tenant(job.tenant_id):
        assert resend.resend(job.campaign_id, user_id=user_id) == 1
    end_links(job, job.people[1].id)
    look(job)
    assert pages(job) == ["expired"] * 2, "the new link comes with the SMS"
    assert visit.by_token(token) is None
    job.send()
    assert pages(job) == ["expired", "unopened"]
    assert [state for state, _, _ in page_events(job, job.people[1].id)] == ["expired", "unopened"]
    assert job.person(job.people[1].id)["failed_attempts"] == 2
    link = visit.by_token(token)
    assert link is not None
    with tenancy.tenant(job.tenant_id):
        visit.begin(link)
    assert pages(job) == ["expired", "opened"]


def test_a_manager_who_has_one_sent_again_gives_a_link_that_lives(sent: Launched) -> None:
    job = sent(1)
    steps.lose(*job.ids(), code="no_receipt")
    job.change("UPDATE send_log SET started_at = now() - interval '4 days', answered_at = now() - interval '4 days'")
    end_links(job)
    look(job)
    assert pages(job) == ["expired"]
    user_id = factories.user(job.tenant_id, "manager")
    with tenancy.tenant(job.tenant_id):
        assert decided.settle(job.people[0].id, as_sent=False, user_id=user_id)
    job.send()
    assert pages(job) == ["unopened"]
    assert visit.by_token(job.people[0].token) is not None


def test_a_reminder_that_is_tried_again_after_the_end_still_leaves(sent: Launched) -> None:
    """The new SMS brings a new link; only whoever opened the page needs none."""
    job = sent(2)
    user_id = factories.user(job.tenant_id, "clerk")
    with tenancy.tenant(job.tenant_id):
        assert resend.remind(job.campaign_id, "unopened", user_id=user_id, number=1) == 2
    job.send()
    # the carrier reached neither with it, and the link's time ended before the next try
    steps.fail(*job.ids())
    steps.open_page(job.people[1].id)
    end_links(job)
    look(job)
    assert pages(job) == ["expired"] * 2
    steps.queue(*job.ids())
    steps.resume(job.campaign_id)
    job.change("UPDATE slice SET due_at = now()")
    job.send()
    assert [job.person(person.id)["sms_attempt"] for person in job.people] == [3, 2]
    assert pages(job) == ["unopened", "expired"]


def test_a_step_that_dies_leaves_nothing_half_done(sent: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    job = sent(5)
    end_links(job)
    calls: list[set[int]] = []

    def dies(*args: Any, **named: Any) -> set[int]:
        moved = transitions.move(*args, **named)
        calls.append(moved)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(link_expiry, "move", dies)
    with pytest.raises(KeyboardInterrupt):
        look(job, step_rows=2)
    assert pages(job) == ["expired"] * 2 + ["unopened"] * 3
    queues.queue(queues.TRACKING).empty()
    look(job)
    assert pages(job) == ["expired"] * 5
    assert [len(page_events(job, person.id)) for person in job.people] == [1] * 5


def test_two_at_once_move_everybody_once(sent: Launched, app: Flask) -> None:
    job = sent(40)
    end_links(job)
    both = threading.Barrier(2)
    faults: list[BaseException] = []

    def work() -> None:
        try:
            with app.app_context(), tenancy.tenant(job.tenant_id):
                both.wait(30)
                link_expiry.expire_links(job.tenant_id, step_rows=3)
        except BaseException as fault:  # noqa: BLE001 - told below
            faults.append(fault)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    look(job)
    assert not faults
    assert pages(job) == ["expired"] * 40
    assert [len(page_events(job, person.id)) for person in job.people] == [1] * 40
    assert job.slice()["links_end_at"] is None


@contextmanager
def somebody_paying(settings: Settings, payer: int) -> Iterator[None]:
    """Let another transaction have somebody verified who begins to pay; it commits when the block is over."""
    with psycopg.connect(settings.database_owner_url.replace("+psycopg", "")) as other:
        # whoever waits for it would wait for ever: this thread holds both
        other.execute("SET idle_in_transaction_session_timeout = '20s'")
        other.execute("SELECT set_config('app.platform', 'on', false)")
        force(other, "recipient", [payer], page_state="opened")
        force(other, "recipient", [payer], page_state="verified", payment_state="started")
        yield


def test_who_is_being_changed_is_left_for_the_next_look(sent: Launched, settings: Settings) -> None:
    """A payment begins at the link's last moment: it is seen once it stands, and not waited for."""
    job = sent(3, payment=True)
    end_links(job)
    with somebody_paying(settings, job.people[1].id):
        look(job)
        assert pages(job) == ["expired", "unopened", "expired"]
        assert job.slice()["links_end_at"] <= datetime.now(UTC), "somebody is left"
    look(job)
    assert pages(job) == ["expired", "verified", "expired"]
    assert job.slice()["links_end_at"] > datetime.now(UTC)


def test_the_look_reads_the_slices_own_people_and_no_others(sent: Launched, database: psycopg.Connection) -> None:
    people, rows = 400, 20
    job = sent(people, slice_rows=rows)
    database.execute("ANALYZE recipient, slice")
    end_links(job)
    job.change("UPDATE slice SET links_end_at = NULL WHERE id <> %s", job.slices[7])
    # the moves are carried out twice so: the second time they find nobody
    with tenancy.tenant(job.tenant_id), explained(instead=False) as plans:
        link_expiry.expire_links(job.tenant_id)
    assert len([page for page in pages(job) if page == "expired"]) == rows
    counts = [touched(plan) for plan in plans]
    assert max(counts) >= rows
    assert max(counts) < 10 * rows, counts


@pytest.mark.parametrize("why", ["asked to end", "shift over"])
def test_a_job_ends_in_time_and_the_next_sweep_goes_on(sent: Launched, why: str) -> None:
    job = sent(3)
    end_links(job)
    if why == "shift over":
        look(job, shift_s=0)
    else:
        shutdown.ask()
        look(job)
        shutdown.forget()
    assert pages(job) == ["unopened"] * 3
    look(job)
    assert pages(job) == ["expired"] * 3


def test_who_is_unlocked_after_the_end_stands_as_expired(sent: Launched) -> None:
    job = sent(2)
    locked, viewed = job.ids()
    steps.lock(locked)
    steps.view(viewed)
    end_links(job, locked)
    look(job)
    assert pages(job) == ["locked", "viewed"]
    assert job.slice()["links_end_at"] is None
    with tenancy.tenant(job.tenant_id):
        assert unlock.unlock(job.people[0].id, actor="user:1", at=datetime.now(UTC))
    look(job)
    assert pages(job) == ["expired", "viewed"]


def test_another_companys_people_are_its_own(sent: Launched) -> None:
    mine, other = sent(2), sent(2)
    end_links(mine)
    delivery.expire_links(mine.tenant_id)
    assert pages(mine) == ["expired"] * 2
    assert pages(other) == ["unopened"] * 2


def test_figures_still_tell_how_far_the_expired_came(sent: Launched) -> None:
    job = sent(3)
    steps.open_page(job.people[0].id)
    steps.verify(job.people[1].id)
    with tenancy.tenant(job.tenant_id):
        before = figures(db.session.get_one(Campaign, job.campaign_id))
        db.session.rollback()
    end_links(job)
    look(job)
    with tenancy.tenant(job.tenant_id):
        after = figures(db.session.get_one(Campaign, job.campaign_id))
        db.session.rollback()
    assert (after.funnel, after.opened) == (before.funnel, before.opened)
    assert dict(after.funnel)["開封"] == 2
    assert (after.page["expired"], after.page["unopened"], after.people) == (3, 0, 3)
