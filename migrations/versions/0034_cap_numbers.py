"""count people of a number within a campaign, hold those beyond the limits"""

import sqlalchemy as sa

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("recipient", sa.Column("capped_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_recipient_capped", "recipient", ["tenant_id", "id"], postgresql_where=sa.text("capped_at IS NOT NULL")
    )
    op.create_index(
        "ix_recipient_tenant_id_phone_index_campaign_id", "recipient", ["tenant_id", "phone_index", "campaign_id"]
    )
    op.drop_index("ix_recipient_tenant_id_phone_index", table_name="recipient")


def downgrade() -> None:
    op.create_index("ix_recipient_tenant_id_phone_index", "recipient", ["tenant_id", "phone_index"])
    op.drop_index("ix_recipient_tenant_id_phone_index_campaign_id", table_name="recipient")
    op.drop_index("ix_recipient_capped", table_name="recipient")
    op.drop_column("recipient", "capped_at")
