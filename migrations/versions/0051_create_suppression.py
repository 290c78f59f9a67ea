"""create suppression and suppression_proposal: numbers that get no SMS of a company, and those proposed for it"""

import sqlalchemy as sa

from alembic import op
from migrations.row_level_security import protect

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

_REASONS = "reason IN ('wish', 'wrong_number', 'lawyer', 'contract_ended', 'other')"


def upgrade() -> None:
    op.create_table(
        "suppression",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("phone_index", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.CheckConstraint(_REASONS, name=op.f("ck_suppression_reason")),
        sa.CheckConstraint("octet_length(phone_index) = 16", name=op.f("ck_suppression_phone_index")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_suppression_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_suppression_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "phone_index", name=op.f("uq_suppression_tenant_id_phone_index")),
    )
    protect("suppression")
    op.create_table(
        "suppression_proposal",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("phone_index", sa.LargeBinary(), nullable=False),
        sa.Column("recipient_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.Text(), server_default="", nullable=False),
        sa.Column("verdict", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(_REASONS, name=op.f("ck_suppression_proposal_reason")),
        sa.CheckConstraint("source IN ('person', 'vacant')", name=op.f("ck_suppression_proposal_source")),
        sa.CheckConstraint(
            "verdict IN ('', 'confirmed', 'dismissed')", name=op.f("ck_suppression_proposal_verdict")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_suppression_proposal_tenant_id")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "recipient_id"],
            ["recipient.tenant_id", "recipient.id"],
            name=op.f("fk_suppression_proposal_tenant_id_recipient_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression_proposal")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_suppression_proposal_tenant_id_id")),
    )
    is_open = sa.text("settled_at IS NULL")
    op.create_index(
        "uq_suppression_proposal_open",
        "suppression_proposal",
        ["tenant_id", "phone_index"],
        unique=True,
        postgresql_where=is_open,
    )
    op.create_index(
        "ix_suppression_proposal_open", "suppression_proposal", ["tenant_id", "id"], postgresql_where=is_open
    )
    op.create_index("ix_suppression_proposal_recipient_id", "suppression_proposal", ["recipient_id"])
    op.create_index(
        "ix_suppression_proposal_tenant_id_phone_index", "suppression_proposal", ["tenant_id", "phone_index"]
    )
    protect("suppression_proposal")


def downgrade() -> None:
    op.drop_table("suppression_proposal")
    op.drop_table("suppression")
