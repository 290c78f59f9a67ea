"""One recipient typed in by hand: a list of one row, with the same checks, digests and messages as a file's.

In: cells by column name. Out: an import of one row that can be told of and taken back like any other. Where the
campaign has a list already, its columns are asked for: whoever is added later has what the others have.
"""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, insert, select, text

from app import tenancy
from app.campaigns import duplicates, ordered_checks
from app.extensions import db, vault
from app.intake.columns import campaign_needs
from app.intake.columns.mapping import OUR_COLUMNS, ColumnMapping
from app.intake.lists.longest_sms import Longest
from app.intake.reading.list_rows import LIMITS
from app.intake.rows import entry
from app.models import Campaign, Import
from app.problems import Kind, Refused
from app.states.vocabulary import ImportState
from app.values.japan_time import TOKYO

_FILENAME = "画面から入力"
_ONLY_BY_FILE = Kind(
    "single_entry_impossible", "この配信の送信先は、1件ずつ入力できません。名簿のファイルを取り込んでください。"
)
_ROW = 2  # as if it were a list's first


@dataclass(frozen=True, slots=True)
class Form:
    """The form's fields: columns and their roles.

    `needed` are those that can't stay empty.
    """

    header: tuple[str, ...]
    mapping: ColumnMapping
    needed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Added:
    """The import that was made, and what is to be looked at, in Japanese."""

    import_id: int
    warnings: tuple[str, ...]


def form_of(campaign: Campaign) -> Form:
    """Return what a campaign needs of one recipient.

    Raises Refused where only a file will do.
    """
    last = db.session.scalar(
        select(Import)
        .where(Import.campaign_id == campaign.id, Import.state == ImportState.DONE, Import.rows_added > 0)
        .order_by((Import.byte_count > 0).desc(), Import.id.desc())  # a file's columns before those of a form
        .limit(1)
    )
    questions = campaign_needs.questions_of(campaign)
    if last is not None and last.mapping is not None and len(last.mapping["answers"]) == len(questions):
        header = [name for name in last.header if name not in OUR_COLUMNS]
        mapping = ColumnMapping.from_json(last.mapping)
    else:
        answers = tuple(question.column or question.label for question in questions)
        amount, due_date = ("請求金額", "支払期限") if campaign.payment_required else (None, None)
        mapping = ColumnMapping("電話番号", "管理番号", amount, due_date, answers)
        header = [name for name in ("電話番号", "管理番号", amount, due_date, *answers) if name]
    merge_names = campaign_needs.merge_names(campaign, header)
    merged = [mapping.source(name) for name in merge_names]
    header = list(dict.fromkeys([*header, *merged]))
    if mapping.problems(header, questions, merge_names, payment_required=campaign.payment_required):
        raise Refused(_ONLY_BY_FILE())
    answers = tuple(column for column in mapping.answers if column)
    needed = {mapping.phone, *answers, *merged, mapping.amount if campaign.payment_required else None}
    if last is not None and last.byte_count:
        needed.add(mapping.reference)
    return Form(tuple(header), mapping, frozenset(name for name in needed if name))


def add(campaign_id: int, typed: Mapping[str, str], *, user_id: int, replace: bool = False) -> Added:
    """Check one recipient and add them. Raises entry.BadRow, Refused. Commits.

    With `replace`, they take the place of whoever stands there by their reference.
    """
    campaign = db.session.get_one(Campaign, campaign_id)
    form = form_of(campaign)
    cells = [typed.get(name, "").replace("\0", "")[: LIMITS.cell] for name in form.header]
    mapping = form.mapping
    if mapping.reference and mapping.reference not in form.needed and not typed.get(mapping.reference, "").strip():
        mapping = dataclasses.replace(mapping, reference=None)
    context = entry.context_of(campaign, form.header, mapping)
    checked = entry.check(context, _ROW, cells)
    longest = Longest(campaign.sms_text, checked.fields)
    db.session.rollback()
    with tenancy.transaction() as connection:
        entry.lock(connection, context)
        import_id = _put_down(connection, context, form, len(checked.faults), user_id)
        _, twice = entry.enter_one(connection, context, import_id, checked, replace=replace)
        longest.see(checked)
        connection.execute(
            text("UPDATE import SET longest = :longest, same_number = :same_number WHERE id = :id"),
            {
                "longest": Jsonb(longest.told(connection, context.target(import_id))),
                "same_number": duplicates.count_same_number(connection, campaign_id, import_id) if twice else 0,
                "id": import_id,
            },
        )
        told = [fault.problem.message_ja for fault in checked.faults] + twice
        told += duplicates.same_person(
            connection, context.tenant_id, campaign_id, vault.phone_index(context.tenant_id, checked.phone)
        )
    ordered_checks.enqueue(context.tenant_id, campaign_id)
    return Added(import_id, tuple(told))


def _put_down(connection: Connection, context: entry.ImportContext, form: Form, warnings: int, user_id: int) -> int:
    row = {
        "tenant_id": context.tenant_id,
        "campaign_id": context.campaign_id,
        "state": str(ImportState.DONE),
        "filename": _FILENAME,
        # no file can be the same again
        "content_digest": vault.content_digest(context.tenant_id, os.urandom(16)),
        "header": list(form.header),
        "mapping": form.mapping.to_json(),
        "rows_read": 1,
        "rows_added": 1,
        "warnings": warnings,
        "created_by": user_id,
        "started_at": datetime.now(TOKYO),
        "finished_at": datetime.now(TOKYO),
    }
    made: int = connection.execute(insert(Import).values(row).returning(Import.id)).scalar_one()
    return made
