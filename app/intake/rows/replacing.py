"""Rows of a list take the place of earlier ones (置き換える), all at once, once a clerk has chosen so.

In: a list that was taken, of which some rows contradict people of before, or have the number of people of before. Out:
the earlier rows left out, to be taken back one by one, and one row for each. Can't happen here: an earlier row removed
for a row that can't be taken, a change after the launch.
"""

from enum import StrEnum

from sqlalchemy import Connection, select, text

from app import audit, tenancy
from app.campaigns import duplicates, ordered_checks
from app.extensions import db
from app.intake.checking.checks import CheckedRow
from app.intake.lists import imports, kept_faults
from app.intake.rows import correction, entry, excluded
from app.models import Import, ImportFault

# rows that take others' places in one transaction
_BATCH_ROWS = 2_500


class By(StrEnum):
    """The link between two rows: the reference, with another content, or only the phone number."""

    REFERENCE = "reference"
    NUMBER = "number"


def count_contradicting(import_id: int) -> int:
    """Count the list's rows that were kept out because they say otherwise than a row of before."""
    found: int = db.session.execute(
        text("SELECT count(*) FROM import_fault WHERE import_id = :id AND code = :code"),
        {"id": import_id, "code": kept_faults.CONTRADICTS.code},
    ).scalar_one()
    return found


def replace(import_id: int, by: By, *, user_id: int, batch_rows: int = _BATCH_ROWS) -> int:
    """Put the list's rows in the place of earlier ones; return how many.

    Raises Refused. Commits.
    """
    if by == By.NUMBER:
        return _by_number(import_id, user_id)
    replaced = after = 0
    while rows := _contradicting(import_id, after, batch_rows):
        replaced += _by_reference(import_id, rows, user_id)
        after = rows[-1]
    if replaced:
        campaign_id = db.session.get_one(Import, import_id).campaign_id
        db.session.rollback()
        with tenancy.transaction() as connection:
            # once, after the last batch: it reads the whole campaign
            duplicates.recount_same_number(connection, campaign_id)
    return replaced


def _contradicting(import_id: int, after: int, limit: int) -> list[int]:
    rows = db.session.scalars(
        select(ImportFault.sheet_row)
        .where(ImportFault.import_id == import_id, ImportFault.code == kept_faults.CONTRADICTS.code)
        .where(ImportFault.sheet_row > after)
        .order_by(ImportFault.sheet_row)
        .limit(limit)
    )
    return list(rows)


def _by_reference(import_id: int, sheet_rows: list[int], user_id: int) -> int:
    row = db.session.get_one(Import, import_id)
    context = correction.context_of(row)
    checked: list[CheckedRow] = []
    for found in imports.kept_out(import_id, sheet_rows):
        try:
            checked.append(entry.check(context, found.sheet_row, found.cells))
        except entry.BadRow:
            continue  # it stays among the rows that were kept out
    db.session.rollback()
    with tenancy.transaction() as connection:
        entry.lock(connection, context)
        warned = correction.let_go(connection, import_id, [item.sheet_row for item in checked])
        checked = [item for item in checked if item.sheet_row in warned]
        if not checked:
            return 0
        loaded, became = entry.enter(connection, context, import_id, checked, replace=True)
        kept_faults.write(connection, context.target(import_id), checked, became)
        warnings = sum(len(item.faults) for item in checked) - sum(warned.values())
        correction.count(connection, import_id, rows=len(checked), added=loaded.added, warnings=warnings)
        _record(connection, import_id, len(checked), user_id)
    ordered_checks.enqueue(context.tenant_id, context.campaign_id)
    return len(checked)


def _by_number(import_id: int, user_id: int) -> int:
    row = db.session.get_one(Import, import_id)
    tenant_id, campaign_id = row.tenant_id, row.campaign_id
    db.session.rollback()
    with tenancy.transaction() as connection:
        imports.lock_open(connection, campaign_id)
        values = {"campaign_id": campaign_id, "import_id": import_id}
        condition = f"r.id IN ({duplicates.IDS_BEFORE})"
        replaced = excluded.move_aside(connection, condition, values, replaced=True)
        connection.execute(text("UPDATE import SET same_number = 0 WHERE id = :id"), {"id": import_id})
        if replaced:
            excluded.list_changed(connection, campaign_id)
            duplicates.recount_same_number(connection, campaign_id)
            _record(connection, import_id, replaced, user_id)
    ordered_checks.enqueue(tenant_id, campaign_id)
    return replaced


def _record(connection: Connection, import_id: int, rows: int, user_id: int) -> None:
    target, detail = f"import:{import_id}", {"rows": rows}
    audit.record(connection, actor=f"user:{user_id}", act="replace_rows", target=target, detail=detail)
