"""guard recipient and campaign: refuse each move of a state that the vocabulary does not name

As 0046 does for payments, imports, exports and tenants. A recipient's are AFTER triggers: a BEFORE trigger would lock each
row once more in every UPDATE, also in those that set no state. The moves are in the condition, so an allowed one calls no
function.
"""

from collections.abc import Iterator

from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

_SMS = {
    "draft": "queued cancelled",
    "queued": "sending cancelled expired delivered undelivered accepted",
    "sending": "accepted undelivered unknown queued delivered cancelled",
    "accepted": "delivered undelivered unknown queued cancelled",
    "unknown": "accepted delivered undelivered queued cancelled expired",
    "undelivered": "delivered queued",
    "delivered": "queued",
    "cancelled": "queued delivered",
    "expired": "delivered",
}
_PAGE = {
    "unopened": "opened expired revoked",
    "opened": "verified locked expired revoked",
    "verified": "viewed locked expired revoked",
    "viewed": "locked revoked",
    "locked": "opened revoked",
    "expired": "unopened revoked",
    "revoked": "unopened",
}
_PAYMENT = {
    "unpaid": "started paid cancelled",
    "started": "pending paid failed expired cancelled",
    "pending": "paid failed expired cancelled",
    "failed": "started pending paid cancelled",
    "expired": "started pending paid cancelled",
    "cancelled": "started paid",
    "paid": "refunded unpaid",
    "refunded": "paid",
}
_CAMPAIGN = {
    "draft": "approval scheduled sending cancelled",
    "approval": "draft scheduled sending cancelled",
    "scheduled": "draft sending cancelled",
    "sending": "paused completed cancelled",
    "paused": "sending cancelled",
    "completed": "sending paused cancelled",
}
# name, table, column, the moves
_GUARDS = (
    ("sms_moves", "recipient", "sms_state", _SMS),
    ("page_moves", "recipient", "page_state", _PAGE),
    ("payment_moves", "recipient", "payment_state", _PAYMENT),
    ("campaign_moves", "campaign", "state", _CAMPAIGN),
)


def upgrade() -> None:
    # the column is the trigger's argument: these two tables have four between them
    op.execute("""
        CREATE FUNCTION refuse_move_of() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
        BEGIN
            RAISE EXCEPTION '% %: % to % is no move of the vocabulary',
                TG_TABLE_NAME, OLD.id, to_jsonb(OLD)->>TG_ARGV[0], to_jsonb(NEW)->>TG_ARGV[0]
                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
        END
        $$
    """)
    op.execute("REVOKE ALL ON FUNCTION refuse_move_of() FROM PUBLIC")
    for name, table, column, moves in _GUARDS:
        named = ", ".join(_pairs(moves))
        op.execute(f"""
            CREATE TRIGGER {name} AFTER UPDATE OF {column} ON {table} FOR EACH ROW
            WHEN (OLD.{column} <> NEW.{column} AND OLD.{column} || '>' || NEW.{column} NOT IN ({named}))
            EXECUTE FUNCTION refuse_move_of('{column}')
        """)


def _pairs(moves: dict[str, str]) -> Iterator[str]:
    for source, targets in moves.items():
        for target in targets.split():
            yield f"'{source}>{target}'"


def downgrade() -> None:
    for name, table, _, _ in reversed(_GUARDS):
        op.execute(f"DROP TRIGGER {name} ON {table}")
    op.execute("DROP FUNCTION refuse_move_of()")
