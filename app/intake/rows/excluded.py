"""Rows of a list that are left out (対象外) and taken back, one by one, before the launch.

In: a recipient of a draft. Out: the row moved aside as it stands, sealed, so that nothing that reads recipients sees
it, and moved back. Can't happen here: a row lost or brought back by a list that holds it again, a change after the
launch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, select, text

from app import audit, tenancy
from app.campaigns import duplicates, ordered_checks
from app.extensions import db
from app.intake.lists import imports, load
from app.models import Campaign, ExcludedRecipient
from app.problems import Kind, Refused

# columns of a recipient that intake writes; all else begins as for somebody new
_COLUMNS = ("id", "tenant_id", "campaign_id", "import_id", "answer_digests", *load.COLUMNS)
_NAMES = ", ".join(dict.fromkeys(_COLUMNS))
_GONE = Kind(
    "exclude_gone",
    "この送信先は、すでに対象外になっているか、取り込みが取り消されています。画面を開き直して確かめてください。",
)
_BACK = Kind(
    "include_gone",
    "この送信先は、すでに戻してあるか、取り込みが取り消されています。画面を開き直して確かめてください。",
)
_TAKEN = Kind(
    "include_taken",
    "同じ番号（番号のない名簿では同じ内容）の送信先がこの配信にあるため、戻せません。戻すときは、先にその送信先を対象外に"
    "してください。",
)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One row that is left out, as a list shows it."""

    id: int
    import_id: int | None
    sheet_row: int | None
    reference: str
    replaced: bool


def exclude(campaign_id: int, recipient_id: int, *, user_id: int) -> None:
    """Leave one recipient out. Raises Refused. Commits."""
    with tenancy.transaction() as connection:
        imports.lock_open(connection, campaign_id)
        values = {"campaign_id": campaign_id, "id": recipient_id}
        row = connection.execute(
            text("SELECT tenant_id, import_id, sheet_row FROM recipient WHERE campaign_id = :campaign_id AND id = :id"),
            values,
        ).one_or_none()
        if row is None or not move_aside(connection, "r.campaign_id = :campaign_id AND r.id = :id", values):
            raise Refused(_GONE())
        list_changed(connection, campaign_id)
        duplicates.recount_same_number(connection, campaign_id)
        _record(connection, "exclude_recipient", campaign_id, row, user_id)
    ordered_checks.enqueue(row.tenant_id, campaign_id)


def include(campaign_id: int, excluded_id: int, *, user_id: int) -> None:
    """Take one back. Raises Refused. Commits."""
    with tenancy.transaction() as connection:
        imports.lock_open(connection, campaign_id)
        kept = connection.execute(
            text("""
                DELETE FROM excluded_recipient WHERE id = :id AND campaign_id = :campaign_id
                RETURNING tenant_id, import_id, sheet_row, recipient
            """),
            {"id": excluded_id, "campaign_id": campaign_id},
        ).one_or_none()
        if kept is None:
            raise Refused(_BACK())
        paid = connection.execute(
            text("SELECT payment_required FROM campaign WHERE id = :id"), {"id": campaign_id}
        ).scalar_one()
        added = connection.execute(
            text(f"""
                INSERT INTO recipient ({_NAMES}, payment_state)
                SELECT {_NAMES}, :payment_state FROM jsonb_populate_record(NULL::recipient, :recipient)
                ON CONFLICT (campaign_id, identity_key) DO NOTHING
            """),  # noqa: S608 - the names stand above
            {"payment_state": load.payment_state(payment_required=paid), "recipient": Jsonb(kept.recipient)},
        ).rowcount
        if not added:
            raise Refused(_TAKEN())
        list_changed(connection, campaign_id)
        duplicates.recount_same_number(connection, campaign_id)
        _record(connection, "include_recipient", campaign_id, kept, user_id)
    ordered_checks.enqueue(kept.tenant_id, campaign_id)


def move_aside(connection: Connection, condition: str, values: Mapping[str, Any], *, replaced: bool = False) -> int:
    """Leave out the drafts that a condition on `r` names; return how many.

    The caller has locked the campaign.
    """
    moved: int = connection.execute(
        text(f"""
            WITH gone AS (DELETE FROM recipient AS r WHERE r.sms_state = 'draft' AND {condition} RETURNING r.*)
            INSERT INTO excluded_recipient
                (tenant_id, campaign_id, import_id, sheet_row, recipient_id, identity_key, recipient, replaced)
            SELECT tenant_id, campaign_id, import_id, sheet_row, id, identity_key, to_jsonb(gone), :replaced
            FROM gone
        """),  # noqa: S608 - conditions are written in this room
        {**values, "replaced": replaced},
    ).rowcount
    return moved


def listed(campaign: Campaign, limit: int, import_id: int | None = None) -> list[LeftOut]:
    """Return a campaign's rows that are left out, the latest first; those of one list alone where it is named."""
    wanted = select(
        ExcludedRecipient.id,
        ExcludedRecipient.import_id,
        ExcludedRecipient.sheet_row,
        ExcludedRecipient.recipient["reference"].astext,
        ExcludedRecipient.replaced,
    ).where(ExcludedRecipient.campaign_id == campaign.id)
    if import_id is not None:
        wanted = wanted.where(ExcludedRecipient.import_id == import_id)
    return [LeftOut(*row) for row in db.session.execute(wanted.order_by(ExcludedRecipient.id.desc()).limit(limit))]


def list_changed(connection: Connection, campaign_id: int) -> None:
    """Void the last check, as the list has changed, and order another.

    The campaign is locked.
    """
    connection.execute(text("UPDATE campaign SET revision = revision + 1 WHERE id = :id"), {"id": campaign_id})
    ordered_checks.order(connection, campaign_id)


def _record(connection: Connection, act: str, campaign_id: int, row: Any, user_id: int) -> None:  # noqa: ANN401 - a row
    target = f"import:{row.import_id}" if row.import_id else f"campaign:{campaign_id}"
    detail = {"row": row.sheet_row} if row.sheet_row else {"people": 1}
    audit.record(connection, actor=f"user:{user_id}", act=act, target=target, detail=detail)
