"""The check before sending (事前確認): every SMS and page is rendered and measured, for every row.

In: a draft. Out: its result (`app.campaigns.preflight_result`), stored with the campaign. Can't happen here: a result
of rows or texts that changed while they were looked at.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, select

from app import links
from app.campaigns import duplicates, letters, preflight_result, rendering, template
from app.campaigns.preflight_result import NamedRow, Preflight
from app.campaigns.question_strength import weak
from app.campaigns.short_forms import ShortForms
from app.campaigns.sms_length import LIMIT, flatten, hard_to_show, units
from app.campaigns.template import BUILT_IN, MissingField
from app.db import Executor
from app.extensions import db
from app.models import Campaign, Recipient
from app.problems import Kind, Problem
from app.providers.payments import PROVIDERS as PAYMENT_SITES
from app.providers.payments.base import ANY_AMOUNT
from app.setback import account_holds, missed_numbers
from app.states import locks
from app.states.vocabulary import CampaignState
from app.suppression import condition
from app.values.answers import QuestionKind

# people read together; after them a long check gives a sign of life
PAGE_ROWS = 5_000
_NAMED = 5
_ROWS_NAMED = 30
_CHARACTERS = 10


_CHANGED = Kind(
    "check_content_changed",
    "確認している間に、内容か名簿が変わりました。もう一度「確認する」を押してください。",
)
_LAUNCHED = Kind("check_not_draft", "この配信は下書きではないため、確認の結果は保存していません。")
_NOT_IN_LIST = Kind("reminder_field_missing", "差込項目 {{{field}}} は名簿にありません。名簿の列名を使ってください。")
_REMINDER_TOO_LONG = Kind(
    "reminder_too_long",
    "最も長い値を差し込むと{length}文字になります"
    "（SMSは{limit}文字まで、うちリンクは{link_length}文字です）。短くしてください。",
)
_LONG_WORDS = (
    "SMSが{limit}文字を超える送信先が{people:,}件あります（最長{longest}文字）：{named}。"
    "SMS本文を短くするか、名簿の文字を短くして取り込み直してください。"
)
_TOO_LONG = Kind("sms_too_long", _LONG_WORDS)
_TOO_LONG_BUT_SHORTENED = Kind(
    "sms_too_long_but_shortened",
    _LONG_WORDS + "長い名前だけを短い言い方にする方法は、「確認」の画面にあります。",
)
_FIELD_MISSING = Kind(
    "merge_field_missing",
    "差込項目 {{{field}}} が名簿にない送信先が{people:,}件あります。名簿の列名と本文の差込項目を合わせてください。",
)
_NO_AMOUNT = Kind(
    "amount_missing_in_list",
    "請求金額のない送信先が{people:,}件あります。金額の列を指定して取り込み直してください。",
)
_NOT_PAYABLE = Kind(
    "amount_not_payable",
    "決済アカウントで支払えるのは{least:,}円から{most:,}円までです。請求金額がその外の送信先が"
    "{people:,}件あります：{named}。"
    "名簿から除くか、別の支払方法の決済アカウントを選んでください。",
)
_NOBODY = Kind("list_empty", "送信先がありません。名簿を取り込んでください。")
_NO_ROOM = Kind(
    "standing_sms_without_room",
    "差込項目を1文字ずつにしても、SMSが{length}文字になります（SMSは{limit}文字まで、うちリンクは{link_length}文字です）。"
    "SMS本文を短くしてください。",
)


@dataclass(slots=True)
class _Hard:
    """In how many people's SMS a character stands that some carriers can't show, and where first."""

    people: int = 0
    named: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Found:
    short_forms: ShortForms
    too_long: list[str] = field(default_factory=list)
    missing: Counter[str] = field(default_factory=Counter)
    blank: Counter[str] = field(default_factory=Counter)
    hard: dict[str, "_Hard"] = field(default_factory=dict)
    without_amount: int = 0
    payable: tuple[int, int] = ANY_AMOUNT
    not_payable: int = 0
    not_payable_named: list[str] = field(default_factory=list)
    cells: Counter[str] = field(default_factory=Counter)
    longest: dict[str, int] = field(default_factory=dict)
    rows: dict[int, NamedRow] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)

    def name(self, row: Row[Any], kind: str, words: str, *, stops: bool = False) -> None:
        """Keep what is told of a row, of each kind for the first few rows; `stops` where it can't be sent so."""
        self.kinds[kind] += 1
        if self.kinds[kind] <= _NAMED:
            kept = self.rows.setdefault(row.id, NamedRow(row.id, _where(row)))
            kept.told.append(words)
            kept.stops = kept.stops or stops


