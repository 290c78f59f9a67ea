"""Seed data for `make demo`: two companies, their people, contracts with the sandbox, a campaign ready to send."""

import io
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, select

from app import tenancy
from app.accounts import credentials_of, receipt_url, seal_credentials, seal_witness_phone
from app.auth.passwords import hash_password
from app.campaigns import lifecycle
from app.campaigns.send_windows import ALWAYS
from app.config import settings
from app.extensions import db
from app.intake.columns.mapping import ColumnMapping
from app.intake.lists import import_run, imports, whole_look
from app.models import Campaign, Import, PaymentAccount, Question, SenderNumber, SmsAccount, Tenant, User
from app.states.vocabulary import SenderState
from app.values import sender_numbers

PASSWORD = "todoke-demo-2026"  # noqa: S105 - printed on the demo's first screen

# 確認用番号 of both companies: nobody of the demo's lists has it
WITNESS_PHONE = "+819090009999"

_COMPANIES = (
    ("midori", "みどり損害保険", "0120-000-101", "平日 9:00〜18:00"),
    ("aoba", "あおば法律事務所", "0120-000-202", "平日 10:00〜17:00"),
)
_STANDBY = "zettai_reach"
_STAFF = (("manager", "管理 花子"), ("clerk", "事務 太郎"))

_PEOPLE = """\
お客様番号,携帯電話番号,氏名,請求金額,払込期限,生年月日,郵便番号
C0000001,090-9000-1001,田中 一郎,"26,000",2026/12/25,1980/01/02,100-0001
C0000002,080-9000-1002,鈴木 陽子,"22,000",2026/12/25,昭和55年1月2日,1000001
C0000003,070-9000-1003,佐々木 翼,"27,500",2026/12/25,1980-01-02,〒100-0001
"""


def seed(*, standby: bool = False) -> dict[str, Any]:
    """Put the demo's data in where it is missing.

    Returns its accounts and what the sandbox must know.

    With `standby` each company has a second contract, at another SMS service, that takes over for its first.
    """
    with tenancy.platform():
        _user(None, "operator", "operator@todoke.example", "運営 次郎")
        tenants = [_tenant(*company) for company in _COMPANIES]
        for tenant in tenants:
            for role, name in _STAFF:
                _user(tenant.id, role, f"{role}@{tenant.code}.example", name)
        db.session.commit()
        found = [(tenant.id, tenant.code, tenant.name) for tenant in tenants]
    receipts: dict[str, str] = {}
    webhooks: dict[str, dict[str, str]] = {}
    standbys: dict[str, dict[str, str]] = {}
    for tenant_id, code, name in found:
        with tenancy.tenant(tenant_id):
            _contracts(tenant_id, name, receipts, webhooks)
            if standby:
                standbys |= _standby(tenant_id)
            if code == _COMPANIES[0][0]:
                _campaign(tenant_id)
    accounts = [{"role": "operator", "tenant_code": "", "email": "operator@todoke.example", "password": PASSWORD}]
    accounts += [
        {"role": role, "tenant_code": code, "email": f"{role}@{code}.example", "password": PASSWORD}
        for _, code, _ in found
        for role, _ in _STAFF
    ]
    return {
        "accounts": accounts,
        "sandbox": {
            "SANDBOX_KARADEN_RECEIPTS": json.dumps(receipts),
            "SANDBOX_STRIPE_WEBHOOKS": json.dumps(webhooks),
            "SANDBOX_SMS_ACCOUNTS": json.dumps({_STANDBY: standbys} if standbys else {}),
        },
    }


def _tenant(code: str, name: str, phone: str, hours: str) -> Tenant:
    row = db.session.scalar(select(Tenant).where(Tenant.code == code))
    if row is None:
        row = Tenant(
            code=code,
            name=name,
            contact_phone=phone,
            contact_hours=hours,
            about=f"{name}は、ご契約やご依頼のお手続きのために、SMSをお送りしています。",
            verifiable=True,
            state="active",
            send_window=ALWAYS.to_json(),  # a demo is given at any hour
        )
        db.session.add(row)
        db.session.flush()
    return row


def _user(tenant_id: int | None, role: str, email: str, name: str) -> None:
    same_tenant = User.tenant_id.is_(None) if tenant_id is None else User.tenant_id == tenant_id
    if db.session.scalar(select(User.id).where(same_tenant, User.email == email)) is None:
        db.session.add(
            User(tenant_id=tenant_id, role=role, email=email, name=name, password_hash=hash_password(PASSWORD))
        )


