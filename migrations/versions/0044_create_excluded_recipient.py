"""create excluded_recipient: rows of a list that are left out by hand, or replaced by a later list's"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op
from migrations.row_level_security import protect

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "excluded_recipient",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=True),
        sa.Column("sheet_row", sa.Integer(), nullable=True),
        sa.Column("recipient_id", sa.BigInteger(), nullable=False),
        sa.Column("identity_key", sa.LargeBinary(), nullable=False),
        sa.Column("recipient", postgresql.JSONB(), nullable=False),
        sa.Column("replaced", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_excluded_recipient_tenant_id")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id"],
            ["campaign.tenant_id", "campaign.id"],
            name=op.f("fk_excluded_recipient_tenant_id_campaign_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_excluded_recipient")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_excluded_recipient_tenant_id_id")),
    )
    op.create_index(
        "ix_excluded_recipient_campaign_id_identity_key", "excluded_recipient", ["campaign_id", "identity_key"]
    )
    protect("excluded_recipient")
    op.add_column("import_fault", sa.Column("recipient_id", sa.BigInteger(), nullable=True))
    op.add_column("import", sa.Column("same_number", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("import", "same_number")
    op.drop_column("import_fault", "recipient_id")
    op.drop_table("excluded_recipient")
