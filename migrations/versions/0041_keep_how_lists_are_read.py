"""where an upload's headline stands, and whether a question takes variants of letters for alike"""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import", sa.Column("header_row", sa.Integer(), server_default="0", nullable=False))
    op.add_column("question", sa.Column("variants_alike", sa.Boolean(), server_default="false", nullable=False))


def downgrade() -> None:
    op.drop_column("question", "variants_alike")
    op.drop_column("import", "header_row")
