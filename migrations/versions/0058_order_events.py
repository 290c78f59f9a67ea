"""give events a place in the feed: `xid`, rising as they happen, below which nothing commits late

Events of before have 0: a constant default, no row is written anew. The index is built with the table locked, about a
second for a million events. See docs/adr/0012-event-feed.md.
"""

import sqlalchemy as sa

from alembic import op
from app.config import settings

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None


def upgrade() -> None:
    role = settings().database_app_role
    # The transaction's own number, or that of the last one that ended before this very row was written, if higher.
    # VOLATILE: within a statement too, each row is judged by the moment at which its person was locked.
    op.execute("""
        CREATE FUNCTION feed_xid() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
        BEGIN
            -- the feed passes over a transaction that promised this (app/event_feed/silence.py)
            IF pg_catalog.current_setting('app.writes_no_event', true) = 'on' THEN
                RAISE EXCEPTION 'this transaction promised to write no event' USING ERRCODE = 'check_violation';
            END IF;
            RETURN greatest(
                pg_catalog.txid_current(), pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) - 1
            );
        END
        $$
    """)
    op.execute("REVOKE ALL ON FUNCTION feed_xid() FROM PUBLIC")
    op.execute(f'GRANT EXECUTE ON FUNCTION feed_xid() TO "{role}"')
    op.add_column("event", sa.Column("xid", sa.BigInteger(), server_default="0", nullable=False))
    op.alter_column("event", "xid", server_default=sa.text("feed_xid()"))
    op.create_index("ix_event_tenant_id_xid_id", "event", ["tenant_id", "xid", "id"])
    # the last number that was drawn, whatever scope asks
    op.execute(f'GRANT SELECT ON SEQUENCE event_id_seq TO "{role}"')
    op.add_column(
        "installation", sa.Column("feed_eras", sa.dialects.postgresql.JSONB(), server_default="[]", nullable=False)
    )
    op.add_column("installation", sa.Column("held_event_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("installation", "held_event_id")
    op.drop_column("installation", "feed_eras")
    op.execute(f'REVOKE SELECT ON SEQUENCE event_id_seq FROM "{settings().database_app_role}"')
    op.drop_index("ix_event_tenant_id_xid_id", "event")
    op.drop_column("event", "xid")
    op.execute("DROP FUNCTION feed_xid()")
