"""名簿：列の確認: what each column is used for, the first rows as they will be used, how the file is read."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import flash

from admin_views.framework.fields import many_lines
from app.campaigns import duplicates, lifecycle
from app.intake.columns import proposals
from app.intake.columns.campaign_needs import merge_names, questions_of
from app.intake.columns.mapping import OUR_COLUMNS, ColumnMapping
from app.intake.lists import first_look, whole_look
from app.intake.lists.first_look import Sample, SeenCell, SeenRow
from app.intake.reading.encodings import ENCODING_LABELS
from app.models import Campaign, Import
from app.problems import Kind, Refused, messages_ja
from app.values.answers import QuestionKind

_ROLE_WORDS = {"phone": "電話番号（携帯）", "reference": "管理番号", "amount": "請求金額", "due_date": "支払期限"}
_LETTERS = 8
_LOOK_AGAIN = (
    "まだ取り込んでいません。選んだ列に、確かめることがあります。列の表の下をご覧のうえ、よければもう一度"
    "「この列で取り込む」を押してください。"
)

_USED_TWICE = Kind(
    "mapping_use_twice",
    "「{use}」が「{column}」と「{other_column}」の2つの列に選ばれています。どちらか1つにしてください。",
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the file: its name, the fields of the form and what was chosen in them, cells of the first rows."""

    name: str
    field: str
    role: str
    merge_field: str
    tie: str
    ties: tuple[str, ...]
    cells: tuple[SeenCell, ...]


@dataclass(frozen=True, slots=True)
class Variants:
    """One question whose answers are texts: whether variants of a letter are alike, and those seen at a first look."""

    place: int
    field: str
    label: str
    letters: str
    chosen: bool
    settled: bool


def mapping_form(campaign: Campaign, row: Import, typed: Mapping[str, str] | None) -> dict[str, object]:
    """Return the columns with their uses as proposed, or as typed, and the first rows as they will be used."""
    mapping = proposals.guess(row)
    try:
        sample, unreadable = first_look.sample(row), ""
    except Refused as refused:
        sample, unreadable = Sample(), refused.message_ja
    if typed is not None:
        try:
            mapping = read_mapping(campaign, row, typed)
        except Refused:
            mapping = ColumnMapping(answers=(None,) * len(campaign.questions))
    variants = _variants(campaign, row, sample, mapping, typed)
    seen = first_look.seen(row, sample.rows, mapping, {item.place for item in variants if item.chosen or item.settled})
    roles = _roles(campaign)
    remarks = whole_look.remarks(row, mapping)
    return {
        "remarks": remarks,
        "told": " ".join(remark.key for remark in remarks),
        "columns": _columns(campaign, row, _as_typed(row, mapping) if typed is None else typed, seen),
        "seen": seen,
        "roles": roles,
        "merges": bool(merge_names(campaign, row.header)),
        "our_columns": OUR_COLUMNS,
        "unreadable": unreadable,
        "lacking": messages_ja(proposals.problems(row, mapping)),
        "sample": sample,
        "encodings": {one: ENCODING_LABELS[one] for one in sample.encodings},
        "encoding_word": "Excelブック" if row.encoding == "xlsx" else ENCODING_LABELS.get(row.encoding, ""),
        "take_hidden": bool(typed and typed.get("take_hidden")),
        "own_numbers": bool(typed.get("own_numbers")) if typed is not None else mapping.own_numbers,
        "variants": variants,
        "asked": "\n".join(proposals.asked(questions_of(campaign))),
        "twin": first_look.twin(row),
        "same_files": duplicates.same_files(campaign),
    }


def _columns(campaign: Campaign, row: Import, chosen: Mapping[str, str], seen: list[SeenRow]) -> list[Column]:
    roles, merged = _roles(campaign), merge_names(campaign, row.header)
    columns = []
    for place, name in enumerate(row.header):
        role, tie = chosen.get(f"column_{place}", ""), chosen.get(f"merge_{place}", "")
        ties = tuple(field for field in merged if field != name)
        columns.append(
            Column(
                name,
                f"column_{place}",
                role if role in roles else "",
                f"merge_{place}",
                tie if tie in ties else "",
                ties,
                tuple(found.cells[place] for found in seen),
            )
        )
    return columns


