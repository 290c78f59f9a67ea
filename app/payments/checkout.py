"""A person presses pay: one attempt, one payment page, however often and from wherever it is pressed.

In: a recipient and where the browser shall come back to. Out: a payment page that stands ready (`attempts.open_url`),
or why there is none. Can't happen here: two attempts under way for one person; a page opened for another amount than
the one on record; an attempt begun after the link ended. The attempt is committed before the provider is asked, and its
reference is the idempotency key: after a lost answer the same question gives the same page.
"""

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import Connection, Row, text

from app import references, tenancy
from app.accounts import Unusable
from app.extensions import vault
from app.payments import bulkhead, gateway
from app.payments.attempts import url_place
from app.payments.confirm import confirm, drop_without_page, end, record
from app.payments.gateway import NoAnswer
from app.providers.payments import PROVIDERS
from app.providers.payments.base import Charge, Order, PaymentAccess, PaymentProvider, session_end
from app.setback import beat, doubt
from app.setback.beat import NothingMayLeave
from app.setback.outside import OutsideAway
from app.states import locks
from app.states.transitions import Step, move, move_attempt, note
from app.states.vocabulary import PAYMENT, PaymentAttemptState, PaymentState

_PAGE_LIFE = timedelta(hours=1)
# a page with less time left than this is not shown any more
_LEAST_LEFT = timedelta(minutes=2)
# one that can't be ended stands in the way of another until it lapses, so it is shown for as long as it lives
_LEAST_LEFT_UNENDED = timedelta(seconds=15)

_TRIES = 3
# a person waits so long for a provider that wishes to be left alone, seconds
_LONGEST_WAIT_S = 2.0
# for so long at least an attempt's order may still be placed
_ASKED_AGAIN = timedelta(seconds=30)

_log = structlog.get_logger()


class Outcome(StrEnum):
    """The outcome of pressing pay."""

    READY = "ready"  # a page stands open
    CLOSED = "closed"  # nothing to pay, or not now: the message page says why
    UNAVAILABLE = "unavailable"  # the payment provider gave no page; later it may
    HELD = "held"  # nothing is charged: the database was set back (`app.setback`)
    REFUSED = "refused"  # the provider gives none, or the contract is not used any more: only the company can mend it


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a press of the button waits, seconds: a person waits with it."""

    pause_s: float = 0.2
    """Between two tries, for each try so far."""
    give_up_after_s: float = 8.0
    """After so long no further try is made."""
    others_turn_s: float = 2.0
    """So long an attempt is left to the press that made it: two phones, or a finger too quick."""


_USUAL_WAITS = Waits()


@dataclass(frozen=True, slots=True)
class _Begun:
    """An attempt on record whose page has to be asked for, made at `begun_at`; `fresh` if this call made it."""

    payment_id: int
    payment_account_id: int
    reference: str
    amount_yen: int
    description: str
    locale: str
    expires_at: datetime
    begun_at: datetime
    fresh: bool


@bulkhead.person_waits()
def start(
    recipient_id: int, generation: int, *, return_url: str, back_url: str, waits: Waits = _USUAL_WAITS
) -> Outcome:
    """Bring one payment page to stand open. The tenant's scope must be open; commits."""
    give_up_at = time.monotonic() + waits.give_up_after_s
    others_turn = timedelta(seconds=waits.others_turn_s)
    asked: set[int] = set()
    tries = 0
    while tries < _TRIES and time.monotonic() < give_up_at:
        _pause(tries * waits.pause_s)
        _refresh(recipient_id)
        found = _begin(recipient_id, generation)
        if isinstance(found, Outcome):
            return found
        young = not found.fresh and found.begun_at > datetime.now(UTC) - others_turn
        if young and found.payment_id not in asked:
            _pause(waits.pause_s)
            continue
        asked.add(found.payment_id)
        tries += 1
        try:
            provider, account = gateway.open_account(found.payment_account_id)
        except Unusable as fault:
            _log.error("payment account unusable", reason=str(fault))
            return Outcome.REFUSED
        order = Order(
            reference=found.reference,
            amount_yen=found.amount_yen,
            description=found.description,
            success_url=return_url,
            cancel_url=back_url,
            expires_at=found.expires_at,
            locale=found.locale,
        )
        try:
            charge = gateway.ask(provider, account, provider.start(account, order))
        except NoAnswer as fault:
            if (outcome := _no_page(found, fault)) is not None:
                return outcome
            continue
        if (outcome := _keep(found, charge, provider, account)) is not None:
            return outcome
        # the attempt was over before its page came: nobody is led there, and where the provider can, it ends
        if _without_page(found.payment_id) and (request := provider.expire(account, charge)) is not None:
            bulkhead.ask(request)
    return Outcome.UNAVAILABLE


