"""of which time the database was restored: accounts that are registered later are asked about it too"""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("restored_since", "restored_until"):
        op.add_column("installation", sa.Column(column, sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for column in ("restored_until", "restored_since"):
        op.drop_column("installation", column)
