"""rename campaign.rehearsal to preflight: the check before sending has one name"""

from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("campaign", "rehearsal", new_column_name="preflight")


def downgrade() -> None:
    op.alter_column("campaign", "preflight", new_column_name="rehearsal")
