"""A person's visit to their page: whom the link is for, where they stand, what they may see.

In: a token, or the recipient and generation that a page session holds. Out: a `Standing`, or None for a link that is
unknown, over or revoked: one answer for the three. What can't happen here: a state changed by looking; a message given
out for a link that has ended.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from app import tenancy
from app.campaigns import people
from app.extensions import db, vault
from app.models import Campaign, Recipient
from app.tracking.moves import Step, move
from app.tracking.states import PAGE, PageState, PaymentState

_STANDING = """
    SELECT r.tenant_id, r.id, r.campaign_id, r.link_generation, r.link_expires_at, r.page_state, r.payment_state,
           r.failed_attempts, r.amount_yen, r.due_date, t.name, t.contact_phone, t.contact_hours, c.page_language,
           c.max_failures, EXISTS (SELECT FROM question q WHERE q.campaign_id = r.campaign_id) AS asks
    FROM recipient r JOIN campaign c ON c.id = r.campaign_id JOIN tenant t ON t.id = r.tenant_id
    WHERE r.link_expires_at > :now AND r.page_state NOT IN ('expired', 'revoked')
"""
_BY_TOKEN = text(_STANDING + " AND r.token_digest = :digest")
_BY_ID = text(_STANDING + " AND r.id = :id AND r.link_generation = :generation")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a person stands whose link lives: `asks` says whether questions come before the message.

    Times are aware, money is whole yen.
    """

    tenant_id: int
    recipient_id: int
    campaign_id: int
    generation: int
    expires_at: datetime
    page: PageState
    payment: PaymentState
    failed_attempts: int
    amount_yen: int | None
    due_date: date | None
    company: str
    contact_phone: str
    contact_hours: str
    language: str
    max_failures: int
    asks: bool


def by_token(token: str) -> Standing | None:
    """Find whom a token is for; one look-up on the digest's index. The platform's scope must be open."""
    with tenancy.transaction() as connection:
        return _standing(connection, token=token)


def by_id(recipient_id: int, generation: int) -> Standing | None:
    """Find where the person of a page session stands now. The tenant's scope must be open."""
    with tenancy.transaction() as connection:
        return _standing(connection, recipient_id=recipient_id, generation=generation)


def _standing(
    connection: Connection, *, token: str | None = None, recipient_id: int = 0, generation: int = 0
) -> Standing | None:
    values: dict[str, object] = {"now": datetime.now(UTC)}
    if token is not None:
        row = connection.execute(_BY_TOKEN, values | {"digest": vault.token_digest(token)}).first()
    else:
        row = connection.execute(_BY_ID, values | {"id": recipient_id, "generation": generation}).first()
    if row is None:
        return None
    return Standing(
        tenant_id=row.tenant_id,
        recipient_id=row.id,
        campaign_id=row.campaign_id,
        generation=row.link_generation,
        expires_at=row.link_expires_at,
        page=PageState(row.page_state),
        payment=PaymentState(row.payment_state),
        failed_attempts=row.failed_attempts,
        amount_yen=row.amount_yen,
        due_date=row.due_date,
        company=row.name,
        contact_phone=row.contact_phone,
        contact_hours=row.contact_hours,
        language=row.page_language,
        max_failures=row.max_failures,
        asks=row.asks,
    )


def begin(standing: Standing) -> None:
    """Record that the person opened their page; where nothing is asked, they are through with it."""
    steps = [Step(standing.recipient_id, datetime.now(UTC))]
    with tenancy.transaction() as connection:
        move(connection, PAGE, PageState.OPENED, steps, actor="person", sources=[PageState.UNOPENED])
        if not standing.asks:
            move(connection, PAGE, PageState.VERIFIED, steps, actor="person")


def view(standing: Standing) -> tuple[str, str]:
    """Give the title and the message to a person who has proved who they are, and record that they saw it.

    Raises MissingField or CannotOpen where the data are not what was checked before sending.
    """
    # a session of its own: what the caller has open stays as it is
    with Session(db.engine) as session:
        recipient = session.get_one(Recipient, standing.recipient_id)
        campaign = session.get_one(Campaign, standing.campaign_id)
        fields = people.open_fields(standing.tenant_id, standing.recipient_id, recipient.fields_sealed)
        texts = people.page_texts(campaign, standing.company, fields)
    if standing.page is PageState.VERIFIED:
        with tenancy.transaction() as connection:
            move(connection, PAGE, PageState.VIEWED, [Step(standing.recipient_id, datetime.now(UTC))], actor="person")
    return texts
