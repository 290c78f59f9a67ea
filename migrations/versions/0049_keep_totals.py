"""keep totals of recipients, attempts and payments, added by whatever statement changes them

A statement trigger sees the rows that its statement added and took away, and adds what that makes to each total as a
row: nobody waits for a counter's row, and no statement can forget to count. `app.reports.totals` folds the rows
together. Totals of campaigns of before are filled in by a job, campaign by campaign; `campaign.counted_at` is null
until then.
"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

_HOUR = "coalesce(extract(hour FROM {} AT TIME ZONE 'Asia/Tokyo')::smallint, -1::smallint)"
_DAY = "({} AT TIME ZONE 'Asia/Tokyo')::date"
# table -> the columns that tell one total from another, what is added up, and which rows are counted
_TOTALS = {
    "recipient": (
        {
            "sms_state": ("text", "sms_state"),
            "page_state": ("text", "page_state"),
            "payment_state": ("text", "payment_state"),
            "handed": ("boolean", "accepted_at IS NOT NULL OR delivered_at IS NOT NULL"),
            "arrived": ("boolean", "delivered_at IS NOT NULL"),
            "verified": ("boolean", "verified_at IS NOT NULL"),
            "viewed": ("boolean", "viewed_at IS NOT NULL"),
            "planned": ("boolean", "retry_at IS NOT NULL"),
            "opened_hour": ("smallint", _HOUR.format("opened_at")),
            "paid_hour": ("smallint", _HOUR.format("paid_at")),
        },
        {"people": "1"},
        "true",
    ),
    "send_log": (
        {
            "sms_account_id": ("bigint", "sms_account_id"),
            "carrier": ("text", "carrier"),
            "day": ("date", _DAY.format("started_at")),
            "state": ("text", "state"),
            "cause": ("text", "CASE WHEN state = 'undelivered' THEN code ELSE '' END"),
            "seconds_class": (
                "smallint",
                "CASE WHEN state = 'delivered' AND code <> 'opened' AND settled_at IS NOT NULL"
                " THEN width_bucket(extract(epoch FROM settled_at - started_at)::float8, ARRAY[1, 2, 3, 5, 7, 10, 15,"
                " 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400, 259200]"
                "::float8[])::smallint ELSE -1::smallint END",
            ),
        },
        {"attempts": "1", "units": "coalesce(units, 0)"},
        "true",
    ),
    "payment": (
        {"day": ("date", _DAY.format("paid_at"))},
        {"payments": "1", "yen": "CASE WHEN dispute = 'lost' THEN 0 ELSE amount_yen - refunded_yen END"},
        "state = 'paid' AND paid_at IS NOT NULL",
    ),
}


def upgrade() -> None:
    for table, (keys, sums, counted) in _TOTALS.items():
        total = f"{table}_total"
        op.create_table(
            total,
            sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
            sa.Column("tenant_id", sa.BigInteger(), nullable=False),
            sa.Column("campaign_id", sa.BigInteger(), nullable=False),
            *(sa.Column(name, _TYPES[kind], nullable=False) for name, (kind, _) in keys.items()),
            *(sa.Column(name, sa.BigInteger(), nullable=False) for name in sums),
            sa.Column("folded_at", sa.DateTime(timezone=True)),
            sa.PrimaryKeyConstraint("id", name=f"pk_{total}"),
        )
        op.create_index(f"ix_{total}_campaign_id", total, ["campaign_id"])
        op.create_index(f"ix_{total}_fresh", total, ["campaign_id"], postgresql_where=sa.text("folded_at IS NULL"))
        if "day" in keys:
            op.create_index(f"ix_{total}_tenant_id_day", total, ["tenant_id", "day"])
        protect(total)
        op.execute(_function(table, keys, sums, counted))
        op.execute(f"REVOKE ALL ON FUNCTION add_{total}() FROM PUBLIC")
        for what, seen in (
            ("INSERT", "NEW TABLE AS added"),
            ("UPDATE", "OLD TABLE AS removed NEW TABLE AS added"),
            ("DELETE", "OLD TABLE AS removed"),
        ):
            op.execute(f"""
                CREATE TRIGGER {total}_{what.lower()} AFTER {what} ON {table} REFERENCING {seen}
                FOR EACH STATEMENT EXECUTE FUNCTION add_{total}()
            """)
    # null where a campaign's people and attempts of before are not in its totals yet
    op.add_column("campaign", sa.Column("counted_at", sa.DateTime(timezone=True)))
    op.alter_column("campaign", "counted_at", server_default=sa.text("now()"))
    op.create_index(
        "ix_campaign_uncounted", "campaign", ["tenant_id"], postgresql_where=sa.text("counted_at IS NULL")
    )
    op.add_column(
        "tenant",
        sa.Column(
            "recounted_on",
            sa.Date(),
            server_default=sa.text("(now() AT TIME ZONE 'Asia/Tokyo' - interval '3 hours')::date"),
            nullable=False,
        ),
    )


_TYPES = {
    "text": sa.Text(),
    "boolean": sa.Boolean(),
    "smallint": sa.SmallInteger(),
    "bigint": sa.BigInteger(),
    "date": sa.Date(),
}


def _function(table: str, keys: dict[str, tuple[str, str]], sums: dict[str, str], counted: str) -> str:
    names = ["tenant_id", "campaign_id", *keys]
    what = ", ".join(["tenant_id", "campaign_id", *(f"{made} AS {name}" for name, (_, made) in keys.items())])
    added = f"SELECT {what}, {', '.join(f'{one} AS {name}' for name, one in sums.items())} FROM added WHERE {counted}"
    removed = (
        f"SELECT {what}, {', '.join(f'-({one}) AS {name}' for name, one in sums.items())} FROM removed WHERE {counted}"
    )

    def write(rows: str) -> str:
        return f"""
            INSERT INTO {table}_total ({", ".join([*names, *sums])})
            SELECT {", ".join([*names, *(f"sum({name})" for name in sums)])} FROM ({rows}) AS changed
            GROUP BY {", ".join(names)} HAVING {" OR ".join(f"sum({name}) <> 0" for name in sums)};
        """

    return f"""
        CREATE FUNCTION add_{table}_total() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' THEN {write(f"{added} UNION ALL {removed}")}
            ELSIF TG_OP = 'INSERT' THEN {write(added)}
            ELSE {write(removed)}
            END IF;
            RETURN NULL;
        END
        $$
    """


def downgrade() -> None:
    op.drop_column("tenant", "recounted_on")
    op.drop_index("ix_campaign_uncounted", "campaign")
    op.drop_column("campaign", "counted_at")
    for table in reversed(_TOTALS):
        for what in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER {table}_total_{what} ON {table}")
        op.execute(f"DROP FUNCTION add_{table}_total()")
        op.drop_table(f"{table}_total")
