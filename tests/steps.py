"""Steps that people, providers and staff take, recorded as the product records them: by these a test reaches a state.

Each step walks from where its rows stand along the vocabulary's moves, with the time and the event of every move, and
commits. An application context must be pushed; the fixture `take` brings one. Attempts to send and to pay are made by
sending and paying: `tests.launched.Job`, `tests.payments.shop.Buyer`. A state to which no step leads is written by
`tests.raw_states`.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, text

from app import links, tenancy
from app.extensions import db
from app.models import Tenant
from app.states.transitions import Step, move, move_campaign
from app.states.vocabulary import (
    CAMPAIGN,
    PAGE,
    PAYMENT,
    SMS,
    CampaignState,
    PageState,
    PaymentState,
    SmsState,
    TenantState,
    Track,
)

# The state before each one on the usual way to it, of each track.
_BEFORE: Mapping[str, Mapping[StrEnum, StrEnum]] = {
    SMS.name: {
        SmsState.QUEUED: SmsState.DRAFT,
        SmsState.SENDING: SmsState.QUEUED,
        SmsState.ACCEPTED: SmsState.SENDING,
        SmsState.DELIVERED: SmsState.ACCEPTED,
        SmsState.UNDELIVERED: SmsState.ACCEPTED,
        SmsState.UNKNOWN: SmsState.SENDING,
        SmsState.CANCELLED: SmsState.QUEUED,
        SmsState.EXPIRED: SmsState.QUEUED,
    },
    PAGE.name: {
        PageState.OPENED: PageState.UNOPENED,
        PageState.VERIFIED: PageState.OPENED,
        PageState.VIEWED: PageState.VERIFIED,
        PageState.LOCKED: PageState.OPENED,
        PageState.EXPIRED: PageState.UNOPENED,
        PageState.REVOKED: PageState.UNOPENED,
    },
    PAYMENT.name: {
        PaymentState.STARTED: PaymentState.UNPAID,
        PaymentState.PENDING: PaymentState.STARTED,
        PaymentState.PAID: PaymentState.STARTED,
        PaymentState.FAILED: PaymentState.STARTED,
        PaymentState.EXPIRED: PaymentState.STARTED,
        PaymentState.CANCELLED: PaymentState.UNPAID,
        PaymentState.REFUNDED: PaymentState.PAID,
    },
    CAMPAIGN.name: {
        CampaignState.APPROVAL: CampaignState.DRAFT,
        CampaignState.SCHEDULED: CampaignState.DRAFT,
        CampaignState.SENDING: CampaignState.DRAFT,
        CampaignState.PAUSED: CampaignState.SENDING,
        CampaignState.COMPLETED: CampaignState.SENDING,
        CampaignState.CANCELLED: CampaignState.DRAFT,
    },
}


# --- an SMS ---


def queue(*people: int) -> None:
    """Let people wait for an SMS, or for another one."""
    reach(SMS, SmsState.QUEUED, people)


def accept(*people: int) -> None:
    """Let the carrier take people's SMS."""
    reach(SMS, SmsState.ACCEPTED, people)


def deliver(*people: int) -> None:
    """Let people's SMS arrive."""
    reach(SMS, SmsState.DELIVERED, people)


def fail(*people: int, code: str = "unconnected") -> None:
    """Let the carrier report that people's SMS did not arrive."""
    reach(SMS, SmsState.UNDELIVERED, people, sms_code=code)


def refuse(*people: int, code: str = "error") -> None:
    """Let the carrier refuse people's SMS at once."""
    reach(SMS, SmsState.SENDING, people)
    reach(SMS, SmsState.UNDELIVERED, people, straight=True, sms_code=code)


def lose(*people: int, code: str = "", at: datetime | None = None) -> None:
    """Let nobody know what became of people's SMS."""
    reach(SMS, SmsState.UNKNOWN, people, at=at, sms_code=code)


def call_off(*people: int, code: str = "") -> None:
    """Let people get no SMS after all."""
    reach(SMS, SmsState.CANCELLED, people, sms_code=code)


# --- a page ---


def open_page(*people: int) -> None:
    """Let people open their links."""
    reach(PAGE, PageState.OPENED, people)


def verify(*people: int) -> None:
    """Let people answer the questions right."""
    reach(PAGE, PageState.VERIFIED, people)


def view(*people: int) -> None:
    """Let people read their pages."""
    reach(PAGE, PageState.VIEWED, people)


def lock(*people: int, failures: int = 5) -> None:
    """Let people answer wrong so often that their pages are locked."""
    reach(PAGE, PageState.LOCKED, people, failed_attempts=failures)


def unlock(*people: int) -> None:
    """Let locked people try again, as staff do."""
    reach(PAGE, PageState.OPENED, people, failed_attempts=0)


def renew_link(*people: int) -> None:
    """Let people's links end unread, and another SMS give them a new end."""
    reach(PAGE, PageState.EXPIRED, people)
    reach(PAGE, PageState.UNOPENED, people, link_expires_at=datetime.now(UTC) + timedelta(days=1))


def end_link(*people: int) -> None:
    """Let the time of people's links be over."""
    reach(PAGE, PageState.EXPIRED, people, link_expires_at=datetime.now(UTC))


