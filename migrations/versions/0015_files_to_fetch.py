"""files that are made by a job, fetched later and forgotten; saved layouts, and files made each day"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from alembic import op
from app.config import settings
from migrations.row_level_security import protect

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def _owned(table, *elements):
    """Make a tenant's table."""
    op.create_table(
        table,
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        *elements,
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=f"fk_{table}_tenant_id"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.UniqueConstraint("tenant_id", "id", name=f"uq_{table}_tenant_id_id"),
    )
    protect(table)


def _refers(table, other, column):
    return sa.ForeignKeyConstraint(
        ["tenant_id", column],
        [f"{other}.tenant_id", f"{other}.id"],
        name=f"fk_{table}_tenant_id_{column}",
        ondelete="CASCADE",
    )


def _made(table):
    return (
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("created_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["app_user.id"], name=f"fk_{table}_created_by"),
    )


def upgrade() -> None:
    _owned(
        "export",
        sa.Column("campaign_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("selection", JSONB(), nullable=False),
        sa.Column("columns", ARRAY(sa.Text()), nullable=True),
        sa.Column("rows_total", sa.Integer(), nullable=True),
        sa.Column("rows_done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("byte_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("replaced", sa.Integer(), server_default="0", nullable=False),
        sa.Column("daily", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        *_made("export"),
        sa.Column("started_at", _TIME, nullable=True),
        sa.Column("beat_at", _TIME, nullable=True),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.Column("taken_at", _TIME, nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'expired')", name=op.f("ck_export_state")
        ),
        _refers("export", "campaign", "campaign_id"),
    )
    op.create_index(
        "ix_export_open", "export", ["state"], postgresql_where=sa.text("state IN ('queued', 'running', 'done')")
    )
    _owned(
        "export_piece",
        sa.Column("export_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("data_sealed", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("export_id", "position", name="uq_export_piece_export_id_position"),
        _refers("export_piece", "export", "export_id"),
    )
    _owned(
        "export_layout",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("columns", ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.UniqueConstraint("tenant_id", "name", name="uq_export_layout_tenant_id_name"),
    )
    _owned(
        "export_plan",
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("columns", ARRAY(sa.Text()), nullable=True),
        sa.Column("made_on", sa.Date(), nullable=True),
        *_made("export_plan"),
        sa.UniqueConstraint("campaign_id", name="uq_export_plan_campaign_id"),
        _refers("export_plan", "campaign", "campaign_id"),
    )
    op.execute(sa.text(f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{settings().database_app_role}"'))


def downgrade() -> None:
    for table in ("export_plan", "export_layout", "export_piece", "export"):
        op.drop_table(table)
