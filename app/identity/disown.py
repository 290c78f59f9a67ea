"""A recipient says that an SMS is not for them: their link ends, and their number is proposed for the list."""

from datetime import UTC, datetime
from enum import Enum, auto

from sqlalchemy import text

from app import tenancy
from app.identity.visit import Link
from app.states import locks, release, result_codes
from app.states.transitions import Only, Step, move
from app.states.vocabulary import PAGE, PageState, PaymentState
from app.suppression import proposals
from app.values.suppression_reasons import SuppressionReason

# the reasons that the page offers
OFFERED = (SuppressionReason.WRONG_NUMBER, SuppressionReason.WISH, SuppressionReason.OTHER)

# money moves, or has: the page is where its person sees that
_PAYING = (PaymentState.STARTED, PaymentState.PENDING, PaymentState.PAID)


class Disowned(Enum):
    """The outcome of a person's word.

    The link ended; it stays, for a payment is under way or made, or somebody proved who they are; it was over by then.
    """

    ENDED = auto()
    PAYING = auto()
    VERIFIED = auto()
    OVER = auto()


def disown(link: Link, reason: SuppressionReason) -> Disowned:
    """End a link at its person's word and propose their number. The tenant's scope must be open. Commits.

    Nothing is put on the list by it: a clerk confirms or dismisses. An SMS that still waits with the link
    doesn't leave.
    """
    now = datetime.now(UTC)
    with tenancy.transaction() as connection:
        payment = locks.lock_payer(connection, link.recipient_id)
        person = connection.execute(
            text("""
                SELECT token_digest = :digest AS same, verified_at IS NOT NULL AS verified FROM recipient WHERE id = :id
            """),
            {"id": link.recipient_id, "digest": link.digest},
        ).one()
        if not person.same:
            return Disowned.OVER
        if payment in _PAYING:
            return Disowned.PAYING
        # where nothing is asked, being verified says no more than that the page was opened
        if person.verified and link.common.asks:
            return Disowned.VERIFIED
        step = Step(link.recipient_id, now, {"code": f"disowned:{reason}"})
        if not move(connection, PAGE, PageState.REVOKED, [step], actor="person"):
            return Disowned.OVER
        only = Only("id = :id", {"id": link.recipient_id})
        release.let_go(
            connection, result_codes.REVOKED, campaign_id=link.campaign_id, at=now, actor="person", only=only
        )
        proposals.propose(connection, link.recipient_id, reason)
    return Disowned.ENDED