def run(campaign_id: int, go_on: Callable[[], object] = lambda: None, *, page_rows: int = PAGE_ROWS) -> Preflight:
    """Render every row of a draft, store what was found with the campaign, and return it. Commits.

    `go_on` is called after each `page_rows` people; what it raises ends the check.

    Texts, questions and the list's revision are read under the campaign's lock, before the rows and after them; it
    isn't held meanwhile. Where something changed in between, or the campaign left, nothing is stored and the result
    says so.
    """
    campaign = locks.locked_campaign(campaign_id)
    result = Preflight(digest=preflight_result.digest(campaign), company=campaign.tenant.name)
    fits = campaign.state == CampaignState.DRAFT
    db.session.rollback()
    if not fits:
        result.problems = [_LAUNCHED()]
        return result
    found = _Found(ShortForms(campaign.sms_text), payable=payable(campaign))
    for recipient in _rows(db.session, campaign_id, go_on, page_rows):
        _look_at_row(campaign, recipient, result, found)
    result.columns = {name: found.longest[name] for name, count in found.cells.items() if count == result.people}
    result.short_forms = found.short_forms.offers()
    result.numbers = duplicates.count_numbers(campaign_id)
    if result.people > result.numbers:
        for row in duplicates.first_with_one_number(campaign_id, _NAMED):
            found.name(row, "twice", "この名簿のほかの行と同じ電話番号です。")
    listed = condition.listed(campaign, _NAMED)
    result.suppressed = listed.people
    for row in listed.first:
        found.name(row, "suppressed", condition.words_of(row.reason))
    result.rows = sorted(found.rows.values(), key=lambda row: (not row.stops, row.id))[:_ROWS_NAMED]
    result.problems = text_problems(campaign) + _row_problems(campaign, result, found)
    result.warnings = (
        duplicates.warnings(campaign, result.people - result.numbers)
        + _warnings(campaign, result, found)
        + missed_numbers.warnings(campaign)
        + _held_warnings(campaign)
    )
    result.at = datetime.now(UTC).isoformat()
    campaign = locks.locked_campaign(campaign_id)
    if campaign.state != CampaignState.DRAFT or preflight_result.digest(campaign) != result.digest:
        changed = _LAUNCHED() if campaign.state != CampaignState.DRAFT else _CHANGED()
        db.session.rollback()
        result.problems = [changed]
        return result
    campaign.preflight, campaign.check_due_at = result.to_json(), None
    db.session.commit()
    return result


def _rows(executor: Executor, campaign_id: int, go_on: Callable[[], object], page_rows: int) -> Iterator[Any]:
    """Read by pages of ids: memory doesn't grow with the list, and no cursor is held open."""
    columns = (
        Recipient.id,
        Recipient.tenant_id,
        Recipient.reference,
        Recipient.sheet_row,
        Recipient.fields_sealed,
        Recipient.amount_yen,
    )
    after = 0
    while page := executor.execute(
        select(*columns)
        .where(Recipient.campaign_id == campaign_id, Recipient.id > after)
        .order_by(Recipient.id)
        .limit(page_rows)
    ).all():
        yield from page
        after = page[-1].id
        go_on()


