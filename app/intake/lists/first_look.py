"""The first rows of an upload as they would be used; and the start of an import whose form is known.

In: an upload that waits for its columns, and a mapping. Out: for each cell its value by each of its uses, or the
refusal that would keep the row out. The same readers and checks as in the run itself.
"""

import datetime as dt
import itertools
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select

from app.campaigns import duplicates
from app.extensions import db
from app.intake.checking.checks import Level, Rejected, check_row, read_cells
from app.intake.checking.rules import CellReader, Rules, cell_readers, make_rules
from app.intake.columns import proposals
from app.intake.columns.campaign_needs import merge_names, questions_of
from app.intake.columns.mapping import ColumnMapping, Question
from app.intake.lists import imports, upload_chunks, whole_look
from app.intake.reading.encodings import encodings_possible
from app.intake.reading.list_rows import Row, is_hidden
from app.intake.reading.reader import Table
from app.models import Import
from app.problems import Refused
from app.states.vocabulary import ImportState
from app.values.answers import QuestionKind
from app.values.card_numbers import mask_card_numbers
from app.values.cell_text import cleaned
from app.values.csv_injection import UNWRITABLE, restore
from app.values.japan_time import TOKYO
from app.values.kanji_variants import variants_in
from app.values.phones import national

_ROWS = 20  # are read, and searched for variants
_LOOKED_AT = 1_000  # for as many that aren't hidden
_SHOWN = 3
_HEAD_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a cell: what for, and as what.

    `exact` is the form that a machine gets, where it is another.
    """

    word: str
    text: str = field(repr=False)
    exact: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SeenCell:
    """A cell as it stands in the file, as it is used, and what is wrong with it or worth a look."""

    raw: str = field(repr=False)
    uses: tuple[Use, ...] = ()
    refusals: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SeenRow:
    """A row; its own `refusals` and `remarks` are those of no single cell."""

    sheet_row: int
    cells: tuple[SeenCell, ...]
    refusals: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether this row would be kept out."""
        return bool(self.refusals) or any(cell.refusals for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Sample:
    """The first rows of an upload that waits for its mapping, and how the file was read.

    `sheet` is the one read of a workbook's visible `sheets`, `header_row` the sheet row of the headline (0: none
    was found), `head` the first rows that could be one, `hidden_columns` those that a workbook hides. `encodings` are
    those possible, the one in use first; none for a workbook.
    """

    rows: tuple[Row, ...] = field(default=(), repr=False)
    header_row: int = 1
    head: tuple[tuple[int, str], ...] = field(default=(), repr=False)
    sheet: str = ""
    sheets: tuple[str, ...] = ()
    encodings: tuple[str, ...] = ()
    hidden_columns: tuple[str, ...] = ()


def sample(row: Import) -> Sample:
    """Return the first rows of an upload.

    Raises Refused. Ends the session's transaction.
    """
    stored = row.tenant_id, row.id, row.byte_count
    found = imports.as_opened(row)
    rows: tuple[Row, ...] = ()
    if isinstance(found, Table):
        shown = (row for row in itertools.islice(found.rows, _LOOKED_AT) if not is_hidden(row[1]))
        rows = tuple((sheet_row, cleaned(cells)) for sheet_row, cells in itertools.islice(shown, _ROWS))
    encodings = () if found.encoding == "xlsx" else encodings_possible(upload_chunks.open_file(*stored), found.encoding)
    head = tuple((sheet_row, _in_short(cells)) for sheet_row, cells in found.head if any(map(str.strip, cells)))
    header_row = found.header_row if isinstance(found, Table) else 0
    hidden = found.hidden_columns if isinstance(found, Table) else ()
    return Sample(rows, header_row, head, found.sheet, found.sheets, tuple(encodings), hidden)


def _in_short(cells: Sequence[str]) -> str:
    written = [UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", cell) for cell in cleaned(list(cells))]
    text = "、".join(mask_card_numbers(cell) for cell in written if cell.strip())
    return text if len(text) <= _HEAD_CHARACTERS else f"{text[:_HEAD_CHARACTERS]}…"


def seen(
    row: Import, rows: Sequence[Row], mapping: ColumnMapping, alike: Container[int] | None = None
) -> list[SeenRow]:
    """Return the first rows as they would be used with a mapping, which may still have problems.

    `alike` are the places of the questions that would take variants for alike; None: as they stand.
    """
    campaign, header = row.campaign, row.header
    questions, merged = questions_of(campaign), merge_names(campaign, header)
    if alike is not None:
        questions = [
            replace(question, variants_alike=place in alike and question.kind is QuestionKind.TEXT)
            for place, question in enumerate(questions)
        ]
    today = dt.datetime.now(TOKYO).date()
    terms: dict[str, Any] = {"payment_required": campaign.payment_required, "today": today}
    fits = not mapping.problems(header, questions, merged, payment_required=campaign.payment_required)
    rules = make_rules(header, mapping, questions, merged, **terms) if fits else None
    look = _Look(header, mapping, questions, merged, cell_readers(header, mapping, questions, **terms), rules)
    return [_seen_row(row, look) for row in rows[:_SHOWN]]


@dataclass(frozen=True, slots=True)
class _Look:
    """How rows are looked at: the `readers` of their cells, and the `rules` where the mapping has no problems."""

    header: Sequence[str]
    mapping: ColumnMapping
    questions: Sequence[Question]
    merged: Sequence[str]
    readers: Sequence[CellReader]
    rules: Rules | None


def _seen_row(row: Row, look: _Look) -> SeenRow:
    header, mapping = look.header, look.mapping
    sheet_row, cells = row
    # half a letter could not be shown; the check of the row itself refuses it
    padded = [restore(UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", cell)) for cell in cells]
    padded += [""] * (len(header) - len(cells))
    uses: dict[str, list[Use]] = {}
    refusals: dict[str | None, dict[str, None]] = {}
    remarks: dict[str | None, dict[str, None]] = {}
    columns = (mapping.phone, mapping.reference, mapping.amount, mapping.due_date, *mapping.answers)
    words = (
        "電話番号",
        "管理番号",
        "請求金額",
        "支払期限",
        *(f"答え：{question.label}" for question in look.questions),
    )
    for column, word, reader in zip(columns, words, look.readers, strict=True):
        if column is None or column not in header or not any(map(str.strip, padded)):
            continue
        values, faults = read_cells(sheet_row, padded, (reader,), header)
        uses.setdefault(column, []).extend(_use(word, value) for value in values if value not in (None, ""))
        refusals.setdefault(column, {}).update({fault.problem.message_ja: None for fault in faults})
    for name in look.merged:
        column = mapping.source(name)
        if column in header:
            uses.setdefault(column, []).append(Use(f"{{{name}}}", padded[header.index(column)].strip()))
    if look.rules is not None:
        outcome = check_row(row, look.rules)
        for fault in outcome.faults:
            told = refusals if fault.level == Level.ERROR else remarks
            told.setdefault(fault.column, {})[fault.problem.message_ja] = None
        if isinstance(outcome, Rejected):
            # a card's number stands nowhere in full
            padded = [mask_card_numbers(cell) for cell in padded]
            uses = {
                column: [replace(use, text=mask_card_numbers(use.text)) for use in of] for column, of in uses.items()
            }
    shown = tuple(
        SeenCell(padded[place], tuple(uses.get(name, ())), tuple(refusals.get(name, ())), tuple(remarks.get(name, ())))
        for place, name in enumerate(header)
    )
    return SeenRow(sheet_row, shown, tuple(refusals.get(None, ())), tuple(remarks.get(None, ())))


def _use(word: str, value: Any) -> Use:  # noqa: ANN401 - whatever a reader gives
    if isinstance(value, tuple):  # a phone's number, and whether its zero was put back
        digits = national(value[0])
        return Use(word, f"{digits[:3]}-{digits[3:7]}-{digits[7:]}", value[0])
    if isinstance(value, dt.date):
        return Use(word, f"{value.year}年{value.month}月{value.day}日", value.isoformat())
    if isinstance(value, int):
        return Use(word, f"{value:,}円", str(value))
    return Use(word, str(value))


def variants(
    header: Sequence[str], rows: Sequence[Row], mapping: ColumnMapping, questions: Sequence[Question]
) -> dict[int, list[tuple[str, str]]]:
    """Find variants of letters in the answers of the first rows: by the question's place, each with its usual form."""
    found: dict[int, list[tuple[str, str]]] = {}
    for place, (question, column) in enumerate(zip(questions, mapping.answers, strict=False)):
        if question.kind is QuestionKind.TEXT and column in header:
            at = list(header).index(str(column))
            letters = variants_in("".join(cells[at] for _, cells in rows if at < len(cells)))
            if letters:
                found[place] = letters
    return found


def twin(row: Import) -> Import | None:
    """Return an upload of the same content that this campaign has taken already."""
    return db.session.scalar(
        select(Import)
        .where(
            Import.campaign_id == row.campaign_id,
            Import.id != row.id,
            Import.content_digest == row.content_digest,
            Import.state == ImportState.DONE,
        )
        .order_by(Import.id.desc())
        .limit(1)
    )


def start_if_known(import_id: int) -> bool:
    """Start an import without asking where a list of its form was taken before and nothing is to be told. Commits.

    Whatever is to be told before anything is taken keeps it waiting: hidden rows and columns, a file that was taken
    already, a refusal among the first rows, numbers of odd lengths, lost letters, variants of letters that nobody has
    decided about.
    """
    row = db.session.get_one(Import, import_id)
    if (
        row.state != ImportState.MAPPING
        or not row.header
        or row.hidden_rows != 0
        or (mapping := proposals.known(row)) is None
        or whole_look.remarks(row, mapping)
    ):
        return False
    if twin(row) is not None or duplicates.same_files(row.campaign):
        return False
    try:
        first = sample(row)
        rows = first.rows
        row = db.session.get_one(Import, import_id)
        questions = questions_of(row.campaign)
        undecided = [questions[place] for place in variants(row.header, rows, mapping, questions)]
        untold = first.hidden_columns or any(not question.variants_alike for question in undecided)
        if untold or any(_refused(row, rows, mapping)):
            return False
        imports.start(import_id, mapping)
    except Refused:
        db.session.rollback()
        return False
    return True


def _refused(row: Import, rows: Sequence[Row], mapping: ColumnMapping) -> Iterator[bool]:
    return (found.refused for found in seen(row, rows, mapping))
