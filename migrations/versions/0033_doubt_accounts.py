"""doubt an account before it rests"""

import sqlalchemy as sa

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("sms_account", sa.Column("doubted_at", _TIME, nullable=True))
    op.add_column("sms_account", sa.Column("proved_at", _TIME, nullable=True))


def downgrade() -> None:
    op.drop_column("sms_account", "proved_at")
    op.drop_column("sms_account", "doubted_at")
