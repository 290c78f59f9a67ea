"""A company's day and month in numbers: what left, what arrived, what was paid."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import select

from app.accounts import abilities
from app.extensions import db
from app.models import SmsAccount
from app.reports.totals import ATTEMPTS, PAYMENTS, Totals, Where, are_kept, sums
from app.states.vocabulary import SmsState
from app.values.japan_time import TOKYO

_SENT = (SmsState.ACCEPTED, SmsState.DELIVERED, SmsState.UNDELIVERED)


@dataclass(frozen=True, slots=True)
class Period:
    """Totals since a day began: attempts that the provider took, of which so many arrived or didn't; payments.

    `paid_yen` is what stayed: without parts given back and lost disputes. `since` is an ISO day of Japan's calendar.
    """

    since: str
    sent: int
    delivered: int
    undelivered: int
    paid: int
    paid_yen: int


def day_and_month(tenant_id: int, now: datetime) -> tuple[Period, Period]:
    """Return the tenant's day and month so far, by Japan's calendar."""
    today = now.astimezone(TOKYO).date()
    month = today.replace(day=1)
    kept = are_kept(tenant_id)
    tests = _for_tests(tenant_id)
    attempts = sums(ATTEMPTS, ("day", "sms_account_id", "state"), _since(ATTEMPTS, tenant_id, month), kept=kept)
    payments = sums(PAYMENTS, ("day",), _since(PAYMENTS, tenant_id, month), kept=kept)

    def period(since: date) -> Period:
        states: Counter[str] = Counter()
        for (day, account_id, state), (count, _) in attempts:
            states[state] += count if day >= since and account_id not in tests else 0
        paid = [one.sums for one in payments if one.of[0] >= since]
        return Period(
            since=since.isoformat(),
            sent=sum(states[state] for state in _SENT),
            delivered=states[SmsState.DELIVERED],
            undelivered=states[SmsState.UNDELIVERED],
            paid=sum(count for count, _ in paid),
            paid_yen=sum(yen for _, yen in paid),
        )

    return period(today), period(month)


def _for_tests(tenant_id: int) -> set[int]:
    """Return the accounts whose SMS reach nobody: they count as sent nowhere."""
    accounts = db.session.scalars(select(SmsAccount).where(SmsAccount.tenant_id == tenant_id))
    return {account.id for account in accounts if abilities.is_test(account)}


def _since(totals: Totals, tenant_id: int, day: date) -> Where:
    column = "started_at" if totals is ATTEMPTS else "paid_at"
    return Where(
        f"{tenant_id}:since:{day.isoformat()}",
        "tenant_id = :tenant_id AND day >= :day",
        f"tenant_id = :tenant_id AND {column} >= :start",
        {
            "tenant_id": tenant_id,
            "day": day,
            "start": datetime(day.year, day.month, day.day, tzinfo=TOKYO).astimezone(UTC),
        },
    )
