"""guard payment, import, export and tenant: refuse each move of a state that the vocabulary does not name

A trigger holds the moves in its condition, so an allowed one calls no function, and an UPDATE that sets no state asks
nothing. Money recorded by hand, a payment without an account, has moves of its own.
"""

from collections.abc import Iterator

from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

_BY_ACCOUNT = "OLD.payment_account_id IS NOT NULL AND"
_BY_HAND = "OLD.payment_account_id IS NULL AND"
# name, table, which of its rows, the moves
_GUARDS = (
    (
        "payment_attempt_moves",
        "payment",
        _BY_ACCOUNT,
        {
            "started": "pending paid failed expired cancelled",
            "pending": "paid failed expired cancelled",
            "failed": "pending paid cancelled",
            "expired": "pending paid cancelled",
            "cancelled": "paid",
            "paid": "refunded",
            "refunded": "paid",
        },
    ),
    ("payment_by_hand_moves", "payment", _BY_HAND, {"paid": "cancelled"}),
    (
        "import_moves",
        "import",
        "",
        {
            "mapping": "queued failed cancelled",
            "queued": "running cancelled",
            "running": "running done failed cancelled",
            "done": "cancelled",
        },
    ),
    (
        "export_moves",
        "export",
        "",
        {
            "queued": "running cancelled",
            "running": "running done failed cancelled",
            "done": "expired cancelled",
        },
    ),
    (
        "tenant_moves",
        "tenant",
        "",
        {
            "review": "trial active suspended",
            "trial": "active suspended",
            "active": "suspended",
            "suspended": "trial active",
        },
    ),
)


def upgrade() -> None:
    # a person may be asked for nothing, an attempt to pay never
    op.execute("ALTER TABLE payment DROP CONSTRAINT ck_payment_state")
    op.execute(
        "ALTER TABLE payment ADD CONSTRAINT ck_payment_state"
        " CHECK (state IN ('started', 'pending', 'paid', 'failed', 'expired', 'cancelled', 'refunded'))"
    )
    op.execute("""
        CREATE FUNCTION refuse_move() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
        BEGIN
            RAISE EXCEPTION '% %: % to % is no move of the vocabulary', TG_TABLE_NAME, OLD.id, OLD.state, NEW.state
                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
        END
        $$
    """)
    op.execute("REVOKE ALL ON FUNCTION refuse_move() FROM PUBLIC")
    for name, table, which, moves in _GUARDS:
        named = ", ".join(_pairs(moves))
        op.execute(f"""
            CREATE TRIGGER {name} BEFORE UPDATE OF state ON {table} FOR EACH ROW
            WHEN (OLD.state <> NEW.state AND {which} OLD.state || '>' || NEW.state NOT IN ({named})) EXECUTE FUNCTION refuse_move()
        """)


def _pairs(moves: dict[str, str]) -> Iterator[str]:
    for source, targets in moves.items():
        for target in targets.split():
            yield f"'{source}>{target}'"


def downgrade() -> None:
    for name, table, _, _ in reversed(_GUARDS):
        op.execute(f"DROP TRIGGER {name} ON {table}")
    op.execute("DROP FUNCTION refuse_move()")
    op.execute("ALTER TABLE payment DROP CONSTRAINT ck_payment_state")
    op.execute(
        "ALTER TABLE payment ADD CONSTRAINT ck_payment_state CHECK (state IN ('none', 'unpaid', 'started', 'pending',"
        " 'paid', 'failed', 'expired', 'cancelled', 'refunded'))"
    )
