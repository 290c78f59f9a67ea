"""the price of an SMS, for estimates; what was noticed about a taken list"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sms_account", sa.Column("price_yen", sa.Numeric(6, 2), nullable=True))
    op.create_check_constraint("price_yen", "sms_account", "price_yen BETWEEN 0 AND 1000")
    op.add_column("import", sa.Column("notices", JSONB(), server_default="[]", nullable=False))


def downgrade() -> None:
    op.drop_column("import", "notices")
    op.drop_column("sms_account", "price_yen")
