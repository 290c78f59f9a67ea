"""how a company looks to people, and when too many answers are wrong"""

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    for name in ("about", "colour", "look"):
        op.add_column("tenant", sa.Column(name, sa.Text(), server_default="", nullable=False))
    op.add_column("tenant", sa.Column("logo", sa.LargeBinary(), nullable=True))
    op.add_column("tenant", sa.Column("verifiable", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_check_constraint("colour", "tenant", "colour ~ '^(#[0-9a-f]{6})?$'")
    op.create_check_constraint("logo", "tenant", "octet_length(logo) <= 12288")
    op.create_index("ix_tenant_look", "tenant", ["look"], postgresql_where=sa.text("look <> ''"))
    op.add_column("campaign", sa.Column("checks_stopped_at", _TIME, nullable=True))
    op.add_column("campaign", sa.Column("checks_watched_from", _TIME, nullable=True))
    op.create_index(
        "ix_event_campaign_id_at",
        "event",
        ["campaign_id", "at"],
        postgresql_where=sa.text("track = 'page' AND state IN ('opened', 'wrong_answer', 'locked')"),
    )


def downgrade() -> None:
    op.drop_index("ix_event_campaign_id_at", table_name="event")
    op.drop_column("campaign", "checks_watched_from")
    op.drop_column("campaign", "checks_stopped_at")
    op.drop_index("ix_tenant_look", table_name="tenant")
    for name in ("verifiable", "logo", "look", "colour", "about"):
        op.drop_column("tenant", name)
