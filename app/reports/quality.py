"""How well SMS arrive, by account, carrier and day: shares, causes and how long it took, from totals alone.

In: a company and its accounts. Out: days of Japan's calendar, each with what became of its attempts, and where the
share that arrived has fallen. Can't happen here: a fall made of a handful of messages, or of an account for tests.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from math import ceil

from sqlalchemy import select

from app.accounts import abilities
from app.extensions import db
from app.models import SmsAccount
from app.reports.totals import ATTEMPTS, SECONDS, Where, are_kept, sums
from app.states.vocabulary import SmsState
from app.values.japan_time import TOKYO

DAYS = 30  # are shown
LONGEST_S = SECONDS[-1]  # from so long on it isn't known how long it took
_BEFORE = 7  # days that a day is compared with
_FALL = 0.05
# of fewer messages whose end is known a share says little
_LEAST = 100
_SENT = (SmsState.ACCEPTED, SmsState.DELIVERED, SmsState.UNDELIVERED)


@dataclass(slots=True)
class Quality:
    """The fate of some attempts.

    `seconds` counts delivered ones by the class of how long it took.
    """

    states: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    seconds: Counter[int] = field(default_factory=Counter)

    def add(self, state: str, cause: str, seconds_class: int, attempts: int) -> None:
        """Add so many attempts."""
        self.states[state] += attempts
        if state == SmsState.UNDELIVERED:
            self.causes[cause] += attempts
        if seconds_class >= 0:
            self.seconds[seconds_class] += attempts

    @property
    def sent(self) -> int:
        """How many left: accepted, whatever became of them, and refused."""
        return sum(self.states[state] for state in _SENT)

    @property
    def delivered(self) -> int:
        """How many arrived."""
        return self.states[SmsState.DELIVERED]

    @property
    def undelivered(self) -> int:
        """How many did not arrive, for whatever cause."""
        return self.states[SmsState.UNDELIVERED]

    @property
    def ended(self) -> int:
        """How many have an end that is known."""
        return self.delivered + self.undelivered

    @property
    def share(self) -> float | None:
        """The share of those with a known end that arrived; None of none."""
        return self.delivered / self.ended if self.ended else None

    def within_s(self, part: float) -> float | None:
        """Return within how many seconds that part of the delivered ones arrived, by the upper end of its class.

        None where no time is known, infinity beyond the last class.
        """
        needed, seen = ceil(part * self.seconds.total()), 0
        for place in sorted(self.seconds):
            seen += self.seconds[place]
            if seen >= needed and self.seconds[place]:
                return SECONDS[place] if place < len(SECONDS) else float("inf")
        return None


def by_day_and_carrier(account: SmsAccount, today: date) -> dict[tuple[date, str], Quality]:
    """Return what became of an account's attempts on its last days, by day and carrier, '' where it isn't known."""
    first = today - timedelta(days=DAYS - 1)
    where = _since(
        f"quality:{account.id}",
        account.tenant_id,
        first,
        "AND sms_account_id = :account_id",
        {"account_id": account.id},
    )
    found: dict[tuple[date, str], Quality] = defaultdict(Quality)
    by = ("day", "carrier", "state", "cause", "seconds_class")
    for (day, carrier, state, cause, place), (attempts, _) in sums(
        ATTEMPTS, by, where, kept=are_kept(account.tenant_id)
    ):
        found[day, carrier].add(state, cause, place, attempts)
    return found


def together(parts: Iterable[Quality]) -> Quality:
    """Add up what became of attempts."""
    whole = Quality()
    for part in parts:
        whole.states.update(part.states)
        whole.causes.update(part.causes)
        whole.seconds.update(part.seconds)
    return whole


@dataclass(frozen=True, slots=True)
class Fall:
    """An account, or with `carrier` its messages to one, whose share that arrived fell on a day."""

    account: SmsAccount
    carrier: str
    day: date
    share: float
    before: float


def falls(tenant_id: int, today: date) -> list[Fall]:
    """Return the falls of a company's accounts in use, the latest day of enough messages against the seven before it.

    Where an account as a whole fell, its carriers aren't named too.
    """
    first = today - timedelta(days=_BEFORE + 1)
    where = _since("falls", tenant_id, first, "", {})
    days: dict[int, dict[str, dict[date, Quality]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(Quality)))
    by = ("sms_account_id", "carrier", "day", "state")
    for (account_id, carrier, day, state), (attempts, _) in sums(ATTEMPTS, by, where, kept=are_kept(tenant_id)):
        for whose in {"", carrier}:
            days[account_id][whose][day].add(state, "", -1, attempts)
    used = select(SmsAccount).where(SmsAccount.tenant_id == tenant_id, SmsAccount.active).order_by(SmsAccount.id)
    found: list[Fall] = []
    for account in db.session.scalars(used):
        if account.id not in days or abilities.is_test(account):
            continue
        mine = [one for carrier in sorted(days[account.id]) if (one := _fall(account, carrier, days, today))]
        found += mine[:1] if mine and not mine[0].carrier else mine
    return found


def _fall(
    account: SmsAccount, carrier: str, days: Mapping[int, Mapping[str, Mapping[date, Quality]]], today: date
) -> Fall | None:
    of = days[account.id][carrier]
    for day in (today, today - timedelta(days=1)):
        now = of.get(day, Quality())
        if now.ended < _LEAST:
            continue
        before = together(one for at, one in of.items() if day - timedelta(days=_BEFORE) <= at < day)
        if now.share is None or before.share is None or before.ended < _LEAST:
            return None
        fell = round(before.share - now.share, 6) >= _FALL
        return Fall(account, carrier, day, now.share, before.share) if fell else None
    return None


def _since(name: str, tenant_id: int, first: date, more: str, values: Mapping[str, object]) -> Where:
    return Where(
        f"{tenant_id}:{name}:{first.isoformat()}",
        f"tenant_id = :tenant_id AND day >= :first {more}",
        f"tenant_id = :tenant_id AND started_at >= :start {more}",
        {
            **values,
            "tenant_id": tenant_id,
            "first": first,
            "start": datetime(first.year, first.month, first.day, tzinfo=TOKYO).astimezone(UTC),
        },
    )
