"""The sender of an SMS: told to whoever knows company and number, of companies that agreed, and of nobody else."""

import psycopg
import pytest
from flask import Flask

from app.tenants import sender_check
from tests import factories, steps
from tests.raw_states import force

NUMBERS = [
    ("all", "0005123456"),
    ("docomo", "0120000101"),
    ("au", "05012345678"),
    ("softbank", "243056"),
    ("rakuten", "0312345678"),
]


@pytest.fixture
def midori(app: Flask, database: psycopg.Connection) -> int:
    with app.app_context():
        tenant_id = factories.tenant("株式会社みどり信販", code="midori")
        account = factories.sms_account(tenant_id)
        for carrier, number in NUMBERS:
            factories.sender_number(account, number, carrier=carrier)
    database.execute("UPDATE tenant SET verifiable = true WHERE id = %s", [tenant_id])
    return tenant_id


@pytest.mark.parametrize(
    "company",
    [
        "株式会社みどり信販",
        "みどり信販",
        "(株)みどり 信販",
        "㈱みどり信販",
        "MIDORI",
        "ｍｉｄｏｒｉ",
        "【みどり信販】",
        " 【 株式会社みどり信販 】 ",
        "【㈱みどり信販】",
        "［みどり信販］",
        "「みどり信販」",
        "【みどり信販",
        "みどり信販】",
        "【みどり信販】佐藤様 大切なお知らせです",
    ],
)
@pytest.mark.parametrize(
    "number", ["0120-000-101", "０１２０ー０００ー１０１", "+81 120 000 101", "＋８１ (0)120-000-101"]
)
def test_names_and_numbers_are_read_as_people_type_them(app: Flask, midori: int, company: str, number: str) -> None:
    with app.app_context():
        assert sender_check.find(company, number) == sender_check.Sender(
            "株式会社みどり信販", "03-1234-5678", "平日 9:00-18:00", NUMBERS
        )


@pytest.mark.parametrize(
    "number",
    [
        *(number for _, number in NUMBERS),
        "0005-123-456",
        "０００５ １２３４５６",
        "+810005123456",
        "+81005123456",
        "243 056",
        "+81243056",
        "(03) 1234-5678",
        "+81-50-1234-5678",
        "　050‐1234‐5678　",
    ],
)
def test_every_number_of_a_company_is_known_to_whoever_asks(app: Flask, midori: int, number: str) -> None:
    with app.app_context():
        assert sender_check.find("みどり信販", number) is not None


@pytest.mark.parametrize(
    ("company", "number"),
    [
        ("みどり信販", "0120-000-102"),
        ("みどり", "0120-000-101"),
        ("", "0120-000-101"),
        ("株式会社", "0120-000-101"),
        ("【】", "0120-000-101"),
        ("【みどり】信販", "0120-000-101"),
        ("みどり信販", ""),
        ("みどり信販", "-"),
        ("みどり信販", "+81"),
        ("みどり信販", "+1 120 000 101"),
        ("みどり信販", "0243056"),
        ("みどり信販" * 50, "0120-000-101"),
        ("みどり信販", "0120-000-101、0005-123456"),
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
        "retired",
        "rejected",
    ],
)
def test_who_did_not_agree_or_sends_no_more_is_not_told_of(
    app: Flask, midori: int, database: psycopg.Connection, change: str
) -> None:
    if change in {"retired", "rejected"}:
        force(database, "sender_number", state=change)
    elif change != "suspend":
        database.execute(change)
    with app.app_context():
        if change == "suspend":
            steps.suspend(midori)
        assert sender_check.find("みどり信販", "0120-000-101") is None


def test_a_number_that_no_carrier_approved_yet_is_not_confirmed(app: Flask, midori: int) -> None:
    with app.app_context():
        account = factories.sms_account(midori)
        factories.sender_number(account, "0663456789", carrier="docomo", state="applied")
        assert sender_check.find("みどり信販", "06-6345-6789") is None


def test_a_number_of_another_company_confirms_this_one_to_nobody(
    app: Flask, midori: int, database: psycopg.Connection
) -> None:
    with app.app_context():
        aoba = factories.tenant("あおば保険")
        account = factories.sms_account(aoba)
        factories.sender_number(account, "0663456789", carrier="docomo")
        factories.sender_number(account, "243056", carrier="softbank")  # known of both
        database.execute("UPDATE tenant SET verifiable = true")
        assert sender_check.find("みどり信販", "06-6345-6789") is None
        midori_knows = sender_check.find("みどり信販", "243056")
        aoba_knows = sender_check.find("あおば保険", "243056")
    assert midori_knows is not None
    assert midori_knows.numbers == NUMBERS
    assert aoba_knows is not None
    assert aoba_knows.numbers == [("docomo", "0663456789"), ("softbank", "243056")]
