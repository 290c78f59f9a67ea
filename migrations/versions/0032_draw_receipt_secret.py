"""a secret for the address to which an account's receipts are pushed"""

import sqlalchemy as sa

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # null for accounts of before: their addresses are registered at the services
    op.add_column("sms_account", sa.Column("receipt_secret", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("sms_account", "receipt_secret")
