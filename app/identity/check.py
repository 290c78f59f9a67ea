"""The identity check: what a person typed against the digests of their list's row.

In: the typed answers. Out: a `Verdict`. Can't happen here: more evaluations of one link than its campaign allows,
however many arrive at once; a verdict that tells which answer was wrong; an attempt spent on an answer that is empty or
can't be read. An attempt is counted on the locked row before it is evaluated, and committed with its outcome.
"""

import hmac
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

import structlog
from sqlalchemy import Connection, text

from app import tenancy
from app.extensions import vault
from app.identity import guard
from app.problems import Problem, Refused
from app.states.transitions import Step, move, note
from app.states.vocabulary import PAGE, PageState
from app.values.answers import Kana, QuestionKind, forms
from app.values.dates import join_date

WESTERN = "西暦"
ERAS = ("昭和", "平成", "令和", "大正")
_YEAR_SIGNS = 40  # as typed: an era, spaces and signs that can't be seen among them
_YEAR_DIGITS = 4  # as many make a year of the western calendar, whatever era is chosen beside it

# Somebody who errs as often as this may be one of many: the first wrong answer is mostly a slip. Of first ones the
# guard looks at one in so many, for whoever guesses once at each of many links.
_SUSPECT = 2
_LOOKED_AT = 8

_COUNTED = text("""
    UPDATE recipient r SET failed_attempts = r.failed_attempts + 1
    FROM campaign c
    WHERE r.id = :id AND r.link_generation = :generation AND r.link_expires_at > :now
      AND r.page_state IN ('opened', 'verified', 'viewed')
      AND c.id = r.campaign_id AND r.failed_attempts < c.max_failures AND c.checks_stopped_at IS NULL
    RETURNING r.campaign_id, r.answer_digests, r.failed_attempts, c.max_failures
""")

_log = structlog.get_logger()


class VerdictKind(StrEnum):
    """The outcome of a submission."""

    RIGHT = "right"
    WRONG = "wrong"
    LOCKED = "locked"  # this was the last attempt
    UNREADABLE = "unreadable"  # no attempt was spent
    CLOSED = "closed"  # the link ended, was locked or is held meanwhile: nothing was evaluated


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome: attempts left after a wrong one; for an unreadable one the faults by the questions' order from 0."""

    kind: VerdictKind
    left: int = 0
    faults: dict[int, Problem] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question as the page asks it; `choices` only for a choice."""

    question_id: int
    label: str
    kind: QuestionKind
    kana: Kana = Kana.AS_WRITTEN
    choices: tuple[str, ...] = ()
    variants_alike: bool = False


def questions(campaign_id: int) -> list[Asked]:
    """Return a campaign's questions in order."""
    with tenancy.transaction() as connection:
        return _questions(connection, campaign_id)


def _questions(connection: Connection, campaign_id: int) -> list[Asked]:
    rows = connection.execute(
        text(
            "SELECT id, label, kind, kana, choices, variants_alike FROM question"
            " WHERE campaign_id = :id ORDER BY position"
        ),
        {"id": campaign_id},
    )
    return [
        Asked(
            row.id,
            row.label,
            QuestionKind(row.kind),
            Kana(row.kana),
            tuple(line.strip() for line in row.choices.splitlines() if line.strip()),
            row.variants_alike,
        )
        for row in rows
    ]


def check(
    tenant_id: int, recipient_id: int, generation: int, asked: Sequence[Asked], typed: Sequence[Sequence[str]]
) -> Verdict:
    """Evaluate what was typed into the inputs of each question, in the questions' order.

    A date has four inputs: calendar (`WESTERN` or one of `ERAS`), year, month, day; every other kind has one.
    """
    answers, faults = _read(asked, typed)
    if faults:
        return Verdict(VerdictKind.UNREADABLE, faults=faults)
    digests = [
        [vault.answer_digest(tenant_id, recipient_id, question.question_id, form) for form in answer]
        for question, answer in zip(asked, answers, strict=True)
    ]
    with tenancy.transaction() as connection:
        verdict, suspect = _evaluate(connection, tenant_id, recipient_id, generation, digests)
    if suspect is not None:
        guard.watch(tenant_id, suspect)
    return verdict


