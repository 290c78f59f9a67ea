"""名簿：1件を入力: a recipient without a file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.identity.normalise import QuestionKind
from app.intake import asked, imports, single
from app.intake.checks import Fault
from app.models import Campaign

_HINTS = {
    QuestionKind.DATE: "例：1980/1/2、昭和55年1月2日",
    QuestionKind.LAST4: "4桁の数字",
    QuestionKind.POSTCODE: "例：100-0001",
    QuestionKind.DIGITS: "数字だけ",
}
_MOST = 2_000


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form."""

    name: str
    label: str
    value: str
    hint: str
    needed: bool
    problems: tuple[str, ...]


def page(campaign: Campaign, typed: Mapping[str, str], faults: Iterable[Fault] = ()) -> dict[str, Any]:
    """Give what the page shows. Raises imports.Refused."""
    form = single.form_of(campaign)
    hints = _hints(campaign, form)
    problems: dict[str, list[str]] = {}
    for fault in faults:
        problems.setdefault(fault.column or "", []).append(fault.message_ja)
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
    return {"fields": fields, "problems": told, "most": _MOST}


def read(campaign: Campaign, typed: Mapping[str, str]) -> dict[str, str]:
    """Read the cells by column. Raises imports.Refused."""
    header = single.form_of(campaign).header
    cells = {name: typed.get(f"cell_{place}", "") for place, name in enumerate(header)}
    for name, cell in cells.items():
        if len(cell) > _MOST:
            raise imports.Refused(f"「{name}」が長すぎます。{_MOST:,}文字以内で入力してください。")
    return cells


def _hints(campaign: Campaign, form: single.Form) -> dict[str, str]:
    hints = {
        form.mapping.phone: "SMSを送る携帯電話番号。例：090-1234-5678",
        form.mapping.reference: "お客様を見分ける番号。ほかの送信先と違う番号を入力します。",
        form.mapping.amount: "円単位。例：5000",
        form.mapping.due_date: "例：2026/12/31",
    }
    for question, column in zip(asked.questions_of(campaign), form.mapping.answers, strict=True):
        choices = f"次のどれか：{'、'.join(question.choices)}" if question.choices else ""
        hint = choices or _HINTS.get(question.kind, "")
        hints[column] = f"設問「{question.label}」の答え。{hint}"
    return {name: hint for name, hint in hints.items() if name}
