"""standing campaigns (常設配信): versions of one line, their end and daily limit, people counted by day"""

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("campaign", sa.Column("standing", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("campaign", sa.Column("line_id", sa.BigInteger))
    op.add_column("campaign", sa.Column("ended_at", sa.DateTime(timezone=True)))
    op.add_column("campaign", sa.Column("day_limit", sa.Integer))
    op.create_foreign_key(
        op.f("fk_campaign_tenant_id_line_id"), "campaign", "campaign", ["tenant_id", "line_id"], ["tenant_id", "id"]
    )
    op.create_check_constraint(op.f("ck_campaign_day_limit"), "campaign", "day_limit > 0")
    op.create_check_constraint(
        op.f("ck_campaign_standing"), "campaign", "NOT standing OR (link_until IS NULL AND day_limit IS NOT NULL)"
    )
    op.create_index(
        "ix_campaign_line_id", "campaign", ["tenant_id", "line_id"], postgresql_where=sa.text("line_id IS NOT NULL")
    )
    op.create_index("ix_campaign_standing", "campaign", ["tenant_id", "id"], postgresql_where=sa.text("standing"))
    op.create_table(
        "standing_day",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger, nullable=False),
        sa.Column("campaign_id", sa.BigInteger, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("people", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing_day")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_standing_day_tenant_id_id")),
        sa.UniqueConstraint("campaign_id", "day", name=op.f("uq_standing_day_campaign_id_day")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_standing_day_tenant_id")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id"],
            ["campaign.tenant_id", "campaign.id"],
            name=op.f("fk_standing_day_tenant_id_campaign_id"),
            ondelete="CASCADE",
        ),
    )
    protect("standing_day")


def downgrade() -> None:
    op.drop_table("standing_day")
    op.drop_index("ix_campaign_standing", "campaign")
    op.drop_index("ix_campaign_line_id", "campaign")
    op.drop_constraint(op.f("ck_campaign_standing"), "campaign", type_="check")
    op.drop_constraint(op.f("ck_campaign_day_limit"), "campaign", type_="check")
    op.drop_constraint(op.f("fk_campaign_tenant_id_line_id"), "campaign", type_="foreignkey")
    for name in ("day_limit", "ended_at", "line_id", "standing"):
        op.drop_column("campaign", name)
