"""when it is sent, and sent again"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from alembic import op
from app.config import settings
from migrations.row_level_security import protect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("tenant", sa.Column("send_window", JSONB(), nullable=True))
    op.add_column("tenant", sa.Column("daily_cap", sa.Integer(), nullable=True))
    op.add_column("tenant", sa.Column("served_at", _TIME, nullable=True))
    op.create_check_constraint("daily_cap", "tenant", "daily_cap > 0")

    op.add_column("sms_account", sa.Column("rate_per_s", sa.Integer(), nullable=True))
    op.create_check_constraint("rate_per_s", "sms_account", "rate_per_s BETWEEN 1 AND 1000")

    op.add_column("campaign", sa.Column("send_window", JSONB(), nullable=True))
    op.add_column("campaign", sa.Column("profile", sa.Text(), server_default="normal", nullable=False))
    op.add_column("campaign", sa.Column("starts_at", _TIME, nullable=True))
    op.add_column("campaign", sa.Column("deadline_at", _TIME, nullable=True))
    op.add_column("campaign", sa.Column("retry_times", sa.Integer(), server_default="3", nullable=False))
    op.add_column("campaign", sa.Column("retry_after_minutes", sa.Integer(), server_default="60", nullable=False))
    op.create_check_constraint("profile", "campaign", "profile IN ('normal', 'collection')")
    op.create_check_constraint("retry_times", "campaign", "retry_times BETWEEN 0 AND 5")
    op.create_check_constraint("retry_after_minutes", "campaign", "retry_after_minutes BETWEEN 5 AND 1440")
    op.create_index(
        "ix_campaign_starts_at", "campaign", ["starts_at"], postgresql_where=sa.text("state = 'scheduled'")
    )

    op.create_table(
        "reminder",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("which", sa.Text(), nullable=False),
        sa.Column("sms_text", sa.Text(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        sa.Column("created_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.CheckConstraint("which IN ('unopened', 'unpaid')", name="which"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id"],
            ["campaign.tenant_id", "campaign.id"],
            name="fk_reminder_tenant_id_campaign_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["created_by"], ["app_user.id"], name="fk_reminder_created_by"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_reminder_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_reminder"),
        sa.UniqueConstraint("campaign_id", "number", name="uq_reminder_campaign_id_number"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_reminder_tenant_id_id"),
    )
    op.add_column("recipient", sa.Column("reminder_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        "fk_recipient_tenant_id_reminder_id",
        "recipient",
        "reminder",
        ["tenant_id", "reminder_id"],
        ["tenant_id", "id"],
    )

    op.create_table(
        "trial_message",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("sms_account_id", sa.BigInteger(), nullable=False),
        sa.Column("phone_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), server_default="sending", nullable=False),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        sa.Column("created_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("answered_at", _TIME, nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.CheckConstraint(
            "state IN ('sending', 'accepted', 'undelivered', 'unknown')", name="state"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id"],
            ["campaign.tenant_id", "campaign.id"],
            name="fk_trial_message_tenant_id_campaign_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "sms_account_id"],
            ["sms_account.tenant_id", "sms_account.id"],
            name="fk_trial_message_tenant_id_sms_account_id",
        ),
        sa.ForeignKeyConstraint(["created_by"], ["app_user.id"], name="fk_trial_message_created_by"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_trial_message_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_trial_message"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_trial_message_tenant_id_id"),
    )
    op.create_index("ix_trial_message_campaign_id_id", "trial_message", ["campaign_id", "id"])
    for table in ("reminder", "trial_message"):
        protect(table)
    # ids are drawn before the rows are written: what is sealed is sealed for its row
    op.execute(f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{settings().database_app_role}"')


def downgrade() -> None:
    op.drop_table("trial_message")
    op.drop_constraint("fk_recipient_tenant_id_reminder_id", "recipient", type_="foreignkey")
    op.drop_column("recipient", "reminder_id")
    op.drop_table("reminder")
    op.drop_index("ix_campaign_starts_at", table_name="campaign")
    for column in ("send_window", "profile", "starts_at", "deadline_at", "retry_times", "retry_after_minutes"):
        op.drop_column("campaign", column)
    op.drop_column("sms_account", "rate_per_s")
    for column in ("send_window", "daily_cap", "served_at"):
        op.drop_column("tenant", column)
