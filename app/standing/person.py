"""One person's columns, checked by intake as a list's row is, and their SMS and page written and measured.

In: cells by column name. Out: the row as it is to be put down, with what the person will see; or every problem, each
with its column as the fact `field` and none with a value. Nothing is written here.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from app import links
from app.campaigns import preflight, preflight_result, rendering, template
from app.campaigns.sms_length import LIMIT, flatten, hard_to_show, units
from app.campaigns.template import MissingField
from app.intake.checking.checks import CheckedRow
from app.intake.reading.list_rows import LIMITS
from app.intake.rows import entry, single_entry
from app.models import Campaign
from app.problems import Kind, Problem, Refused

_UNKNOWN = Kind(
    "standing_field_unknown", "「{field}」という項目は、この常設配信にはありません。項目の名前を確かめてください。"
)
_MISSING = Kind("standing_field_missing", "「{field}」がありません。入力してください。")
_LONG_CELL = Kind("standing_field_too_long", "「{field}」が長すぎます。{most:,}文字以内で入力してください。")
_LONG_SMS = Kind(
    "standing_sms_too_long",
    "SMSが{length}文字になります（{limit}文字まで）。「{field}」を短くしてください。",
)
_NOT_PAYABLE = Kind(
    "standing_amount_not_payable",
    "「{field}」が、決済アカウントで支払える金額（{least:,}円から{most:,}円まで）の外です。金額を確かめてください。",
)
_MOST_NAME = 100
# as if it were a list's first
_ROW = 2


@dataclass(frozen=True, slots=True)
class Checked:
    """A person who can be sent to, with what they will see; the link in `sms` is nobody's, and as long as theirs."""

    form: single_entry.Form
    context: entry.ImportContext
    row: CheckedRow
    sms: str = dataclasses.field(repr=False)
    title: str = dataclasses.field(repr=False)
    text: str = dataclasses.field(repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def units(self) -> int:
        """The length of the SMS."""
        return units(self.sms)


def form_problems(campaign: Campaign) -> list[Problem]:
    """Return why nobody could be added one by one: two columns that would be one."""
    try:
        single_entry.form_of(campaign)
    except Refused as refused:
        return list(refused.problems)
    return []


def check(campaign: Campaign, row: Mapping[str, str]) -> Checked | list[Problem]:
    """Check one person's columns by the campaign's questions and texts, and measure their SMS."""
    form = single_entry.form_of(campaign)
    typed = {template.key(name): cell.replace("\0", "") for name, cell in row.items()}
    known = {template.key(name) for name in form.header}
    problems = [_UNKNOWN(field=name[:_MOST_NAME]) for name in row if template.key(name) not in known]
    cells = {name: typed.get(template.key(name), "") for name in form.header}
    problems += [_LONG_CELL(field=name, most=LIMITS.cell) for name, cell in cells.items() if len(cell) > LIMITS.cell]
    problems += [_MISSING(field=name) for name in form.header if name in form.needed and not cells[name].strip()]
    if problems:
        return problems
    mapping = form.mapping
    if mapping.reference and not cells[mapping.reference].strip():
        mapping = dataclasses.replace(mapping, reference=None)
    context = entry.context_of(campaign, form.header, mapping)
    try:
        checked = entry.check(context, _ROW, list(cells.values()))
    except entry.BadRow as bad:
        return [
            fault.problem.within(f"{fault.column}：", field=fault.column) if fault.column else fault.problem
            for fault in bad.faults
        ]
    return _measure(campaign, Checked(form, context, checked, "", "", ""))


def _measure(campaign: Campaign, found: Checked) -> Checked | list[Problem]:
    company = preflight_result.company(campaign)
    try:
        sms = rendering.sms_text(campaign.sms_text, company, found.row.fields, links.trial_address())
        title, words = rendering.page_texts(campaign, company, found.row.fields)
    except MissingField as missing:
        return [_MISSING(field=missing.name)]
    problems = []
    if units(sms) > LIMIT:
        problems.append(_LONG_SMS(length=units(sms), limit=LIMIT, field=_longest(campaign, found)))
    if campaign.payment_required and found.row.amount_yen is not None:
        least, most = preflight.payable(campaign)
        if not least <= found.row.amount_yen <= most:
            problems.append(_NOT_PAYABLE(field=found.form.mapping.amount or "", least=least, most=most))
    if problems:
        return problems
    return dataclasses.replace(found, sms=sms, title=title, text=words, warnings=_warnings(campaign, sms, found))


def _longest(campaign: Campaign, found: Checked) -> str:
    """Name the merge field of the SMS with the longest value."""
    fields = {template.key(name): units(flatten(value)) for name, value in found.row.fields.items()}
    names = [field.name for field in template.merged_fields(campaign.sms_text)]
    return max(names, key=lambda name: fields.get(name, 0), default=template.LINK)


def _warnings(campaign: Campaign, sms: str, found: Checked) -> tuple[str, ...]:
    told = [fault.problem.message_ja for fault in found.row.faults]
    told += [
        f"「{character}」は、携帯会社によっては表示されません。"
        for character in hard_to_show(sms)
        if character not in campaign.sms_text
    ]
    return tuple(told)