def _no_page(begun: _Begun, fault: NoAnswer) -> Outcome | None:
    """End an attempt that is refused for good.

    Returns an outcome where no other try is to be made.
    """
    _log.warning("payment page not opened", payment_id=begun.payment_id, reason=fault.code, final=fault.final)
    if fault.final:
        _give_up(begun.payment_id, fault.code)
        return Outcome.REFUSED if begun.fresh else None
    if fault.is_key_refused:
        # only the company can mend it; the attempt goes on once it has
        _log.error("payment provider rejected credentials", payment_id=begun.payment_id, reason=fault.code)
        return Outcome.REFUSED
    # where nobody was asked, nobody is asked again now; a provider that wishes to be left alone shortly is
    if fault.code == bulkhead.SILENT or fault.wait_s > _LONGEST_WAIT_S:
        return Outcome.UNAVAILABLE
    time.sleep(fault.wait_s)
    return None


def _without_page(payment_id: int) -> bool:
    with tenancy.transaction() as connection:
        found = connection.execute(text("SELECT provider_id FROM payment WHERE id = :id"), {"id": payment_id})
        return found.scalar_one() is None


def _pause(seconds: float) -> None:
    time.sleep(seconds * (0.5 + random.random()))  # noqa: S311 - spreads retries, no secret


def _refresh(recipient_id: int) -> None:
    """Ask how the attempt under way stands: it may be paid, or over.

    Without an answer our own record holds.

    A page that can't be shown any more is ended at the provider, so that the next attempt may begin.
    """
    with tenancy.transaction() as connection:
        under_way = connection.execute(
            text("""
                SELECT id, state = 'started' AND (url_sealed IS NULL OR expires_at <= :least) AS useless FROM payment
                WHERE recipient_id = :id AND state IN ('started', 'pending') AND provider_id IS NOT NULL
                AND problem = ''
            """),
            {"id": recipient_id, "least": datetime.now(UTC) + _LEAST_LEFT},
        ).first()
    if under_way is None:
        return
    try:
        (end if under_way.useless else confirm)(under_way.id)
    except (NoAnswer, Unusable) as fault:
        _log.warning("payment not confirmed", payment_id=under_way.id, reason=str(fault))


def _begin(recipient_id: int, generation: int) -> _Begun | Outcome:
    """Find or make the attempt to go on with, unless the database was set back."""
    try:
        with beat.rising(tenancy.transaction()) as connection:
            return _begin_in(connection, recipient_id, generation)
    except NothingMayLeave as stopped:
        doubt.hold_or_ask(stopped)
    except OutsideAway as fault:
        _log.error("outside folder unusable", held="checkout", error=str(fault))
    return Outcome.HELD


