"""a slice remembers how far its people were asked about; the scheduler's sign of life tells of outages"""

import sqlalchemy as sa

from alembic import op
from app.config import settings
from migrations.row_level_security import protect

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("slice", sa.Column("asked_to", sa.BigInteger(), nullable=True))
    op.add_column("slice", sa.Column("ask_before", _TIME, nullable=True))
    op.create_table(
        "pulse",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=True),
        sa.Column("beat_at", _TIME, nullable=False),
        sa.Column("server_started_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_pulse_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pulse")),
    )
    protect("pulse")
    op.execute(f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{settings().database_app_role}"')


def downgrade() -> None:
    op.drop_table("pulse")
    op.drop_column("slice", "ask_before")
    op.drop_column("slice", "asked_to")
