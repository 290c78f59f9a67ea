"""create webhook_endpoint and webhook_delivery: companies' own servers, and what was delivered to them"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_level_security import protect

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event_types", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("in_order", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("former_secret_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("former_until", _TIME, nullable=True),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("rests_because", sa.Text(), server_default="", nullable=False),
        sa.Column("rests_since", _TIME, nullable=True),
        sa.Column("failing_since", _TIME, nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("wait_until", _TIME, nullable=True),
        sa.Column("delivered_at", _TIME, nullable=True),
        sa.Column("forgot_on", sa.Date(), server_default=sa.text("CURRENT_DATE"), nullable=False),
        sa.Column("created_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "rests_because IN ('', 'asked', 'failing', 'gone')", name=op.f("ck_webhook_endpoint_rests_because")
        ),
        sa.CheckConstraint("octet_length(url) <= 2000", name=op.f("ck_webhook_endpoint_url")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_webhook_endpoint_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoint")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_webhook_endpoint_tenant_id_id")),
    )
    protect("webhook_endpoint", rights="SELECT, INSERT, UPDATE")
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("endpoint_id", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("event_epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("event_at", _TIME, nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=True),
        sa.Column("recipient_id", sa.BigInteger(), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("due_at", _TIME, nullable=True),
        sa.Column("delivered", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tried_at", _TIME, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("fault", sa.Text(), server_default="", nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=True),
        sa.Column("replays", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_delivery")),
    )
    op.create_index("ix_webhook_delivery_endpoint_id_id", "webhook_delivery", ["endpoint_id", "id"])
    waits = sa.text("due_at IS NOT NULL")
    op.create_index(
        "ix_webhook_delivery_due", "webhook_delivery", ["endpoint_id", "due_at", "id"], postgresql_where=waits
    )
    op.create_index(
        "ix_webhook_delivery_ping",
        "webhook_delivery",
        ["endpoint_id", "id"],
        postgresql_where=sa.text("due_at IS NOT NULL AND event_id IS NULL"),
    )
    op.create_index(
        "ix_webhook_delivery_recipient",
        "webhook_delivery",
        ["endpoint_id", "recipient_id", "id"],
        postgresql_where=waits,
    )
    op.create_index(
        "ix_webhook_delivery_failed",
        "webhook_delivery",
        ["tenant_id", "endpoint_id", "id"],
        postgresql_where=sa.text("due_at IS NULL AND NOT delivered"),
    )
    protect("webhook_delivery")


def downgrade() -> None:
    op.drop_table("webhook_delivery")
    op.drop_table("webhook_endpoint")