def _as_typed(row: Import, mapping: ColumnMapping) -> dict[str, str]:
    """Return a mapping as the form would send it."""
    roles = {column: f"answer_{place}" for place, column in enumerate(mapping.answers) if column is not None}
    roles |= {column: role for role in _ROLE_WORDS if (column := getattr(mapping, role)) is not None}
    fields = {column: field for field, column in mapping.ties.items()}
    typed: dict[str, str] = {}
    for place, name in enumerate(row.header):
        typed |= {f"column_{place}": roles.get(name, ""), f"merge_{place}": fields.get(name, "")}
    return typed


def _roles(campaign: Campaign) -> dict[str, str]:
    roles = dict(_ROLE_WORDS)
    for place, question in enumerate(campaign.questions):
        roles[f"answer_{place}"] = f"設問{place + 1}の答え：{question.label}"
    return roles


def read_mapping(campaign: Campaign, row: Import, typed: Mapping[str, str]) -> ColumnMapping:
    """Read the columns as mapped by hand.

    Raises Refused where one use is given to two columns.
    """
    roles = _roles(campaign)
    fields = {field: f"文面の差込項目 {{{field}}}" for field in merge_names(campaign, row.header)}
    taken = _taken(row, typed, "column", roles)
    ties = _taken(row, typed, "merge", fields)
    answers = tuple(taken.get(f"answer_{place}") for place in range(len(campaign.questions)))
    return ColumnMapping(
        answers=answers,
        own_numbers=bool(typed.get("own_numbers")),
        ties={field: column for field, column in ties.items() if field != column},
        asked=tuple(many_lines(typed["asked"]).split("\n")) if typed.get("asked") else (),
        **{role: taken.get(role) for role in _ROLE_WORDS},
    )


def _taken(row: Import, typed: Mapping[str, str], prefix: str, words: Mapping[str, str]) -> dict[str, str]:
    """Read which column each use was given. Raises Refused."""
    taken: dict[str, str] = {}
    for place, name in enumerate(row.header):
        use = typed.get(f"{prefix}_{place}", "")
        if use not in words or name in OUR_COLUMNS:
            continue
        if use in taken:
            raise Refused(_USED_TWICE(use=words[use], column=taken[use], other_column=name))
        taken[use] = name
    return taken


def is_to_be_shown(row: Import, mapping: ColumnMapping, typed: Mapping[str, str]) -> bool:
    """Return whether the page is shown again: on request, or for what the whole file shows of columns chosen since."""
    if "look" in typed:
        return True
    told = set(typed.get("told", "").split())
    if all(remark.key in told for remark in whole_look.remarks(row, mapping)):
        return False
    flash(_LOOK_AGAIN, "warning")
    return True


def read_variants(campaign: Campaign, typed: Mapping[str, str]) -> frozenset[int]:
    """Read which questions take variants of a letter for alike."""
    return frozenset(place for place in range(len(campaign.questions)) if typed.get(f"alike_{place}"))


def _variants(
    campaign: Campaign, row: Import, sample: Sample, mapping: ColumnMapping, typed: Mapping[str, str] | None
) -> list[Variants]:
    questions = questions_of(campaign)
    found = first_look.variants(row.header, sample.rows, mapping, questions)
    locked = lifecycle.questions_locked(campaign)
    listed = []
    for place, question in enumerate(questions):
        if question.kind is not QuestionKind.TEXT:
            continue
        letters = "、".join(f"{letter}（{usual}）" for letter, usual in found.get(place, ())[:_LETTERS])
        chosen = question.variants_alike or bool(letters) if typed is None else bool(typed.get(f"alike_{place}"))
        settled = locked and question.variants_alike
        listed.append(Variants(place, f"alike_{place}", question.label, letters, chosen, settled))
    return listed
