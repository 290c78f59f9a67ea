"""Limit how many first SMS one phone number gets: in a campaign, and from a company on a day of Japan's calendar.

In: people who wait for their first SMS, under a worker's claim. Out: those beyond the limits, held for a manager, who
lets them be sent to all the same or not. Can't happen here: two workers, or two campaigns at once, that send more
together than one may; a retry, a reminder or 送り直し counted.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from app.config import settings
from app.delivery.held_selection import Chosen
from app.extensions import db
from app.models import Campaign, Recipient
from app.states import result_codes
from app.states.transitions import Step, move
from app.states.vocabulary import SMS, CampaignState, SmsState
from app.values.japan_time import TOKYO

HELD = (result_codes.NUMBER_CAMPAIGN, result_codes.NUMBER_DAY)

# The company's campaigns of which an SMS can have left today, or may now. Each part has an index: there may have been
# ten thousand campaigns.
_ACTIVE = """
    ARRAY(
        SELECT c.id FROM campaign c WHERE c.tenant_id = :tenant_id AND c.state IN ('sending', 'paused')
        UNION SELECT c.id FROM campaign c WHERE c.tenant_id = :tenant_id AND c.served_at >= :midnight
    )
"""

# Whether so many people have the number of one who waits for a first SMS (`recipient`) that a limit may be reached:
# one look into the index, a few rows long.
CROWDED = f"""
    CASE WHEN sms_attempt = 0 AND sms_code <> '{result_codes.ALLOWED}' THEN (
        SELECT count(*) > :daily_cap OR count(*) FILTER (WHERE same.campaign_id = recipient.campaign_id) > :campaign_cap
        FROM (
            SELECT o.campaign_id FROM recipient o
            WHERE o.tenant_id = recipient.tenant_id AND o.phone_index = recipient.phone_index
            AND o.campaign_id = ANY({_ACTIVE}) LIMIT greatest(:daily_cap, :campaign_cap) + 1
        ) AS same
    ) ELSE false END
"""  # noqa: S608 - our own words

_COUNTED = text(f"""
    SELECT o.phone_index,
        -- one who is a customer for years comes to a standing campaign often: there a day's count
        count(*) FILTER (WHERE o.campaign_id = :campaign_id AND (
            NOT (SELECT c.standing FROM campaign c WHERE c.id = :campaign_id) OR EXISTS (
                SELECT FROM send_log l WHERE l.recipient_id = o.id AND l.attempt = 1 AND l.started_at >= :midnight
            )
        )) AS in_campaign,
        count(*) FILTER (WHERE EXISTS (
            SELECT FROM send_log l WHERE l.recipient_id = o.id AND l.attempt = 1 AND l.started_at >= :midnight
        )) AS today
    FROM recipient o
    WHERE o.tenant_id = :tenant_id AND o.phone_index = ANY(:phones) AND o.campaign_id = ANY({_ACTIVE})
    AND o.sms_attempt > 0 GROUP BY 1
