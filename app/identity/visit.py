"""A person's visit to their page: whom the link is for, where they stand, what they may see.

In: a token, or the recipient and the token's digest that a page session holds. Out: a `LiveLink`, or None for a link
that is unknown, over or revoked: one answer for the three. Can't happen here: a state changed by looking; a message
given out for a link that has ended; a session that opens another link's page once row numbers come again.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from app import tenancy
from app.campaigns import rendering
from app.extensions import db, vault
from app.models import Campaign, Recipient
from app.process_state import process_state
from app.states import reached
from app.states.transitions import Step, move
from app.states.vocabulary import PAGE, PageState, PaymentState
from app.tenancy import lookup

_LINK = "r.tenant_id, r.id, r.campaign_id, r.link_generation, r.link_expires_at, r.page_state, r.token_digest"
_COMMON = """
    t.name, t.contact_phone, t.contact_hours, t.about, t.look, c.page_language, c.max_failures,
    EXISTS (SELECT FROM question q WHERE q.campaign_id = c.id), c.checks_stopped_at IS NOT NULL,
    c.payment_required AND EXISTS (SELECT FROM payment_account a WHERE a.id = c.payment_account_id AND a.test_mode)
"""
_LINK_COLUMNS, _COMMON_COLUMNS = 7, 10
_LIVES = "r.link_expires_at > now() AND r.page_state NOT IN ('expired', 'revoked')"

# put together of our own words alone
_BY_TOKEN = f"SELECT {_LINK} FROM recipient r WHERE r.token_digest = %s AND {_LIVES}"  # noqa: S608
_OF_CAMPAIGN = f"SELECT {_COMMON} FROM campaign c JOIN tenant t ON t.id = c.tenant_id WHERE c.id = %s"  # noqa: S608
_BY_ID = text(f"""
    SELECT {_LINK}, {_COMMON}, r.payment_state, r.failed_attempts, r.amount_yen, r.due_date
    FROM recipient r JOIN campaign c ON c.id = r.campaign_id JOIN tenant t ON t.id = r.tenant_id
    WHERE r.id = :id AND r.token_digest = :digest AND {_LIVES}
""")  # noqa: S608
# whoever began to pay while the link lived may see what became of it
_BY_RETURN = text(f"""
    SELECT {_LINK}, {_COMMON}, r.payment_state, r.failed_attempts, r.amount_yen, r.due_date
    FROM recipient r JOIN campaign c ON c.id = r.campaign_id JOIN tenant t ON t.id = r.tenant_id
    WHERE r.id = :id AND r.token_digest = :digest AND r.page_state <> 'revoked'
    AND (({_LIVES}) OR EXISTS (
        SELECT FROM payment p WHERE p.recipient_id = r.id AND p.created_at < r.link_expires_at
    ))
""")  # noqa: S608

# how old the first page's knowledge of a campaign may be, which all its people have in common; seconds
_COMMON_LIFE_S = 3.0
_COMMON_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Face:
    """A company's face to everybody it writes to; `look` is the digest of its colour and logo, or empty."""

    company: str
    contact_phone: str
    contact_hours: str
    about: str
    look: str
    language: str


@dataclass(frozen=True, slots=True)
class Common:
    """Facts that all people of a campaign share.

    `asks` says whether questions come before the message, `stopped` whether nobody's answers are taken for now, `test`
    whether payments are made with a test contract, where no money moves.
    """

    face: Face
    max_failures: int
    asks: bool
    stopped: bool
    test: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """The person of a link that lives, and where their page stands.

    `digest` is the token's: a page session keeps it, so that it opens what the link opened and nothing else.
    """

    tenant_id: int
    recipient_id: int
    campaign_id: int
    generation: int
    expires_at: datetime
    page: PageState
    digest: bytes
    common: Common


@dataclass(frozen=True, slots=True)
class LiveLink(Link):
    """A link that lives, and where its person stands.

    Times are aware, money is whole yen.
    """

    payment: PaymentState
    failed_attempts: int
    amount_yen: int | None
    due_date: date | None


