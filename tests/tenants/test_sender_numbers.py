"""Sender numbers of accounts: who records what, what SMS go out as, and what a clerk is told."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import tenancy
from app.extensions import db
from app.models import AuditEntry, SenderNumber, SmsAccount
from app.problems import Refused
from app.providers.sms import PROVIDERS
from app.states.vocabulary import SenderState
from app.tenants import sender_numbers
from tests import factories

ACTOR = "user:7"


@pytest.fixture
def account(app: Flask) -> int:
    with app.app_context():
        return factories.sms_account(factories.tenant())


@pytest.fixture
def stranger(app: Flask) -> int:
    """Another company's account."""
    with app.app_context():
        return factories.sms_account(factories.tenant("あおば保険"))


@pytest.fixture
def company(app: Flask, account: int) -> Callable[[], AbstractContextManager[object]]:
    """Open the scope of the account's company."""
    with app.app_context(), tenancy.platform():
        tenant_id = db.session.get_one(SmsAccount, account).tenant_id
    return lambda: tenancy.tenant(tenant_id)


@pytest.fixture(autouse=True)
def context(app: Flask) -> Any:
    with app.app_context():
        yield


def refusal(act: Callable[..., object], *given: Any, **more: Any) -> str:
    with pytest.raises(Refused) as refused:
        act(*given, **more)
    return refused.value.problem.code


def state_of(number_id: int) -> tuple[str, str]:
    with tenancy.platform():
        row = db.session.scalars(select(SenderNumber).where(SenderNumber.id == number_id)).one()
        return row.state, row.note


def on_record() -> list[tuple[str, object]]:
    with tenancy.platform():
        rows = db.session.scalars(
            select(AuditEntry).where(AuditEntry.act.like("sender_number.%")).order_by(AuditEntry.id)
        )
        return [(row.act, (row.detail or {}).get("reason")) for row in rows]


def test_a_number_goes_its_way_with_dates_notes_and_entries_on_record(account: int, company) -> None:
    with company():
        number_id = sender_numbers.apply(account, "docomo", "050-1234-5678", note="12/1に申請", actor=ACTOR)
    with tenancy.platform():
        sender_numbers.move(number_id, SenderState.REJECTED, note="書類が足りない", actor=ACTOR)
    with company():
        sender_numbers.move(number_id, SenderState.APPLIED, note="書類を送った", actor=ACTOR)
    with tenancy.platform():
        sender_numbers.move(number_id, SenderState.APPROVED, actor=ACTOR)
        row = db.session.get_one(SenderNumber, number_id)
        assert (row.number, row.state, row.note, row.retired_at) == ("05012345678", "approved", "", None)
        assert row.rejected_at is not None
        assert row.approved_at is not None
        assert row.rejected_at < row.applied_at < row.approved_at
    with company():
        sender_numbers.move(number_id, SenderState.RETIRED, note="解約", actor=ACTOR)
    assert state_of(number_id) == ("retired", "解約")
    assert on_record() == [
        ("sender_number.applied", "12/1に申請"),
        ("sender_number.rejected", "書類が足りない"),
        ("sender_number.applied", "書類を送った"),
        ("sender_number.approved", None),
        ("sender_number.retired", "解約"),
    ]


@pytest.mark.parametrize("to", [SenderState.APPROVED, SenderState.REJECTED])
def test_a_company_decides_nothing_in_a_carriers_name(account: int, company, to: SenderState) -> None:
    with company():
        number_id = sender_numbers.apply(account, "docomo", "05012345678", actor=ACTOR)
        assert sender_numbers.moves("applied") == [SenderState.RETIRED]
        assert refusal(sender_numbers.move, number_id, to, note="x", actor=ACTOR) == "sender_number_operator_only"
    assert state_of(number_id)[0] == "applied"


