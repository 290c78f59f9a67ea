"""確認: what people will see, made from real rows; and the campaign's terms in words."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING

from sqlalchemy import select

from admin_views.campaigns import standing_card
from admin_views.lists import row_actions
from app import links
from app.accounts import abilities
from app.campaigns import lifecycle, preflight_result, rendering, schedule, template
from app.campaigns.preflight_result import Preflight
from app.campaigns.send_windows import describe, policy_of
from app.campaigns.short_forms import WORDS
from app.campaigns.sms_length import LIMIT, flatten, units
from app.campaigns.template import MissingField
from app.config import settings
from app.delivery import clerk_test_sms, failover
from app.extensions import db
from app.intake.checking.rules import MAX_REFERENCE
from app.models import Campaign, Event, Import, Recipient, SmsAccount
from app.standing import person
from app.states.vocabulary import CampaignState
from app.suppression import condition
from app.tenants import sender_numbers
from app.values.japan_time import japan_minutes
from app.values.phones import mask, national

_DAY_MINUTES = 1440
_HOUR_MINUTES = 60
_ROW_DIGITS = 7


@dataclass(frozen=True, slots=True)
class Preview:
    """One person's SMS and page. The link is masked: it is that person's secret."""

    recipient_id: int
    label: str
    who: str
    sms: str
    units: int
    title: str
    text: str
    amount: str
    due: str

    @property
    def wide(self) -> int:
        """How many characters count for two."""
        return self.units - len(self.sms)

    @property
    def fits(self) -> bool:
        """Whether it is one SMS."""
        return self.units <= LIMIT


def previews(campaign: Campaign, checked: Preflight) -> list[Preview]:
    """Show the first person's and the longest texts; one where they are the same person's."""
    if campaign.standing:
        return [_sample(campaign)]
    labels = {checked.first_recipient_id: "名簿の1人目"}
    longest = checked.longest_recipient_id
    labels[longest] = "名簿の1人目（文面も最長）" if longest in labels else "文面が最も長い人"
    found = [_preview(campaign, recipient_id, label) for recipient_id, label in labels.items() if recipient_id]
    return [item for item in found if item is not None]


def _sample(campaign: Campaign) -> Preview:
    """Show the texts of a standing campaign with a mark in the place of each field."""
    texts = campaign.sms_text + campaign.page_title + campaign.page_text
    shown = dict.fromkeys(template.fields_in(texts), "○○○")
    sms = rendering.sms_text(campaign.sms_text, campaign.tenant.name, shown, _masked_link())
    title, words = rendering.page_texts(campaign, campaign.tenant.name, shown)
    amount = "○○○円" if campaign.payment_required else ""
    return Preview(0, "見本", "差込項目は「○○○」で表示しています", sms, units(sms), title, words, amount, "")


def of_checked(campaign: Campaign, found: person.Checked) -> Preview:
    """Show what one person will see who is about to be sent to."""
    row = found.row
    sms = found.sms.replace(links.trial_address(), _masked_link())
    return Preview(
        recipient_id=0,
        label="この人に届くSMS",
        who=f"{row.reference or '管理番号なし'}　{national(row.phone)}",
        sms=sms,
        units=found.units,
        title=found.title,
        text=found.text,
        amount=f"{row.amount_yen:,}円" if campaign.payment_required and row.amount_yen is not None else "",
        due=f"{row.due_date.year}年{row.due_date.month}月{row.due_date.day}日" if row.due_date else "",
    )


def one_preview(campaign: Campaign, wanted: str) -> tuple[list[Preview], str]:
    """Show the texts of whoever is wanted by reference or by the list's row number; else say that there is nobody."""
    if not wanted:
        return [], ""
    if len(wanted) > MAX_REFERENCE:
        return [], f"管理番号が長すぎます。{MAX_REFERENCE}文字以内で入力してください。"
    mine = select(Recipient.id).where(Recipient.campaign_id == campaign.id).order_by(Recipient.id.desc()).limit(1)
    found = db.session.scalar(mine.where(Recipient.tenant_id == campaign.tenant_id, Recipient.reference == wanted))
    number = unicodedata.normalize("NFKC", wanted)
    if found is None and number.isascii() and number.isdigit() and len(number) <= _ROW_DIGITS:
        found = db.session.scalar(mine.where(Recipient.sheet_row == int(number)))
    shown = None if found is None else _preview(campaign, found, f"「{wanted}」の人")
    if shown is None:
        wanted_words = "管理番号か、名簿の行番号（Excelで開いたときの番号）を入力してください。"
        return [], f"「{wanted}」の送信先はありません。{wanted_words}"
    return [shown], ""


