"""the sweep's question about refunds reads an index, however many payments there are"""

import sqlalchemy as sa

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_UNDER_WAY = sa.text("state = 'paid' AND refund_asked_at IS NOT NULL")


def upgrade() -> None:
    op.create_index("ix_payment_refund_asked_at", "payment", ["refund_asked_at"], postgresql_where=_UNDER_WAY)


def downgrade() -> None:
    op.drop_index("ix_payment_refund_asked_at", table_name="payment")
