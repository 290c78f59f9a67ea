"""an account's breaker, shared by all workers"""

import sqlalchemy as sa

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("sms_account", sa.Column("failures", sa.Integer(), server_default="0", nullable=False))
    op.add_column("sms_account", sa.Column("trips", sa.Integer(), server_default="0", nullable=False))
    op.add_column("sms_account", sa.Column("resting_until", _TIME, nullable=True))
    op.add_column("sms_account", sa.Column("resting_code", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    for name in ("resting_code", "resting_until", "trips", "failures"):
        op.drop_column("sms_account", name)