def longest_of(campaign: Campaign, upload: Import) -> Preview | None:
    """Show whoever of a taken list gets the longest SMS; None where it takes the check to say so.

    That is where the text merges other fields than when the list came, and for lists of before this was looked for.
    """
    known = upload.longest
    if known is None or known["merged"] != template.merged(campaign.sms_text):
        return None
    return _preview(campaign, known["recipient_id"], f"{known['sheet_row']:,}行目")


def sender_of(account: SmsAccount | None) -> str:
    """Return the sender that a picture of the SMS shows; empty where no number is approved."""
    return sender_numbers.choose(account) if account else ""


def how_many(checked: Preflight, suppressed: int) -> str:
    """Return in words how many SMS leave, and whether each number gets one alone; `suppressed` people get none."""
    people, numbers = checked.people, checked.numbers
    said = []
    if numbers == people:
        said.append("1人に1通")
    elif numbers:  # a check of before they were counted has none
        said.append(f"電話番号は{numbers:,}件。同じ番号に2通以上の送信先があります")
    if suppressed:
        said.append(f"ほかの{suppressed:,}件は「送信しない番号」のため送りません")
    more = f"（{'。'.join(said)}）" if said else ""
    return f"{people - suppressed:,}件{more}"


def _suppressed(campaign: Campaign, people_count: int) -> int:
    """Return how many of a campaign's people are on the list of numbers that get nothing.

    As it stands now, or where counting takes long as it stood at the last check: the claim looks once more.
    """
    if people_count <= settings().at_once_people:
        return condition.count(campaign)
    checked = preflight_result.current(campaign)
    return checked.suppressed if checked else 0


def cost(campaign: Campaign, people_count: int) -> str:
    """Describe what the SMS will cost, as far as the contract's price is known."""
    price = campaign.sms_account.price_yen if campaign.sms_account else None
    if price is None:
        return f"{people_count:,}通（料金の目安は、SMSアカウントに1通の料金を登録すると表示されます）"
    total = (people_count * price).to_integral_value(ROUND_CEILING)
    return f"約{total:,}円（{people_count:,}通×{price.normalize():f}円。送り直し・リマインドの分は含みません）"


def _preview(campaign: Campaign, recipient_id: int, label: str) -> Preview | None:
    row = db.session.scalar(select(Recipient).where(Recipient.id == recipient_id, Recipient.campaign_id == campaign.id))
    if row is None:
        return None
    fields = rendering.open_fields(row.tenant_id, row.id, row.fields_sealed)
    phone = mask(rendering.open_phone(row.tenant_id, row.id, row.phone_sealed))
    company = campaign.tenant.name
    try:
        sms = rendering.sms_text(campaign.sms_text, company, fields, _masked_link())
        title, text = rendering.page_texts(campaign, company, fields)
    except MissingField:
        # the check names it among the problems
        return None
    return Preview(
        recipient_id=recipient_id,
        label=label,
        who=f"{row.reference or f'{row.sheet_row}行目'}　{phone}",
        sms=sms,
        units=units(sms),
        title=title,
        text=text,
        amount=f"{row.amount_yen:,}円" if campaign.payment_required and row.amount_yen is not None else "",
        due=f"{row.due_date.year}年{row.due_date.month}月{row.due_date.day}日" if row.due_date else "",
    )


def _masked_link() -> str:
    return f"{settings().link_base_url}/{'*' * settings().link_token_chars}"


