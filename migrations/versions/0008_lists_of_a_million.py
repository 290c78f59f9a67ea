"""keys by which lists of the back office are found: the last four digits, and the states that sending doesn't touch"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from alembic import op
from app.config import settings
from app.vault import Place, Vault

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ROWS = 5_000


def upgrade() -> None:
    op.add_column("recipient", sa.Column("phone_last4_index", sa.LargeBinary(), nullable=True))
    _index_last_four()
    op.alter_column("recipient", "phone_last4_index", nullable=False)
    op.create_index("ix_recipient_tenant_id_phone_last4_index_id", "recipient", ["tenant_id", "phone_last4_index", "id"])
    op.create_index("ix_recipient_tenant_id_reference_id", "recipient", ["tenant_id", "reference", "id"])
    op.drop_index("ix_recipient_tenant_id_reference", table_name="recipient")
    op.create_index(
        "ix_recipient_tenant_id_page_state_id",
        "recipient",
        ["tenant_id", "page_state", "id"],
        postgresql_where=sa.text("page_state <> 'unopened'"),
    )
    op.create_index(
        "ix_recipient_tenant_id_payment_state_id",
        "recipient",
        ["tenant_id", "payment_state", "id"],
        postgresql_where=sa.text("payment_state NOT IN ('none', 'unpaid')"),
    )
    op.create_index(
        "ix_recipient_undelivered",
        "recipient",
        ["tenant_id", "id"],
        postgresql_where=sa.text("undelivered_at IS NOT NULL"),
    )
    op.create_index("ix_send_log_tenant_id_started_at_id", "send_log", ["tenant_id", "started_at", "id"])
    op.create_index("ix_payment_tenant_id_created_at_id", "payment", ["tenant_id", "created_at", "id"])
    op.create_index("ix_payment_tenant_id_state_id", "payment", ["tenant_id", "state", "id"])
    op.create_index(
        "ix_payment_problem", "payment", ["tenant_id", "id"], postgresql_where=sa.text("problem <> ''")
    )
    op.create_index("ix_audit_entry_tenant_id_at_id", "audit_entry", ["tenant_id", "at", "id"])
    op.create_index("ix_audit_entry_tenant_id_act_id", "audit_entry", ["tenant_id", "act", "id"])
    op.create_index("ix_campaign_tenant_id_created_at_id", "campaign", ["tenant_id", "created_at", "id"])
    op.drop_index("ix_campaign_tenant_id_created_at", table_name="campaign")
    op.add_column(
        "app_user", sa.Column("list_columns", JSONB(), server_default="{}", nullable=False)
    )


def _index_last_four() -> None:
    """Compute the new column of the rows that stand there: only the vault can."""
    vault = Vault()
    vault.load(settings().field_keys, settings().digest_key, settings().link_token_chars)
    connection = op.get_bind()
    connection.execute(sa.text("SELECT set_config('app.platform', 'on', true)"))
    after = 0
    while rows := connection.execute(
        sa.text("SELECT id, tenant_id, phone_sealed FROM recipient WHERE id > :after ORDER BY id LIMIT :rows"),
        {"after": after, "rows": _ROWS},
    ).all():
        connection.execute(
            sa.text(
                "UPDATE recipient r SET phone_last4_index = u.digest"
                " FROM unnest(CAST(:ids AS bigint[]), CAST(:digests AS bytea[])) u(id, digest) WHERE r.id = u.id"
            ),
            {
                "ids": [row.id for row in rows],
                "digests": [
                    vault.last4_index(
                        row.tenant_id,
                        vault.open_text(row.phone_sealed, Place(row.tenant_id, "recipient", "phone_sealed", row.id)),
                    )
                    for row in rows
                ],
            },
        )
        after = rows[-1].id


def downgrade() -> None:
    op.drop_column("app_user", "list_columns")
    op.create_index("ix_campaign_tenant_id_created_at", "campaign", ["tenant_id", "created_at"])
    op.drop_index("ix_campaign_tenant_id_created_at_id", table_name="campaign")
    op.drop_index("ix_audit_entry_tenant_id_act_id", table_name="audit_entry")
    op.drop_index("ix_audit_entry_tenant_id_at_id", table_name="audit_entry")
    op.drop_index("ix_payment_problem", table_name="payment")
    op.drop_index("ix_payment_tenant_id_state_id", table_name="payment")
    op.drop_index("ix_payment_tenant_id_created_at_id", table_name="payment")
    op.drop_index("ix_send_log_tenant_id_started_at_id", table_name="send_log")
    op.drop_index("ix_recipient_undelivered", table_name="recipient")
    op.drop_index("ix_recipient_tenant_id_payment_state_id", table_name="recipient")
    op.drop_index("ix_recipient_tenant_id_page_state_id", table_name="recipient")
    op.create_index("ix_recipient_tenant_id_reference", "recipient", ["tenant_id", "reference"])
    op.drop_index("ix_recipient_tenant_id_reference_id", table_name="recipient")
    op.drop_index("ix_recipient_tenant_id_phone_last4_index_id", table_name="recipient")
    op.drop_column("recipient", "phone_last4_index")
