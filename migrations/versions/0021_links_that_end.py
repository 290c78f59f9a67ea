"""slices say when the next link of their people ends"""

import sqlalchemy as sa

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("slice", sa.Column("links_end_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("SELECT set_config('app.platform', 'on', true)")
    # links that ended before this column existed are put right by the first sweeps
    op.execute("UPDATE slice SET links_end_at = now()")
    op.create_index(
        "ix_slice_links_end_at",
        "slice",
        ["links_end_at"],
        postgresql_where=sa.text("links_end_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_slice_links_end_at", table_name="slice")
    op.drop_column("slice", "links_end_at")
