"""accounts say before when nothing is asked about their messages: a provider's own wish holds for all workers"""

import sqlalchemy as sa

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sms_account", sa.Column("ask_after", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("sms_account", "ask_after")
