"""create sender_number from sms_account.sender: a number for each carrier, and where it stands there"""

import re
import unicodedata

import sqlalchemy as sa
from alembic import op

from migrations.row_level_security import protect

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

_MOVES = "applied>approved applied>rejected applied>retired approved>rejected approved>retired rejected>applied rejected>retired"
# those who show a telephone number
_BY_TELEPHONE = ("docomo", "au", "rakuten")
_NOTE = "アカウントの「送信元の表示」から引き継ぎました。"


def upgrade() -> None:
    op.create_table(
        "sender_number",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("sms_account_id", sa.BigInteger(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="applied", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rejected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint(
            "state IN ('applied', 'approved', 'rejected', 'retired')", name=op.f("ck_sender_number_state")
        ),
        sa.CheckConstraint(
            "carrier IN ('all', 'docomo', 'au', 'softbank', 'rakuten')", name=op.f("ck_sender_number_carrier")
        ),
        sa.CheckConstraint("number ~ '^[0-9]{5,11}$'", name=op.f("ck_sender_number_number")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_sender_number_tenant_id")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "sms_account_id"],
            ["sms_account.tenant_id", "sms_account.id"],
            name=op.f("fk_sender_number_tenant_id_sms_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sender_number")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_sender_number_tenant_id_id")),
    )
    op.create_index(
        "ix_sender_number_sms_account_id_carrier_number",
        "sender_number",
        ["sms_account_id", "carrier", "number"],
        unique=True,
        postgresql_where=sa.text("state <> 'retired'"),
    )
    op.create_index(
        "ix_sender_number_number", "sender_number", ["number"], postgresql_where=sa.text("state = 'approved'")
    )
    named = ", ".join(f"'{move}'" for move in _MOVES.split())
    op.execute(f"""
        CREATE TRIGGER sender_number_moves BEFORE UPDATE OF state ON sender_number FOR EACH ROW
        WHEN (OLD.state <> NEW.state AND OLD.state || '>' || NEW.state NOT IN ({named})) EXECUTE FUNCTION refuse_move()
    """)
    protect("sender_number")
    _take_over()
    op.drop_column("sms_account", "sender")


def _take_over() -> None:
    """Record what stands in the accounts as approved: anyone who asks is told yes of it today."""
    connection = op.get_bind()
    # the tables' owner sees rows only with a scope
    connection.execute(sa.text("SELECT set_config('app.platform', 'on', true)"))
    accounts = connection.execute(sa.text("SELECT id, tenant_id, sender FROM sms_account WHERE sender <> ''")).all()
    for account_id, tenant_id, sender in accounts:
        for carrier, number in sorted(_numbers(sender)):
            connection.execute(
                sa.text("""
                    INSERT INTO sender_number (tenant_id, sms_account_id, carrier, number, state, note, approved_at)
                    VALUES (:tenant_id, :account_id, :carrier, :number, 'approved', :note, now())
                """),
                {
                    "tenant_id": tenant_id,
                    "account_id": account_id,
                    "carrier": carrier,
                    "number": number,
                    "note": _NOTE,
                },
            )


def _numbers(written: str) -> set[tuple[str, str]]:
    found = set()
    for part in re.split(r"[,;/|・、\n]", unicodedata.normalize("NFKC", written)):
        digits = re.sub(r"[^0-9+]", "", part)
        digits = "0" + digits.removeprefix("+81") if digits.startswith("+81") else digits
        if re.fullmatch(r"0005[0-9]{4,6}", digits):
            found.add(("all", digits))
        elif re.fullmatch(r"[1-9][0-9]{4,5}", digits):
            found.add(("softbank", digits))
        elif re.fullmatch(r"0[0-9]{9,10}", digits):
            found |= {(carrier, digits) for carrier in _BY_TELEPHONE}
    return found


def downgrade() -> None:
    op.add_column("sms_account", sa.Column("sender", sa.Text(), server_default="", nullable=False))
    op.execute("SELECT set_config('app.platform', 'on', true)")
    op.execute("""
        UPDATE sms_account a SET sender = n.written FROM (
            SELECT sms_account_id, string_agg(DISTINCT number, '、') AS written FROM sender_number
            WHERE state = 'approved' GROUP BY sms_account_id
        ) n WHERE n.sms_account_id = a.id
    """)
    op.drop_table("sender_number")
