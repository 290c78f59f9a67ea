"""The drill's cells of what may be sent and what may not: a carrier, or a firewall before it, that refuses one number.

`recovery_s` is the time from the launch until everybody else has their SMS: nobody waits behind the refused one, who is
given up a minute later, by name. `unknown_left` counts also that person, where they are not.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping

from bench.harness import Ground
from bench.report import Run
from bench.send import database

# the first number of every list (`bench.lists`): it stands before all others
_REFUSED = "10000089"
# how long until the refused one is given up: the minute, a rest of the account in the worst case; seconds
_LIMIT_S = 420

_STANDINGS = """
    SELECT count(*) FILTER (WHERE sms_state = 'delivered'),
        count(*) FILTER (WHERE sms_state = 'undelivered' AND starts_with(sms_code, 'message:')), count(*)
    FROM recipient WHERE campaign_id = %s
"""


def _poison(status: int) -> Callable[[Ground], Run]:
    """Refuse the first number of the list with this status, for ever."""

    def cell(ground: Ground) -> Run:
        ground.run("web", "tracking", "delivery", "scheduler")
        campaign = ground.campaign()
        ground.sandbox.faults(poison={"value": status, "ids": [_REFUSED]})
        since = time.monotonic()
        campaign.launch()
        others_s: float | None = None
        with database(ground.stack) as connection:
            while True:
                row = connection.execute(_STANDINGS, [campaign.id]).fetchone()
                assert row is not None  # noqa: S101 - an aggregate
                arrived, refused, people = row
                waited_s = time.monotonic() - since
                if others_s is None and arrived == people - 1:
                    others_s = waited_s
                if arrived + refused == people or waited_s > _LIMIT_S:
                    break
                time.sleep(0.05)
        numbers = Counter(message["to"] for message in ground.sandbox.messages())
        return {
            "messages": people,
            "lost": people - 1 - len(numbers),
            "duplicated": numbers.total() - len(numbers),
            "unknown_left": people - arrived - refused,
            "recovery_s": round(others_s if others_s is not None else waited_s, 1),
        }

    return cell


CELLS: Mapping[str, Callable[[Ground], Run]] = {f"poison_{status}": _poison(status) for status in (403, 404, 422)}