def _begin_in(connection: Connection, recipient_id: int, generation: int) -> _Begun | Outcome:
    """Find or make it, under the person's row lock."""
    now = datetime.now(UTC)
    person = connection.execute(
        text("""
            SELECT r.id, r.tenant_id, r.campaign_id, r.amount_yen, r.link_expires_at, r.link_secret, c.key,
                   c.page_language, c.payment_account_id, c.restore_hold, a.provider, a.active, t.name AS company
            FROM recipient r JOIN campaign c ON c.id = r.campaign_id JOIN tenant t ON t.id = r.tenant_id
            JOIN payment_account a ON a.id = c.payment_account_id
            WHERE r.id = :id AND r.link_generation = :generation AND r.link_expires_at > :now
              AND r.page_state IN ('verified', 'viewed') AND r.payment_state = ANY(:payable) AND r.amount_yen > 0
            FOR UPDATE OF r
        """),
        {
            "id": recipient_id,
            "generation": generation,
            "now": now,
            "payable": [str(PaymentState.STARTED), *PAYMENT.sources(PaymentState.STARTED)],
        },
    ).first()
    if person is None:
        return Outcome.CLOSED
    if person.restore_hold:  # what was paid since the backup isn't known: it could be asked for twice
        return Outcome.HELD
    last = connection.execute(
        text("""
            SELECT id, attempt, reference, state, provider_id, url_sealed, amount_yen, expires_at, created_at,
                   max(attempt) OVER () AS newest, bool_or(problem <> '') OVER () AS looked_at
            FROM payment WHERE recipient_id = :id
            -- money by hand that was taken back is newer than an attempt that it left open
            ORDER BY state IN ('started', 'pending') DESC, attempt DESC LIMIT 1
        """),
        {"id": recipient_id},
    ).first()
    provider = PROVIDERS[person.provider]
    attempt = 1
    if last is not None:
        going_on = _go_on(person, last, provider, now)
        if going_on is not None:
            return going_on
        attempt = last.newest + 1
        drop_without_page(connection, last.id)
    if not person.active:
        return Outcome.REFUSED
    return _new_attempt(connection, person, attempt, provider, now)


def _go_on(person: Row[Any], last: Row[Any], provider: PaymentProvider, now: datetime) -> _Begun | Outcome | None:
    """Return what the last attempt allows; None when it is over and the next may begin."""
    if last.looked_at or last.state == PaymentAttemptState.PENDING:
        return Outcome.CLOSED
    if last.state != PaymentAttemptState.STARTED:
        return None
    if last.provider_id is not None:
        # an end that the provider could not be asked about is not ours to guess
        usable = last.url_sealed is not None and last.expires_at > now + _least_left(provider)
        return Outcome.READY if usable else Outcome.UNAVAILABLE
    # its answer got lost, so nobody has its address: ask again while the same order may still be placed, else drop it
    if last.expires_at - now <= timedelta(seconds=provider.lifetime_s[0]) or last.amount_yen != person.amount_yen:
        return None
    return _order(person, last.id, last.reference, last.expires_at, last.created_at)


def _least_left(provider: PaymentProvider) -> timedelta:
    return _LEAST_LEFT if provider.tells_end else _LEAST_LEFT_UNENDED


def _new_attempt(
    connection: Connection, person: Row[Any], attempt: int, provider: PaymentProvider, now: datetime
) -> _Begun:
    # the page ends with the link, or as soon after as the provider allows while its answer may have to be asked for
    # again
    soonest = now + timedelta(seconds=provider.lifetime_s[0]) + _ASKED_AGAIN
    expires_at = session_end(provider, max(min(now + _PAGE_LIFE, person.link_expires_at), soonest), now)
    reference = references.payment(references.mark(person.link_secret, person.key), person.id, attempt)
    payment_id: int = connection.execute(
        text("""
            INSERT INTO payment (tenant_id, campaign_id, recipient_id, payment_account_id, attempt, reference,
                                 amount_yen, expires_at)
            VALUES (:tenant_id, :campaign_id, :recipient_id, :account_id, :attempt, :reference,
                    :amount_yen, :expires_at)
            RETURNING id
        """),
        {
            "tenant_id": person.tenant_id,
            "campaign_id": person.campaign_id,
            "recipient_id": person.id,
            "account_id": person.payment_account_id,
            "attempt": attempt,
            "reference": reference,
            "amount_yen": person.amount_yen,
            "expires_at": expires_at,
        },
    ).scalar_one()
    return _order(person, payment_id, reference, expires_at, now, fresh=True)


