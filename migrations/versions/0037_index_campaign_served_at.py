"""a company's campaigns that sent today, for the limits of one number"""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_campaign_tenant_id_served_at", "campaign", ["tenant_id", "served_at"])


def downgrade() -> None:
    op.drop_index("ix_campaign_tenant_id_served_at", table_name="campaign")