def test_a_rejection_says_why(account: int) -> None:
    number_id = factories.sender_number(account, "05012345678", carrier="docomo", state="applied")
    with tenancy.platform():
        move = sender_numbers.move
        assert refusal(move, number_id, SenderState.REJECTED, actor=ACTOR) == "sender_number_reason_missing"
        assert (
            refusal(move, number_id, SenderState.REJECTED, note=" 　 ", actor=ACTOR) == "sender_number_reason_missing"
        )
        long = "長" * 201
        assert refusal(move, number_id, SenderState.REJECTED, note=long, actor=ACTOR) == "sender_number_note_too_long"
    assert (state_of(number_id)[0], on_record()) == ("applied", [])


def test_a_second_press_finds_it_done(account: int) -> None:
    number_id = factories.sender_number(account, "05012345678", carrier="docomo", state="applied")
    with tenancy.platform():
        sender_numbers.move(number_id, SenderState.APPROVED, actor=ACTOR)
        assert refusal(sender_numbers.move, number_id, SenderState.APPROVED, actor=ACTOR) == "sender_number_moved"
        sender_numbers.move(number_id, SenderState.RETIRED, actor=ACTOR)
        assert refusal(sender_numbers.move, number_id, SenderState.APPROVED, actor=ACTOR) == "sender_number_moved"
    assert len(on_record()) == 2


@pytest.mark.parametrize("state", ["applied", "approved", "rejected"])
def test_the_same_number_twice_is_refused_until_it_is_retired(account: int, company, state: str) -> None:
    number_id = factories.sender_number(account, "05012345678", carrier="docomo", state=state)
    with company():
        again = refusal(sender_numbers.apply, account, "docomo", "+81 50-1234-5678", actor=ACTOR)
        assert again == "sender_number_twice"
        sender_numbers.apply(account, "au", "050-1234-5678", actor=ACTOR)  # another carrier decides for itself
        sender_numbers.move(number_id, SenderState.RETIRED, actor=ACTOR)
        assert sender_numbers.apply(account, "docomo", "050-1234-5678", actor=ACTOR) != number_id


def test_a_company_reaches_no_account_and_no_number_of_another(account: int, stranger: int, company) -> None:
    theirs = factories.sender_number(stranger, "05012345678", carrier="docomo")
    with company():
        assert refusal(sender_numbers.apply, stranger, "docomo", "0312345678", actor=ACTOR) == (
            "sender_number_account_missing"
        )
        assert refusal(sender_numbers.move, theirs, SenderState.RETIRED, actor=ACTOR) == "sender_number_gone"
        # nor learns that somebody has the number
        assert sender_numbers.apply(account, "docomo", "050-1234-5678", actor=ACTOR)
    assert state_of(theirs)[0] == "approved"


def test_one_number_for_two_companies_takes_an_operator_who_means_it(account: int, stranger: int) -> None:
    factories.sender_number(stranger, "05012345678", carrier="docomo")
    ours = factories.sender_number(account, "05012345678", carrier="au", state="applied")
    with tenancy.platform():
        with pytest.raises(Refused, match="あおば保険") as refused:
            sender_numbers.move(ours, SenderState.APPROVED, actor=ACTOR)
        assert refused.value.problem.code == "sender_number_of_another_company"
        assert state_of(ours)[0] == "applied"
        sender_numbers.move(ours, SenderState.APPROVED, actor=ACTOR, shared=True)
    assert state_of(ours)[0] == "approved"


def test_a_services_common_number_is_many_companies_own(account: int, stranger: int) -> None:
    factories.sender_number(stranger, "0032069000", carrier="softbank")
    ours = factories.sender_number(account, "0032069000", carrier="softbank", state="applied")
    with tenancy.platform():
        sender_numbers.move(ours, SenderState.APPROVED, actor=ACTOR)
    assert state_of(ours)[0] == "approved"


