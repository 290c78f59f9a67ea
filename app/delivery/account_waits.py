"""Until when an account waits because its SMS service wished it, and whether that refuses to tell of messages.

In: an account, or one campaign of it. Out: times for the screens, only where it is so: nothing else is due meanwhile.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from app.delivery.failover import GOES_BY
from app.extensions import db
from app.models import SmsAccount

# a slice due that much later than the wish ends waits for something else: its hours, its turn
_MARGIN = timedelta(minutes=2)

# a shorter wish is over before anybody reads of it, seconds
WORTH_TELLING_S = 60.0


@dataclass(frozen=True, slots=True)
class Waits:
    """Until when nothing is sent, nothing is asked, at the service's wish; since when, and how, it refuses to tell."""

    sending_until: datetime | None = None
    asking_until: datetime | None = None
    refused_since: datetime | None = None
    refused_code: str = ""


def waits_of(account: SmsAccount, now: datetime, *, campaign_id: int | None = None) -> Waits:
    """Return what an account waits for, as far as it concerns one campaign where that is given."""
    wish, asking = account.send_wish_until, account.ask_wish_until
    return Waits(
        sending_until=_sending_until(account, wish, now, campaign_id) if wish is not None and wish > now else None,
        asking_until=asking if asking is not None and asking > now else None,
        refused_since=account.ask_refused_at,
        refused_code=account.ask_refused_code,
    )


def _sending_until(account: SmsAccount, wish: datetime, now: datetime, campaign_id: int | None) -> datetime | None:
    """Return when sending goes on: the account's rest is over then, and the first slice is due that is put off."""
    next_at, under_way = db.session.execute(
        text(f"""
            SELECT min(s.due_at), coalesce(bool_or(s.leased_until > now()), false)
            FROM campaign c JOIN slice s ON s.campaign_id = c.id
            WHERE c.tenant_id = :tenant_id AND {GOES_BY} = :id AND c.state = 'sending'
            AND (CAST(:campaign_id AS bigint) IS NULL OR c.id = :campaign_id) AND s.due_at IS NOT NULL
        """),  # noqa: S608 - our own words
        {"tenant_id": account.tenant_id, "id": account.id, "campaign_id": campaign_id},
    ).one()
    if next_at is None or under_way:
        return None
    goes_on = max(next_at, account.resting_until or next_at)
    return goes_on if now < goes_on <= wish + _MARGIN else None
