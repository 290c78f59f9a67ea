"""Made-up companies and people for tests, stored the way the product stores real ones.

Each function opens the scope it needs, commits, and gives ids. An application context must be pushed. Everything is
made from a running number, so two calls never collide and a failing test can be read.
"""

import itertools
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import insert, null, text

from app import accounts, links, tenancy
from app.accounts import seal_credentials
from app.campaigns import lifecycle
from app.campaigns.rendering import fields_place, phone_place
from app.campaigns.send_windows import ALWAYS
from app.extensions import db, vault
from app.models import (
    Campaign,
    PaymentAccount,
    Question,
    Recipient,
    SenderNumber,
    SharedSmsAccount,
    SmsAccount,
    Tenant,
    User,
)
from app.outcomes import receipts
from app.outcomes.receipts import Kept
from app.providers.sms import PROVIDERS
from app.providers.sms.base import Pushed
from app.states.transitions import move_all, move_campaign
from app.states.vocabulary import CampaignState, SmsState
from app.tenants import allotments
from app.tenants.allotments import Terms
from app.values.answers import QuestionKind, normalise

PASSWORD = "correct horse battery staple"
SMS_TEXT = "【みどり信販】{氏名}様 お手続きのご案内です。{リンク}"
QUESTIONS = (("生年月日", QuestionKind.DATE), ("契約番号下4桁", QuestionKind.LAST4))

_number = itertools.count(1)
# the cheapest argon2 that is still argon2: a test logs in often
_hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@dataclass(frozen=True, slots=True)
class Person:
    """A recipient as the person knows it. `answers` are typed as people type, in the questions' order."""

    id: int
    phone: str
    reference: str
    fields: Mapping[str, str]
    answers: tuple[str, ...]
    secret: bytes
    token: str


def tenant(name: str = "みどり信販", *, code: str = "", state: str = "active") -> int:
    """Make a company that sends at any hour, as tests run at any hour; give its id."""
    with tenancy.platform():
        row = Tenant(
            code=code or f"midori{next(_number)}",
            name=name,
            state=state,
            contact_phone="03-1234-5678",
            contact_hours="平日 9:00-18:00",
            send_window=ALWAYS.to_json(),
        )
        return _stored(row)


def user(tenant_id: int | None, role: str = "clerk", *, email: str = "", password: str = PASSWORD) -> int:
    """Make someone of the back office; an operator has no tenant. Give the id."""
    with tenancy.platform():
        row = User(
            tenant_id=tenant_id,
            email=email or f"{role}{next(_number)}@example.jp",
            name="山田 花子",
            role=role,
            password_hash=_hasher.hash(password),
        )
        return _stored(row)


def sms_account(tenant_id: int, *, provider: str = "karaden", service_id: int = 1, active: bool = True) -> int:
    """Make a contract with an SMS service; give its id."""
    settings, credentials = _contract(provider, tenant_id, service_id)
    with tenancy.tenant(tenant_id):
        row = SmsAccount(
            tenant_id=tenant_id,
            name=PROVIDERS[provider].label,
            provider=provider,
            settings=settings,
            active=active,
        )
        db.session.add(row)
        db.session.flush()
        seal_credentials(row, credentials)
        return _stored(row)


