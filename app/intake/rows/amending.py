"""A row that was taken, corrected by hand before the launch: who it is stays, what is kept of them changes.

In: what a clerk typed into the row's columns; the phone number and the answers, which no screen shows, only where they
are to change. Out: the same recipient, through the same checks as a row of a list. Can't happen here: a change after
the launch, an answer or a number shown, an answer kept that was digested for another question.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select, text

from app import audit, tenancy
from app.campaigns import duplicates, ordered_checks, rendering
from app.extensions import db, vault
from app.intake.checking.checks import CheckedRow, Fault, Level
from app.intake.columns import campaign_needs
from app.intake.columns.mapping import OUR_COLUMNS
from app.intake.lists import kept_faults, load
from app.intake.rows import correction, entry, excluded
from app.intake.rows.single_entry import Form
from app.models import Campaign, Import, Recipient
from app.problems import Kind, Refused

_GONE = Kind(
    "amend_gone",
    "この送信先は、対象外になっているか、取り込みが取り消されています。画面を開き直して確かめてください。",
)
_NO_LIST = Kind(
    "amend_without_list",
    "この送信先は名簿の列が分からないため、直せません。対象外にして、1件ずつの入力で加えてください。",
)
_MERGED = Kind(
    "amend_merge_fields_changed",
    "取り込んだあとに文面の差込項目が変わったため、この行だけを直せません。名簿をもう一度取り込んでください。",
)
_MEANWHILE = Kind(
    "amend_meanwhile",
    "ほかの人がこの送信先を直しました。画面を開き直し、いまの内容を確かめてから直してください。",
)
_TAKEN = Kind("reference_taken", "この番号の送信先は、すでにこの配信にあります。番号を確かめてください。")


@dataclass(frozen=True, slots=True)
class Kept:
    """A row that was taken, as it may be shown.

    `unseen` are the columns that stay as they are when left empty.
    """

    form: Form
    cells: Mapping[str, str] = field(repr=False)
    unseen: frozenset[str]
    name: str


@dataclass(frozen=True, slots=True)
class _TakenRow:
    """The row as it stands, its list's columns, and what the whole list was checked by."""

    recipient_id: int
    import_id: int
    sheet_row: int
    reference: str
    phone: str = field(repr=False)
    fields: Mapping[str, str] = field(repr=False)
    row_digest: bytes
    header: tuple[str, ...]
    context: entry.ImportContext


def kept(campaign: Campaign, recipient_id: int) -> Kept:
    """Return a row that was taken, to be corrected. Raises Refused."""
    taken = _taken_row(campaign, recipient_id)
    mapping = taken.context.mapping
    unseen = {name for name in (mapping.phone, *mapping.answers) if name and name not in taken.fields}
    needed = {taken.context.rules.header[place] for place in taken.context.rules.needed} - unseen
    if not taken.reference:
        needed.discard(mapping.reference or "")
    cells = {name: taken.fields.get(name, "") for name in taken.header}
    at = f"{taken.sheet_row:,}行目"
    name = f"{taken.reference}（{at}）" if taken.reference else at
    return Kept(Form(taken.header, mapping, frozenset(needed)), cells, frozenset(unseen), name)


def amend(campaign_id: int, recipient_id: int, typed: Mapping[str, str], *, user_id: int) -> tuple[str, ...]:
    """Change a row that was taken; return what is to be looked at, in Japanese.

    Commits.

    Raises entry.BadRow, Refused.
    """
    campaign = db.session.get_one(Campaign, campaign_id)
    taken = _taken_row(campaign, recipient_id)
    context, places, cells = _as_typed(campaign, taken, typed)
    db.session.rollback()
    checked = entry.check(context, taken.sheet_row, cells)
    with tenancy.transaction() as connection:
        entry.lock(connection, context)
        _write(connection, taken, context, checked, places)
        excluded.list_changed(connection, campaign_id)
        duplicates.recount_same_number(connection, campaign_id)
        detail = {"row": taken.sheet_row}
        target = f"import:{taken.import_id}"
        audit.record(connection, actor=f"user:{user_id}", act="amend_recipient", target=target, detail=detail)
        told = [fault.problem.message_ja for fault in checked.faults] + entry.twice(connection, context, checked.phone)
        told += duplicates.same_person(
            connection, context.tenant_id, campaign_id, vault.phone_index(context.tenant_id, checked.phone)
        )
    ordered_checks.enqueue(context.tenant_id, campaign_id)
    return tuple(told)


