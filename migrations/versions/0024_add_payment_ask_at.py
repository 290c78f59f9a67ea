"""each payment has a time of its own to be asked about; what a provider told of its money besides its state"""

import sqlalchemy as sa

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_ASKABLE = sa.text("ask_at IS NOT NULL AND payment_account_id IS NOT NULL")
_PAYMENT = (
    sa.Column("asking_until", _TIME),
    sa.Column("told_at", _TIME),
    sa.Column("unanswered", sa.Integer, server_default="0", nullable=False),
    sa.Column("unanswered_since", _TIME),
    sa.Column("provider_payment_id", sa.Text),
    sa.Column("refunded_yen", sa.BigInteger, server_default="0", nullable=False),
    sa.Column("dispute", sa.Text, server_default="", nullable=False),
)
_ACCOUNT = (
    sa.Column("ask_after", _TIME),
    sa.Column("rests_until", _TIME),
    sa.Column("unanswered", sa.Integer, server_default="0", nullable=False),
)


def upgrade() -> None:
    op.execute("SELECT set_config('app.platform', 'on', true)")
    # first without its default, so that what is over is asked about no more
    op.add_column("payment", sa.Column("ask_at", _TIME))
    op.alter_column("payment", "ask_at", server_default=sa.text("now() + interval '5 minutes'"))
    for column in _PAYMENT:
        op.add_column("payment", column)
    for column in _ACCOUNT:
        op.add_column("payment_account", column)
    op.execute("""
        UPDATE payment SET ask_at = now()
        WHERE state IN ('started', 'pending') OR (state = 'paid' AND refund_asked_at IS NOT NULL)
    """)
    op.execute("UPDATE payment SET refunded_yen = amount_yen WHERE state = 'refunded'")
    op.execute("""
        UPDATE payment p SET ask_at = now(), told_at = now() FROM payment_notice n
        WHERE n.applied_at IS NULL AND p.payment_account_id = n.payment_account_id AND p.provider_id = n.provider_id
    """)
    op.execute("""
        UPDATE payment_notice n SET applied_at = now(), outcome = 'none of our payments'
        WHERE applied_at IS NULL AND NOT EXISTS (
            SELECT FROM payment p WHERE p.payment_account_id = n.payment_account_id AND p.provider_id = n.provider_id
        )
    """)
    op.create_index(
        "ix_payment_ask_at",
        "payment",
        ["tenant_id", sa.text("(told_at IS NULL OR unanswered > 0)"), "unanswered", "ask_at"],
        postgresql_where=_ASKABLE,
    )
    op.create_index("ix_payment_unanswered", "payment", ["tenant_id"], postgresql_where=sa.text("unanswered > 0"))
    op.create_index(
        "ix_payment_provider_payment_id",
        "payment",
        ["payment_account_id", "provider_payment_id"],
        postgresql_where=sa.text("provider_payment_id IS NOT NULL"),
    )
    op.drop_index("ix_payment_notice_waiting", table_name="payment_notice")
    op.create_index(
        "ix_payment_notice_waiting",
        "payment_notice",
        ["payment_account_id", "provider_id"],
        postgresql_where=sa.text("applied_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_payment_notice_waiting", table_name="payment_notice")
    op.create_index(
        "ix_payment_notice_waiting", "payment_notice", ["id"], postgresql_where=sa.text("applied_at IS NULL")
    )
    for name in ("ix_payment_provider_payment_id", "ix_payment_unanswered", "ix_payment_ask_at"):
        op.drop_index(name, table_name="payment")
    for column in _ACCOUNT:
        op.drop_column("payment_account", column.name)
    for name in ("ask_at", *(column.name for column in _PAYMENT)):
        op.drop_column("payment", name)
