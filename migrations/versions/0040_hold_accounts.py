"""accounts that could not be asked after a restore: their campaigns to come are held too"""

import sqlalchemy as sa

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_TABLES = ("sms_account", "payment_account")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("restore_hold", sa.Text(), server_default="", nullable=False))
        op.add_column(table, sa.Column("restore_since", _TIME, nullable=True))
        op.add_column(table, sa.Column("restore_until", _TIME, nullable=True))
    op.create_index(
        "ix_campaign_restore_hold", "campaign", ["tenant_id", "id"], postgresql_where=sa.text("restore_hold <> ''")
    )


def downgrade() -> None:
    op.drop_index("ix_campaign_restore_hold", table_name="campaign")
    for table in _TABLES:
        for column in ("restore_until", "restore_since", "restore_hold"):
            op.drop_column(table, column)
