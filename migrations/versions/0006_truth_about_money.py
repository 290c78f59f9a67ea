"""money that came another way, money given back, and where a payment site's books differ from ours"""

import sqlalchemy as sa

from alembic import op
from migrations.row_level_security import protect

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.alter_column("payment", "payment_account_id", nullable=True)
    op.create_check_constraint(
        "by_hand", "payment", "payment_account_id IS NOT NULL OR (provider_id IS NULL AND state = 'paid')"
    )
    op.add_column("payment", sa.Column("refund_asked_at", _TIME, nullable=True))
    op.add_column("payment", sa.Column("refund_attempt", sa.Integer(), server_default="0", nullable=False))
    op.add_column("payment_account", sa.Column("compared_on", sa.Date(), nullable=True))
    op.create_table(
        "payment_difference",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("payment_account_id", sa.BigInteger(), nullable=False),
        sa.Column("recipient_id", sa.BigInteger(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("ours_yen", sa.BigInteger(), nullable=True),
        sa.Column("theirs_yen", sa.BigInteger(), nullable=True),
        sa.Column("found_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("settled_at", _TIME, nullable=True),
        sa.Column("settled_by", sa.Text(), server_default="", nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "payment_account_id"],
            ["payment_account.tenant_id", "payment_account.id"],
            name="fk_payment_difference_tenant_id_payment_account_id",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_payment_difference_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_payment_difference"),
        sa.UniqueConstraint(
            "payment_account_id", "reference", "kind", name="uq_payment_difference_payment_account_id_reference_kind"
        ),
        sa.UniqueConstraint("tenant_id", "id", name="uq_payment_difference_tenant_id_id"),
    )
    protect("payment_difference")


def downgrade() -> None:
    op.drop_table("payment_difference")
    op.drop_column("payment_account", "compared_on")
    op.drop_column("payment", "refund_attempt")
    op.drop_column("payment", "refund_asked_at")
    op.drop_constraint(op.f("ck_payment_by_hand"), "payment", type_="check")
    op.execute("DELETE FROM payment WHERE payment_account_id IS NULL")
    op.alter_column("payment", "payment_account_id", nullable=False)
