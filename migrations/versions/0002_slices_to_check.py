"""slices to check"""

import sqlalchemy as sa

from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('slice', sa.Column('check_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        'ix_slice_check_at', 'slice', ['check_at'], unique=False, postgresql_where=sa.text('check_at IS NOT NULL')
    )


def downgrade() -> None:
    op.drop_index('ix_slice_check_at', table_name='slice', postgresql_where=sa.text('check_at IS NOT NULL'))
    op.drop_column('slice', 'check_at')
