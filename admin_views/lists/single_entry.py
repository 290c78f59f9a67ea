"""名簿：1件を入力、エラーの行を直す: one recipient's columns as a form."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flask import request, url_for

from app.intake.checking.checks import Fault, Level
from app.intake.columns import campaign_needs
from app.intake.lists import kept_faults
from app.intake.reading.list_rows import LIMITS
from app.intake.rows import amending, correction, single_entry
from app.models import Campaign, Import
from app.problems import Kind, Problem, Refused, messages_ja
from app.values.answers import QuestionKind

_HINTS = {
    QuestionKind.DATE: "例：1980/1/2、昭和55年1月2日",
    QuestionKind.LAST4: "4桁の数字",
    QuestionKind.POSTCODE: "例：100-0001",
    QuestionKind.DIGITS: "数字だけ",
}
_MOST = LIMITS.cell

_LONG_CELL = Kind("entry_cell_too_long", "「{column}」が長すぎます。{most:,}文字以内で入力してください。")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form; `lines` for a value with line breaks, which one line would lose."""

    name: str
    label: str
    value: str
    hint: str
    needed: bool
    problems: tuple[str, ...]

    @property
    def lines(self) -> bool:
        """Whether the value has line breaks."""
        return "\n" in self.value


@dataclass(frozen=True, slots=True)
class Words:
    """A form of one recipient: its title and where it leads; `surplus` are cells that belong to no column.

    `unseen` are the columns that stay as they are where nothing is typed.
    """

    title: str
    intro: str
    button: str
    url: str
    back_url: str
    back: str
    surplus: tuple[str, ...] = ()
    unseen: frozenset[str] = frozenset()


def new(campaign: Campaign, typed: Mapping[str, str], faults: Iterable[Fault] = ()) -> dict[str, object]:
    """Return what the page of a recipient typed in shows. Raises Refused."""
    words = Words(
        title="送信先を1件加える",
        intro="名簿のファイルと同じように確かめてから加えます。まだ何も送信されません。",
        button="この送信先を加える",
        url=url_for("flow.add_one", campaign_id=campaign.id),
        back_url=url_for("flow.lists", campaign_id=campaign.id),
        back="名簿へ戻る",
    )
    return _page(campaign, single_entry.form_of(campaign), words, typed, tuple(faults))


def to_standing(campaign: Campaign, typed: Mapping[str, str], problems: Iterable[Problem]) -> dict[str, object]:
    """Return what the form of one person of a standing campaign shows, each problem at its field. Raises Refused."""
    found = list(problems)
    words = Words(title="", intro="", button="", url="", back_url="", back="")
    faults = [
        Fault(0, str(problem.facts["field"]), Level.ERROR, problem) for problem in found if "field" in problem.facts
    ]
    context = _page(campaign, single_entry.form_of(campaign), words, typed, tuple(faults))
    return {**context, "problems": messages_ja(found)}


def corrected(
    upload: Import, sheet_row: int, typed: Mapping[str, str] | None = None, faults: Iterable[Fault] | None = None
) -> dict[str, object]:
    """Return what the page of a row that was kept out shows: its cells as they were read. Raises Refused."""
    kept = correction.kept(upload.id, sheet_row)
    words = Words(
        title=f"「{upload.filename}」の{sheet_row:,}行目を直す",
        intro="読み取った内容が入っています。直して加えると、名簿のほかの行と同じように確かめます。まだ何も送信されません。",
        button="直して送信先に加える",
        url=url_for("rows.correct", campaign_id=upload.campaign_id, import_id=upload.id, sheet_row=sheet_row),
        back_url=url_for("flow.one_list", campaign_id=upload.campaign_id, import_id=upload.id),
        back="取り込みの結果へ戻る",
        surplus=kept.surplus,
    )
    told = kept.faults if faults is None else tuple(faults)
    return _page(upload.campaign, kept.form, words, kept.cells if typed is None else typed, told)


def amended(
    campaign: Campaign,
    recipient_id: int,
    back: str,
    typed: Mapping[str, str] | None = None,
    faults: Iterable[Fault] = (),
) -> dict[str, object]:
    """Return what the page of a row that was taken shows, but for number and answers.

    Raises Refused.
    """
    kept = amending.kept(campaign, recipient_id)
    words = Words(
        title=f"{kept.name}を直す",
        intro="いまの内容が入っています。電話番号と設問の答えは表示しません。変えるときだけ入力してください。まだ何も送信されません。",
        button="直した内容にする",
        url=request.full_path,
        back_url=back,
        back="直さずに戻る",
        unseen=kept.unseen,
    )
    return _page(campaign, kept.form, words, kept.cells if typed is None else typed, tuple(faults))


def _page(
    campaign: Campaign, form: single_entry.Form, words: Words, typed: Mapping[str, str], faults: tuple[Fault, ...]
) -> dict[str, object]:
    hints = _hints(campaign, form)
    hints |= {name: f"変えるときだけ入力します。{hints.get(name, '')}" for name in words.unseen}
    problems: dict[str, list[str]] = {}
    for fault in faults:
        problems.setdefault(fault.column or "", []).append(fault.problem.message_ja)
    fields = [
        Field(
            f"cell_{place}",
            label,
            typed.get(label, ""),
            hints.get(label, ""),
            label in form.needed,
            tuple(problems.get(label, ())),
        )
        for place, label in enumerate(form.header)
    ]
    told = [f"{column}：{message}" if column else message for column, found in problems.items() for message in found]
    can_replace = any(fault.problem.code == kept_faults.CONTRADICTS.code for fault in faults)
    return {"fields": fields, "problems": told, "most": _MOST, "words": words, "can_replace": can_replace}


def read(form: single_entry.Form, typed: Mapping[str, str]) -> dict[str, str]:
    """Read the cells by column. Raises Refused."""
    cells = {name: typed.get(f"cell_{place}", "").replace("\r\n", "\n") for place, name in enumerate(form.header)}
    for name, cell in cells.items():
        if len(cell) > _MOST:
            raise Refused(_LONG_CELL(column=name, most=_MOST))
    return cells


def _hints(campaign: Campaign, form: single_entry.Form) -> dict[str, str]:
    hints = {
        form.mapping.phone: "SMSを送る携帯電話番号。例：090-1234-5678",
        form.mapping.reference: "お客様を見分ける番号。ほかの送信先と違う番号を入力します。",
        form.mapping.amount: "円単位。例：5000",
        form.mapping.due_date: "例：2026/12/31",
    }
    for question, column in zip(campaign_needs.questions_of(campaign), form.mapping.answers, strict=True):
        choices = f"次のどれか：{'、'.join(question.choices)}" if question.choices else ""
        hint = choices or _HINTS.get(question.kind, "")
        hints[column] = f"設問「{question.label}」の答え。{hint}"
    return {name: hint for name, hint in hints.items() if name}