def terms(campaign: Campaign) -> list[tuple[str, str]]:
    """Describe as whom the SMS is sent, how long the link lives, what the page asks, whether it leads to payment."""
    account = campaign.sms_account
    sms = "未設定" if account is None else account.name
    if account is not None and abilities.is_test(account):
        sms += "／試験環境：SMSは届きません"
    questions = "、".join(question.label for question in campaign.questions) or "なし"
    paid_by = campaign.payment_account.name if campaign.payment_account else "未設定"
    return [
        ("SMSアカウント", sms),
        ("送信元番号", "未設定" if account is None else _senders(account)),
        ("ほかのアカウントでの送信", _standbys(campaign)),
        ("送信時間帯", _hours(campaign)),
        ("送信を始める日時", japan_minutes(campaign.starts_at) or "指定なし"),
        ("送信の締切", japan_minutes(campaign.deadline_at) or "指定なし"),
        ("届かないときの再送", _retries(campaign)),
        ("リンクの有効期限", _validity(campaign)),
        ("本人確認の設問", questions),
        ("間違えられる回数", f"{campaign.max_failures}回（超えるとロック）"),
        ("支払い", f"あり（{paid_by}）" if campaign.payment_required else "なし"),
    ]


@dataclass(frozen=True, slots=True)
class ShortForm:
    """A short form to choose: for which field, what it makes of the text, and whom it is for (the first of them)."""

    name: str
    most: int
    people: int
    text: str
    named: list[str]


def short_forms_of(campaign: Campaign, checked: Preflight) -> list[ShortForm]:
    """Return the short forms that make every SMS of a checked list fit."""
    return [
        ShortForm(
            offer.name,
            offer.most,
            offer.people,
            template.shorten(campaign.sms_text, offer.name, offer.most, WORDS),
            [name for recipient_id in offer.ids if (name := _named(campaign, recipient_id, offer.name))],
        )
        for offer in checked.short_forms
    ]


def _named(campaign: Campaign, recipient_id: int, field: str) -> str:
    """Name a person by the value of a field and by their place in the list."""
    row = db.session.scalar(select(Recipient).where(Recipient.id == recipient_id, Recipient.campaign_id == campaign.id))
    if row is None:
        return ""
    cells = {
        template.key(key): cell for key, cell in rendering.open_fields(row.tenant_id, row.id, row.fields_sealed).items()
    }
    at = f"{row.sheet_row}行目" if row.sheet_row else ""
    return f"{flatten(cells.get(field, ''))}（{'、'.join(part for part in (row.reference, at) if part)}）"


def is_checking(campaign: Campaign) -> bool:
    """Return whether a check of the campaign is on its way."""
    return (
        campaign.check_due_at is not None
        and campaign.state == CampaignState.DRAFT
        and preflight_result.current(campaign) is None
    )


def check_page(
    campaign: Campaign,
    *,
    wanted: str = "",
    trial_typed: str = "",
    trial_problems: Sequence[str] = (),
) -> dict[str, object]:
    """Return what the page of the check shows."""
    checked = preflight_result.current(campaign)
    wanted_preview, nobody = one_preview(campaign, wanted) if checked else ([], "")
    return {
        "checked": checked,
        "wanted": wanted,
        "nobody": nobody,
        "checked_at": japan_minutes(datetime.fromisoformat(checked.at)) if checked else "",
        "previews": [*wanted_preview, *previews(campaign, checked)] if checked else [],
        "waiting": is_checking(campaign),
        "short_forms": short_forms_of(campaign, checked) if checked else [],
        **row_actions.excluded_rows(campaign),
        "stale": checked is None and campaign.preflight is not None,
        "when": when(campaign),
        "trials": clerk_test_sms.latest(campaign),
        "trial_typed": trial_typed,
        "trial_problems": trial_problems,
    }


@dataclass(frozen=True, slots=True)
class When:
    """When a campaign is sent, in words: its terms, and what will go otherwise than one might think.

    The warnings are of this moment; those that the check made of every row stay with the check. `suppressed` people get
    nothing: their numbers are on the company's list.
    """

    terms: list[tuple[str, str]]
    warnings: list[str]
    scheduled: bool = False
    suppressed: int = 0


