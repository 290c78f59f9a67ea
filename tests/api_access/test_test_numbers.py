"""Test numbers count once whoever holds the phone has read its code out."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from app import tenancy
from app.api_access import test_numbers
from app.campaigns.send_windows import DAYS
from app.extensions import db
from app.models import Tenant, TestNumber
from app.problems import Refused
from app.suppression import numbers
from app.suppression.numbers import Terms
from app.values.suppression_reasons import SuppressionReason
from tests import factories

PHONE = "090-8888-1234"


@pytest.fixture
def company(tuned):
    tenant = factories.tenant()
    manager = factories.user(tenant, "manager")
    factories.sms_account(tenant)
    with tenancy.tenant(tenant):
        yield tenant, manager


def _code(sandbox):
    message = sandbox.messages()[-1]
    assert message["to"] == "09088881234"
    (code,) = re.findall(r"コード：([0-9]{6})$", message["body"])
    return code


def _refused(act, *given, **more):
    with pytest.raises(Refused) as refused:
        act(*given, **more)
    db.session.rollback()
    return refused.value.problem.code


def _sent(company):
    number = test_numbers.add(PHONE, "山田", user_id=company[1])
    test_numbers.send_code(number, user_id=company[1])
    return number


def test_the_code_that_was_sent_confirms(company, sandbox):
    number = _sent(company)
    row = db.session.get_one(TestNumber, number)
    assert row.confirmed_at is None
    code = _code(sandbox)
    assert code.encode() not in (row.code_digest or b"")
    test_numbers.confirm(number, f" {code} ", user_id=company[1])
    assert db.session.get_one(TestNumber, number).confirmed_at is not None
    assert _refused(test_numbers.confirm, number, code, user_id=company[1]) == "test_number_confirmed"
    assert _refused(test_numbers.send_code, number, user_id=company[1]) == "test_number_confirmed"


def test_a_code_is_not_guessed(company, sandbox):
    number = _sent(company)
    code = _code(sandbox)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    told = [_refused(test_numbers.confirm, number, wrong, user_id=company[1]) for _ in range(5)]
    assert told == ["test_number_code_wrong"] * 4 + ["test_number_code_over"]
    assert _refused(test_numbers.confirm, number, code, user_id=company[1]) == "test_number_code_over"


def test_a_code_lives_for_a_quarter_of_an_hour(company, sandbox):
    number = _sent(company)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=16), tick=True):
        assert _refused(test_numbers.confirm, number, _code(sandbox), user_id=company[1]) == "test_number_code_over"


def test_a_second_code_waits_a_minute(company, sandbox):
    number = _sent(company)
    assert _refused(test_numbers.send_code, number, user_id=company[1]) == "test_number_code_just_sent"
    assert len(sandbox.messages()) == 1


def test_no_code_goes_out_of_hours_or_to_whoever_gets_none(company, sandbox):
    number = test_numbers.add(PHONE, "山田", user_id=company[1])
    row = db.session.get_one(Tenant, company[0])
    before, row.send_window = row.send_window, {"days": dict.fromkeys(DAYS), "holidays": False}
    db.session.commit()
    assert _refused(test_numbers.send_code, number, user_id=company[1]) == "test_number_outside_hours"
    db.session.get_one(Tenant, company[0]).send_window = before
    db.session.commit()
    numbers.add(PHONE, Terms(SuppressionReason.WISH), actor=f"user:{company[1]}")
    assert _refused(test_numbers.send_code, number, user_id=company[1]) == "test_number_suppressed"
    assert sandbox.messages() == []


@pytest.mark.parametrize(
    ("phone", "holder", "code"),
    [
        ("03-1234-5678", "山田", "phone_landline"),
        (PHONE, " ", "test_number_owner_missing"),
        (PHONE, "山" * 41, "test_number_owner_too_long"),
    ],
)
def test_what_is_no_test_number_is_refused(company, phone, holder, code):
    assert _refused(test_numbers.add, phone, holder, user_id=company[1]) == code


def test_a_number_stands_there_once_and_goes(company):
    number = test_numbers.add(PHONE, "山田", user_id=company[1])
    assert _refused(test_numbers.add, "09088881234", "山田", user_id=company[1]) == "test_number_twice"
    test_numbers.remove(number, user_id=company[1])
    assert _refused(test_numbers.remove, number, user_id=company[1]) == "test_number_gone"
    assert db.session.query(TestNumber).count() == 0
