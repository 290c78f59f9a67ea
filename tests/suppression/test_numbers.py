"""The list of numbers that get nothing: what is kept of a number, what is refused, what the audit tells."""

import datetime as dt
from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask

from app import tenancy
from app.extensions import db, vault
from app.models import AuditEntry, Suppression
from app.problems import Refused
from app.suppression import numbers
from app.suppression.numbers import Terms
from app.values.japan_time import TOKYO
from app.values.suppression_reasons import SuppressionReason
from tests import factories

PHONE = "090-1234-5678"


@pytest.fixture
def company(app: Flask, database: psycopg.Connection) -> Iterator[int]:
    with app.app_context():
        tenant_id = factories.tenant()
        with tenancy.tenant(tenant_id):
            yield tenant_id


def terms(reason: SuppressionReason = SuppressionReason.WISH, note: str = "") -> Terms:
    return Terms(reason, note=note)


def acts() -> list[str]:
    return [entry.act for entry in db.session.query(AuditEntry).order_by(AuditEntry.id)]


def code_of(typed: tuple[str, str, str]) -> str:
    with pytest.raises(Refused) as refused:
        numbers.read_terms(*typed, today=dt.date(2026, 12, 1))
    return refused.value.problem.code


def test_the_number_itself_is_kept_nowhere(company: int, database: psycopg.Connection) -> None:
    numbers.add(PHONE, terms(note="12月1日に電話で"), actor="user:7")
    row = database.execute("SELECT suppression::text FROM suppression").fetchone()
    audit = database.execute("SELECT audit_entry::text FROM audit_entry").fetchone()
    assert row is not None
    assert audit is not None
    for kept in (row[0], audit[0]):
        assert "12345678" not in kept
        assert "5678" not in kept
    assert "電話で" not in row[0]
    entry = numbers.find("０９０１２３４５６７８")
    assert entry is not None
    assert entry.phone_index == vault.phone_index(company, "+819012345678")
    assert numbers.open_note(entry) == "12月1日に電話で"


def test_a_number_stands_there_once_and_says_so(company: int) -> None:
    numbers.add(PHONE, terms(SuppressionReason.LAWYER), actor="user:7")
    with pytest.raises(Refused) as refused:
        numbers.add("09012345678", terms(), actor="user:8")
    assert refused.value.problem.code == "suppression_already"
    assert "弁護士介入" in refused.value.message_ja
    assert db.session.query(Suppression).one().reason == "lawyer"
    assert acts() == ["add_suppression"]


def test_an_entry_that_ended_begins_anew_in_its_row(company: int) -> None:
    first = numbers.add(PHONE, terms(note="一度目"), actor="user:7").id
    numbers.end(first, actor="user:7")
    again = numbers.add(PHONE, terms(SuppressionReason.CONTRACT_ENDED), actor="user:8").id
    entry = db.session.get_one(Suppression, first)
    assert again == first
    assert (entry.reason, entry.until, entry.added_by, numbers.open_note(entry)) == (
        "contract_ended",
        None,
        "user:8",
        "",
    )
    assert acts() == ["add_suppression", "end_suppression", "add_suppression"]


def test_reason_end_and_note_can_be_changed_until_it_is_over(company: int) -> None:
    entry_id = numbers.add(PHONE, terms(), actor="user:7").id
    day = dt.datetime.now(TOKYO).date() + dt.timedelta(days=3)
    numbers.change(entry_id, Terms(SuppressionReason.OTHER, day, "確認済み"), actor="user:8")
    entry = db.session.get_one(Suppression, entry_id)
    assert (entry.reason, numbers.last_day_of(entry), numbers.open_note(entry)) == ("other", day, "確認済み")
    numbers.end(entry_id, actor="user:8")
    for late in (lambda: numbers.change(entry_id, terms(), actor="user:8"), lambda: numbers.end(entry_id, actor="u")):
        with pytest.raises(Refused) as refused:
            late()
        assert refused.value.problem.code == "suppression_over"


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (("", "", ""), "suppression_reason_missing"),
        (("なんとなく", "", ""), "suppression_reason_missing"),
        (("wish", "2026/11/30", ""), "suppression_until_past"),
        (("wish", "そのうち", ""), "date_ahead_unreadable"),
        (("wish", "9.3.31", ""), "date_ahead_ambiguous_year"),
        (("wish", "90331", ""), "date_digits_only"),
        (("wish", "2026/02/30", ""), "date_no_such_day"),
        (("wish", "", "あ" * 201), "suppression_note_too_long"),
        (("wish", "", "本人 090-1234-5678 から"), "suppression_note_with_number"),
        (("wish", "", "０９０ー１２３４ー５６７８"), "suppression_note_with_number"),
        (("wish", "", "+819012345678"), "suppression_note_with_number"),
        (("wish", "", "4111 1111 1111 1111"), "suppression_note_with_number"),
    ],
)
def test_terms_that_cannot_be_are_refused(typed: tuple[str, str, str], code: str) -> None:
    assert code_of(typed) == code


def test_terms_are_read_as_people_write_them() -> None:
    read = numbers.read_terms("番号違い", " 令和8年12月31日 ", " 管理番号 K000123 ", today=dt.date(2026, 12, 1))
    assert read == Terms(SuppressionReason.WRONG_NUMBER, dt.date(2026, 12, 31), "管理番号 K000123")


def test_the_last_day_counts_whole_in_japan() -> None:
    ends = numbers.ends_at(dt.date(2026, 12, 31))
    assert ends is not None
    assert ends.astimezone(TOKYO) == dt.datetime(2027, 1, 1, tzinfo=TOKYO)


@pytest.mark.parametrize("typed", ["", "03-1234-5678", "090-1234", "12345678901234"])
def test_what_is_no_mobile_number_is_refused(company: int, typed: str) -> None:
    with pytest.raises(Refused):
        numbers.add(typed, terms(), actor="user:7")
    assert not acts()
