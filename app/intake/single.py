"""One recipient typed in by hand: a list of one row, with the same checks, digests and messages as a file's.

In: cells by column name. Out: an import of one row that can be told of and taken back like any other. Where the
campaign has a list already, its columns are asked for: whoever is added later has what the others have.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, insert, select, text

from app import tenancy
from app.campaigns import ordered_checks, overlap
from app.extensions import db, vault
from app.intake import asked, imports, load
from app.intake.checks import CheckedRow, Checker, Fault, Level, Rejected
from app.intake.longest import Longest
from app.intake.mapping import OUR_COLUMNS, ColumnMapping
from app.intake.reader import LIMITS
from app.intake.rules import make_rules
from app.models import Campaign, Import
from app.tracking.clock import TOKYO

_FILENAME = "画面から入力"
_ROW = 2  # as if it were a list's first


class BadRow(Exception):  # noqa: N818 - it says what was typed
    """What was typed can't be taken; `faults` say why, column by column."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(", ".join(fault.code for fault in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Form:
    """What is asked for: columns and their roles. `needed` are those that can't stay empty."""

    header: tuple[str, ...]
    mapping: ColumnMapping
    needed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Added:
    """The import that was made, and what is to be looked at, in Japanese."""

    import_id: int
    warnings: tuple[str, ...]


def form_of(campaign: Campaign) -> Form:
    """Say what a campaign needs of one recipient. Raises imports.Refused where only a file will do."""
    last = db.session.scalar(
        select(Import)
        .where(Import.campaign_id == campaign.id, Import.state == "done", Import.rows_added > 0)
        .order_by((Import.byte_count > 0).desc(), Import.id.desc())  # a file's columns before those of a form
        .limit(1)
    )
    questions = asked.questions_of(campaign)
    if last is not None and last.mapping is not None and len(last.mapping["answers"]) == len(questions):
        header = [name for name in last.header if name not in OUR_COLUMNS]
        mapping = ColumnMapping.from_json(last.mapping)
    else:
        answers = tuple(question.column or question.label for question in questions)
        amount, due_date = ("請求金額", "支払期限") if campaign.payment_required else (None, None)
        mapping = ColumnMapping("電話番号", "管理番号", amount, due_date, answers)
        header = [name for name in ("電話番号", "管理番号", amount, due_date, *answers) if name]
    merge_names = asked.merge_names(campaign, header)
    merged = [mapping.source(name) for name in merge_names]
    header = list(dict.fromkeys([*header, *merged]))
    if mapping.problems(header, questions, merge_names, payment_required=campaign.payment_required):
        raise imports.Refused("この配信の送信先は、1件ずつ入力できません。名簿のファイルを取り込んでください。")
    answers = tuple(column for column in mapping.answers if column)
    needed = {mapping.phone, *answers, *merged, mapping.amount if campaign.payment_required else None}
    if last is not None and last.byte_count:
        needed.add(mapping.reference)
    return Form(tuple(header), mapping, frozenset(name for name in needed if name))