def _contracts(tenant_id: int, company: str, receipts: dict[str, str], webhooks: dict[str, dict[str, str]]) -> None:
    sms = db.session.scalar(_own_contract())
    if sms is None:
        sms = SmsAccount(
            tenant_id=tenant_id,
            name="空電プッシュ（デモ）",
            provider="karaden",
            settings={"tenant_id": str(uuid.uuid4()), "service_id": str(tenant_id)},
        )
        db.session.add(sms)
        db.session.flush()
        seal_credentials(sms, {"token": uuid.uuid4().hex})
        seal_witness_phone(sms, WITNESS_PHONE)
    _sender_numbers(sms)
    payment = db.session.scalar(select(PaymentAccount).order_by(PaymentAccount.id))
    if payment is None:
        payment = PaymentAccount(
            tenant_id=tenant_id,
            name="Stripe（デモ）",
            provider="stripe",
            settings={"methods": "card,konbini", "konbini_days": "3"},
            test_mode=True,
        )
        db.session.add(payment)
        db.session.flush()
        key = uuid.uuid4().hex
        seal_credentials(payment, {"secret_key": f"sk_test_{key}", "webhook_secret": f"whsec_{key}"})
    db.session.commit()
    base = settings().public_base_url
    service = f"{sms.settings['tenant_id']}/{sms.settings['service_id']}"
    receipts[service] = receipt_url(sms)
    secrets = credentials_of(payment)
    webhooks[secrets["secret_key"]] = {
        "url": f"{base}/callbacks/payment/{payment.id}",
        "secret": secrets["webhook_secret"],
        "shop": company,
    }


def _sender_numbers(account: SmsAccount) -> None:
    """Record the number that the sandbox's phones show, and one that waits for its carrier's answer, where missing."""
    own = sender_numbers.read("docomo", account.tenant.contact_phone)
    known = set(db.session.scalars(select(SenderNumber.number).where(SenderNumber.sms_account_id == account.id)))
    values = {"tenant_id": account.tenant_id, "sms_account_id": account.id}
    rows = [
        _on_the_phone(account, account.settings["service_id"]),
        SenderNumber(**values, carrier="docomo", number=own, note="デモの申請中の番号です。"),
    ]
    db.session.add_all(row for row in rows if row.number not in known)


def _on_the_phone(account: SmsAccount, service_id: str) -> SenderNumber:
    """Return the common short code that the sandbox's phones show for a service id, approved."""
    return SenderNumber(
        tenant_id=account.tenant_id,
        sms_account_id=account.id,
        carrier="all",
        number=sender_numbers.read("all", f"0005{int(service_id):06d}"),
        state=SenderState.APPROVED,
        approved_at=datetime.now(UTC),
    )


def _own_contract() -> Select[SmsAccount]:
    return select(SmsAccount).where(SmsAccount.takeover_order.is_(None)).order_by(SmsAccount.id).limit(1)


def _standby(tenant_id: int) -> dict[str, dict[str, str]]:
    """Make a contract that takes over for the company's first.

    Returns what the sandbox must know of it.
    """
    row = db.session.scalar(select(SmsAccount).where(SmsAccount.provider == _STANDBY))
    if row is None:
        row = SmsAccount(
            tenant_id=tenant_id,
            name="絶対リーチ!SMS（デモ・予備）",
            provider=_STANDBY,
            settings={"client_id": str(9000 + tenant_id), "sms_code": str(90_000 + tenant_id)},
            takeover_order=1,
        )
        db.session.add(row)
        db.session.flush()
        seal_credentials(row, {"token": uuid.uuid4().hex})
        seal_witness_phone(row, WITNESS_PHONE)
        db.session.add(_on_the_phone(row, row.settings["sms_code"]))
        db.session.commit()
    return {row.settings["client_id"]: {"url": receipt_url(row), "secret": credentials_of(row)["token"]}}


def _campaign(tenant_id: int) -> None:
    if db.session.scalar(select(Campaign.id).limit(1)) is not None:
        return
    author = db.session.scalars(select(User).where(User.role == "clerk")).first()
    campaign = Campaign(
        tenant_id=tenant_id,
        key=lifecycle.new_key(),
        name="初回保険料のご案内（12月）",
        sms_account=db.session.scalar(_own_contract()),
        may_switch=True,
        payment_account=db.session.scalars(select(PaymentAccount)).one(),
        payment_required=True,
        sms_text="【{会社名}】{氏名}様 大切なお知らせです {リンク}",
        page_title="初回保険料お払込みのご案内",
        page_text=(
            "{氏名} 様\n\nこのたびはご契約いただき、まことにありがとうございます。\n"
            "初回保険料 {請求金額}円 のお払込みについて、ご案内いたします。\n"
            "{払込期限} までに、このページからお手続きください。\n\n"
            "お払込みがない場合、保障が始まりませんのでご注意ください。"
        ),
        author=author,
        questions=[
            Question(tenant_id=tenant_id, position=1, label="生年月日", kind="date"),
            Question(tenant_id=tenant_id, position=2, label="郵便番号", kind="postcode"),
        ],
    )
    db.session.add(campaign)
    db.session.commit()
    assert author is not None  # noqa: S101 - made above
    import_id = imports.store(
        campaign.id, "初回保険料_見本.csv", io.BytesIO(_PEOPLE.encode("cp932")), user_id=author.id
    )
    whole_look.wait_for(import_id)
    row = db.session.get_one(Import, import_id)
    imports.start(import_id, ColumnMapping.from_json(row.mapping or {}))
    import_run.run(import_id)
