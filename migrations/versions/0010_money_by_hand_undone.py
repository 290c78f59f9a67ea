"""why money was recorded by hand, and that this may be taken back; when the payment site's last word was asked for"""

import sqlalchemy as sa

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_BY_HAND = "payment_account_id IS NOT NULL OR (provider_id IS NULL AND state IN ('paid', 'cancelled'))"
_BY_HAND_BEFORE = "payment_account_id IS NOT NULL OR (provider_id IS NULL AND state = 'paid')"


def upgrade() -> None:
    op.add_column("payment", sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("payment", sa.Column("reason", sa.Text(), server_default="", nullable=False))
    op.drop_constraint(op.f("ck_payment_by_hand"), "payment", type_="check")
    op.create_check_constraint("by_hand", "payment", _BY_HAND)


def downgrade() -> None:
    op.drop_constraint(op.f("ck_payment_by_hand"), "payment", type_="check")
    op.execute("DELETE FROM payment WHERE payment_account_id IS NULL AND state <> 'paid'")
    op.create_check_constraint("by_hand", "payment", _BY_HAND_BEFORE)
    op.drop_column("payment", "reason")
    op.drop_column("payment", "answered_at")
