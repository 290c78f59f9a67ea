"""Transactions that promise to write no event: the feed goes on past them, however long they take."""

from sqlalchemy import Connection, text

# the advisory lock by which the promise is seen in `pg_locks`; it goes with the transaction
_CLASS = 7230011
_PROMISE = text(f"""
    SELECT set_config('app.writes_no_event', 'on', true), pg_advisory_xact_lock_shared({_CLASS}, 0)
    WHERE txid_current_if_assigned() IS NULL
""")
# SQL of the number below which nothing can commit an event any more: that of the oldest transaction under way that has
# promised nothing. One that ends between the look at the snapshot and that at the locks counts as under way.
SETTLED = f"""(
    SELECT coalesce(
        (
            SELECT min(xid) FROM txid_snapshot_xip(seen) AS xid
            WHERE (xid & 4294967295) NOT IN (
                SELECT own.transactionid::text::bigint
                FROM pg_locks promise JOIN pg_locks own USING (virtualtransaction)
                WHERE promise.locktype = 'advisory' AND promise.classid = {_CLASS} AND promise.objsubid = 2
                AND promise.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND promise.granted AND own.locktype = 'transactionid' AND own.granted AND own.mode = 'ExclusiveLock'
            )
        ),
        txid_snapshot_xmax(seen)
    ) FROM txid_current_snapshot() AS seen
)"""  # noqa: S608 - the number stands above


class TooLate(RuntimeError):  # noqa: N818 - it says what is the matter
    """A transaction that had written already can promise nothing any more: an event may be among it."""


def promise(connection: Connection) -> None:
    """Promise that the open transaction, which has written nothing yet, writes no event; the database holds it to that.

    Raises TooLate.
    """
    if connection.execute(_PROMISE).first() is None:
        raise TooLate("promise at the transaction's beginning")
