"""contracts by which attempts went out, and what proves that a message never got in"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from alembic import op
from app.config import settings
from migrations.row_level_security import protect

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def _owned(table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=f"fk_{table}_tenant_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "sms_account_id"],
            ["sms_account.tenant_id", "sms_account.id"],
            name=f"fk_{table}_tenant_id_sms_account_id",
        ),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.UniqueConstraint("tenant_id", "id", name=f"uq_{table}_tenant_id_id"),
    ]


def upgrade() -> None:
    op.create_table(
        "sms_contract",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("sms_account_id", sa.BigInteger(), nullable=False),
        sa.Column("identity", sa.LargeBinary(), nullable=False),
        sa.Column("credentials_digest", sa.LargeBinary(), nullable=False),
        sa.Column("content", JSONB(), nullable=False),
        sa.Column("created_at", _TIME, server_default=sa.text("now()"), nullable=False),
        *_owned("sms_contract"),
        sa.UniqueConstraint(
            "sms_account_id",
            "identity",
            "credentials_digest",
            name="uq_sms_contract_sms_account_id_identity_credentials_digest",
        ),
    )
    protect("sms_contract")
    op.create_table(
        "witness_message",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("sms_account_id", sa.BigInteger(), nullable=False),
        sa.Column("sms_contract_id", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="sending", nullable=False),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("answered_at", _TIME, nullable=True),
        *_owned("witness_message"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "sms_contract_id"],
            ["sms_contract.tenant_id", "sms_contract.id"],
            name="fk_witness_message_tenant_id_sms_contract_id",
        ),
        sa.CheckConstraint("state IN ('sending', 'accepted', 'undelivered', 'unknown')", name="state"),
    )
    op.create_index(
        "ix_witness_message_sms_account_id_created_at", "witness_message", ["sms_account_id", "created_at"]
    )
    protect("witness_message")
    op.execute(f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{settings().database_app_role}"')
    op.add_column("sms_account", sa.Column("witness_phone_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("send_log", sa.Column("sms_contract_id", sa.BigInteger(), nullable=True))
    op.add_column("send_log", sa.Column("asked_at", _TIME, nullable=True))
    op.add_column("send_log", sa.Column("absent_at", _TIME, nullable=True))


def downgrade() -> None:
    for column in ("absent_at", "asked_at", "sms_contract_id"):
        op.drop_column("send_log", column)
    op.drop_column("sms_account", "witness_phone_sealed")
    op.drop_table("witness_message")
    op.drop_table("sms_contract")
