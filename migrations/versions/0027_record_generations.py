"""record which link a message carried, and which one its person used"""

import sqlalchemy as sa

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # until now there was one generation of each link
    op.add_column("send_log", sa.Column("generation", sa.Integer(), server_default="1", nullable=False))
    op.add_column("recipient", sa.Column("opened_generation", sa.Integer(), nullable=True))
    op.execute("UPDATE recipient SET opened_generation = link_generation WHERE opened_at IS NOT NULL")


def downgrade() -> None:
    op.drop_column("recipient", "opened_generation")
    op.drop_column("send_log", "generation")
