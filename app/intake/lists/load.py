"""Checked rows become recipients, by COPY into a temporary table and one INSERT per batch.

PostgreSQL takes no COPY into a table under row level security, hence the detour; the INSERT passes the policy like any
other. Everything happens in the caller's transaction: a list arrives whole or not at all.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection as DbapiConnection
from sqlalchemy import Connection, text

from app import links, tenancy
from app.campaigns import rendering
from app.extensions import vault
from app.intake.checking.checks import CheckedRow

# the recipient's columns that arrive; the digests of its answers follow, a column each
COLUMNS = {
    "id": "bigint",
    "sheet_row": "integer",
    "identity_key": "bytea",
    "row_digest": "bytea",
    "reference": "text",
    "phone_sealed": "bytea",
    "phone_index": "bytea",
    "fields_sealed": "bytea",
    "amount_yen": "bigint",
    "due_date": "date",
    "link_secret": "bytea",
    "token_digest": "bytea",
    "phone_last4_index": "bytea",
}

_NOT_EXCLUDED = """
    WHERE NOT EXISTS (
        SELECT FROM excluded_recipient AS e WHERE e.campaign_id = :campaign_id AND e.identity_key = a.identity_key
    )
"""

_as_json = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows go: the campaign, the import they came by, and the questions whose answers are digested."""

    tenant_id: int
    campaign_id: int
    import_id: int | None
    question_ids: Sequence[int]
    payment_required: bool


@dataclass(slots=True)
class Loaded:
    """The outcome of a batch: rows added, rows that stand there already, rows that contradict one that stands there.

    `excluded` are those that a clerk left out before, or replaced, and has not taken back. `suppressed` tells of
    rows whose number the company sends nothing to, and why.
    """

    added: int = 0
    known: int = 0
    contradicting: list[int] = field(default_factory=list)
    excluded: list[int] = field(default_factory=list)
    suppressed: dict[int, str] = field(default_factory=dict)


def prepare(connection: Connection, target: Target) -> None:
    """Make the temporary table; it goes with the transaction."""
    columns = ", ".join(f"{name} {kind}" for name, kind in _arriving(target).items())
    connection.execute(text(f"CREATE TEMPORARY TABLE arriving ({columns}) ON COMMIT DROP"))


def _arriving(target: Target) -> dict[str, str]:
    """Name the temporary table's columns with types; one array of the answers would take psycopg twice as long."""
    return COLUMNS | {f"answer_{place}": "bytea" for place in range(len(target.question_ids))}


def seal(target: Target, rows: Sequence[CheckedRow]) -> list[tuple[Any, ...]]:
    """Make rows what the table takes: encrypted and digested.

    Draws their ids in a transaction of its own.
    """
    if not rows:
        return []
    with tenancy.transaction() as beside:
        ids = draw_ids(beside, "recipient", len(rows))
    return seal_as(target, ids, rows)


def seal_as(target: Target, ids: Sequence[int], rows: Sequence[CheckedRow]) -> list[tuple[Any, ...]]:
    """Make rows what the table takes, as the recipients of these ids: COLUMNS, then the digests of their answers."""
    tenant_id = target.tenant_id
    fields = [_as_json(row.fields) for row in rows]
    phones_sealed = vault.seal_column(tenant_id, "recipient", "phone_sealed", ids, [row.phone.encode() for row in rows])
    fields_sealed = vault.seal_column(tenant_id, "recipient", "fields_sealed", ids, [said.encode() for said in fields])
    secrets = links.draw_secrets(len(rows))
    parts = zip(ids, rows, fields, phones_sealed, fields_sealed, secrets, strict=True)
    return [
        _values(target, row_id, row, written, phone_sealed=phone, fields_sealed=sealed, secret=secret)
        for row_id, row, written, phone, sealed, secret in parts
    ]


def copy(connection: Connection, target: Target, rows: Sequence[tuple[Any, ...]]) -> None:
    """Put rows, as `seal` made them, into the temporary table."""
    if not rows:
        return
    arriving = _arriving(target)
    statement = f"COPY arriving ({', '.join(arriving)}) FROM STDIN WITH (FORMAT BINARY)"
    with _raw(connection).cursor() as cursor, cursor.copy(statement) as stream:
        stream.set_types(list(arriving.values()))
        for row in rows:
            stream.write_row(row)


