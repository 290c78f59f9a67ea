"""a second person approves what many people get"""

import sqlalchemy as sa

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_WHO = ("asked_by", "approved_by", "returned_by")


def upgrade() -> None:
    op.add_column("tenant", sa.Column("approval_above", sa.Integer(), nullable=True))
    op.create_check_constraint("approval_above", "tenant", "approval_above >= 0")
    for name in _WHO:
        op.add_column("campaign", sa.Column(name, sa.BigInteger(), nullable=True))
        op.create_foreign_key(f"fk_campaign_{name}", "campaign", "app_user", [name], ["id"])
    op.add_column("campaign", sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("campaign", sa.Column("asked_digest", sa.Text(), server_default="", nullable=False))
    op.add_column("campaign", sa.Column("returned_reason", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    for name in ("returned_reason", "asked_digest", "asked_at", *_WHO):
        op.drop_column("campaign", name)
    op.drop_column("tenant", "approval_above")
