"""the installation, its beat, messages that a restored database doesn't know"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from alembic import op
from app.config import settings
from migrations.row_level_security import open_to_all, protect

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("only_one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), server_default="1", nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("timeline", sa.BigInteger(), nullable=False),
        sa.Column("held_why", sa.Text(), server_default="", nullable=False),
        sa.Column("held_at", _TIME, nullable=True),
        sa.Column("held_since", _TIME, nullable=True),
        sa.Column("held_facts", JSONB(), server_default="{}", nullable=False),
        sa.Column("asking_until", _TIME, nullable=True),
        sa.Column("created_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("only_one", name="only_one"),
        sa.PrimaryKeyConstraint("only_one", name="pk_installation"),
    )
    open_to_all("installation")
    op.create_table(
        "beat",
        sa.Column("slot", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("slot", name="pk_beat"),
        # every claim raises a row: the old ones are cleared away in place
        postgresql_with={"fillfactor": "20"},
    )
    open_to_all("beat")
    op.create_table(
        "missed_message",
        sa.Column("sms_account_id", sa.BigInteger(), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("phone_index", sa.LargeBinary(), nullable=False),
        sa.Column("left_at", _TIME, nullable=False),
        sa.Column("found_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("released_at", _TIME, nullable=True),
        sa.Column("released_by", sa.Text(), server_default="", nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "sms_account_id"],
            ["sms_account.tenant_id", "sms_account.id"],
            name="fk_missed_message_tenant_id_sms_account_id",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_missed_message_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_missed_message"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_missed_message_tenant_id_id"),
    )
    op.create_index(
        "uq_missed_message_provider_id", "missed_message", ["sms_account_id", "provider_id"], unique=True
    )
    op.create_index(
        "ix_missed_message_open",
        "missed_message",
        ["tenant_id", "phone_index"],
        postgresql_where=sa.text("released_at IS NULL"),
    )
    protect("missed_message")
    op.add_column("campaign", sa.Column("restore_hold", sa.Text(), server_default="", nullable=False))
    op.execute(f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{settings().database_app_role}"')


def downgrade() -> None:
    op.drop_column("campaign", "restore_hold")
    op.drop_table("missed_message")
    op.drop_table("beat")
    op.drop_table("installation")
