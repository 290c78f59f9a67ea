"""the sheet of a workbook that is read, and the rows it hides, told before anything is taken"""

import sqlalchemy as sa

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import", sa.Column("sheet", sa.Text(), server_default="", nullable=False))
    op.add_column("import", sa.Column("hidden_rows", sa.Integer(), server_default="0", nullable=True))
    op.add_column("import", sa.Column("take_hidden", sa.Boolean(), server_default="false", nullable=False))


def downgrade() -> None:
    for column in ("take_hidden", "hidden_rows", "sheet"):
        op.drop_column("import", column)
