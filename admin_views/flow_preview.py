"""確認: what people will see, made from real rows; and the campaign's terms in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from app import links
from app.campaigns import people
from app.campaigns.segments import LIMIT, units
from app.campaigns.template import MissingField
from app.config import settings
from app.extensions import db
from app.intake.phones import mask
from app.models import Campaign, Recipient
from app.tracking.clock import japan_minutes

_DAY_MINUTES = 1440
_HOUR_MINUTES = 60


@dataclass(frozen=True, slots=True)
class Preview:
    """One person's SMS and page. The link is masked: it is that person's secret."""

    label: str
    who: str
    sms: str
    units: int
    title: str
    text: str
    amount: str
    due: str

    @property
    def fits(self) -> bool:
        """Whether it is one SMS."""
        return self.units <= LIMIT


def previews(campaign: Campaign, checked: Mapping[str, Any]) -> list[Preview]:
    """Show the first person's and the longest texts; one where they are the same person's."""
    labels = {checked["first_recipient_id"]: "名簿の1人目"}
    longest = checked["longest_recipient_id"]
    labels[longest] = "名簿の1人目（文面も最長）" if longest in labels else "文面が最も長い人"
    found = [_preview(campaign, recipient_id, label) for recipient_id, label in labels.items() if recipient_id]
    return [item for item in found if item is not None]


def _preview(campaign: Campaign, recipient_id: int, label: str) -> Preview | None:
    row = db.session.scalar(select(Recipient).where(Recipient.id == recipient_id, Recipient.campaign_id == campaign.id))
    if row is None:
        return None
    fields = people.open_fields(row.tenant_id, row.id, row.fields_sealed)
    phone = mask(people.open_phone(row.tenant_id, row.id, row.phone_sealed))
    company = campaign.tenant.name
    try:
        sms = people.sms_text(campaign.sms_text, company, fields, row.id, row.link_generation)
        title, text = people.page_texts(campaign, company, fields)
    except MissingField:
        # the check names it among the problems
        return None
    return Preview(
        label=label,
        who=f"{row.reference or f'{row.sheet_row}行目'}　{phone}",
        sms=sms.replace(links.address(row.id, row.link_generation), _masked_link()),
        units=units(sms),
        title=title,
        text=text,
        amount=f"{row.amount_yen:,}円" if campaign.payment_required and row.amount_yen is not None else "",
        due=f"{row.due_date.year}年{row.due_date.month}月{row.due_date.day}日" if row.due_date else "",
    )


def _masked_link() -> str:
    return f"{settings().link_base_url}/{'*' * settings().link_token_chars}"


def terms(campaign: Campaign) -> list[tuple[str, str]]:
    """Say by whom the SMS is sent, how long the link lives, what the page asks, whether it leads to payment."""
    account = campaign.sms_account
    sender = "未設定" if account is None else f"{account.name}（送信元：{account.sender or '番号は事業者が割り当て'}）"
    questions = "、".join(question.label for question in campaign.questions) or "なし"
    paid_by = campaign.payment_account.name if campaign.payment_account else "未設定"
    return [
        ("SMSの送信元", sender),
        ("リンクの有効期限", _validity(campaign)),
        ("本人確認の設問", questions),
        ("間違えられる回数", f"{campaign.max_failures}回（超えるとロック）"),
        ("支払い", f"あり（{paid_by}）" if campaign.payment_required else "なし"),
    ]


def _validity(campaign: Campaign) -> str:
    if campaign.link_until is not None:
        return f"{japan_minutes(campaign.link_until)} まで"
    minutes = campaign.link_minutes or 0
    if minutes % _DAY_MINUTES == 0:
        return f"送信から{minutes // _DAY_MINUTES}日間"
    if minutes % _HOUR_MINUTES == 0:
        return f"送信から{minutes // _HOUR_MINUTES}時間"
    return f"送信から{minutes}分間"
