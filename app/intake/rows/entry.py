"""A few rows become recipients outside a list's run: typed in, corrected, or in the place of earlier ones.

In: cells by column, and what the campaign asks of them. Out: the same checks, digests and refusals as a list's rows
have. Can't happen here: a row checked by other questions than those asked when it comes in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from app.extensions import vault
from app.intake.checking.checks import CheckedRow, Checker, Fault, Level, Rejected
from app.intake.checking.rules import Rules, make_rules
from app.intake.columns import campaign_needs
from app.intake.columns.mapping import ColumnMapping
from app.intake.lists import imports, kept_faults, load
from app.intake.rows import excluded
from app.models import Campaign
from app.problems import Kind, Refused
from app.values.japan_time import TOKYO

_TWICE = "同じ電話番号の送信先が、すでにこの配信にあります。このままだと同じ人に2通届きます。"
_KNOWN = Kind("recipient_known", "同じ内容の送信先が、すでにこの配信にあります。")
_NOTHING_TYPED = Kind("recipient_empty", "送信先の情報を入力してください。")
_ASKS_OTHERWISE = Kind("entry_questions_changed", "設問が変わりました。画面を開き直して、もう一度入力してください。")


class BadRow(Refused):
    """The typed row can't be taken; `faults` say why, column by column."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(*(fault.problem for fault in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class ImportContext:
    """The rules for rows and their target, as the campaign stood when this was made."""

    tenant_id: int
    campaign_id: int
    rules: Rules
    mapping: ColumnMapping
    question_ids: tuple[int, ...]
    payment_required: bool
    as_asked: tuple[tuple[object, ...], ...]

    def target(self, import_id: int | None) -> load.Target:
        """Return where the rows of one import go."""
        return load.Target(self.tenant_id, self.campaign_id, import_id, self.question_ids, self.payment_required)


def context_of(
    campaign: Campaign, header: Sequence[str], mapping: ColumnMapping, places: Sequence[int] | None = None
) -> ImportContext:
    """Read what a campaign's rows are checked by today; `mapping` has no problems.

    With `places`, it names the columns of those of the questions alone.
    """
    questions = campaign_needs.questions_of(campaign)
    rules = make_rules(
        header,
        mapping,
        questions if places is None else [questions[place] for place in places],
        campaign_needs.merge_names(campaign, header),
        payment_required=campaign.payment_required,
        today=datetime.now(TOKYO).date(),
    )
    as_asked = tuple(
        (campaign.payment_required, item.id, item.kind, item.kana, item.choices, item.column_name, item.variants_alike)
        for item in campaign.questions
    )
    ids = tuple(item.id for item in campaign.questions)
    return ImportContext(campaign.tenant_id, campaign.id, rules, mapping, ids, campaign.payment_required, as_asked)


def check(context: ImportContext, sheet_row: int, cells: Sequence[str]) -> CheckedRow:
    """Check one row by itself, as the first of a list. Raises BadRow."""
    outcome = Checker(context.rules, 1).check((sheet_row, list(cells)))
    if isinstance(outcome, Rejected):
        raise BadRow([fault for fault in outcome.faults if fault.level == Level.ERROR])
    if not isinstance(outcome, CheckedRow):
        phone = context.mapping.phone
        raise BadRow([Fault(sheet_row, phone, Level.ERROR, _NOTHING_TYPED())])
    return outcome


def lock(connection: Connection, context: ImportContext) -> None:
    """Lock the campaign until commit.

    Raises Refused where it takes nobody in, or asks otherwise by now.
    """
    imports.lock_open(connection, context.campaign_id)
    # whoever changes what decides how a row is read holds the campaign's lock
    found = connection.execute(
        text("""
            SELECT c.payment_required, q.id, q.kind, q.kana, q.choices, q.column_name, q.variants_alike
            FROM campaign c JOIN question q ON q.campaign_id = c.id WHERE c.id = :id ORDER BY q.position
        """),
        {"id": context.campaign_id},
    )
    if tuple(tuple(row) for row in found) != context.as_asked:
        raise Refused(_ASKS_OTHERWISE())


def enter(
    connection: Connection, context: ImportContext, import_id: int, rows: Sequence[CheckedRow], *, replace: bool
) -> tuple[load.Loaded, dict[int, int]]:
    """Add checked rows; return what became of them, and their ids by sheet row.

    The campaign is locked.

    With `replace`, whoever stands there by a row's reference with another content is left out for it.
    """
    target = context.target(import_id)
    sealed = load.seal(target, rows)
    load.prepare(connection, target)
    load.copy(connection, target, sealed)
    if replace:
        # keys looked up one by one: a join would have the planner read the whole campaign
        excluded.move_aside(
            connection,
            """
                r.campaign_id = :campaign_id AND r.identity_key = ANY(ARRAY(SELECT identity_key FROM arriving))
                AND NOT EXISTS (
                    SELECT FROM arriving AS a WHERE a.identity_key = r.identity_key AND a.row_digest = r.row_digest
                )
            """,
            {"campaign_id": context.campaign_id},
            replaced=True,
        )
    loaded = load.insert_new(connection, target, len(sealed), replacing=replace)
    for row in rows:
        if reason := loaded.suppressed.get(row.sheet_row):
            row.faults = (*row.faults, kept_faults.suppressed(row.sheet_row, context.mapping.phone, reason))
    excluded.list_changed(connection, context.campaign_id)
    return loaded, load.ids_of(sealed)


def enter_one(
    connection: Connection, context: ImportContext, import_id: int, row: CheckedRow, *, replace: bool
) -> tuple[dict[int, int], list[str]]:
    """Add one checked row.

    Returns its id by its sheet row, and what is to be looked at, in Japanese. Raises BadRow.

    The campaign is locked.
    """
    loaded, became = enter(connection, context, import_id, [row], replace=replace)
    reference = context.mapping.reference
    if loaded.contradicting:
        raise BadRow([kept_faults.contradiction(row.sheet_row, reference)])
    if loaded.excluded:
        raise BadRow([kept_faults.left_out(row.sheet_row)])
    if loaded.known:
        raise BadRow([Fault(row.sheet_row, reference or context.mapping.phone, Level.ERROR, _KNOWN())])
    return became, twice(connection, context, row.phone)


def twice(connection: Connection, context: ImportContext, phone: str) -> list[str]:
    """Return in Japanese that somebody who was just entered has another's number."""
    found: int = connection.execute(
        text("""
            SELECT count(*) FROM recipient
            WHERE tenant_id = :tenant AND phone_index = :phone AND campaign_id = :campaign
        """),
        {
            "tenant": context.tenant_id,
            "phone": vault.phone_index(context.tenant_id, phone),
            "campaign": context.campaign_id,
        },
    ).scalar_one()
    return [_TWICE] if found > 1 else []
