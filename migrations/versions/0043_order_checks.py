"""which campaigns are to be checked by themselves, as a list of theirs was taken"""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("campaign", sa.Column("check_due_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_campaign_check_due_at",
        "campaign",
        ["check_due_at"],
        postgresql_where=sa.text("check_due_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_campaign_check_due_at", "campaign")
    op.drop_column("campaign", "check_due_at")
