"""Parts of shared accounts: who gets one on which terms, on record with the company."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import select

from app import tenancy
from app.extensions import db
from app.models import AuditEntry, SharedSmsAccount, SmsAccount
from app.problems import Refused
from app.tenants import allotments
from app.tenants.allotments import Terms
from tests import factories

ACTOR = "user:7"
TERMS = Terms("標準回線", 10, Decimal("8.5"))


@pytest.fixture(autouse=True)
def context(app: Flask) -> Iterator[None]:
    with app.app_context(), tenancy.platform():
        yield


@pytest.fixture
def company(app: Flask) -> int:
    with app.app_context():
        return factories.tenant("あおば保険")


@pytest.fixture
def account(company: int) -> SharedSmsAccount:
    return db.session.get_one(SharedSmsAccount, factories.shared_account(rate_per_s=20))


def given(account: SharedSmsAccount, tenant_id: int, terms: Terms = TERMS) -> SmsAccount:
    row = allotments.allot(account, tenant_id, terms, actor=ACTOR)
    db.session.commit()
    return row


def refusal(account: SharedSmsAccount, tenant_id: int | None, terms: Terms = TERMS) -> str:
    with pytest.raises(Refused) as refused:
        allotments.allot(account, tenant_id, terms, actor=ACTOR)
    db.session.rollback()
    return refused.value.problem.code


def acts(tenant_id: int) -> list[tuple[str, object]]:
    rows = db.session.execute(
        select(AuditEntry.act, AuditEntry.detail).where(AuditEntry.tenant_id == tenant_id).order_by(AuditEntry.id)
    )
    return [(row.act, row.detail["fields"]) for row in rows]


def test_a_company_gets_a_part_on_its_own_terms(account: SharedSmsAccount, company: int) -> None:
    row = given(account, company)
    assert (row.name, row.rate_per_s, row.price_yen, row.active) == ("標準回線", 10, Decimal("8.5"), True)
    assert (row.provider, row.settings, row.credentials_sealed, row.receipt_secret) == ("karaden", {}, None, None)
    allotments.change(account, row, Terms("急ぎ回線", 20), actor=ACTOR)
    allotments.change(account, row, Terms("急ぎ回線", 20), actor=ACTOR)
    allotments.switch(row, active=False, actor=ACTOR)
    allotments.switch(row, active=False, actor=ACTOR)
    allotments.switch(row, active=True, actor=ACTOR)
    assert acts(company) == [
        ("allotment.give", ["name", "rate_per_s", "price_yen"]),
        ("allotment.change", ["name", "rate_per_s", "price_yen"]),
        ("allotment.take_back", ["active"]),
        ("allotment.give", ["active"]),
    ]
    assert [one.id for one in allotments.of(account.id)] == [row.id]


def test_what_cannot_be_given_is_refused(account: SharedSmsAccount, company: int) -> None:
    assert refusal(account, None) == "allotment_company_missing"
    assert refusal(account, 2**40) == "allotment_company_missing"
    assert refusal(account, company, Terms("標準回線", 21)) == "allotment_rate_too_high"
    row = given(account, company)
    assert refusal(account, company) == "allotment_twice"
    with pytest.raises(Refused):
        allotments.change(account, row, Terms("標準回線", 21), actor=ACTOR)


def test_a_part_follows_its_account(account: SharedSmsAccount, company: int) -> None:
    row = given(account, company)
    account.test_mode = True
    assert allotments.follow(account) == [row]
    assert row.test_mode
    assert (row.name, row.rate_per_s) == ("標準回線", 10)
