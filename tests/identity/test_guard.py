"""The guard: few slips stop nothing, guessing over many links and answers in the wrong column stop the checks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from flask import Flask

from app import tenancy
from app.identity import check, guard
from app.identity.check import VerdictKind
from app.identity.visit import Common, Face, Link, begin
from app.states.vocabulary import PageState
from tests import factories, steps

RIGHT = [("西暦", "1980", "1", "2"), ("0123",)]
WRONG = [("西暦", "1980", "1", "2"), ("0124",)]


@dataclass(frozen=True, slots=True)
class Crowd:
    """A campaign under way and its people; `open_and_answer` acts for the next ones of them."""

    app: Flask
    database: psycopg.Connection
    tenant_id: int
    campaign_id: int
    ids: list[int]

    def open_and_answer(self, count: int, typed: list[tuple[str, ...]], *, times: int = 1) -> list[VerdictKind]:
        kinds = []
        with self.app.app_context(), tenancy.tenant(self.tenant_id):
            asked = check.questions(self.campaign_id)
            for _ in range(count):
                recipient_id = self.ids.pop()
                common = Common(Face("", "", "", "", "", "ja"), 3, asks=True, stopped=False)
                begin(
                    Link(
                        self.tenant_id,
                        recipient_id,
                        self.campaign_id,
                        1,
                        datetime.now(UTC),
                        PageState.UNOPENED,
                        b"",
                        common,
                    )
                )
                for _ in range(times):
                    verdict = check.check(self.tenant_id, recipient_id, 1, asked, typed)
                kinds.append(verdict.kind)
        return kinds

    def state(self) -> tuple[str, bool]:
        row = self.database.execute(
            "SELECT state, checks_stopped_at IS NOT NULL FROM campaign WHERE id = %s", [self.campaign_id]
        ).fetchone()
        assert row is not None
        return row[0], row[1]

    def events(self) -> list[str]:
        rows = self.database.execute(
            "SELECT state FROM event WHERE campaign_id = %s AND track = 'campaign' ORDER BY id", [self.campaign_id]
        )
        return [state for (state,) in rows]


@pytest.fixture
def crowd(app: Flask, database: psycopg.Connection) -> Callable[[int], Crowd]:
    def make(count: int) -> Crowd:
        with app.app_context():
            tenant_id = factories.tenant()
            campaign_id = factories.campaign(tenant_id, max_failures=3)
            ids = [person.id for person in factories.people(tenant_id, campaign_id, count)]
            steps.resume(campaign_id)
        database.execute("DELETE FROM event")
        database.execute("UPDATE recipient SET link_expires_at = %s", [datetime.now(UTC) + timedelta(hours=3)])
        return Crowd(app, database, tenant_id, campaign_id, ids)

    return make


def test_slips_that_are_mended_stop_nothing(crowd: Callable[[int], Crowd]) -> None:
    people = crowd(80)
    people.open_and_answer(60, RIGHT)
    people.open_and_answer(19, WRONG, times=2)
    assert people.state() == ("sending", False)


def test_answers_in_the_wrong_column_stop_the_checks_and_the_sending(crowd: Callable[[int], Crowd], caplog) -> None:
    people = crowd(60)
    people.open_and_answer(33, RIGHT)
    people.open_and_answer(16, WRONG, times=2)
    assert people.state() == ("sending", False)  # too few people to judge by
    people.open_and_answer(1, WRONG, times=2)
    assert people.state() == ("paused", True)
    assert people.events() == ["checks_stopped", "paused"]
    assert "identity checks stopped" in caplog.text
    # nothing is evaluated any more, not even the right answers
    assert people.open_and_answer(1, RIGHT) == [VerdictKind.CLOSED]


def test_guessing_over_many_links_stops_the_checks(crowd: Callable[[int], Crowd]) -> None:
    people = crowd(230)
    people.open_and_answer(180, RIGHT)
    assert people.open_and_answer(19, WRONG, times=3) == [VerdictKind.LOCKED] * 19
    assert people.state() == ("sending", False)
    people.open_and_answer(1, WRONG, times=3)
    assert people.state() == ("paused", True)


def test_guessing_once_at_each_of_many_links_stops_the_checks_too(crowd: Callable[[int], Crowd]) -> None:
    people = crowd(130)
    people.open_and_answer(40, RIGHT)
    kinds = people.open_and_answer(60, WRONG)
    assert people.state() == ("paused", True)
    assert kinds.count(VerdictKind.WRONG) < 30
    assert kinds[-1] is VerdictKind.CLOSED


def test_many_locks_among_very_many_people_are_the_usual(crowd: Callable[[int], Crowd]) -> None:
    people = crowd(240)
    people.open_and_answer(210, RIGHT)
    people.open_and_answer(22, WRONG, times=3)
    assert people.state() == ("sending", False)


def test_what_is_long_ago_does_not_count(crowd: Callable[[int], Crowd], time_machine) -> None:
    people = crowd(60)
    people.open_and_answer(49, WRONG, times=2)
    time_machine.move_to(datetime.now(UTC) + timedelta(minutes=61))
    people.open_and_answer(5, WRONG, times=2)
    assert people.state() == ("sending", False)


def test_staff_resume_the_checks_and_are_on_record(crowd: Callable[[int], Crowd], database, app: Flask) -> None:
    people = crowd(70)
    people.open_and_answer(50, WRONG, times=2)
    assert people.state() == ("paused", True)
    with app.app_context():
        user_id = factories.user(people.tenant_id)
        with tenancy.tenant(people.tenant_id):
            assert guard.resume(people.tenant_id, people.campaign_id, user_id=user_id)
            assert not guard.resume(people.tenant_id, people.campaign_id, user_id=user_id)
    assert people.state() == ("paused", False)
    assert people.events()[-1] == "checks_resumed"
    assert database.execute("SELECT actor, act FROM audit_entry").fetchall() == [(f"user:{user_id}", "resume_checks")]
    # failures of before are forgiven: those who come now are judged by themselves
    assert people.open_and_answer(10, WRONG, times=2) == [VerdictKind.WRONG] * 10
    assert people.state() == ("paused", False)
