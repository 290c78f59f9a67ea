"""slices whose people were accepted and never told of again"""

import sqlalchemy as sa

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("slice", sa.Column("receipts_due_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("SELECT set_config('app.platform', 'on', true)")
    # messages sent before this column existed are looked after too
    op.execute("UPDATE slice SET receipts_due_at = now() + interval '72 hours' WHERE fence > 0")
    op.create_index(
        "ix_slice_receipts_due_at",
        "slice",
        ["receipts_due_at"],
        postgresql_where=sa.text("receipts_due_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_slice_receipts_due_at", table_name="slice")
    op.drop_column("slice", "receipts_due_at")