def _contract(provider: str, number: int, service_id: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return settings and credentials of the so many-th customer of a service."""
    return {
        "karaden": (
            {"tenant_id": str(uuid.UUID(int=number)), "service_id": str(service_id)},
            {"token": "karaden-token"},
        ),
        "zettai_reach": ({"client_id": str(number), "sms_code": "54321"}, {"token": "zettaireachtoken" * 2}),
        "infobip": ({}, {"api_key": f"infobip-key-{number}"}),
        "twilio": ({"account_sid": f"AC{number:032x}", "sender": "+815012345678"}, {"auth_token": "twilio-token"}),
    }[provider]


def shared_account(*, provider: str = "karaden", rate_per_s: int = 100) -> int:
    """Make a contract of the operator's with an SMS service; give its id."""
    with tenancy.platform():
        number = 7_000_000 + next(_number)
        settings, credentials = _contract(provider, number, 1)
        row = SharedSmsAccount(name=f"運営の契約{number}", provider=provider, settings=settings, rate_per_s=rate_per_s)
        db.session.add(row)
        db.session.flush()
        seal_credentials(row, credentials)
        return _stored(row)


def allotment(shared_account_id: int, tenant_id: int, *, rate_per_s: int = 100, name: str = "標準回線") -> int:
    """Allot a shared account to a company, as an operator does; give the id of the company's part."""
    with tenancy.platform():
        account = db.session.get_one(SharedSmsAccount, shared_account_id)
        row = allotments.allot(account, tenant_id, Terms(name, rate_per_s), actor="system")
        return _stored(row)


def sender_number(account_id: int, number: str, *, carrier: str = "all", state: str = "approved") -> int:
    """Record a sender number of an account; give its id."""
    with tenancy.platform():
        account = db.session.get_one(SmsAccount, account_id)
        row = SenderNumber(
            tenant_id=account.tenant_id, sms_account_id=account_id, carrier=carrier, number=number, state=state
        )
        return _stored(row)


def receipt_path(account_id: int) -> str:
    """Return the path to which an account's receipts are pushed; one that leads nowhere for an account that is none."""
    with tenancy.platform():
        row = db.session.get(SmsAccount, account_id)
        return accounts.receipt_path(row) if row is not None else f"/callbacks/sms/{account_id}/{'0' * 32}"


def keep_receipt(account_id: int, body: bytes) -> bool:
    """Push a receipt as the account's service does; return whether it was kept."""
    return receipts.keep(account_id, receipt_path(account_id).rpartition("/")[2], Pushed(body)) is Kept.KEPT


def payment_account(tenant_id: int, *, active: bool = True) -> int:
    """Make a contract with Stripe; give its id. Secrets: sk_test_<id> and whsec_<id>."""
    with tenancy.tenant(tenant_id):
        row = PaymentAccount(
            tenant_id=tenant_id,
            name="Stripe",
            provider="stripe",
            settings={"methods": "card,konbini", "konbini_days": "3"},
            test_mode=True,
            active=active,
        )
        db.session.add(row)
        db.session.flush()
        seal_credentials(row, {"secret_key": f"sk_test_{row.id}", "webhook_secret": f"whsec_{row.id}"})
        return _stored(row)


def campaign(
    tenant_id: int,
    *,
    sms_account_id: int | None = None,
    payment_account_id: int | None = None,
    questions: Sequence[tuple[str, QuestionKind]] = QUESTIONS,
    **columns: Any,
) -> int:
    """Make a draft with its texts and questions; give its id. With a payment account it asks for payment."""
    with tenancy.tenant(tenant_id):
        values: dict[str, Any] = {
            "key": lifecycle.new_key(),
            "name": f"テスト配信{next(_number)}",
            "sms_text": SMS_TEXT,
            "page_title": "お支払いのご案内",
            "page_text": "{氏名}様\nご契約についてのお知らせです。",
            "payment_required": payment_account_id is not None,
            "max_failures": 5,
        }
        row = Campaign(
            tenant_id=tenant_id,
            sms_account_id=sms_account_id,
            payment_account_id=payment_account_id,
            # a None that is given is meant, also where the table has a default
            **{name: null() if value is None else value for name, value in {**values, **columns}.items()},
        )
        row.questions = [
            Question(tenant_id=tenant_id, position=position, label=label, kind=str(kind), column_name=label)
            for position, (label, kind) in enumerate(questions, start=1)
        ]
        return _stored(row)


def people(tenant_id: int, campaign_id: int, count: int, *, phones: Sequence[str] = ()) -> list[Person]:
    """Put people on a campaign's list: 1980-01-02 and 0123 are the right answers of all of them.

    Numbers end in 1000-9999, which the sandbox delivers; give `phones` (E.164) for others. A test that looks for four
    digits gives numbers that end below 1000: how far the numbers have come depends on the tests before.
    """
    with tenancy.tenant(tenant_id):
        row = db.session.get_one(Campaign, campaign_id)
        first = db.session.scalars(
            text("SELECT nextval(pg_get_serial_sequence('recipient', 'id')) FROM generate_series(1, :n)"), {"n": count}
        )
        made = [_person(recipient_id, row, phones[n] if phones else None) for n, recipient_id in enumerate(first)]
        if made:
            db.session.execute(insert(Recipient), [_columns(row, person) for person in made])
        db.session.commit()
        return made


def launch(tenant_id: int, campaign_id: int, *, slice_rows: int = 5000) -> list[int]:
    """Start sending without the check before it and without queueing a job; give the ids of the slices."""
    now = datetime.now(UTC)
    with tenancy.tenant(tenant_id):
        slices = db.session.scalars(
            text("""
                INSERT INTO slice (tenant_id, campaign_id, first_id, last_id, due_at)
                SELECT :tenant_id, :campaign_id, min(id), max(id), :now
                FROM (
                    SELECT id, (row_number() OVER (ORDER BY id) - 1) / :rows AS part
                    FROM recipient WHERE campaign_id = :campaign_id AND sms_state = 'draft'
                ) AS numbered
                GROUP BY part ORDER BY part
                RETURNING id
            """),
            {"tenant_id": tenant_id, "campaign_id": campaign_id, "rows": slice_rows, "now": now},
        ).all()
        move_all(db.session, SmsState.QUEUED, campaign_id=campaign_id, sources=[SmsState.DRAFT], at=now, actor="system")
        move_campaign(db.session, campaign_id, CampaignState.SENDING, at=now, actor="system")
        db.session.commit()
        return list(slices)


def _stored(row: Any) -> int:
    """Commit a new row and return its id: asked for after the commit it would be a transaction of its own."""
    db.session.add(row)
    db.session.flush()
    made: int = row.id
    db.session.commit()
    return made


def _person(recipient_id: int, row: Campaign, phone: str | None) -> Person:
    number = next(_number)
    fields = {"氏名": f"佐藤 {number}", "生年月日": "1980/1/2", "契約番号下4桁": "0123"}
    answers = {QuestionKind.DATE: "1980/1/2", QuestionKind.LAST4: "0123"}
    (secret,) = links.draw_secrets(1)
    return Person(
        id=recipient_id,
        phone=phone or f"+8190{1000 + number // 9000:04d}{1000 + number % 9000:04d}",
        reference=f"K{number:06d}",
        fields=fields,
        answers=tuple(answers.get(QuestionKind(question.kind), "みどり") for question in row.questions),
        secret=secret,
        token=vault.link_token(recipient_id, 1, secret),
    )


def _columns(row: Campaign, person: Person) -> dict[str, Any]:
    digests = [
        vault.answer_digest(row.tenant_id, person.id, question.id, normalise(QuestionKind(question.kind), answer))
        for question, answer in zip(row.questions, person.answers, strict=True)
    ]
    fields = json.dumps(person.fields, ensure_ascii=False)
    return {
        "id": person.id,
        "tenant_id": row.tenant_id,
        "campaign_id": row.id,
        "identity_key": vault.identity_key(row.tenant_id, row.id, person.reference),
        "row_digest": vault.row_digest(row.tenant_id, person.reference),
        "reference": person.reference,
        "phone_sealed": vault.seal(person.phone, phone_place(row.tenant_id, person.id)),
        "phone_index": vault.phone_index(row.tenant_id, person.phone),
        "phone_last4_index": vault.last4_index(row.tenant_id, person.phone),
        "fields_sealed": vault.seal(fields, fields_place(row.tenant_id, person.id)),
        "answer_digests": digests,
        "amount_yen": 12_000 if row.payment_required else None,
        "due_date": date(2026, 12, 25) if row.payment_required else None,
        "link_secret": person.secret,
        "token_digest": vault.token_digest(person.token),
        "payment_state": "unpaid" if row.payment_required else "none",
    }