def _look_at_row(campaign: Campaign, row: Row[Any], result: Preflight, found: _Found) -> None:
    result.people += 1
    result.first_recipient_id = result.first_recipient_id or row.id
    fields = rendering.open_fields(row.tenant_id, row.id, row.fields_sealed)
    cells = {template.key(name): value for name, value in fields.items()}
    for name, value in cells.items():
        found.cells[name] += 1
        found.longest[name] = max(found.longest.get(name, 0), units(flatten(value)))
    try:
        text = rendering.sms_text(campaign.sms_text, campaign.tenant.name, fields, links.trial_address())
        rendering.page_texts(campaign, campaign.tenant.name, fields)
    except MissingField as missing:
        found.missing[missing.name] += 1
        return
    length = units(text)
    if length > result.longest_units:
        result.longest_units, result.longest_recipient_id = length, row.id
    found.short_forms.see(
        row.id,
        cells,
        length,
        lambda words: rendering.sms_text(words, campaign.tenant.name, fields, links.trial_address()),
    )
    if length > LIMIT:
        result.too_long += 1
        found.name(row, "long", f"SMSが{length}文字です。{LIMIT}文字までにしてください。", stops=True)
        if len(found.too_long) < _NAMED:
            found.too_long.append(f"{_where(row)}（{length}文字）")
    _look_at_letters(campaign, row, text, found)
    if campaign.payment_required:
        _look_at_amount(row, found)
    for name in template.fields_in(campaign.sms_text + campaign.page_title + campaign.page_text):
        if name not in BUILT_IN and not cells[name].strip():
            found.blank[name] += 1
            found.name(row, f"{{{name}}}", f"差込項目 {{{name}}} が空欄です。")


def _look_at_letters(campaign: Campaign, row: Row[Any], text: str, found: _Found) -> None:
    for character in hard_to_show(text):
        hard = found.hard.setdefault(character, _Hard())
        hard.people += 1
        if character not in campaign.sms_text:
            found.name(row, character, f"「{character}」は、携帯会社によっては表示されません。")
        if len(hard.named) < _NAMED:
            hard.named.append(_where(row))


def _look_at_amount(row: Row[Any], found: _Found) -> None:
    least, most = found.payable
    if row.amount_yen is None:
        found.without_amount += 1
        found.name(row, "without", "請求金額がありません。", stops=True)
    elif not least <= row.amount_yen <= most:
        found.not_payable += 1
        words = f"{row.amount_yen:,}円は、決済アカウントで支払える金額の外です。"
        found.name(row, "amount", words, stops=True)
        if len(found.not_payable_named) < _NAMED:
            found.not_payable_named.append(f"{_where(row)}（{row.amount_yen:,}円）")


def payable(campaign: Campaign) -> tuple[int, int]:
    """Return the least and the most yen that a campaign's payment account takes."""
    account = campaign.payment_account
    return PAYMENT_SITES[account.provider].bounds(account.settings) if account is not None else ANY_AMOUNT


def _where(row: Row[Any]) -> str:
    """Name a row as the clerk finds it in the list."""
    at = f"{row.sheet_row}行目" if row.sheet_row else ""
    return f"{row.reference}（{at}）" if row.reference and at else row.reference or at or f"#{row.id}"


def reminder_problems(campaign: Campaign, sms_text: str) -> list[Problem]:
    """Return what keeps `sms_text` from being sent to people whose list was checked with other words.

    It is measured as if one person had the longest cell of every column: what passes fits everybody.
    """
    found = template.problems(sms_text, needs_link=True)
    if found:
        return found
    checked = preflight_result.last(campaign)
    longest = {
        **(checked.columns if checked else {}),
        template.LINK: links.length(),
        template.COMPANY: units(preflight_result.company(campaign)),
    }
    try:
        length = template.widest(sms_text, longest)
    except MissingField as missing:
        return [_NOT_IN_LIST(field=missing.name)]
    if length <= LIMIT:
        return []
    return [_REMINDER_TOO_LONG(length=length, limit=LIMIT, link_length=links.length())]


def text_problems(campaign: Campaign) -> list[Problem]:
    """Return what is wrong with the texts as such, before any list is there."""
    texts = (
        ("SMS本文：", "sms_text", template.problems(campaign.sms_text, needs_link=True)),
        ("ページの題名：", "page_title", template.problems(campaign.page_title, needs_link=False)),
        ("ページの本文：", "page_text", template.problems(campaign.page_text, needs_link=False)),
    )
    return [problem.within(heading, text=name) for heading, name, found in texts for problem in found]


