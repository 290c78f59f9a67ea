"""an attempt and an event check and keep no key that nothing needs: half of the database's time in sending went there"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_GONE = {
    "fk_event_tenant_id": ("event", "tenant", ["tenant_id"], ["id"], None),
    "fk_send_log_tenant_id": ("send_log", "tenant", ["tenant_id"], ["id"], None),
    "fk_send_log_tenant_id_campaign_id": (
        "send_log", "campaign", ["tenant_id", "campaign_id"], ["tenant_id", "id"], "CASCADE",
    ),
    "fk_send_log_tenant_id_sms_account_id": (
        "send_log", "sms_account", ["tenant_id", "sms_account_id"], ["tenant_id", "id"], None,
    ),
}

_UNREFERRED = ("event", "send_log")


def upgrade() -> None:
    for name, (table, *_) in _GONE.items():
        op.drop_constraint(name, table, type_="foreignkey")
    for table in _UNREFERRED:
        op.drop_constraint(f"uq_{table}_tenant_id_id", table, type_="unique")


def downgrade() -> None:
    for table in _UNREFERRED:
        op.create_unique_constraint(f"uq_{table}_tenant_id_id", table, ["tenant_id", "id"])
    for name, (table, other, columns, keys, ondelete) in _GONE.items():
        op.create_foreign_key(name, table, other, columns, keys, ondelete=ondelete)
