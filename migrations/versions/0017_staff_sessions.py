"""sessions that can be ended, a second factor"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from alembic import op
from app.config import settings
from migrations.row_level_security import protect

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "staff_session",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("key_digest", sa.LargeBinary(), nullable=False),
        sa.Column("agent", sa.Text(), server_default="", nullable=False),
        sa.Column("address", sa.Text(), server_default="", nullable=False),
        sa.Column("began_at", _TIME, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.Column("passed_at", _TIME, nullable=True),
        sa.Column("confirmed_at", _TIME, nullable=True),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_staff_session_tenant_id"),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name="fk_staff_session_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_staff_session"),
        sa.UniqueConstraint("key_digest", name="uq_staff_session_key_digest"),
    )
    op.create_index("ix_staff_session_user_id_id", "staff_session", ["user_id", "id"])
    op.create_index(
        "ix_staff_session_tenant_id_seen_at",
        "staff_session",
        ["tenant_id", "seen_at"],
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    protect("staff_session")
    op.execute(f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{settings().database_app_role}"')
    # everybody signs in once more: a session's row takes the epoch's place
    op.drop_column("app_user", "session_epoch")
    op.add_column("app_user", sa.Column("totp_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("app_user", sa.Column("totp_since", _TIME, nullable=True))
    op.add_column("app_user", sa.Column("totp_step", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column(
        "app_user", sa.Column("recovery_digests", ARRAY(sa.LargeBinary()), server_default="{}", nullable=False)
    )
    op.add_column(
        "tenant", sa.Column("second_factor_required", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("tenant", "second_factor_required")
    for name in ("totp_sealed", "totp_since", "totp_step", "recovery_digests"):
        op.drop_column("app_user", name)
    op.add_column("app_user", sa.Column("session_epoch", sa.Integer(), server_default="0", nullable=False))
    op.drop_table("staff_session")
