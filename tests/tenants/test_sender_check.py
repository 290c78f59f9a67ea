"""The sender of an SMS: told to whoever knows company and number, of companies that agreed, and of nobody else."""

import psycopg
import pytest
from flask import Flask

from app.tenants import sender_check
from tests import factories, steps


@pytest.fixture
def midori(app: Flask, database: psycopg.Connection) -> int:
    with app.app_context():
        tenant_id = factories.tenant("株式会社みどり信販", code="midori")
        factories.sms_account(tenant_id)
    database.execute("UPDATE tenant SET verifiable = true WHERE id = %s", [tenant_id])
    database.execute("UPDATE sms_account SET sender = '0120-000-101、0005-12345'")
    return tenant_id


@pytest.mark.parametrize(
    "company", ["株式会社みどり信販", "みどり信販", "(株)みどり 信販", "㈱みどり信販", "MIDORI", "ｍｉｄｏｒｉ"]
)
@pytest.mark.parametrize("number", ["0120-000-101", "０１２０ー０００ー１０１", "+81 120 000 101", "000512345"])
def test_names_and_numbers_are_read_as_people_type_them(app: Flask, midori: int, company: str, number: str) -> None:
    with app.app_context():
        assert sender_check.find(company, number) == sender_check.Sender(
            "株式会社みどり信販", "03-1234-5678", "平日 9:00-18:00"
        )


@pytest.mark.parametrize(
    ("company", "number"),
    [
        ("みどり信販", "0120-000-102"),
        ("みどり", "0120-000-101"),
        ("", "0120-000-101"),
        ("株式会社", "0120-000-101"),
        ("みどり信販", ""),
        ("みどり信販", "-"),
        ("みどり信販" * 50, "0120-000-101"),
        ("みどり信販", "0120-000-101、0005-12345"),
    ],
)
def test_anything_else_is_no(app: Flask, midori: int, company: str, number: str) -> None:
    with app.app_context():
        assert sender_check.find(company, number) is None


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tenant SET verifiable = false",
        "suspend",
        "UPDATE sms_account SET active = false",
        "UPDATE sms_account SET sender = ''",
    ],
)
def test_who_did_not_agree_or_sends_no_more_is_not_told_of(
    app: Flask, midori: int, database: psycopg.Connection, change: str
) -> None:
    if change != "suspend":
        database.execute(change)
    with app.app_context():
        if change == "suspend":
            steps.suspend(midori)
        assert sender_check.find("みどり信販", "0120-000-101") is None
