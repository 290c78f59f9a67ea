"""add import.findings: what a look through the whole upload found, told before anything is taken"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # a constant default: no row is written anew
    op.add_column("import", sa.Column("findings", postgresql.JSONB(), server_default="[]", nullable=False))


def downgrade() -> None:
    op.drop_column("import", "findings")
