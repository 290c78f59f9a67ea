"""people whose SMS is or was unknown are found by an index"""

import sqlalchemy as sa

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("recipient", sa.Column("unknown_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("SELECT set_config('app.platform', 'on', true)")
    op.execute("UPDATE recipient SET unknown_at = coalesce(accepted_at, sent_at, now()) WHERE sms_state = 'unknown'")
    op.create_index(
        "ix_recipient_unknown",
        "recipient",
        ["tenant_id", "id"],
        postgresql_where=sa.text("unknown_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_recipient_unknown", "recipient")
    op.drop_column("recipient", "unknown_at")
