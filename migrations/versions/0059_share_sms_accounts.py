"""create shared_sms_account: contracts of the operator's, of which companies hold an sms_account without settings"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_level_security import keep_to_platform

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

# a breaker's knowledge is of the service, so all companies that share the account have it (`app.accounts.shared.KNOWN`)
_KNOWN = (
    "failures",
    "trips",
    "tripped_at",
    "well_since",
    "resting_until",
    "resting_code",
    "doubted_at",
    "proved_at",
    "send_wish_until",
    "ask_after",
    "ask_wish_until",
    "ask_refused_at",
    "ask_refused_what",
    "ask_refused_code",
)
# of an allotment these are the operator's to write
_OPERATORS = (
    "tenant_id",
    "shared_account_id",
    "name",
    "provider",
    "rate_per_s",
    "price_yen",
    "settings",
    "credentials_sealed",
    "receipt_secret",
    "active",
    "test_mode",
)


def upgrade() -> None:
    op.create_table(
        "shared_sms_account",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("rate_per_s", sa.Integer(), nullable=False),
        sa.Column("settings", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("credentials_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("receipt_secret", sa.LargeBinary(), nullable=False),
        sa.Column("test_mode", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("rate_per_s BETWEEN 1 AND 1000", name=op.f("ck_shared_sms_account_rate_per_s")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shared_sms_account")),
    )
    keep_to_platform("shared_sms_account")
    op.add_column("sms_account", sa.Column("shared_account_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_sms_account_shared_account_id"), "sms_account", "shared_sms_account", ["shared_account_id"], ["id"]
    )
    op.create_unique_constraint(
        op.f("uq_sms_account_shared_account_id_tenant_id"), "sms_account", ["shared_account_id", "tenant_id"]
    )
    op.create_check_constraint(
        op.f("ck_sms_account_shared"),
        "sms_account",
        "shared_account_id IS NULL OR (settings = '{}' AND credentials_sealed IS NULL AND receipt_secret IS NULL"
        " AND rate_per_s IS NOT NULL)",
    )
    _guard()
    _spread()


def _guard() -> None:
    """Refuse what a company's own scope writes into an allotment, or makes one of."""
    same = " AND ".join(f"OLD.{name} IS NOT DISTINCT FROM NEW.{name}" for name in _OPERATORS)
    op.execute(f"""
        CREATE FUNCTION guard_allotment() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF current_setting('app.platform', true) IS NOT DISTINCT FROM 'on' THEN
                RETURN NEW;
            END IF;
            IF TG_OP = 'UPDATE' THEN
                IF {same} THEN
                    RETURN NEW;
                END IF;
            END IF;
            RAISE EXCEPTION 'an allotment of a shared account is the operator''s' USING ERRCODE = '42501';
        END $$
    """)
    op.execute("""
        CREATE TRIGGER sms_account_allotted BEFORE INSERT ON sms_account FOR EACH ROW
        WHEN (NEW.shared_account_id IS NOT NULL) EXECUTE FUNCTION guard_allotment()
    """)
    op.execute("""
        CREATE TRIGGER sms_account_allotment BEFORE UPDATE ON sms_account FOR EACH ROW
        WHEN (NEW.shared_account_id IS NOT NULL OR OLD.shared_account_id IS NOT NULL) EXECUTE FUNCTION guard_allotment()
    """)


def _spread() -> None:
    """Tell what one company learnt of a shared account to the others; whoever writes it holds the account's lock."""
    changed = " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in _KNOWN)
    op.execute(f"""
        CREATE FUNCTION share_breaker() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            scope text := coalesce(current_setting('app.platform', true), '');
        BEGIN
            -- for this statement alone; one that fails takes it back with all else
            PERFORM set_config('app.platform', 'on', true);
            UPDATE sms_account SET {", ".join(f"{name} = NEW.{name}" for name in _KNOWN)}
            WHERE id IN (
                SELECT id FROM sms_account WHERE shared_account_id = NEW.shared_account_id AND id <> NEW.id
                ORDER BY id FOR NO KEY UPDATE
            );
            PERFORM set_config('app.platform', scope, true);
            RETURN NULL;
        END $$
    """)
    op.execute(f"""
        CREATE TRIGGER sms_account_breaker AFTER UPDATE ON sms_account FOR EACH ROW
        WHEN (NEW.shared_account_id IS NOT NULL AND pg_trigger_depth() = 0 AND ({changed}))
        EXECUTE FUNCTION share_breaker()
    """)


def downgrade() -> None:
    for name in ("sms_account_breaker", "sms_account_allotment", "sms_account_allotted"):
        op.execute(f"DROP TRIGGER {name} ON sms_account")
    op.execute("DROP FUNCTION share_breaker()")
    op.execute("DROP FUNCTION guard_allotment()")
    op.drop_constraint(op.f("ck_sms_account_shared"), "sms_account", type_="check")
    op.drop_constraint(op.f("uq_sms_account_shared_account_id_tenant_id"), "sms_account", type_="unique")
    op.drop_constraint(op.f("fk_sms_account_shared_account_id"), "sms_account", type_="foreignkey")
    op.drop_column("sms_account", "shared_account_id")
    op.drop_table("shared_sms_account")
