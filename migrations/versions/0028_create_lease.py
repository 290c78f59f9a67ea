"""create lease; end sessions that fell silent in mid-transaction"""

import sqlalchemy as sa

from alembic import op
from migrations.row_level_security import protect

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

# For sessions that tell no limits of their own. The product's transactions tell shorter ones
# (app/tenancy/time_limits.py). TCP asks whether the machine at the other end still lives.
_DEFAULTS = {
    "idle_in_transaction_session_timeout": "'60s'",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "'30s'",
}


def upgrade() -> None:
    op.create_table(
        "lease",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_lease_tenant_id_tenant")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lease")),
        sa.UniqueConstraint("name", name=op.f("uq_lease_name")),
    )
    protect("lease")
    for name, value in _DEFAULTS.items():
        _of_database(f"SET {name} = {value}")


def downgrade() -> None:
    for name in _DEFAULTS:
        _of_database(f"RESET {name}")
    op.drop_table("lease")


def _of_database(change: str) -> None:
    """Change a default of this database; an owner of the tables who doesn't own the database leaves it as it is."""
    quoted = change.replace("'", "''")
    op.execute(f"""
        DO $$ BEGIN
            EXECUTE format('ALTER DATABASE %I {quoted}', current_database());
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE WARNING 'not the owner of the database: {quoted} is left to whoever is';
        END $$
    """)
