"""Allotments: a company's part of a shared account of the operator's, given, changed and taken back by an operator.

In: a shared account, a company, and under which name, at which rate and price it sends by it. Out: an SMS account of
the company's without settings, on record with the company. Can't happen here: a company that gives itself a part, or
changes one (the database refuses that too); two parts of one account for a company; somebody lost for a part that is
taken back: whoever waits waits on, what left is asked about as before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func, null, select

from app import audit
from app.accounts import twins
from app.accounts.shared import KNOWN, lock
from app.extensions import db
from app.models import SharedSmsAccount, SmsAccount, Tenant
from app.problems import Kind, Refused

_NO_COMPANY = Kind("allotment_company_missing", "企業が見つかりません。選び直してください。")
_TWICE = Kind(
    "allotment_twice",
    "{company}には、この共用アカウントがすでに割り当てられています（{name}）。一覧の企業名を押して、そこで変えてください。",
)
_TOO_FAST = Kind(
    "allotment_rate_too_high", "1秒に送る件数の上限は、共用アカウントの上限（{most}）以下で入力してください。"
)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a company sends by a shared account: the name that it sees, messages a second, and the price of one, yen."""

    name: str
    rate_per_s: int
    price_yen: Decimal | None = None


def of(shared_account_id: int) -> Sequence[SmsAccount]:
    """List the parts of a shared account, those taken back too, by their age."""
    return db.session.scalars(
        select(SmsAccount).where(SmsAccount.shared_account_id == shared_account_id).order_by(SmsAccount.id)
    ).all()


def allot(account: SharedSmsAccount, tenant_id: int | None, terms: Terms, *, actor: str) -> SmsAccount:
    """Give a company a part of a shared account. Raises Refused. Doesn't commit."""
    tenant = db.session.get(Tenant, tenant_id) if tenant_id is not None else None
    if tenant is None:
        raise Refused(_NO_COMPANY())
    _check(account, terms)
    # two operators who allot one account at a time wait for each other
    db.session.scalar(select(SharedSmsAccount.id).where(SharedSmsAccount.id == account.id).with_for_update())
    oldest = db.session.scalar(select(func.min(SmsAccount.id)).where(SmsAccount.shared_account_id == account.id))
    if oldest is not None:
        lock(db.session, oldest)
    others = of(account.id)
    if same := next((other for other in others if other.tenant_id == tenant.id), None):
        raise Refused(_TWICE(company=tenant.name, name=same.name))
    made = SmsAccount(tenant_id=tenant.id, shared_account_id=account.id, name=terms.name, provider=account.provider)
    _check_name(made, None)
    row = SmsAccount(
        tenant_id=tenant.id,
        shared_account_id=account.id,
        name=terms.name,
        provider=account.provider,
        rate_per_s=terms.rate_per_s,
        price_yen=terms.price_yen,
        settings={},
        receipt_secret=null(),  # a None would be taken for nothing given
        test_mode=account.test_mode,
        # it knows of the account as much as the others do
        **{column: getattr(others[0], column) for column in KNOWN if others},
    )
    db.session.add(row)
    db.session.flush()
    _on_record(row, "give", actor, ["name", "rate_per_s", "price_yen"])
    return row


def change(account: SharedSmsAccount, row: SmsAccount, terms: Terms, *, actor: str) -> None:
    """Change how a company sends by its part. Raises Refused. Commits."""
    _check(account, terms)
    made = SmsAccount(tenant_id=row.tenant_id, shared_account_id=account.id, name=terms.name, provider=row.provider)
    _check_name(made, row)
    before = {"name": row.name, "rate_per_s": row.rate_per_s, "price_yen": row.price_yen}
    row.name, row.rate_per_s, row.price_yen = terms.name, terms.rate_per_s, terms.price_yen
    changed = [name for name, value in before.items() if value != getattr(row, name)]
    if changed:
        _on_record(row, "change", actor, changed)
    db.session.commit()


def switch(row: SmsAccount, *, active: bool, actor: str) -> None:
    """Take a company's part back, or give it again: who waits goes on by itself. Harmless to repeat. Commits."""
    if row.active != active:
        row.active = active
        _on_record(row, "give" if active else "take_back", actor, ["active"])
    db.session.commit()


def follow(account: SharedSmsAccount) -> Sequence[SmsAccount]:
    """Have the parts of a shared account follow what it is now; return them. Doesn't commit."""
    parts = of(account.id)
    for row in parts:
        row.provider, row.test_mode = account.provider, account.test_mode
    return parts


def _check(account: SharedSmsAccount, terms: Terms) -> None:
    if terms.rate_per_s > account.rate_per_s:
        raise Refused(_TOO_FAST(most=account.rate_per_s))


def _check_name(made: SmsAccount, stored: SmsAccount | None) -> None:
    """Refuse a name that another account of the company has: it chooses by it."""
    if found := twins.problems(made, {}, stored=stored):
        raise Refused(*found.values())


def _on_record(row: SmsAccount, act: str, actor: str, fields: Sequence[str]) -> None:
    audit.record(
        db.session,
        actor=actor,
        act=f"allotment.{act}",
        target=f"sms_account:{row.id}",
        detail={"fields": list(fields)},
        tenant_id=row.tenant_id,
    )