def _row_problems(campaign: Campaign, result: Preflight, found: _Found) -> list[Problem]:
    problems = []
    if result.too_long:
        more = "など" if result.too_long > len(found.too_long) else ""
        kind = _TOO_LONG_BUT_SHORTENED if result.short_forms else _TOO_LONG
        named = "、".join(found.too_long) + more
        problems.append(kind(limit=LIMIT, people=result.too_long, longest=result.longest_units, named=named))
    problems += [_FIELD_MISSING(field=name, people=count) for name, count in found.missing.items()]
    if campaign.payment_required and found.without_amount:
        problems.append(_NO_AMOUNT(people=found.without_amount))
    if found.not_payable:
        least, most = found.payable
        named = "、".join(found.not_payable_named)
        problems.append(_NOT_PAYABLE(least=least, most=most, people=found.not_payable, named=named))
    if campaign.standing:
        problems += _room_problems(campaign)
    elif not result.people:
        problems.append(_NOBODY())
    return problems


def least_units(campaign: Campaign) -> int:
    """Return the length of a campaign's SMS where every merge field is one letter long."""
    known = {template.LINK: links.length(), template.COMPANY: units(campaign.tenant.name)}
    names = template.fields_in(campaign.sms_text)
    return template.widest(campaign.sms_text, dict.fromkeys(names, 1) | known)


def _room_problems(campaign: Campaign) -> list[Problem]:
    """Return that nobody's SMS can fit: the people of a standing campaign come after its check."""
    length = least_units(campaign)
    return [_NO_ROOM(length=length, limit=LIMIT, link_length=links.length())] if length > LIMIT else []


def _warnings(campaign: Campaign, result: Preflight, found: _Found) -> list[str]:
    warnings = []
    written = set(hard_to_show(campaign.sms_text))
    if written:
        shown = "".join(sorted(written) if campaign.standing else (one for one in found.hard if one in written))
        offered = "「文面」の画面で、置き換えを見て選べます。" if letters.offer(campaign.sms_text).pairs else ""
        warnings.append(
            f"SMS本文の「{shown}」は、au（KDDI）など携帯会社によっては表示されません。ほかの文字に書き換えてください。{offered}"
        )
    merged = sorted((item for item in found.hard.items() if item[0] not in written), key=lambda item: -item[1].people)
    for character, hard in merged[:_CHARACTERS]:
        rest = f"ほか{hard.people - len(hard.named):,}件" if hard.people > len(hard.named) else ""
        warnings.append(
            f"差込項目の「{character}」は、au（KDDI）など携帯会社によっては表示されません："
            f"{'、'.join(hard.named)}{rest}。名簿の文字を置き換えるか、このまま送るか決めてください。"
        )
    if len(merged) > _CHARACTERS:
        others = "".join(character for character, _ in merged[_CHARACTERS:])
        warnings.append(f"ほかに、携帯会社によっては表示されない文字が{len(others)}種類あります：{others[:50]}")
    for name, count in found.blank.items():
        warnings.append(f"差込項目 {{{name}}} が空欄の送信先が{count:,}件あります。")
    if (
        (result.people or campaign.standing)
        and campaign.tenant.name not in campaign.sms_text
        and template.COMPANY not in template.fields_in(campaign.sms_text)
    ):
        warnings.append("SMS本文に会社名がありません。詐欺と間違われないよう {会社名} を入れることをおすすめします。")
    return warnings + _room_words(campaign) + weak_questions(campaign)


def _room_words(campaign: Campaign) -> list[str]:
    """Say how long the merge fields of a standing campaign may be together."""
    fields = len(template.merged_fields(campaign.sms_text)) if campaign.standing else 0
    left = LIMIT - least_units(campaign) + fields
    if not fields or left < fields:
        return []
    return [
        f"差込項目に入る文字は、合わせて{left}文字までです。それより長くなる人は、送るときに、そのことをお知らせして止めます。"
    ]


def _held_warnings(campaign: Campaign) -> list[str]:
    """Warn that nothing leaves at the launch, for accounts could not be asked after a restore."""
    if not account_holds.awaited(campaign):
        return []
    words = (
        "復元の確認待ちのアカウントがあります。送信を開始しても、管理者が送信履歴を確かめて許可するまで、SMSは送られません。"
        "復元の前に同じ名簿を送っていないかを確かめてください。"
    )
    return [words]


def weak_questions(campaign: Campaign) -> list[str]:
    """Warn of questions that let a stranger guess, in Japanese."""
    asked = [(QuestionKind(item.kind), len(set(item.choices.split("\n")))) for item in campaign.questions]
    return weak(asked, campaign.max_failures)