def _evaluate(
    connection: Connection, tenant_id: int, recipient_id: int, generation: int, digests: Sequence[Sequence[bytes]]
) -> tuple[Verdict, int | None]:
    """Return the verdict, and the campaign whose failures have to be looked at, if this is one of many."""
    now = datetime.now(UTC)
    row = connection.execute(_COUNTED, {"id": recipient_id, "generation": generation, "now": now}).first()
    if row is None:
        return Verdict(VerdictKind.CLOSED), None
    if len(row.answer_digests) != len(digests):
        _log.error("stored answers do not match questions", recipient_id=recipient_id)
    if _same(row.answer_digests, digests):
        _record_right(connection, tenant_id, row.campaign_id, recipient_id, now)
        return Verdict(VerdictKind.RIGHT), None
    note(
        connection,
        PAGE.name,
        "wrong_answer",
        tenant_id=tenant_id,
        campaign_id=row.campaign_id,
        recipient_id=recipient_id,
        at=now,
        actor="person",
        detail={"attempt": row.failed_attempts, "of": row.max_failures},
    )
    left = row.max_failures - row.failed_attempts
    if left:
        suspect = row.failed_attempts == _SUSPECT or recipient_id % _LOOKED_AT == 0
        return Verdict(VerdictKind.WRONG, left), row.campaign_id if suspect else None
    move(connection, PAGE, PageState.LOCKED, [Step(recipient_id, now)], actor="system")
    return Verdict(VerdictKind.LOCKED), row.campaign_id


def _same(stored: Sequence[bytes], digests: Sequence[Sequence[bytes]]) -> bool:
    """Compare all of them, always: the time taken tells nothing of which one differs."""
    results = [
        any([hmac.compare_digest(bytes(right), form) for form in answer])  # noqa: C419 - all of them
        for right, answer in zip(stored, digests, strict=False)
    ]
    return len(stored) == len(digests) and all(results)


def _record_right(connection: Connection, tenant_id: int, campaign_id: int, recipient_id: int, now: datetime) -> None:
    step = Step(recipient_id, now, columns={"failed_attempts": 0})
    if move(connection, PAGE, PageState.VERIFIED, [step], actor="person"):
        return
    # on a second visit or another device: the state stands, that it happened is kept
    connection.execute(text("UPDATE recipient SET failed_attempts = 0 WHERE id = :id"), {"id": recipient_id})
    note(
        connection,
        PAGE.name,
        "verified_again",
        tenant_id=tenant_id,
        campaign_id=campaign_id,
        recipient_id=recipient_id,
        at=now,
        actor="person",
    )


def _read(asked: Sequence[Asked], typed: Sequence[Sequence[str]]) -> tuple[list[list[str]], dict[int, Problem]]:
    answers: list[list[str]] = []
    faults: dict[int, Problem] = {}
    for place, (question, inputs) in enumerate(zip(asked, typed, strict=True)):
        try:
            raw = _date(*inputs) if question.kind is QuestionKind.DATE else inputs[0]
            answers.append(
                forms(
                    question.kind,
                    raw,
                    kana=question.kana,
                    choices=question.choices,
                    variants_alike=question.variants_alike,
                )
            )
        except Refused as refused:
            faults[place] = refused.problem
    return answers, faults


def _date(calendar: str, year: str, month: str, day: str) -> str:
    if len(year) > _YEAR_SIGNS:
        return join_date(year, month, day)  # which refuses it, in words
    digits = "".join(filter(_seen, unicodedata.normalize("NFKC", year))).removesuffix("年")
    if calendar in ERAS and (digits == "元" or (digits.isdecimal() and len(digits) != _YEAR_DIGITS)):
        year = calendar + digits
    return join_date(year, month, day)


def _seen(sign: str) -> bool:
    return sign.isprintable() and not sign.isspace()