""")  # noqa: S608 - our own words


def values(tenant_id: int) -> dict[str, Any]:
    """Return the values of CROWDED."""
    return {
        "tenant_id": tenant_id,
        "midnight": _midnight(),
        "campaign_cap": settings().number_campaign_cap,
        "daily_cap": settings().number_daily_cap,
    }


def hold(connection: Connection, tenant_id: int, campaign_id: int, rows: Sequence[Row[Any]], now: datetime) -> set[int]:
    """Hold those of `rows` (id, phone_index; crowded) who are beyond a limit, in the order given; return their ids.

    Whoever counts for the same company waits until this transaction ends: what it claims is seen then.
    """
    if not rows:
        return set()
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('number_cap', :tenant_id))"), {"tenant_id": tenant_id}
    )
    counted = connection.execute(
        _COUNTED,
        {
            "tenant_id": tenant_id,
            "campaign_id": campaign_id,
            "midnight": _midnight(),
            "phones": list({row.phone_index for row in rows}),
        },
    ).all()
    in_campaign = Counter({row.phone_index: row.in_campaign for row in counted})
    today = Counter({row.phone_index: row.today for row in counted})
    steps = []
    for row in rows:
        if in_campaign[row.phone_index] >= settings().number_campaign_cap:
            code = result_codes.NUMBER_CAMPAIGN
        elif today[row.phone_index] >= settings().number_daily_cap:
            code = result_codes.NUMBER_DAY
        else:
            in_campaign[row.phone_index] += 1
            today[row.phone_index] += 1
            continue
        steps.append(Step(row.id, now, {"code": code}, {"sms_code": code, "capped_at": now}))
    return move(connection, SMS, SmsState.CANCELLED, steps, actor="system", sources=[SmsState.QUEUED])


def count(campaign: Campaign) -> int:
    """Return how many of the campaign's people wait for a manager's word; through an index."""
    if campaign.state == CampaignState.CANCELLED:
        return 0
    statement = text(f"SELECT count(*) FROM recipient WHERE {_HELD}")  # noqa: S608 - our own words
    return int(db.session.execute(statement, _of(campaign)).scalar_one())


def is_held(person: Recipient) -> bool:
    """Return whether this person waits for a manager's word."""
    return (
        person.capped_at is not None
        and person.sms_state == SmsState.CANCELLED
        and person.campaign.state != CampaignState.CANCELLED
    )


def by_reason(campaign: Campaign, *, at: datetime | None = None) -> dict[str, int]:
    """Count the campaign's held people by reason, a code of HELD; `at` leaves out those held since."""
    if campaign.state == CampaignState.CANCELLED:
        return {}
    values = {**_of(campaign), "at": at or datetime.now(UTC)}
    statement = text(f"""
        SELECT sms_code, count(*) AS people FROM recipient WHERE {_HELD} AND capped_at <= :at GROUP BY 1
    """)  # noqa: S608 - our own words
    found = {row.sms_code: row.people for row in db.session.execute(statement, values)}
    return {code: found[code] for code in HELD if code in found}


def seen(campaign: Campaign, chosen: Chosen, *, after_id: int, limit: int) -> list[int]:
    """Return the ids of chosen people who are held, in their order."""
    if campaign.state == CampaignState.CANCELLED:
        return []
    statement = text(f"SELECT id FROM recipient WHERE {_HELD} {_CHOSEN} AND id > :after_id ORDER BY id LIMIT :limit")  # noqa: S608 - our own words
    values = {**_of(campaign), **_of_chosen(chosen), "after_id": after_id, "limit": limit}
    return list(db.session.execute(statement, values).scalars())


def lock(campaign: Campaign, chosen: Chosen, ids: Sequence[int]) -> list[int]:
    """Lock those of `ids` who are held still, after campaign and slices; return them."""
    if campaign.state == CampaignState.CANCELLED:
        return []
    statement = text(f"""
        SELECT id FROM recipient WHERE {_HELD} {_CHOSEN} AND id = ANY(:locked) ORDER BY id FOR NO KEY UPDATE
    """)  # noqa: S608 - our own words
    values = {**_of(campaign), **_of_chosen(chosen), "locked": list(ids)}
    return list(db.session.execute(statement, values).scalars())


_HELD = "tenant_id = :tenant_id AND capped_at IS NOT NULL AND campaign_id = :campaign_id AND sms_state = 'cancelled'"
_CHOSEN = """
    AND (CAST(:ids AS bigint[]) IS NULL OR id = ANY(CAST(:ids AS bigint[])))
    AND (CAST(:which AS text) IS NULL OR sms_code = CAST(:which AS text)) AND capped_at <= :at
"""


def _of(campaign: Campaign) -> Mapping[str, Any]:
    return {"tenant_id": campaign.tenant_id, "campaign_id": campaign.id}


def _of_chosen(chosen: Chosen) -> Mapping[str, Any]:
    return {"ids": None if chosen.ids is None else list(chosen.ids), "which": chosen.reason, "at": chosen.at}


def _midnight() -> datetime:
    """Return when the present day of Japan's calendar began."""
    return datetime.now(UTC).astimezone(TOKYO).replace(hour=0, minute=0, second=0, microsecond=0)
