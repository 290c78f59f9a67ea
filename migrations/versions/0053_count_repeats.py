"""add send_log.repeats: how often an attempt was sent again under its reference, where its service takes that but once"""

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # a constant default: no row is written anew
    op.add_column("send_log", sa.Column("repeats", sa.Integer(), server_default="0", nullable=False))
    op.add_column("send_log", sa.Column("repeated_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("send_log", "repeated_at")
    op.drop_column("send_log", "repeats")