@pytest.mark.parametrize("carrier", ["", "mvno", "ALL"])
def test_an_unknown_carrier_is_refused(account: int, company, carrier: str) -> None:
    with company():
        assert refusal(sender_numbers.apply, account, carrier, "05012345678", actor=ACTOR) == (
            "sender_number_carrier_missing"
        )


# --- what an SMS goes out as ---


@pytest.fixture
def names_senders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the service take a sender with each request."""
    service = type(PROVIDERS["karaden"])
    monkeypatch.setattr(service, "capabilities", replace(PROVIDERS["karaden"].capabilities, takes_sender=True))


@pytest.mark.parametrize(
    ("numbers", "chosen"),
    [
        ([], None),
        ([("docomo", "05011111111", "applied"), ("au", "05022222222", "rejected")], None),
        ([("docomo", "05011111111", "retired")], None),
        ([("softbank", "0032069000", "approved")], "0032069000"),
        ([("softbank", "243056", "approved"), ("rakuten", "0312345678", "rejected")], "243056"),
        ([("softbank", "243056", "approved"), ("au", "05022222222", "approved")], "+815022222222"),
        ([("docomo", "05011111111", "applied"), ("rakuten", "05044444444", "approved")], "+815044444444"),
        ([("docomo", "05011111111", "approved"), ("all", "0005123456", "approved")], "0005123456"),
        ([("docomo", "05011111112", "approved"), ("docomo", "05011111111", "approved")], "+815011111112"),
    ],
)
def test_a_request_names_an_approved_number_or_none(
    names_senders: None, account: int, company, numbers: list[tuple[str, str, str]], chosen: str | None
) -> None:
    for carrier, number, state in numbers:
        factories.sender_number(account, number, carrier=carrier, state=state)
    with company():
        assert sender_numbers.for_request(db.session.get_one(SmsAccount, account)) == chosen


def test_a_service_that_takes_no_sender_is_given_none(account: int, company) -> None:
    factories.sender_number(account, "0005123456")
    with company():
        row = db.session.get_one(SmsAccount, account)
        assert (sender_numbers.for_request(row), sender_numbers.choose(row)) == (None, "0005123456")


# --- what a clerk is told ---


def test_what_stands_with_each_carrier_is_told_and_which_has_none(account: int, company) -> None:
    factories.sender_number(account, "05012345678", carrier="docomo")
    factories.sender_number(account, "05012345678", carrier="au", state="applied")
    factories.sender_number(account, "243056", carrier="softbank", state="rejected")
    with company():
        told = [one.words for one in sender_numbers.standings(db.session.get_one(SmsAccount, account))]
    assert told == [
        "ドコモ：05012345678（承認）",
        "au：05012345678（申請中）",
        "ソフトバンク：未登録",
        "楽天モバイル：未登録",
    ]


def test_a_common_short_code_leaves_no_carrier_without(account: int, company) -> None:
    factories.sender_number(account, "0005123456")
    with company():
        told = [one.words for one in sender_numbers.standings(db.session.get_one(SmsAccount, account))]
    assert told == ["4社共通：0005123456（承認）"]


def test_an_account_without_a_record_is_warned_of(names_senders: None, account: int, company) -> None:
    with company():
        (unregistered,) = sender_numbers.warnings(db.session.get_one(SmsAccount, account))
        assert unregistered.startswith("送信元が未登録です")
    number_id = factories.sender_number(account, "0005123456", state="applied")
    with company():
        (unapproved,) = sender_numbers.warnings(db.session.get_one(SmsAccount, account))
        assert "承認された送信元番号がありません" in unapproved
    with tenancy.platform():
        sender_numbers.move(number_id, SenderState.APPROVED, actor=ACTOR)
    with company():
        assert sender_numbers.warnings(db.session.get_one(SmsAccount, account)) == []


def test_a_recorded_number_is_enough_where_requests_name_none(account: int, company) -> None:
    factories.sender_number(account, "0005123456", state="applied")
    with company():
        assert sender_numbers.warnings(db.session.get_one(SmsAccount, account)) == []
