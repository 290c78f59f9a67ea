"""create the tables of the API's door: keys, addresses, answers, limits, refusals, test numbers"""

import sqlalchemy as sa

from alembic import op
from app.config import settings
from migrations.row_level_security import protect
from sqlalchemy.dialects import postgresql

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None


def _created_at():
    return sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)


def _create(table: str, *parts, by_user: bool = False) -> None:
    users = [sa.ForeignKeyConstraint(["created_by"], ["app_user.id"], name=op.f(f"fk_{table}_created_by"))]
    op.create_table(
        table,
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        *parts,
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f(f"fk_{table}_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f(f"uq_{table}_tenant_id_id")),
        *(users if by_user else ()),
    )
    protect(table)


def upgrade() -> None:
    _create(
        "api_key",
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        _created_at(),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_api_key_mode")),
        sa.CheckConstraint(
            "scopes <@ ARRAY['send', 'read', 'read-personal', 'pay', 'manage']", name=op.f("ck_api_key_scopes")
        ),
        sa.CheckConstraint("octet_length(digest) = 32", name=op.f("ck_api_key_digest")),
        sa.UniqueConstraint("public_id", name=op.f("uq_api_key_public_id")),
        by_user=True,
    )
    _create(
        "api_address",
        sa.Column("network", postgresql.CIDR(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        _created_at(),
        sa.UniqueConstraint("tenant_id", "network", name=op.f("uq_api_address_tenant_id_network")),
        by_user=True,
    )
    _create(
        "api_answer",
        sa.Column("key_digest", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("api_key_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _created_at(),
        sa.UniqueConstraint("tenant_id", "key_digest", name=op.f("uq_api_answer_tenant_id_key_digest")),
    )
    op.create_index("ix_api_answer_created_at", "api_answer", ["created_at"])
    op.create_table(
        "api_rate",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("units_left", sa.Float(), nullable=False),
        sa.Column("refused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "subject", name=op.f("pk_api_rate")),
        prefixes=["UNLOGGED"],
    )
    protect("api_rate")
    _create(
        "api_refusal",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("reason IN ('key', 'address', 'company')", name=op.f("ck_api_refusal_reason")),
        sa.UniqueConstraint("tenant_id", "hour", "address", name=op.f("uq_api_refusal_tenant_id_hour_address")),
    )
    op.create_index("ix_api_refusal_hour", "api_refusal", ["hour"])
    _create(
        "test_number",
        sa.Column("phone_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("phone_index", sa.LargeBinary(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("code_digest", sa.LargeBinary(), nullable=True),
        sa.Column("code_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        _created_at(),
        sa.CheckConstraint("octet_length(phone_index) = 16", name=op.f("ck_test_number_phone_index")),
        sa.UniqueConstraint("tenant_id", "phone_index", name=op.f("uq_test_number_tenant_id_phone_index")),
        by_user=True,
    )
    # a number is sealed for its row, which is drawn first
    op.execute(f'GRANT USAGE ON SEQUENCE test_number_id_seq TO "{settings().database_app_role}"')


def downgrade() -> None:
    for table in ("test_number", "api_refusal", "api_rate", "api_answer", "api_address", "api_key"):
        op.drop_table(table)
