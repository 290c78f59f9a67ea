"""payments whose page never came, for the home page of a company with many payments a day"""

import sqlalchemy as sa

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_payment_without_page",
        "payment",
        ["tenant_id", "created_at"],
        postgresql_where=sa.text("provider_id IS NULL AND payment_account_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_payment_without_page", table_name="payment")
