"""The check itself, on real rows: attempts counted however many come at once, the lock, what is compared."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg
import pytest
from flask import Flask

from app import tenancy
from app.identity import check
from app.identity.check import Verdict, VerdictKind
from app.values.answers import QuestionKind
from tests import factories, steps

RIGHT = [("西暦", "1980", "1", "2"), ("0123",)]
WRONG = [("西暦", "1980", "1", "2"), ("0124",)]

Answering = Callable[..., Verdict]


@pytest.fixture
def campaign_id(app: Flask, database: psycopg.Connection) -> int:
    with app.app_context():
        return factories.campaign(factories.tenant(), max_failures=5)


@pytest.fixture
def person(app: Flask, database: psycopg.Connection, campaign_id: int) -> tuple[int, int]:
    """(tenant, recipient) with an opened page and a living link."""
    (tenant_id,) = database.execute("SELECT tenant_id FROM campaign WHERE id = %s", [campaign_id]).fetchone() or (0,)
    with app.app_context():
        recipient_id = factories.people(tenant_id, campaign_id, 1)[0].id
        steps.open_page(recipient_id)
    database.execute(
        "UPDATE recipient SET link_expires_at = %s WHERE id = %s",
        [datetime.now(UTC) + timedelta(hours=1), recipient_id],
    )
    return tenant_id, recipient_id


@pytest.fixture
def answering(app: Flask, person: tuple[int, int], campaign_id: int) -> Answering:
    """Answer as the person, in a context of one's own, so that threads may."""
    tenant_id, recipient_id = person

    def answer(typed: list[tuple[str, ...]], generation: int = 1) -> Verdict:
        with app.app_context(), tenancy.tenant(tenant_id):
            return check.check(tenant_id, recipient_id, generation, check.questions(campaign_id), typed)

    return answer


def standing(database: psycopg.Connection, person: tuple[int, int]) -> tuple[str, int]:
    row = database.execute("SELECT page_state, failed_attempts FROM recipient WHERE id = %s", [person[1]]).fetchone()
    assert row is not None
    return row[0], row[1]


def events(database: psycopg.Connection, person: tuple[int, int]) -> list[str]:
    """Return what happened since the page was opened."""
    rows = database.execute("SELECT state FROM event WHERE recipient_id = %s ORDER BY id", [person[1]]).fetchall()
    assert rows[0] == ("opened",)
    return [row[0] for row in rows[1:]]


def at_once(count: int, act: Callable[[], Verdict]) -> list[Verdict]:
    verdicts: list[Verdict] = []
    gate = threading.Barrier(count)

    def run() -> None:
        gate.wait()
        verdicts.append(act())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(verdicts) == count
    return verdicts


def test_questions_come_in_order_with_their_choices(app: Flask, database: psycopg.Connection) -> None:
    with app.app_context():
        tenant_id = factories.tenant()
        kinds = [("郵便番号", QuestionKind.POSTCODE), ("お住まい", QuestionKind.CHOICE)]
        campaign_id = factories.campaign(tenant_id, questions=kinds)
        database.execute("UPDATE question SET choices = E' 東京 \\n\\n大阪' WHERE kind = 'choice'")
        with tenancy.tenant(tenant_id):
            asked = check.questions(campaign_id)
    assert [(question.label, question.kind) for question in asked] == kinds
    assert asked[1].choices == ("東京", "大阪")


def test_right_answers(database: psycopg.Connection, person: tuple[int, int], answering: Answering) -> None:
    assert answering(WRONG) == Verdict(VerdictKind.WRONG, left=4)
    assert answering(RIGHT) == Verdict(VerdictKind.RIGHT)
    assert standing(database, person) == ("verified", 0)
    assert events(database, person) == ["wrong_answer", "verified"]


def test_all_answers_must_be_right(answering: Answering) -> None:
    for typed in (
        [("西暦", "1980", "1", "3"), ("0123",)],
        [("西暦", "1980", "1", "2"), ("0124",)],
        [("西暦", "1980", "1", "3"), ("0124",)],
    ):
        assert answering(typed).kind is VerdictKind.WRONG


def test_unreadable_answers_name_their_faults_and_cost_nothing(
    database: psycopg.Connection, person: tuple[int, int], answering: Answering
) -> None:
    verdict = answering([("西暦", "1980", "", "2"), ("12",)])
    assert verdict.kind is VerdictKind.UNREADABLE
    assert {place: fault.code for place, fault in verdict.faults.items()} == {
        0: "date_incomplete",
        1: "answer_last4_too_short",
    }
    assert standing(database, person) == ("opened", 0)
    assert events(database, person) == []


def test_fifty_at_once_are_five_evaluations(
    database: psycopg.Connection, person: tuple[int, int], answering: Answering
) -> None:
    verdicts = at_once(50, lambda: answering(WRONG))
    kinds = [verdict.kind for verdict in verdicts]
    assert sorted(verdict.left for verdict in verdicts if verdict.kind is VerdictKind.WRONG) == [1, 2, 3, 4]
    assert (kinds.count(VerdictKind.LOCKED), kinds.count(VerdictKind.CLOSED)) == (1, 45)
    assert standing(database, person) == ("locked", 5)
    assert events(database, person) == [*["wrong_answer"] * 5, "locked"]
    assert answering(RIGHT) == Verdict(VerdictKind.CLOSED)


def test_the_right_answer_twice_at_once_is_one_step(
    database: psycopg.Connection, person: tuple[int, int], answering: Answering
) -> None:
    assert {verdict.kind for verdict in at_once(2, lambda: answering(RIGHT))} == {VerdictKind.RIGHT}
    assert standing(database, person) == ("verified", 0)
    assert sorted(events(database, person)) == ["verified", "verified_again"]


@pytest.mark.parametrize(
    "ended",
    [
        steps.renew_link,
        steps.revoke,
        partial(steps.lock, failures=0),
        "link_generation = 2",
        "link_expires_at = now() - interval '1 second'",
    ],
)
def test_where_the_link_has_ended_nothing_is_evaluated(
    database: psycopg.Connection,
    person: tuple[int, int],
    answering: Answering,
    take: Callable[..., None],
    ended: str | Callable[..., None],
) -> None:
    if isinstance(ended, str):
        database.execute(f"UPDATE recipient SET {ended} WHERE id = %s", [person[1]])  # noqa: S608 - one of those above
    else:
        take(ended, person[1])
    assert answering(RIGHT) == Verdict(VerdictKind.CLOSED)
    assert standing(database, person)[1] == 0


def test_rows_without_answers_are_never_right(
    database: psycopg.Connection, person: tuple[int, int], answering: Answering
) -> None:
    database.execute("UPDATE recipient SET answer_digests = '{}' WHERE id = %s", [person[1]])
    assert answering(RIGHT).kind is VerdictKind.WRONG
    database.execute("UPDATE recipient SET answer_digests = answer_digests[1:1] WHERE id = %s", [person[1]])
    assert answering(RIGHT).kind is VerdictKind.WRONG


@pytest.mark.parametrize("limit", [3, 10])
def test_the_campaign_says_how_many_attempts_there_are(
    database: psycopg.Connection, person: tuple[int, int], answering: Answering, limit: int
) -> None:
    database.execute("UPDATE campaign SET max_failures = %s", [limit])
    for left in range(limit - 1, 0, -1):
        assert answering(WRONG) == Verdict(VerdictKind.WRONG, left=left)
    assert answering(WRONG) == Verdict(VerdictKind.LOCKED)
