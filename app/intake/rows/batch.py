"""Thousands of recipients that a company's system sends at once: a list, with the same checks and words as a file's.

In: cells by column name, row by row. Out: an import that can be told of and taken back like any other. Can't happen
here: a part of it taken in, or a column that the campaign doesn't know: nobody looks at it before it is used.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, insert, text

from app import tenancy
from app.campaigns import duplicates, ordered_checks
from app.extensions import db, vault
from app.intake.checking.checks import CheckedRow, Checker, Fault, Level, Rejected, Skipped
from app.intake.columns.mapping import ColumnMapping
from app.intake.lists import kept_faults, load
from app.intake.lists.longest_sms import Longest
from app.intake.reading.list_rows import LIMITS
from app.intake.rows import entry, single_entry
from app.models import Campaign, Import
from app.problems import Kind, Refused
from app.states.vocabulary import ImportState
from app.values.japan_time import TOKYO

MOST_ROWS = 10_000
_FILENAME = "APIから登録"
_UNKNOWN = Kind(
    "batch_field_unknown", "この配信の名簿にない項目があります。使える項目は、配信の fields で確かめてください。"
)
_LONG_CELL = Kind("batch_cell_too_long", "値が長すぎます。{most:,}文字以内にしてください。")
_BAD_ROWS = Kind(
    "batch_rows_refused",
    "{rows:,}行に直すところがあるため、1件も加えていません。errors の行を直して、送り直してください。",
)
_NONE = Kind("batch_empty", "送信先がありません。1件以上送ってください。")
_TOO_MANY = Kind("batch_too_many_rows", "一度に送れるのは{most:,}件までです。分けて送ってください。")


class BadRows(Refused):
    """Rows that can't be taken; `faults` say why, by row (from 1) and column."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(_BAD_ROWS(rows=len({fault.sheet_row for fault in faults})))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Batch:
    """The outcome for rows: the import that was made, how many are new, how many stood there already, and warnings."""

    import_id: int
    added: int
    known: int
    warnings: tuple[Fault, ...]


def add(
    campaign_id: int,
    rows: Sequence[Mapping[str, str]],
    *,
    user_id: int,
    within: Callable[[Connection, Batch], object] = lambda _connection, _batch: None,
) -> Batch:
    """Check all rows and add them, or none of them.

    `within` is called in the transaction that adds them, at its end. Raises BadRows, Refused. Commits.
    """
    if not rows:
        raise Refused(_NONE())
    if len(rows) > MOST_ROWS:
        raise Refused(_TOO_MANY(most=MOST_ROWS))
    campaign = db.session.get_one(Campaign, campaign_id)
    form = single_entry.form_of(campaign)
    context = entry.context_of(campaign, form.header, _mapping(form, rows))
    checked = _checked(form, context, rows)
    longest = Longest(campaign.sms_text, (column for column, _ in context.rules.fields))
    db.session.rollback()
    with tenancy.transaction() as connection:
        entry.lock(connection, context)
        import_id = _put_down(connection, context, form, user_id)
        loaded, became = entry.enter(connection, context, import_id, checked, replace=False)
        if against := _against(context, loaded):
            raise BadRows(against)
        kept_faults.write(connection, context.target(import_id), checked, became)
        for row in checked:
            longest.see(row)
        batch = Batch(import_id, loaded.added, loaded.known, tuple(fault for row in checked for fault in row.faults))
        _tell(connection, context, batch, len(rows), longest)
        within(connection, batch)
    ordered_checks.enqueue(context.tenant_id, campaign_id)
    return batch


def fields_of(campaign: Campaign) -> single_entry.Form:
    """Return the columns that rows may have, and those that they need. Raises Refused where only a file will do."""
    return single_entry.form_of(campaign)


def _mapping(form: single_entry.Form, rows: Sequence[Mapping[str, str]]) -> ColumnMapping:
    """Do without references where no row has one, as a list without that column."""
    mapping, name = form.mapping, form.mapping.reference
    if name is None or name in form.needed or any(row.get(name, "").strip() for row in rows):
        return mapping
    return dataclasses.replace(mapping, reference=None)


def _checked(
    form: single_entry.Form, context: entry.ImportContext, rows: Sequence[Mapping[str, str]]
) -> list[CheckedRow]:
    """Check all rows as a list's. Raises BadRows."""
    known, checker = frozenset(form.header), Checker(context.rules, len(rows))
    checked: list[CheckedRow] = []
    faults: list[Fault] = []
    for place, row in enumerate(rows, 1):
        if not known.issuperset(row):
            faults.append(Fault(place, None, Level.ERROR, _UNKNOWN()))
            continue
        cells = [row.get(name, "").replace("\0", "") for name in form.header]
        if long := [name for name, cell in zip(form.header, cells, strict=True) if len(cell) > LIMITS.cell]:
            faults += [Fault(place, name, Level.ERROR, _LONG_CELL(most=LIMITS.cell)) for name in long]
            continue
        outcome = checker.check((place, cells))
        if isinstance(outcome, CheckedRow):
            checked.append(outcome)
        elif isinstance(outcome, Rejected):
            faults += [fault for fault in outcome.faults if fault.level == Level.ERROR]
        elif isinstance(outcome, Skipped):
            faults += [Fault(place, None, Level.ERROR, fault.problem) for fault in outcome.faults]
    if faults:
        raise BadRows(faults)
    odd = {fault.sheet_row: fault for fault in checker.odd_lengths()}
    for one in checked:
        if fault := odd.get(one.sheet_row):
            one.faults = (*one.faults, fault)
    return checked


def _against(context: entry.ImportContext, loaded: load.Loaded) -> list[Fault]:
    """Return the rows that stand there already with another content, or were left out."""
    column = context.mapping.reference
    left_out = [kept_faults.left_out(place) for place in loaded.excluded]
    return [kept_faults.contradiction(place, column) for place in loaded.contradicting] + [
        dataclasses.replace(fault, level=Level.ERROR) for fault in left_out
    ]


def _put_down(connection: Connection, context: entry.ImportContext, form: single_entry.Form, user_id: int) -> int:
    row = {
        "tenant_id": context.tenant_id,
        "campaign_id": context.campaign_id,
        "state": str(ImportState.DONE),
        "filename": _FILENAME,
        # no file can be the same again
        "content_digest": vault.content_digest(context.tenant_id, os.urandom(16)),
        "header": list(form.header),
        "mapping": context.mapping.to_json(),
        "created_by": user_id,
        "started_at": datetime.now(TOKYO),
        "finished_at": datetime.now(TOKYO),
    }
    made: int = connection.execute(insert(Import).values(row).returning(Import.id)).scalar_one()
    return made


def _tell(connection: Connection, context: entry.ImportContext, batch: Batch, rows: int, longest: Longest) -> None:
    told = longest.told(connection, context.target(batch.import_id))
    connection.execute(
        text("""
            UPDATE import SET rows_read = :rows, rows_added = :added, rows_known = :known, warnings = :warnings,
                longest = :longest, same_number = :same_number, notices = :notices
            WHERE id = :id
        """),
        {
            "rows": rows,
            "added": batch.added,
            "known": batch.known,
            "warnings": len(batch.warnings),
            "longest": told and Jsonb(told),
            "same_number": duplicates.count_same_number(connection, context.campaign_id, batch.import_id),
            "notices": Jsonb(duplicates.other_campaigns(connection, context.tenant_id, context.campaign_id)),
            "id": batch.import_id,
        },
    )
