"""let a company's next SMS account take over, and tell contracts that are for tries"""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("sms_account", sa.Column("test_mode", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("sms_account", sa.Column("takeover_order", sa.Integer(), nullable=True))
    op.create_check_constraint(op.f("ck_sms_account_takeover_order"), "sms_account", "takeover_order BETWEEN 1 AND 99")
    for name in ("tripped_at", "well_since", "probed_at"):
        op.add_column("sms_account", sa.Column(name, _TIME, nullable=True))
    # one that rests while this runs has rested since now
    op.execute("UPDATE sms_account SET tripped_at = now() WHERE trips > 0")
    op.add_column("campaign", sa.Column("may_switch", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("campaign", sa.Column("standby_account_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_campaign_tenant_id_standby_account_id"),
        "campaign",
        "sms_account",
        ["tenant_id", "standby_account_id"],
        ["tenant_id", "id"],
    )


def downgrade() -> None:
    for name in ("standby_account_id", "may_switch"):
        op.drop_column("campaign", name)
    for name in ("probed_at", "well_since", "tripped_at", "takeover_order", "test_mode"):
        op.drop_column("sms_account", name)
