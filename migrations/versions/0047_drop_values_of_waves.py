"""drop wave.given: the condition a wave follows is made of what it is and of its campaign"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("wave", "given")


def downgrade() -> None:
    op.add_column("wave", sa.Column("given", postgresql.JSONB(), server_default="{}", nullable=False))
