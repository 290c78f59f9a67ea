"""Slices of a campaign to which people come one by one: the last one has no end, and holds whoever comes.

In: somebody's id, drawn under the campaign's lock. Out: the slice that holds them, due. Can't happen here: somebody who
waits in no slice; a slice for each person, of which a few years would make a million; one that grows for years, which
each lease would read to its end.

Whoever comes when the open slice is full closes it and begins the next. Its row is locked for that, and whoever leases
it reads its end anew before each claim (`app.delivery.leases.holding`).
"""

from sqlalchemy import Connection, text

# people of a slice: each turn of it looks at all of them once
_MOST = 500
# the last id of a slice that is open
_NO_END = 2**63 - 1


def hold(connection: Connection, tenant_id: int, campaign_id: int, recipient_id: int) -> None:
    """Have the campaign's open slice hold somebody, and be due at once where it isn't put off.

    The caller holds the campaign's lock from before the id was drawn on; `jobs.delivery.send` comes after its commit.
    """
    values = {"tenant_id": tenant_id, "campaign_id": campaign_id, "id": recipient_id, "most": _MOST, "no_end": _NO_END}
    last = connection.execute(
        text("""
            SELECT id, first_id FROM slice WHERE campaign_id = :campaign_id AND last_id = :no_end
            ORDER BY first_id DESC LIMIT 1 FOR NO KEY UPDATE
        """),
        values,
    ).first()
    if last is not None and not _is_full(connection, campaign_id, last.first_id):
        # one that is put off waits for its hours, the account or the day: whoever comes waits for the same
        connection.execute(
            text("UPDATE slice SET due_at = coalesce(due_at, now()) WHERE id = :slice_id"), {"slice_id": last.id}
        )
        return
    if last is not None:
        connection.execute(
            text("UPDATE slice SET last_id = :id - 1 WHERE id = :slice_id"), {**values, "slice_id": last.id}
        )
    connection.execute(
        text("""
            INSERT INTO slice (tenant_id, campaign_id, first_id, last_id, due_at)
            VALUES (:tenant_id, :campaign_id, :id, :no_end, now())
        """),
        values,
    )


def _is_full(connection: Connection, campaign_id: int, first_id: int) -> bool:
    beyond = connection.execute(
        text("""
            SELECT id FROM recipient WHERE campaign_id = :campaign_id AND id >= :first_id
            ORDER BY id OFFSET :most LIMIT 1
        """),
        {"campaign_id": campaign_id, "first_id": first_id, "most": _MOST - 1},
    ).first()
    return beyond is not None
