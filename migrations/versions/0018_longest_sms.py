"""the person whose SMS of a list is the longest"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import", sa.Column("longest", JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("import", "longest")