def insert_new(connection: Connection, target: Target, rows: int, *, replacing: bool = False) -> Loaded:
    """Add those of the temporary table's `rows` that are new, and empty it.

    A row is known by its reference, or by all it says where it has none. With `replacing`, rows come in that were left
    out before: the caller has just made their place free.
    """
    if not rows:
        return Loaded()
    answers = ", ".join(f"answer_{place}" for place in range(len(target.question_ids)))
    added = connection.execute(
        text(f"""
            INSERT INTO recipient
                (tenant_id, campaign_id, import_id, payment_state, answer_digests, {", ".join(COLUMNS)})
            SELECT :tenant_id, :campaign_id, :import_id, :payment_state, CAST(ARRAY[{answers}] AS bytea[]),
                {", ".join(COLUMNS)}
            FROM arriving AS a {"" if replacing else _NOT_EXCLUDED} ORDER BY id
            ON CONFLICT (campaign_id, identity_key) DO NOTHING
        """),  # noqa: S608 - the names stand above
        {
            "tenant_id": target.tenant_id,
            "campaign_id": target.campaign_id,
            "import_id": target.import_id,
            "payment_state": payment_state(payment_required=target.payment_required),
        },
    ).rowcount
    contradicting, excluded = [], []
    if added < rows:
        with _by_key_alone(connection):
            contradicting = _contradicting(connection, target.campaign_id)
            excluded = _excluded(connection, target.campaign_id)
    suppressed = _suppressed(connection, target.tenant_id)
    connection.execute(text("TRUNCATE arriving"))
    known = rows - added - len(contradicting) - len(excluded)
    return Loaded(added, known, contradicting, excluded, suppressed)


def payment_state(*, payment_required: bool) -> str:
    """Return where somebody new stands with their payment."""
    return "unpaid" if payment_required else "none"


def _suppressed(connection: Connection, tenant_id: int) -> dict[int, str]:
    """Return the reason for each of the temporary table's rows (by sheet row) whose number gets nothing.

    Row by row through the index: statistics know nothing of the table, and a join could read the whole list.
    """
    found = connection.execute(
        text("""
            SELECT sheet_row, reason FROM (
                SELECT a.sheet_row, (
                    SELECT s.reason FROM suppression s
                    WHERE s.tenant_id = :tenant_id AND s.phone_index = a.phone_index
                    AND (s.until IS NULL OR s.until > now())
                ) AS reason
                FROM arriving a OFFSET 0
            ) AS looked_up
            WHERE reason IS NOT NULL
        """),
        {"tenant_id": tenant_id},
    )
    return {row.sheet_row: row.reason for row in found}


@contextmanager
def _by_key_alone(connection: Connection) -> Iterator[None]:
    """Have recipients looked up row by row, and only by the index that gives the order that is asked for.

    Statistics know nothing of a list that is being taken in, and by any other index the planner would read the whole
    campaign, for each row or for each batch.
    """
    connection.execute(text("SELECT set_config('enable_sort', 'off', true)"))
    yield
    connection.execute(text("SELECT set_config('enable_sort', 'on', true)"))


def _contradicting(connection: Connection, campaign_id: int) -> list[int]:
    """List the temporary table's rows (by sheet row) that stand there already, by another row with another content."""
    found = connection.scalars(
        text("""
            SELECT a.sheet_row FROM arriving a CROSS JOIN LATERAL (
                SELECT id, identity_key, row_digest FROM recipient
                WHERE campaign_id = :campaign_id AND identity_key >= a.identity_key
                ORDER BY identity_key LIMIT 1
            ) AS r
            WHERE r.identity_key = a.identity_key AND r.id <> a.id AND r.row_digest <> a.row_digest
        """),
        {"campaign_id": campaign_id},
    )
    return sorted(found)


def _excluded(connection: Connection, campaign_id: int) -> list[int]:
    """List the temporary table's rows (by sheet row) that were left out before and stand there by no other row."""
    found = connection.scalars(
        text("""
            SELECT a.sheet_row FROM arriving a LEFT JOIN LATERAL (
                SELECT identity_key FROM recipient
                WHERE campaign_id = :campaign_id AND identity_key >= a.identity_key
                ORDER BY identity_key LIMIT 1
            ) AS r ON true
            WHERE r.identity_key IS DISTINCT FROM a.identity_key AND EXISTS (
                SELECT FROM excluded_recipient AS e
                WHERE e.campaign_id = :campaign_id AND e.identity_key = a.identity_key
            )
        """),
        {"campaign_id": campaign_id},
    )
    return sorted(found)


