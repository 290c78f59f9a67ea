"""Make a draft without a form: from a starter, or as a copy of an earlier campaign.

In: a starter's key or a campaign, a name, accounts and times. Out: a draft in the session, which the caller commits.
Can't happen here: people taken over from the old campaign, or a time that has passed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import null, select

from app import audit, tenancy
from app.campaigns import lifecycle
from app.campaigns.presets import STARTERS
from app.extensions import db
from app.models import Campaign, PaymentAccount, Question, SmsAccount
from app.problems import Kind, Problem, Refused
from app.values.card_numbers import holds_card_number

MOST_NAME = 100
# columns that a copy takes over as they stand
COPIED = (
    "may_switch", "sms_text", "page_title", "page_text", "page_language", "max_failures", "payment_required", "profile",
    "retry_times", "retry_after_minutes",
)  # fmt: skip
OF_QUESTION = ("label", "kind", "column_name", "kana", "variants_alike", "choices")
_AHEAD = timedelta(days=366)

_NO_STARTER = Kind("campaign_starter_unknown", "このひな形はありません。ひな形の名前を確かめてください。")
_NO_NAME = Kind("campaign_name_missing", "配信名を入力してください。")
_LONG_NAME = Kind("campaign_name_too_long", "配信名が長すぎます。{most}文字以内で入力してください。")
_CARD = Kind("campaign_name_card_number", "配信名に、カード番号とみられる数字があります。消してください。")
_PAST = Kind("campaign_start_not_ahead", "送信を始める日時は、いまより先、366日以内にしてください。")
_DEADLINE = Kind("campaign_deadline_not_ahead", "送信の締切は、いまと送信を始める日時より先、366日以内にしてください。")


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of a draft: its name, by which accounts it goes, when it begins and ends."""

    name: str
    sms_account_id: int | None = None
    payment_account_id: int | None = None
    starts_at: datetime | None = None
    deadline_at: datetime | None = None


def from_starter(key: str, terms: Terms, *, user_id: int, actor: str) -> Campaign:
    """Make a draft from a starter. Raises Refused. The caller commits."""
    starter = STARTERS.get(key)
    if starter is None:
        raise Refused(_NO_STARTER())
    values: dict[str, Any] = {
        "sms_text": starter.sms_text,
        "page_title": starter.page_title,
        "page_text": starter.page_text,
        "payment_required": starter.payment_required,
        "profile": starter.profile,
        "retry_times": starter.retry_times,
        "retry_after_minutes": starter.retry_after_minutes,
        "link_minutes": starter.link_minutes,
    }
    questions = [{"label": ask.label, "kind": str(ask.kind), "column_name": ask.column} for ask in starter.questions]
    return _made(values, questions, terms, user_id=user_id, actor=actor)


def from_copy(old: Campaign, terms: Terms, *, user_id: int, actor: str) -> Campaign:
    """Make a draft with the words and terms of an earlier campaign. Raises Refused. The caller commits."""
    values: dict[str, Any] = {name: getattr(old, name) for name in COPIED}
    values["send_window"] = old.send_window
    if old.link_until is not None and old.link_until > datetime.now(UTC):
        values |= {"link_minutes": null(), "link_until": old.link_until}
    elif old.link_minutes is not None:
        values["link_minutes"] = old.link_minutes
    questions = [{name: getattr(question, name) for name in OF_QUESTION} for question in old.questions]
    kept = Terms(
        terms.name,
        terms.sms_account_id or _usable(old.sms_account),
        terms.payment_account_id or _usable(old.payment_account),
        terms.starts_at,
        terms.deadline_at,
    )
    return _made(values, questions, kept, user_id=user_id, actor=actor)


def _made(
    values: dict[str, Any], questions: Sequence[dict[str, Any]], terms: Terms, *, user_id: int, actor: str
) -> Campaign:
    found = _faults(terms)
    if found:
        raise Refused(*found)
    tenant_id = tenancy.current().tenant_id
    payment = terms.payment_account_id
    if payment is None and values["payment_required"]:
        payment = _only(PaymentAccount)
    row = Campaign(
        **values,
        tenant_id=tenant_id,
        key=lifecycle.new_key(),
        name=terms.name.strip(),
        sms_account_id=terms.sms_account_id or _only(SmsAccount),
        payment_account_id=payment,
        starts_at=terms.starts_at,
        deadline_at=terms.deadline_at,
        created_by=user_id,
    )
    row.questions = [
        Question(tenant_id=tenant_id, position=position, **question)
        for position, question in enumerate(questions, start=1)
    ]
    db.session.add(row)
    db.session.flush()
    audit.record(db.session, actor=actor, act="campaign.create", target=f"campaign:{row.id}", detail={"fields": []})
    return row


def _faults(terms: Terms) -> list[Problem]:
    now, name = datetime.now(UTC), terms.name.strip()
    found = []
    if not name:
        found.append(_NO_NAME())
    if len(name) > MOST_NAME:
        found.append(_LONG_NAME(most=MOST_NAME))
    if holds_card_number(name):
        found.append(_CARD())
    if terms.starts_at is not None and not now < terms.starts_at <= now + _AHEAD:
        found.append(_PAST())
    if terms.deadline_at is not None and not (terms.starts_at or now) < terms.deadline_at <= now + _AHEAD:
        found.append(_DEADLINE())
    return found


def _usable(account: SmsAccount | PaymentAccount | None) -> int | None:
    return account.id if account is not None and account.active else None


def _only(model: type[SmsAccount] | type[PaymentAccount]) -> int | None:
    """Return the company's one account of a kind; None where there is a choice, or nothing to choose."""
    mine = select(model.id).where(model.tenant_id == tenancy.current().tenant_id, model.active)
    found = db.session.scalars(mine.limit(2)).all()
    return found[0] if len(found) == 1 else None
