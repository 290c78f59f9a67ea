"""turns of accounts, people tried again, how much left today"""

import sqlalchemy as sa

from alembic import op
from migrations.row_level_security import protect

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("campaign", sa.Column("served_at", _TIME, nullable=True))
    op.add_column("recipient", sa.Column("retry_at", _TIME, nullable=True))
    op.create_index(
        "ix_recipient_retry_at", "recipient", ["retry_at"], postgresql_where=sa.text("retry_at IS NOT NULL")
    )
    op.create_table(
        "sending_day",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_sending_day_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sending_day"),
        sa.UniqueConstraint("tenant_id", "day", name="uq_sending_day_tenant_id_day"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_sending_day_tenant_id_id"),
    )
    protect("sending_day")


def downgrade() -> None:
    op.drop_table("sending_day")
    op.drop_index("ix_recipient_retry_at", table_name="recipient")
    op.drop_column("recipient", "retry_at")
    op.drop_column("campaign", "served_at")
