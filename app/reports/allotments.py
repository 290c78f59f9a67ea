"""The use that companies make of their parts of a shared account, for the operator who allots it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from app.delivery.failover import GOES_BY
from app.models import SmsAccount
from app.reports.totals import ATTEMPTS, RECIPIENTS, Where, are_kept, sums
from app.states.vocabulary import SmsState
from app.values.japan_time import TOKYO

_TAKEN = (SmsState.ACCEPTED, SmsState.DELIVERED, SmsState.UNDELIVERED)
# with a state that the campaign's people have: those that go by the part now
_GO_BY = f"""
    tenant_id = :tenant_id AND campaign_id IN (
        SELECT c.id FROM campaign c WHERE c.tenant_id = :tenant_id AND {GOES_BY} = :account_id
        AND c.launched_at IS NOT NULL
    )
"""  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True)
class Use:
    """How many SMS the service took by a part since the month began (Japan's), and how many people wait for one."""

    sent: int
    waiting: int


def use_of(row: SmsAccount, today: date) -> Use:
    """Return the use that a company makes of its part. The platform's scope must be open."""
    month = today.replace(day=1)
    kept = are_kept(row.tenant_id)
    values = {"tenant_id": row.tenant_id, "account_id": row.id}
    left = Where(
        f"allotment:{row.id}:{month.isoformat()}",
        "tenant_id = :tenant_id AND sms_account_id = :account_id AND day >= :day",
        "tenant_id = :tenant_id AND sms_account_id = :account_id AND started_at >= :start",
        {**values, "day": month, "start": datetime(month.year, month.month, 1, tzinfo=TOKYO).astimezone(UTC)},
    )
    people = Where(f"allotment-waiting:{row.id}", _GO_BY, _GO_BY, values)
    sent = {one.of[0]: one.sums[0] for one in sums(ATTEMPTS, ("state",), left, kept=kept)}
    waiting = {one.of[0]: one.sums[0] for one in sums(RECIPIENTS, ("sms_state",), people, kept=kept)}
    return Use(sum(sent.get(str(state), 0) for state in _TAKEN), waiting.get(str(SmsState.QUEUED), 0))
