"""Read the record of one person's payment: the attempt that counts, and the address of the one under way."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, or_, text
from sqlalchemy.orm import aliased

from app import tenancy
from app.db import Of, in_text
from app.extensions import vault
from app.models import Payment, PaymentAccount
from app.states.vocabulary import PaymentAttemptState
from app.vault import Place


@dataclass(frozen=True, slots=True)
class Receipt:
    """A person's receipt for one payment that came."""

    reference: str
    amount_yen: int
    paid_at: datetime | None
    by_hand: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to pay.

    `problem` is not empty when a person must look at it first (要確認).

    `by_hand`: the money came another way, and somebody of the company recorded it. `slip_url`: where the provider shows
    what a pending one is paid with, if it told. `receipts` are all payments that came, where the person paid twice and
    nobody has looked into it yet. `is_unheard`: the last question about it got no answer; `is_told`: the provider told
    of something new that it was not asked about yet. `is_charged_back`: the money went back by a dispute that was lost.
    """

    id: int
    attempt: int
    reference: str
    state: PaymentAttemptState
    amount_yen: int
    method: str
    problem: str
    pay_by: datetime | None
    paid_at: datetime | None
    by_hand: bool
    slip_url: str | None = field(default=None, repr=False)
    receipts: Sequence[Receipt] = ()
    is_unheard: bool = False
    is_told: bool = False
    is_charged_back: bool = False


def is_under_way(payment: Of[Payment]) -> ColumnElement[bool]:
    """Return the condition that a payment is asked about from time to time: it is open, or to be refunded."""
    return or_(
        and_(
            payment.state.in_((PaymentAttemptState.STARTED, PaymentAttemptState.PENDING)),
            payment.problem == "",
            payment.provider_id.is_not(None),
        ),
        and_(
            payment.state == PaymentAttemptState.PAID,
            payment.refund_asked_at.is_not(None),
            func.strpos(payment.problem, "refund not done") == 0,
        ),
    )


def is_due(payment: Of[Payment], account: Of[PaymentAccount]) -> ColumnElement[bool]:
    """Return the condition that a worker may ask about a payment of an account now."""
    waits = (payment.asking_until, account.ask_after, account.rests_until)
    return and_(
        payment.ask_at <= func.now(),
        payment.payment_account_id.is_not(None),
        *(func.coalesce(until, literal_column("'-infinity'")) <= func.now() for until in waits),
    )


_UNDER_WAY = in_text(is_under_way, aliased(Payment, name="p"))

# an event that can't be acted upon for so long is left to the clock and to the nights
PATIENCE = "24 hours"
# one that got no answer is asked about again after 15 s, 30 s, 1, 2, 4 and 5 minutes; later as rarely as it is old
_AGAIN_S = 15
_LATER, _LATEST = "5 minutes", "2 hours"


def put_off(connection: Connection, payment_id: int, asked_at: datetime, *, wait_s: float = 0.0) -> None:
    """Count a question that got no answer, and plan the payment's next one no sooner than in `wait_s` seconds."""
    connection.execute(
        text(f"""
            UPDATE payment p SET unanswered = p.unanswered + 1,
                unanswered_since = coalesce(p.unanswered_since, :at),
                ask_at = CASE WHEN {_UNDER_WAY} OR p.told_at > now() - interval '{PATIENCE}'
                    THEN now() + greatest(make_interval(secs => :wait_s), least(
                        make_interval(secs => {_AGAIN_S} * power(2, least(p.unanswered, 20))),
                        greatest((now() - coalesce(p.refund_asked_at, p.created_at)) / 12, interval '{_LATER}'),
                        interval '{_LATEST}'
                    )) END
            WHERE id = :id
        """),  # noqa: S608 - our own words
        {"id": payment_id, "at": asked_at, "wait_s": wait_s},
    )


def url_place(tenant_id: int, payment_id: int) -> Place:
    """Return where a payment page's address is sealed."""
    return Place(tenant_id, "payment", "url_sealed", payment_id)


def that_counts(recipient_id: int) -> Attempt | None:
    """Return the attempt that tells how the payment stands.

    A paid one, else one given back, else one to be looked at, else the one under way, else the last.
    """
    with tenancy.transaction() as connection:
        row = connection.execute(
            text("""
                SELECT id, attempt, reference, state, amount_yen, method, problem, pay_by, paid_at,
                       payment_account_id IS NULL AS by_hand, tenant_id, url_sealed, told_at IS NOT NULL AS is_told,
                       dispute = 'lost' AS is_charged_back,
                       coalesce(checked_at > coalesce(answered_at, '-infinity'), false) AS is_unheard,
                       bool_or(state = 'paid' AND strpos(problem, 'paid twice') > 0) OVER () AS twice
                FROM payment WHERE recipient_id = :id
                ORDER BY state = 'paid' DESC, state = 'refunded' DESC, problem <> '' DESC,
                         state IN ('started', 'pending') DESC, attempt DESC LIMIT 1
            """),
            {"id": recipient_id},
        ).first()
        receipts = _receipts(connection, recipient_id) if row is not None and row.twice else ()
    if row is None:
        return None
    told = row._asdict() | {"state": PaymentAttemptState(row.state), "receipts": receipts}
    del told["twice"]
    tenant_id, sealed = told.pop("tenant_id"), told.pop("url_sealed")
    if row.state == PaymentAttemptState.PENDING and sealed is not None:
        told["slip_url"] = vault.open_text(sealed, url_place(tenant_id, row.id))
    return Attempt(**told)


def _receipts(connection: Connection, recipient_id: int) -> list[Receipt]:
    rows = connection.execute(
        text("""
            SELECT reference, amount_yen, paid_at, payment_account_id IS NULL AS by_hand FROM payment
            WHERE recipient_id = :id AND state = 'paid' ORDER BY paid_at, attempt
        """),
        {"id": recipient_id},
    )
    return [Receipt(*row) for row in rows]


def open_url(recipient_id: int) -> str | None:
    """Return the address of the payment page that is under way.

    None where there is none, and where money came beside it or something is to be looked at.
    """
    with tenancy.transaction() as connection:
        row = connection.execute(
            text("""
                SELECT id, tenant_id, url_sealed FROM payment
                WHERE recipient_id = :id AND state = 'started' AND url_sealed IS NOT NULL
                AND NOT EXISTS (SELECT FROM payment WHERE recipient_id = :id AND (problem <> '' OR state = 'paid'))
            """),
            {"id": recipient_id},
        ).first()
    return None if row is None else vault.open_text(row.url_sealed, url_place(row.tenant_id, row.id))
