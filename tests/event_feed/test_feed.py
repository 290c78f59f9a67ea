"""The feed as a company's system reads it: everything once, in order, nobody else's, and on after a restore."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from flask import Flask

from app import tenancy
from app.event_feed import cursors, feed
from app.event_feed.cursors import Era, Position
from app.event_feed.feed import StaleCursor
from app.extensions import db
from app.problems import Refused
from app.restore import after
from app.setback import beat, doubt
from app.setback.beat import NothingMayLeave
from app.setback.known import Why
from app.states import transitions
from app.states.transitions import Step
from app.states.vocabulary import SMS, CampaignState, SmsState
from tests import factories

NOW = datetime(2026, 12, 1, 3, 4, 5, tzinfo=UTC)


class Company:
    """A company with a campaign of three, whose events a test writes."""

    def __init__(self) -> None:
        self.id = factories.tenant()
        self.campaign_id = factories.campaign(self.id)
        self.people = [person.id for person in factories.people(self.id, self.campaign_id, 3)]

    def move(self, to: SmsState, *people: int, code: str = "") -> None:
        with tenancy.tenant(self.id):
            steps = [Step(one, NOW, {"code": code} if code else None) for one in people]
            transitions.move(db.session, SMS, to, steps, actor="system")
            db.session.commit()

    def read(self, after: str | None = None, limit: int = 100) -> feed.Page:
        with tenancy.tenant(self.id):
            return feed.read(after, limit)

    def told(self, after: str | None = None) -> list[tuple[int | None, str]]:
        return [(event.recipient_id, event.state) for event in self.read(after).events]


@pytest.fixture
def company(app: Flask) -> Iterator[Company]:
    with app.app_context():
        with tenancy.platform(), tenancy.transaction() as connection:
            beat.begin(connection)
        yield Company()


def restored() -> None:
    """Let the database be one that was set back and taken for good."""
    with tenancy.platform():
        doubt.hold(NothingMayLeave(Why.BEAT))
    after.restore(sleep=lambda _seconds: None)


def test_events_are_told_once_page_by_page(company: Company) -> None:
    one, two, three = company.people
    company.move(SmsState.QUEUED, one, two, three)
    company.move(SmsState.CANCELLED, two, code="number_limit")
    first = company.read(limit=2)
    rest = company.read(first.cursor, limit=100)
    told = [*first.events, *rest.events]
    assert [(event.recipient_id, event.state, event.code) for event in told] == [
        (one, "queued", ""),
        (two, "queued", ""),
        (three, "queued", ""),
        (two, "cancelled", "number_limit"),
    ]
    assert {(event.campaign_id, event.track, event.at) for event in told} == {(company.campaign_id, "sms", NOW)}
    nothing = company.read(rest.cursor)
    assert nothing.events == []
    company.move(SmsState.CANCELLED, one)
    assert company.told(nothing.cursor) == [(one, "cancelled")]


def test_a_campaigns_own_events_are_told_too(company: Company) -> None:
    with tenancy.tenant(company.id):
        transitions.move_campaign(
            db.session, company.campaign_id, CampaignState.SENDING, at=NOW + timedelta(1), actor="user:1"
        )
        db.session.commit()
    (event,) = company.read().events
    assert (event.recipient_id, event.track, event.state) == (None, "campaign", "sending")


def test_what_commits_late_is_not_passed_over(company: Company, owner: psycopg.Connection) -> None:
    one, two, _ = company.people
    with psycopg.connect(owner.info.dsn, password=owner.info.password) as late:
        late.execute("SELECT set_config('app.platform', 'on', false)")
        write(late, company, one)
        company.move(SmsState.QUEUED, two)
        early = company.read()
        assert early.events == []
        late.commit()
    assert company.told(early.cursor) == [(one, "late"), (two, "queued")]


def test_a_persons_events_come_as_they_happened_whoever_began_first(
    company: Company, owner: psycopg.Connection
) -> None:
    one, two, _ = company.people
    with psycopg.connect(owner.info.dsn, password=owner.info.password) as slow:
        slow.execute("SELECT set_config('app.platform', 'on', false)")
        write(slow, company, one)  # the older transaction
        company.move(SmsState.QUEUED, two)  # the younger one is the first to reach them
        write(slow, company, two)
        slow.commit()
    assert company.told() == [(one, "late"), (two, "queued"), (two, "late")]


def test_the_end_is_behind_what_happened_and_before_what_comes(company: Company) -> None:
    one, two, _ = company.people
    company.move(SmsState.QUEUED, one)
    with tenancy.tenant(company.id):
        end = feed.end()
    company.move(SmsState.QUEUED, two)
    assert company.told(end) == [(two, "queued")]


def test_a_cursor_is_nobody_elses(company: Company) -> None:
    other = Company()
    company.move(SmsState.QUEUED, company.people[0])
    cursor = company.read().cursor
    with pytest.raises(Refused) as refused:
        other.read(cursor)
    assert refused.value.problem.code == "feed_cursor_unknown"
    assert other.told() == []


@pytest.mark.parametrize("junk", ["", "0", "あ", "AAAA", "x" * 40, "A" * 100_000, "\x00", "2026-12-01"])
def test_junk_is_no_cursor(company: Company, junk: str) -> None:
    with pytest.raises(Refused) as refused:
        company.read(junk)
    assert refused.value.problem.code == "feed_cursor_unknown"


def test_a_cursor_tells_no_number(company: Company) -> None:
    company.move(SmsState.QUEUED, *company.people)
    first, second = company.read().cursor, company.read().cursor
    assert first != second
    assert company.told(first) == company.told(second) == []


def test_the_platform_reads_nobodys_feed(company: Company) -> None:
    with tenancy.platform(), pytest.raises(tenancy.NoScope):
        feed.read(None, 10)


def test_nothing_is_told_while_the_installation_is_held(company: Company) -> None:
    one, two, _ = company.people
    company.move(SmsState.QUEUED, one)
    cursor = company.read().cursor
    with tenancy.platform():
        doubt.hold(NothingMayLeave(Why.BEAT))
    company.move(SmsState.QUEUED, two)
    held = company.read(cursor)
    assert held.events == []
    assert company.told() == []


def test_after_a_restore_the_old_cursor_says_where_to_go_on(company: Company) -> None:
    one, two, three = company.people
    company.move(SmsState.QUEUED, one, two)
    halfway = company.read(limit=1).cursor
    restored()
    company.move(SmsState.QUEUED, three)
    with pytest.raises(StaleCursor) as stale:
        company.read(halfway)
    assert company.told(stale.value.go_on_from) == [(two, "queued"), (three, "queued")]
    assert len({event.epoch for event in company.read().events}) == 2


def test_numbers_that_begin_anew_hide_nothing(company: Company, database: psycopg.Connection) -> None:
    one, two, three = company.people
    company.move(SmsState.QUEUED, one, two)
    # as in a server that has counted far further than the one it is loaded into
    database.execute("UPDATE event SET xid = xid + 1000000000")
    halfway = cursor_behind(company, database, one)
    with tenancy.platform():
        doubt.hold(NothingMayLeave(Why.TIMELINE))
    company.move(SmsState.QUEUED, three)  # pages are served meanwhile
    after.restore(sleep=lambda _seconds: None)
    with pytest.raises(StaleCursor) as stale:
        company.read(halfway)
    rest = company.read(stale.value.go_on_from)
    assert [event.recipient_id for event in rest.events] == [two, three]
    assert company.told(rest.cursor) == []
    assert [who for who, _ in company.told()] == [one, two, three]


def test_an_era_that_is_lost_is_read_anew_from_the_one_before() -> None:
    eras = [Era(0, 0), Era(4, 700), Era(9, 900)]
    assert Position(5, 4, 10, 20).taken_to(9, eras) == Position(9, 4, 10, 20)
    assert Position(7, 7, 10, 20).taken_to(9, eras) == Position(9, 4, 0, 0)
    assert Position(2, 2, 10, 20).taken_to(9, eras) == Position(9, 0, 0, 0)


def write(connection: psycopg.Connection, company: Company, person_id: int) -> None:
    connection.execute("UPDATE recipient SET fence = fence + 1 WHERE id = %s", [person_id])
    connection.execute(
        "INSERT INTO event (tenant_id, campaign_id, recipient_id, track, state, at, actor)"
        " VALUES (%s, %s, %s, 'sms', 'late', now(), 'system')",
        [company.id, company.campaign_id, person_id],
    )


def cursor_behind(company: Company, database: psycopg.Connection, person_id: int) -> str:
    row = database.execute("SELECT xid, id FROM event WHERE recipient_id = %s", [person_id]).fetchone()
    assert row is not None
    return cursors.sealed(company.id, Position(1, 0, *row))