def revoke(*people: int) -> None:
    """End people's links, as staff do."""
    reach(PAGE, PageState.REVOKED, people)


# --- a payment, as the recipient's row tells it ---


def start_paying(*people: int) -> None:
    """Let people begin to pay."""
    reach(PAYMENT, PaymentState.STARTED, people)


def pay(*people: int) -> None:
    """Let people's money arrive."""
    reach(PAYMENT, PaymentState.PAID, people)


def pay_elsewhere(*people: int) -> None:
    """Record money that came without the page, as staff do."""
    reach(PAYMENT, PaymentState.PAID, people, straight=True)


def refund(*people: int) -> None:
    """Refund people."""
    reach(PAYMENT, PaymentState.REFUNDED, people)


# --- a campaign, a company ---


def pause(*campaigns: int) -> None:
    """Pause campaigns."""
    reach_campaign(CampaignState.PAUSED, *campaigns)


def resume(*campaigns: int) -> None:
    """Let campaigns send on, or again."""
    reach_campaign(CampaignState.SENDING, *campaigns)


def complete(*campaigns: int) -> None:
    """End campaigns of which nothing is left to send."""
    reach_campaign(CampaignState.COMPLETED, *campaigns)


def cancel(*campaigns: int) -> None:
    """Cancel campaigns."""
    reach_campaign(CampaignState.CANCELLED, *campaigns)


def suspend(*tenants: int) -> None:
    """Suspend companies' contracts, as an operator does."""
    with _scope():
        for tenant_id in tenants:
            db.session.get_one(Tenant, tenant_id).state = TenantState.SUSPENDED
        db.session.commit()


# --- whatever state ---


def reach(
    track: Track,
    to: StrEnum,
    people: Iterable[int],
    *,
    at: datetime | None = None,
    straight: bool = False,
    **columns: Any,
) -> None:
    """Walk people along a track to `to`, the usual way or `straight`; set these columns with the last move."""
    now = at or datetime.now(UTC)
    with _transaction() as connection:
        ways: dict[tuple[StrEnum, ...], list[Row[Any]]] = {}
        for row in _people(connection, track, people):
            ways.setdefault((to,) if straight else _way(track, row.state, to), []).append(row)
        for hops, rows in ways.items():
            for hop in hops:
                last = columns if hop is hops[-1] else {}
                steps = [Step(row.id, now, columns={**_sent(track, hop, row, now), **last}) for row in rows]
                moved = move(connection, track, hop, steps, actor="system")
                assert moved == {row.id for row in rows}, hop


def reach_campaign(to: StrEnum, *campaigns: int) -> None:
    """Walk campaigns to `to`."""
    with _transaction() as connection:
        for campaign_id in campaigns:
            state = connection.execute(text("SELECT state FROM campaign WHERE id = :id"), {"id": campaign_id})
            for hop in _way(CAMPAIGN, state.scalar_one(), to):
                there = CampaignState(hop)
                assert move_campaign(connection, campaign_id, there, at=datetime.now(UTC), actor="system")


def everybody(**columns: Any) -> list[int]:
    """Return the ids of the recipients whose columns hold these values."""
    which = " AND ".join(["true", *(f"{name} = :{name}" for name in columns)])
    with _transaction() as connection:
        return list(connection.execute(text(f"SELECT id FROM recipient WHERE {which} ORDER BY id"), columns).scalars())  # noqa: S608 - a test's own columns


def _way(track: Track, current: str, to: StrEnum) -> tuple[StrEnum, ...]:
    """Return the moves from one state to another: the usual way, or a short cut that the vocabulary knows."""
    usual = [to]
    while (before := _BEFORE[track.name].get(usual[0])) is not None:
        usual.insert(0, before)
    if current in usual:
        return tuple(usual[[str(state) for state in usual].index(current) + 1 :])
    targets = next(targets for state, targets in track.moves.items() if state == current)
    joins = [place for place, state in enumerate(usual) if state in targets]
    assert joins, f"no way from {current} to {to}"
    return tuple(usual[joins[-1] :])


def _sent(track: Track, hop: StrEnum, row: Row[Any], now: datetime) -> dict[str, Any]:
    """Return what a message that leaves writes into a recipient."""
    if (track.name, hop) != (SMS.name, SmsState.SENDING):
        return {}
    expires_at = links.expiry({"link_until": row.link_until, "link_minutes": row.link_minutes}, now)
    return {"sms_attempt": row.sms_attempt + 1, "link_expires_at": expires_at}


def _people(connection: Connection, track: Track, people: Iterable[int]) -> list[Row[Any]]:
    rows = connection.execute(
        text(f"""
            SELECT r.id, r.{track.name}_state AS state, r.sms_attempt, c.link_until, c.link_minutes
            FROM recipient r JOIN campaign c ON c.id = r.campaign_id WHERE r.id = ANY(:ids) ORDER BY r.id
        """),  # noqa: S608 - a track's own name
        {"ids": list(people)},
    )
    return list(rows)


@contextmanager
def _transaction() -> Iterator[Connection]:
    with _scope(), tenancy.transaction() as connection:
        yield connection


def _scope() -> AbstractContextManager[object]:
    """Open the platform's scope, unless the test has opened one."""
    try:
        tenancy.current()
    except tenancy.NoScope:
        return tenancy.platform()
    return nullcontext()
