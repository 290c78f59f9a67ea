"""acts upon many people, in steps"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from alembic import op
from app.config import settings
from migrations.row_level_security import protect

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "wave",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("which", sa.Text(), server_default="", nullable=False),
        sa.Column("given", JSONB(), server_default="{}", nullable=False),
        sa.Column("detail", JSONB(), nullable=True),
        sa.Column("reminder_id", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("people", sa.Integer(), server_default="0", nullable=False),
        sa.Column("after_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("stepped_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.CheckConstraint("kind IN ('launch', 'resend', 'remind', 'cancel')", name="kind"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id"],
            ["campaign.tenant_id", "campaign.id"],
            name="fk_wave_tenant_id_campaign_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "reminder_id"],
            ["reminder.tenant_id", "reminder.id"],
            name="fk_wave_tenant_id_reminder_id",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_wave_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_wave"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_wave_tenant_id_id"),
    )
    op.create_index(
        "uq_wave_campaign_id",
        "wave",
        ["campaign_id"],
        unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    protect("wave")
    op.execute(f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{settings().database_app_role}"')


def downgrade() -> None:
    op.drop_table("wave")