def when(campaign: Campaign) -> When:
    """Return when a campaign that is launched now begins and ends."""
    now = datetime.now(UTC)
    if campaign.standing:
        return When(standing_card.terms(campaign), schedule.warnings(campaign, 0, now) + _sender_warnings(campaign))
    people_count = lifecycle.people_count(campaign.id)
    suppressed = _suppressed(campaign, people_count)
    people_count -= suppressed
    plan = schedule.plan(campaign, people_count, now)
    scheduled = campaign.starts_at is not None and campaign.starts_at > now
    if plan.begins_at is None:
        begins = "送信できる時間帯がありません"
    elif plan.begins_at > now:
        why = "予約" if scheduled and plan.begins_at == campaign.starts_at else "送信時間帯が始まるとき"
        begins = f"{japan_minutes(plan.begins_at)}（{why}）"
    else:
        begins = "送信のボタンを押したあと、すぐ"
    finishes = f"{japan_minutes(plan.finishes_at)}ごろ" if plan.finishes_at and people_count else "―"
    found = [("送信の開始", begins), ("送り終わる見込み", finishes), ("SMSの料金の目安", cost(campaign, people_count))]
    warnings = schedule.warnings(campaign, people_count, now) + condition.warnings(suppressed)
    return When(found, warnings + _sender_warnings(campaign), scheduled, suppressed)


def _sender_warnings(campaign: Campaign) -> list[str]:
    own = [campaign.sms_account] if campaign.sms_account else []
    accounts = [*own, *failover.standbys(campaign)] if campaign.may_switch else own
    return [warning for account in accounts for warning in sender_numbers.warnings(account)]


def launched_words(campaign: Campaign) -> str:
    """Describe what the press of the button did."""
    if campaign.state == CampaignState.SCHEDULED and campaign.starts_at is not None:
        return f"送信を予約しました。{japan_minutes(campaign.starts_at)}に始まります。それまでは取りやめられます。"
    if campaign.restore_hold:
        return "送信を受け付けましたが、「復元の確認待ち」のため、管理者が確かめて許可するまで送られません。"
    if campaign.standing:
        return "常設配信を開始しました。「1人に送る」から、1人ずつ送れます。"
    begins = schedule.plan(campaign, 1, datetime.now(UTC)).begins_at
    if begins is not None and begins > datetime.now(UTC):
        return f"送信を受け付けました。いまは送信時間帯の外のため、{japan_minutes(begins)}に始まります。"
    return "送信を開始しました。この画面を閉じても送信は続きます。"


def came_back(campaign: Campaign) -> bool:
    """Return whether the campaign was scheduled but could not start, and is a draft again for that."""
    if campaign.state != CampaignState.DRAFT:
        return False
    last = db.session.scalars(
        select(Event)
        .where(Event.campaign_id == campaign.id, Event.recipient_id.is_(None), Event.track == "campaign")
        .order_by(Event.id.desc())
        .limit(1)
    ).first()
    return last is not None and (last.detail or {}).get("reason") == "changed"


def _senders(account: SmsAccount) -> str:
    return "、".join(one.words for one in sender_numbers.standings(account))


def _standbys(campaign: Campaign) -> str:
    """Describe which accounts may take over, in their order."""
    if not campaign.may_switch:
        return "許さない"
    names = [f"{account.name}（{_senders(account)}）" for account in failover.standbys(campaign)]
    return f"許す：{'→'.join(names)}" if names else "許す（代わりに送る順番を決めたアカウントがありません）"


def _hours(campaign: Campaign) -> str:
    words = describe(policy_of(campaign, campaign.tenant))
    return f"{words}／督促" if campaign.profile == "collection" else words


def _retries(campaign: Campaign) -> str:
    if not campaign.retry_times:
        return "しない"
    return f"{campaign.retry_times}回まで（{campaign.retry_after_minutes}分以上の間隔）"


def _validity(campaign: Campaign) -> str:
    if campaign.link_until is not None:
        return f"{japan_minutes(campaign.link_until)} まで"
    minutes = campaign.link_minutes or 0
    if minutes % _DAY_MINUTES == 0:
        return f"送信から{minutes // _DAY_MINUTES}日間"
    if minutes % _HOUR_MINUTES == 0:
        return f"送信から{minutes // _HOUR_MINUTES}時間"
    return f"送信から{minutes}分間"
