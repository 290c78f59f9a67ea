"""receipts wait each for itself"""

import sqlalchemy as sa

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_WAITING = sa.text("applied_at IS NULL")


def upgrade() -> None:
    op.add_column("receipt", sa.Column("message_id", sa.Text(), nullable=True))
    op.add_column(
        "receipt", sa.Column("try_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)
    )
    op.add_column("receipt", sa.Column("tries", sa.Integer(), server_default="0", nullable=False))
    op.add_column("receipt", sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_receipt_try_at", "receipt", ["sms_account_id", "try_at"], postgresql_where=_WAITING)
    op.create_index("ix_receipt_message_id", "receipt", ["message_id"], postgresql_where=_WAITING)
    op.drop_index("ix_receipt_waiting", table_name="receipt")


def downgrade() -> None:
    op.create_index("ix_receipt_waiting", "receipt", ["id"], postgresql_where=_WAITING)
    op.drop_index("ix_receipt_message_id", table_name="receipt")
    op.drop_index("ix_receipt_try_at", table_name="receipt")
    for column in ("leased_until", "tries", "try_at", "message_id"):
        op.drop_column("receipt", column)
