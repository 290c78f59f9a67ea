"""planned retries of one campaign, for the screen that says when the next one leaves"""

import sqlalchemy as sa

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_recipient_campaign_id_retry_at",
        "recipient",
        ["campaign_id", "retry_at"],
        postgresql_where=sa.text("retry_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_recipient_campaign_id_retry_at", table_name="recipient")
