"""an SMS account's wait at its service's wish, whether that refuses questions, and SMS that left twice"""

import sqlalchemy as sa
from alembic import op

from app.config import settings
from migrations.row_level_security import protect

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    for name in ("send_wish_until", "ask_wish_until", "ask_refused_at"):
        op.add_column("sms_account", sa.Column(name, _TIME, nullable=True))
    for name in ("ask_refused_what", "ask_refused_code"):
        op.add_column("sms_account", sa.Column(name, sa.Text(), server_default="", nullable=False))
    op.create_table(
        "doubled_message",
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("recipient_id", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.Column("found_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("settled_at", _TIME, nullable=True),
        sa.Column("settled_by", sa.Text(), server_default="", nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id"],
            ["campaign.tenant_id", "campaign.id"],
            name="fk_doubled_message_tenant_id_campaign_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "recipient_id"],
            ["recipient.tenant_id", "recipient.id"],
            name="fk_doubled_message_tenant_id_recipient_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_doubled_message_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_doubled_message"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_doubled_message_tenant_id_id"),
        sa.UniqueConstraint("recipient_id", "attempt", name="uq_doubled_message_recipient_id_attempt"),
    )
    op.create_index(
        "ix_doubled_message_open",
        "doubled_message",
        ["tenant_id", "campaign_id"],
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    protect("doubled_message")
    op.execute(f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{settings().database_app_role}"')


def downgrade() -> None:
    op.drop_table("doubled_message")
    for name in ("ask_refused_code", "ask_refused_what", "ask_refused_at", "ask_wish_until", "send_wish_until"):
        op.drop_column("sms_account", name)
