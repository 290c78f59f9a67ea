"""A campaign in numbers: how many stand where, and how many came how far."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text

from app.extensions import db
from app.states.vocabulary import PAGE, PAYMENT, SMS

# the funnel's steps: the word and the column that keeps the step's time
FUNNEL: tuple[tuple[str, str], ...] = (
    ("送信", "accepted_at"),
    ("到達", "delivered_at"),
    ("開封", "opened_at"),
    ("認証", "verified_at"),
    ("閲覧", "viewed_at"),
    ("支払", "paid_at"),
)


HOURS = range(24)


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of people by state on each track, all states named, and the funnel from sending to payment."""

    people: int
    sms: Mapping[str, int]
    page: Mapping[str, int]
    payment: Mapping[str, int]
    funnel: tuple[tuple[str, int], ...]


def figures(campaign_id: int) -> Figures:
    """Count a campaign's people in one pass over them."""
    # one whose outcome was asked for goes on to "arrived" without our having heard that it was accepted
    heard = {"accepted_at": "coalesce(accepted_at, delivered_at)"}
    steps = ", ".join(f"count({heard.get(column, column)})" for _, column in FUNNEL)
    rows = db.session.execute(
        text(
            f"SELECT sms_state, page_state, payment_state, count(*), {steps} FROM recipient"  # noqa: S608 - from FUNNEL
            " WHERE campaign_id = :id GROUP BY 1, 2, 3"
        ),
        {"id": campaign_id},
    ).all()
    sms: Counter[str] = Counter({str(state): 0 for state in SMS.words})
    page: Counter[str] = Counter({str(state): 0 for state in PAGE.words})
    payment: Counter[str] = Counter({str(state): 0 for state in PAYMENT.words})
    for row in rows:
        sms[row[0]] += row[3]
        page[row[1]] += row[3]
        payment[row[2]] += row[3]
    funnel = tuple((word, sum(row[4 + place] for row in rows)) for place, (word, _) in enumerate(FUNNEL))
    return Figures(sum(row[3] for row in rows), sms, page, payment, funnel)


def response_hours(campaign_id: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Count by the hour of Japan's day, from 0, in which people first opened the page, and in which they paid."""
    found = []
    for column in ("opened_at", "paid_at"):
        rows = db.session.execute(
            text(
                f"SELECT CAST(extract(hour FROM {column} AT TIME ZONE 'Asia/Tokyo') AS int), count(*)"  # noqa: S608
                f" FROM recipient WHERE campaign_id = :id AND {column} IS NOT NULL GROUP BY 1"
            ),
            {"id": campaign_id},
        )
        counts = {row[0]: row[1] for row in rows}
        found.append(tuple(counts.get(hour, 0) for hour in HOURS))
    return found[0], found[1]
