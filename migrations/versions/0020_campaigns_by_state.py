"""campaigns that wait, run, rest or were stopped, for the home page of who has many"""

import sqlalchemy as sa

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_campaign_tenant_id_state_id", "campaign", ["tenant_id", "state", "id"])
    op.create_index(
        "ix_campaign_stopped", "campaign", ["tenant_id", "id"], postgresql_where=sa.text("checks_stopped_at IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_index("ix_campaign_stopped", table_name="campaign")
    op.drop_index("ix_campaign_tenant_id_state_id", table_name="campaign")