def _taken_row(campaign: Campaign, recipient_id: int) -> _TakenRow:
    person = db.session.scalar(
        select(Recipient)
        .where(Recipient.id == recipient_id, Recipient.campaign_id == campaign.id)
        .execution_options(populate_existing=True)
    )
    if person is None:
        raise Refused(_GONE())
    upload = db.session.get(Import, person.import_id) if person.import_id is not None else None
    if upload is None or upload.mapping is None or person.sheet_row is None:
        raise Refused(_NO_LIST())
    context = correction.context_of(upload)
    fields = rendering.open_fields(person.tenant_id, person.id, person.fields_sealed)
    shown = {context.mapping.phone, *context.mapping.answers, *fields}
    return _TakenRow(
        person.id,
        upload.id,
        person.sheet_row,
        person.reference,
        rendering.open_phone(person.tenant_id, person.id, person.phone_sealed),
        fields,
        bytes(person.row_digest),
        tuple(name for name in upload.header if name in shown and name not in OUR_COLUMNS),
        context,
    )


def _as_typed(
    campaign: Campaign, taken: _TakenRow, typed: Mapping[str, str]
) -> tuple[entry.ImportContext, list[int], list[str]]:
    """Return what the row is checked by, the places of the answers that are checked with it, and its cells.

    Answers that stay as they are can't be checked once more: they are digests.
    """
    mapping = taken.context.mapping
    said = {name: typed.get(name, "").replace("\0", "") for name in taken.header}
    if not said[mapping.phone or ""].strip():
        said[mapping.phone or ""] = taken.phone
    places = [
        place
        for place, column in enumerate(mapping.answers)
        if column in taken.fields or said.get(column or "", "").strip()
    ]
    left = {column for place, column in enumerate(mapping.answers) if place not in places}
    header = [name for name in taken.header if name not in left]
    reference = mapping.reference if taken.reference or said.get(mapping.reference or "", "").strip() else None
    mapping = dataclasses.replace(
        mapping, reference=reference, answers=tuple(mapping.answers[place] for place in places)
    )
    questions = campaign_needs.questions_of(campaign)
    if mapping.problems(
        header,
        [questions[place] for place in places],
        campaign_needs.merge_names(campaign, header),
        payment_required=campaign.payment_required,
    ):
        raise Refused(_MERGED())
    context = entry.context_of(campaign, header, mapping, places)
    return context, places, [said[name] for name in header]


def _write(
    connection: Connection, taken: _TakenRow, context: entry.ImportContext, row: CheckedRow, places: Sequence[int]
) -> None:
    target = context.target(taken.import_id)
    values = load.amended(target, taken.recipient_id, taken.row_digest, row)
    found = connection.execute(
        text("""
            SELECT row_digest, answer_digests FROM recipient
            WHERE id = :id AND campaign_id = :campaign_id AND sms_state = 'draft' FOR NO KEY UPDATE
        """),
        {"id": taken.recipient_id, "campaign_id": context.campaign_id},
    ).one_or_none()
    if found is None:
        raise Refused(_GONE())
    if bytes(found.row_digest) != taken.row_digest:
        raise Refused(_MEANWHILE())
    digests = [bytes(digest) for digest in found.answer_digests]
    for place, answer in zip(places, row.answers, strict=True):
        question_id = context.question_ids[place]
        digests[place] = vault.answer_digest(context.tenant_id, taken.recipient_id, question_id, answer)
    if row.reference and row.reference != taken.reference:
        values["identity_key"] = load.reference_key(target, row.reference)
        other = connection.execute(
            text("SELECT 1 FROM recipient WHERE campaign_id = :campaign_id AND identity_key = :key"),
            {"campaign_id": context.campaign_id, "key": values["identity_key"]},
        ).scalar()
        if other:
            column = context.mapping.reference
            raise entry.BadRow([Fault(taken.sheet_row, column, Level.ERROR, _TAKEN())])
    values["answer_digests"] = digests
    connection.execute(
        text(f"UPDATE recipient SET {', '.join(f'{name} = :{name}' for name in values)} WHERE id = :id"),  # noqa: S608
        {**values, "id": taken.recipient_id},
    )
    warned = connection.execute(
        text("DELETE FROM import_fault WHERE import_id = :id AND sheet_row = :row AND level = 'warning'"),
        {"id": taken.import_id, "row": taken.sheet_row},
    ).rowcount
    kept_faults.write(connection, target, [row], {taken.sheet_row: taken.recipient_id})
    correction.count(connection, taken.import_id, rows=0, added=0, warnings=len(row.faults) - warned)
