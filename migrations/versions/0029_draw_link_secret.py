"""a secret for each recipient's link, and the references made with it"""

import sqlalchemy as sa

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # null for rows of before: their links and references stay as they were sent
    op.add_column("recipient", sa.Column("link_secret", sa.LargeBinary(), nullable=True))
    op.add_column("send_log", sa.Column("reference", sa.Text(), nullable=True))
    op.add_column("trial_message", sa.Column("reference", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("trial_message", "reference")
    op.drop_column("send_log", "reference")
    # links that were sent go on living; to send one again takes its secret
    op.drop_column("recipient", "link_secret")