def by_token(token: str) -> Link | None:
    """Find whom a token is for: one look-up on the digest's index.

    No scope needs to be open.

    Facts of the campaign may be some seconds old: the press that follows asks anew.
    """
    row = lookup.first(_BY_TOKEN, vault.token_digest(token))
    if row is None:
        return None
    tenant_id, recipient_id, campaign_id, generation, expires_at, page, digest = row
    return Link(
        tenant_id=tenant_id,
        recipient_id=recipient_id,
        campaign_id=campaign_id,
        generation=generation,
        expires_at=expires_at,
        page=PageState(page),
        digest=digest,
        common=_common_of(campaign_id),
    )


def by_id(recipient_id: int, digest: bytes) -> LiveLink | None:
    """Find where the person of a page session stands now.

    The tenant's scope must be open.
    """
    return _found(_BY_ID, recipient_id, digest)


def by_return(recipient_id: int, digest: bytes) -> LiveLink | None:
    """Find where a person stands who comes back from paying, also when the link's time ended meanwhile."""
    return _found(_BY_RETURN, recipient_id, digest)


def _found(statement: TextClause, recipient_id: int, digest: bytes) -> LiveLink | None:
    with tenancy.transaction() as connection:
        row = connection.execute(statement, {"id": recipient_id, "digest": digest}).first()
    if row is None:
        return None
    return LiveLink(
        tenant_id=row.tenant_id,
        recipient_id=row.id,
        campaign_id=row.campaign_id,
        generation=row.link_generation,
        expires_at=row.link_expires_at,
        page=PageState(row.page_state),
        digest=row.token_digest,
        common=_common(row[_LINK_COLUMNS : _LINK_COLUMNS + _COMMON_COLUMNS]),
        payment=PaymentState(row.payment_state),
        failed_attempts=row.failed_attempts,
        amount_yen=row.amount_yen,
        due_date=row.due_date,
    )


class _Commons:
    """Facts that the people of a campaign share, and until when they may be used, by `time.monotonic()`."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[float, Common]] = {}


def _common_of(campaign_id: int) -> Common:
    now = time.monotonic()
    known = process_state.of(_Commons).known
    kept = known.get(campaign_id)
    if kept is not None and now < kept[0]:
        return kept[1]
    row = lookup.first(_OF_CAMPAIGN, campaign_id)
    assert row is not None  # noqa: S101 - a recipient refers to it
    if len(known) >= _COMMON_KEPT:
        known.clear()
    common = _common(row)
    known[campaign_id] = (now + _COMMON_LIFE_S, common)
    return common


def _common(row: Sequence[Any]) -> Common:
    # in the order of _COMMON
    *face, max_failures, asks, stopped, test = row
    return Common(Face(*face), max_failures, asks, stopped, test)


def begin(link: Link) -> None:
    """Record that the person opened their page; where nothing is asked, they are through with it."""
    steps = [Step(link.recipient_id, datetime.now(UTC))]
    with tenancy.transaction() as connection:
        move(connection, PAGE, PageState.OPENED, steps, actor="person", sources=[PageState.UNOPENED])
        if not link.common.asks:
            move(connection, PAGE, PageState.VERIFIED, steps, actor="person")
        reached.spare(
            connection, "id = :id AND sms_state <> 'queued'", {"id": link.recipient_id}, at=steps[0].at, actor="person"
        )


def view(link: LiveLink) -> tuple[str, str]:
    """Return the title and the message to a person who has proved who they are, and record that they saw it.

    Raises MissingField or CannotOpen where the data are not what was checked before sending.
    """
    # a session of its own: what the caller has open stays as it is
    with Session(db.engine) as session:
        recipient = session.get_one(Recipient, link.recipient_id)
        campaign = session.get_one(Campaign, link.campaign_id)
        fields = rendering.open_fields(link.tenant_id, link.recipient_id, recipient.fields_sealed)
        texts = rendering.page_texts(campaign, link.common.face.company, fields)
    if link.page is PageState.VERIFIED:
        with tenancy.transaction() as connection:
            move(connection, PAGE, PageState.VIEWED, [Step(link.recipient_id, datetime.now(UTC))], actor="person")
    return texts
