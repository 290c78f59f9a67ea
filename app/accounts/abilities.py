"""The abilities of an account's service, as the engine and the checks before sending use them.

In: an account, or its adapter's `Capabilities`. Out: how fast, how late and with which end an SMS may be asked for.
Can't happen here: a service's name, or a network call.
"""

import math
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from app import references
from app.accounts import OfSms, Unusable, address_of
from app.accounts.shared import SharedRate, read
from app.config import settings
from app.models import SmsAccount
from app.providers.sms import PROVIDERS
from app.providers.sms.base import Capabilities


def of(row: OfSms) -> Capabilities:
    """Return the abilities of an account's service."""
    return PROVIDERS[row.provider].capabilities


def is_test(row: OfSms) -> bool:
    """Return whether what leaves by an account reaches nobody: a contract for tries, or an address for them."""
    if row.test_mode:
        return True
    try:
        return urlsplit(address_of(row)).hostname in of(row).test_hosts
    except Unusable:
        return False


def rate_of(row: SmsAccount) -> int | None:
    """Return the most messages that may leave in any second: the account's rate, or its service's if less; or None.

    Of an allotment it is never more than its shared account's.
    """
    together = shared_rate_of(row)
    limits = [one for one in (row.rate_per_s, of(row).most_requests_s, together and together.rate) if one is not None]
    return min(limits, default=None)


def shared_rate_of(row: SmsAccount) -> SharedRate | None:
    """Return the rate that an allotment shares with other companies'; None of a company's own contract."""
    found = None if row.shared_account_id is None else read(row.shared_account_id)
    if found is None:
        return None
    most = of(found).most_requests_s
    return SharedRate(found.id, found.rate_per_s if most is None else min(found.rate_per_s, most))


def lead_time(able: Capabilities) -> timedelta:
    """Return how long before an end a request must start: later, its answer or the SMS itself may come after that.

    A service that takes an end for each message must be given one that it takes; where none can be given, the carriers
    may go on trying to the end of their own time.
    """
    least_s = able.retries_for_s if able.validity is None else able.validity.least_s
    return timedelta(seconds=max(float(settings().send_timeout_s), least_s))


def valid_until(able: Capabilities, ends: datetime) -> datetime | None:
    """Return the end that a message is given: `ends`, or the latest that its service takes; or None."""
    if able.validity is None:
        return None
    if math.isinf(able.validity.most_s):
        return ends
    return min(ends, datetime.now(UTC) + timedelta(seconds=able.validity.most_s))


def carries(able: Capabilities, text_units: int) -> bool:
    """Return whether a service carries our references whole, and a text of so many UTF-16 units."""
    reference, text = able.longest_reference, able.longest_text
    return (reference is None or reference >= references.LONGEST) and (text is None or text >= text_units)