def _order(
    person: Row[Any],
    payment_id: int,
    reference: str,
    expires_at: datetime,
    begun_at: datetime,
    *,
    fresh: bool = False,
) -> _Begun:
    english = person.page_language == "en"
    return _Begun(
        payment_id=payment_id,
        payment_account_id=person.payment_account_id,
        reference=reference,
        amount_yen=person.amount_yen,
        # the subject stays between the company and the person
        description=f"Payment to {person.company}" if english else f"{person.company}へのお支払い",
        locale=person.page_language,
        expires_at=expires_at,
        begun_at=begun_at,
        fresh=fresh,
    )


def _keep(begun: _Begun, charge: Charge, provider: PaymentProvider, account: PaymentAccess) -> Outcome | None:
    """Record the page that the provider opened, with the person's step.

    None when the attempt is over meanwhile, or money came another way.
    """
    now = datetime.now(UTC)
    with tenancy.transaction() as connection:
        row = connection.execute(
            text("SELECT tenant_id, recipient_id, attempt FROM payment WHERE id = :id"), {"id": begun.payment_id}
        ).one()
        stands = locks.lock_payer(connection, row.recipient_id)
        if stands in {PaymentState.PAID, PaymentState.REFUNDED}:
            return None
        usable = charge.url is not None and gateway.trusted(charge.url, provider, account)
        kept = connection.execute(
            text("""
                UPDATE payment SET provider_id = :provider_id, url_sealed = coalesce(url_sealed, :url),
                       expires_at = coalesce(:expires_at, expires_at)
                WHERE id = :id AND state = 'started' AND coalesce(provider_id, :provider_id) = :provider_id
                RETURNING id
            """),
            {
                "id": begun.payment_id,
                "provider_id": charge.provider_id,
                "url": vault.seal(charge.url, url_place(row.tenant_id, begun.payment_id))
                if charge.url is not None and usable
                else None,
                "expires_at": charge.expires_at,
            },
        ).first()
        if kept is None:
            return None
        detail = {"payment_id": begun.payment_id, "attempt": row.attempt}
        move(connection, PAYMENT, PaymentState.STARTED, [Step(row.recipient_id, now, detail)], actor="person")
    # also compares what was opened with what was ordered, before anyone is led there
    record(begun.payment_id, charge, now)
    if not usable:
        _log.error("payment page address unusable", payment_id=begun.payment_id)
    if usable:
        return Outcome.READY
    # an address that isn't the provider's is no better in a few minutes
    return Outcome.UNAVAILABLE if charge.url is None else Outcome.REFUSED


def _give_up(payment_id: int, code: str) -> None:
    """End an attempt that the provider refuses for good; no page was opened for it."""
    with tenancy.transaction() as connection:
        failed, started = PaymentAttemptState.FAILED, [PaymentAttemptState.STARTED]
        if not move_attempt(connection, payment_id, failed, sources=started, only="provider_id IS NULL"):
            return
        row = connection.execute(
            text("SELECT tenant_id, campaign_id, recipient_id, attempt FROM payment WHERE id = :id"), {"id": payment_id}
        ).one()
        note(
            connection,
            PAYMENT.name,
            "start_refused",
            tenant_id=row.tenant_id,
            campaign_id=row.campaign_id,
            recipient_id=row.recipient_id,
            at=datetime.now(UTC),
            actor="provider",
            detail={"payment_id": payment_id, "attempt": row.attempt, "code": code},
        )
    _log.error("payment page refused by provider", payment_id=payment_id, reason=code)