def ids_of(sealed: Iterable[tuple[Any, ...]]) -> dict[int, int]:
    """Return the ids that rows, as `seal` made them, were given, by sheet row."""
    return {row[1]: row[0] for row in sealed}


def known_recipient(connection: Connection, target: Target, row: CheckedRow) -> int | None:
    """Return the id of the recipient that stands there for a row, by this import or one before; None for nobody."""
    key = _identity_key(target, row, _says(row, _as_json(row.fields)))
    found: int | None = connection.execute(
        text("SELECT id FROM recipient WHERE campaign_id = :campaign_id AND identity_key = :key"),
        {"campaign_id": target.campaign_id, "key": key},
    ).scalar_one_or_none()
    return found


def _says(row: CheckedRow, fields: str) -> str:
    # nothing before `fields` can hold the separator but the reference, and that stands in `fields` once more
    return "\x1f".join((row.phone, row.reference or "", str(row.amount_yen), str(row.due_date), *row.answers, fields))


def reference_key(target: Target, reference: str) -> bytes:
    """Return what makes rows with one reference the same person."""
    return vault.identity_key(target.tenant_id, target.campaign_id, f"r{reference}")


def amended(target: Target, recipient_id: int, row_digest: bytes, row: CheckedRow) -> dict[str, Any]:
    """Return what changes of a recipient that is corrected: its answers, digested already, are the caller's.

    They are no part of the new row's digest, so that a list's row, whatever it says, contradicts it and is told.
    """
    tenant_id, fields = target.tenant_id, _as_json(row.fields)
    return {
        "row_digest": vault.row_digest(tenant_id, f"{row_digest.hex()}\x1f{_says(row, fields)}"),
        "reference": row.reference or "",
        "phone_sealed": vault.seal(row.phone, rendering.phone_place(tenant_id, recipient_id)),
        "phone_index": vault.phone_index(tenant_id, row.phone),
        "phone_last4_index": vault.last4_index(tenant_id, row.phone),
        "fields_sealed": vault.seal(fields, rendering.fields_place(tenant_id, recipient_id)),
        "amount_yen": row.amount_yen,
        "due_date": row.due_date,
    }


def _identity_key(target: Target, row: CheckedRow, says: str) -> bytes:
    if row.reference:
        return reference_key(target, row.reference)
    if next(reversed(row.fields), "").startswith(rendering.TIED):
        # the same row with other ties is the same person: it contradicts, and nobody gets two SMS
        says = _says(row, _as_json({name: row.fields[name] for name in rendering.own_columns(row.fields)}))
    return vault.identity_key(target.tenant_id, target.campaign_id, f"w{says}")


def _values(
    target: Target,
    row_id: int,
    row: CheckedRow,
    fields: str,
    *,
    phone_sealed: bytes,
    fields_sealed: bytes,
    secret: bytes,
) -> tuple[Any, ...]:
    tenant_id = target.tenant_id
    says = _says(row, fields)
    return (
        row_id,
        row.sheet_row,
        _identity_key(target, row, says),
        vault.row_digest(tenant_id, says),
        row.reference or "",
        phone_sealed,
        vault.phone_index(tenant_id, row.phone),
        fields_sealed,
        row.amount_yen,
        row.due_date,
        secret,
        vault.token_digest(vault.link_token(row_id, 1, secret)),
        vault.last4_index(tenant_id, row.phone),
        *[
            vault.answer_digest(tenant_id, row_id, question_id, answer)
            for question_id, answer in zip(target.question_ids, row.answers, strict=True)
        ],
    )


def draw_ids(connection: Connection, table: str, count: int) -> list[int]:
    """Draw ids before the rows are written: what is sealed is sealed for its row."""
    drawn: list[int] = connection.execute(
        text("SELECT array_agg(nextval(pg_get_serial_sequence(:table, 'id'))) FROM generate_series(1, :count)"),
        {"table": table, "count": count},
    ).scalar_one()
    return drawn


def _raw(connection: Connection) -> "DbapiConnection[Any]":
    raw = connection.connection.driver_connection
    assert isinstance(raw, DbapiConnection)  # noqa: S101 - SQLAlchemy speaks psycopg here
    return raw
