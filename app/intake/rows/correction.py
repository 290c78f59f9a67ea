"""A row that was kept out of a list, corrected by hand: its cells as they were read, and the same checks once more.

In: what a clerk typed into the row's columns. Out: a recipient of that very list, and the row's faults gone. Can't
happen here: the row added twice by two clerks, a change after the launch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from app import audit, tenancy
from app.campaigns import duplicates, lifecycle, ordered_checks
from app.extensions import db, vault
from app.intake.checking.checks import Fault, Level
from app.intake.columns import campaign_needs, proposals
from app.intake.columns.mapping import OUR_COLUMNS, ColumnMapping
from app.intake.lists import imports, kept_faults
from app.intake.rows import entry
from app.intake.rows.single_entry import Form
from app.models import Import
from app.problems import Kind, Refused
from app.states.vocabulary import ImportState

_DONE = Kind(
    "correction_done",
    "この行は、すでに直して加えてあるか、取り込みが取り消されています。名簿の結果を開き直して確かめてください。",
)
_ASKED = Kind(
    "correction_questions_changed",
    "取り込んだあとに設問が変わったため、この行だけを直せません。名簿をもう一度取り込んでください。",
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A row that was kept out. `surplus` are the cells beyond the headline's columns."""

    form: Form
    cells: Mapping[str, str] = field(repr=False)
    surplus: tuple[str, ...] = field(repr=False)
    faults: tuple[Fault, ...]


def kept(import_id: int, sheet_row: int) -> Kept:
    """Return a row that was kept out, to be corrected. Raises Refused."""
    row = db.session.get_one(Import, import_id)
    found = next(iter(imports.kept_out(import_id, [sheet_row])), None)
    if row.state != ImportState.DONE or found is None:
        raise Refused(_DONE())
    context = context_of(row)
    header = tuple(name for name in row.header if name not in OUR_COLUMNS)
    by_name = dict(zip(row.header, found.cells, strict=False))
    cells = {name: by_name.get(name, "") for name in header}
    needed = frozenset(row.header[place] for place in context.rules.needed)
    surplus = tuple(cell for cell in found.cells[len(row.header) :] if cell.strip())
    errors = tuple(fault for fault in found.faults if fault.level == Level.ERROR)
    return Kept(Form(header, context.mapping, needed), cells, surplus, errors)


def correct(
    import_id: int, sheet_row: int, typed: Mapping[str, str], *, user_id: int, replace: bool = False
) -> tuple[str, ...]:
    """Add a row that was kept out as it is typed now.

    Returns what is to be looked at, in Japanese. Commits.

    With `replace`, it takes the place of whoever stands there by its reference. Raises entry.BadRow, Refused.
    """
    row = db.session.get_one(Import, import_id)
    campaign = row.campaign
    if lifecycle.content_locked(campaign):
        raise Refused(lifecycle.why_locked(campaign.state))
    context = context_of(row)
    cells = ["" if name in OUR_COLUMNS else typed.get(name, "").replace("\0", "") for name in row.header]
    db.session.rollback()
    checked = entry.check(context, sheet_row, cells)
    with tenancy.transaction() as connection:
        entry.lock(connection, context)
        warned = let_go(connection, import_id, [sheet_row]).get(sheet_row)
        if warned is None:
            raise Refused(_DONE())
        became, twice = entry.enter_one(connection, context, import_id, checked, replace=replace)
        kept_faults.write(connection, context.target(import_id), [checked], became)
        count(connection, import_id, rows=1, added=1, warnings=len(checked.faults) - warned)
        if twice:
            connection.execute(
                text("UPDATE import SET same_number = :same_number WHERE id = :id"),
                {
                    "same_number": duplicates.count_same_number(connection, context.campaign_id, import_id),
                    "id": import_id,
                },
            )
        audit.record(
            connection,
            actor=f"user:{user_id}",
            act="correct_row",
            target=f"import:{import_id}",
            detail={"row": sheet_row},
        )
        others = duplicates.same_person(
            connection, context.tenant_id, context.campaign_id, vault.phone_index(context.tenant_id, checked.phone)
        )
    ordered_checks.enqueue(context.tenant_id, context.campaign_id)
    return (*(fault.problem.message_ja for fault in checked.faults), *twice, *others)


def context_of(row: Import) -> entry.ImportContext:
    """Return what a list's rows were checked by.

    Raises Refused where they can't be checked so any more.
    """
    campaign = row.campaign
    mapping = ColumnMapping.from_json(row.mapping or {})
    questions = campaign_needs.questions_of(campaign)
    if len(mapping.answers) != len(questions) or (mapping.asked and mapping.asked != proposals.asked(questions)):
        raise Refused(_ASKED())
    if problems := proposals.problems(row, mapping):
        raise Refused(*problems)
    return entry.context_of(campaign, row.header, mapping)


def let_go(connection: Connection, import_id: int, sheet_rows: Sequence[int]) -> dict[int, int]:
    """Forget what was found in rows that were kept out.

    Returns those rows, each with its number of warnings.

    A row that is none of these any more, or whose list was taken back, isn't among them. The campaign is locked.
    """
    found = connection.execute(
        text("""
            WITH gone AS (
                DELETE FROM import_fault WHERE import_id = :id AND sheet_row = ANY(:rows)
                AND sheet_row IN (SELECT sheet_row FROM import_fault WHERE import_id = :id AND level = 'error')
                AND EXISTS (SELECT FROM import WHERE id = :id AND state = 'done')
                RETURNING sheet_row, level
            )
            SELECT sheet_row, count(*) FILTER (WHERE level = 'warning') AS warnings FROM gone GROUP BY sheet_row
        """),
        {"id": import_id, "rows": list(sheet_rows)},
    )
    return {row.sheet_row: row.warnings for row in found}


def count(connection: Connection, import_id: int, *, rows: int, added: int, warnings: int) -> None:
    """Count rows that were kept out among those that were taken; those not `added` were known."""
    # the longest SMS is for the check to say now
    connection.execute(
        text("""
            UPDATE import SET rows_rejected = rows_rejected - :rows, rows_added = rows_added + :added,
                rows_known = rows_known + :rows - :added, warnings = warnings + :warnings, longest = NULL
            WHERE id = :id
        """),
        {"id": import_id, "rows": rows, "added": added, "warnings": warnings},
    )