def add(campaign_id: int, typed: Mapping[str, str], *, user_id: int) -> Added:
    """Check one recipient and add them. Raises BadRow, imports.Refused. Commits."""
    campaign = db.session.get_one(Campaign, campaign_id)
    form = form_of(campaign)
    cells = [typed.get(name, "").replace("\0", "")[: LIMITS.cell] for name in form.header]
    mapping = form.mapping
    if mapping.reference and mapping.reference not in form.needed and not typed.get(mapping.reference, "").strip():
        mapping = replace(mapping, reference=None)
    rules = make_rules(
        form.header,
        mapping,
        asked.questions_of(campaign),
        asked.merge_names(campaign, form.header),
        payment_required=campaign.payment_required,
        today=datetime.now(TOKYO).date(),
    )
    outcome = Checker(rules, 1).check((_ROW, cells))
    if isinstance(outcome, Rejected):
        raise BadRow([fault for fault in outcome.faults if fault.level == Level.ERROR])
    if not isinstance(outcome, CheckedRow):
        raise BadRow([Fault(_ROW, mapping.phone, Level.ERROR, "empty_row", "送信先の情報を入力してください。")])
    target_of = (campaign.tenant_id, campaign.id)
    as_asked = [
        (campaign.payment_required, item.id, item.kind, item.kana, item.choices, item.column_name, item.variants_alike)
        for item in campaign.questions
    ]
    question_ids, payment_required = [item.id for item in campaign.questions], campaign.payment_required
    longest = Longest(campaign.sms_text, outcome.fields)
    db.session.rollback()
    with tenancy.transaction() as connection:
        imports.lock_open(connection, campaign_id)
        if _asked(connection, campaign_id) != as_asked:
            raise imports.Refused("設問が変わりました。画面を開き直して、もう一度入力してください。")
        import_id = _put_down(connection, target_of, form.header, form.mapping, len(outcome.faults), user_id)
        target = load.Target(*target_of, import_id, question_ids, payment_required)
        twice = _same_number(connection, target_of, outcome.phone)
        load.prepare(connection, target)
        load.copy(connection, target, load.seal(target, [outcome]))
        loaded = load.land(connection, target, 1)
        if loaded.contradicting:
            raise BadRow([load.contradiction(_ROW, mapping.reference)])
        if loaded.known:
            known = "同じ内容の送信先が、すでにこの配信にあります。"
            raise BadRow([Fault(_ROW, mapping.reference or mapping.phone, Level.ERROR, "known", known)])
        longest.see(outcome)
        connection.execute(
            text("UPDATE import SET longest = :longest WHERE id = :id"),
            {"longest": Jsonb(longest.told(connection, target)), "id": import_id},
        )
        connection.execute(text("UPDATE campaign SET revision = revision + 1 WHERE id = :id"), {"id": campaign_id})
        ordered_checks.order(connection, campaign_id)
        told = [fault.message_ja for fault in outcome.faults] + twice
        told += overlap.same_person(connection, *target_of, vault.phone_index(target_of[0], outcome.phone))
    ordered_checks.enqueue(*target_of)
    return Added(import_id, tuple(told))


def _asked(connection: Connection, campaign_id: int) -> list[tuple[object, ...]]:
    """Read what decides how a row is read; whoever changes it holds the campaign's lock."""
    found = connection.execute(
        text("""
            SELECT c.payment_required, q.id, q.kind, q.kana, q.choices, q.column_name, q.variants_alike
            FROM campaign c JOIN question q ON q.campaign_id = c.id WHERE c.id = :id ORDER BY q.position
        """),
        {"id": campaign_id},
    )
    return [tuple(row) for row in found]


def _put_down(
    connection: Connection,
    target_of: tuple[int, int],
    header: Sequence[str],
    mapping: ColumnMapping,
    warnings: int,
    user_id: int,
) -> int:
    tenant_id, campaign_id = target_of
    row = {
        "tenant_id": tenant_id,
        "campaign_id": campaign_id,
        "state": "done",
        "filename": _FILENAME,
        # no file can be the same again
        "content_digest": vault.content_digest(tenant_id, os.urandom(16)),
        "header": list(header),
        "mapping": mapping.to_json(),
        "rows_read": 1,
        "rows_added": 1,
        "warnings": warnings,
        "created_by": user_id,
        "started_at": datetime.now(TOKYO),
        "finished_at": datetime.now(TOKYO),
    }
    made: int = connection.execute(insert(Import).values(row).returning(Import.id)).scalar_one()
    return made


def _same_number(connection: Connection, target_of: tuple[int, int], phone: str) -> list[str]:
    tenant_id, campaign_id = target_of
    found = connection.execute(
        text("""
            SELECT EXISTS (
                SELECT FROM recipient WHERE tenant_id = :tenant AND phone_index = :phone AND campaign_id = :campaign
            )
        """),
        {"tenant": tenant_id, "phone": vault.phone_index(tenant_id, phone), "campaign": campaign_id},
    ).scalar_one()
    return ["同じ電話番号の送信先が、すでにこの配信にあります。このままだと同じ人に2通届きます。"] if found else []
