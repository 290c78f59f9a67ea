"""The drill's cells of failover: a company with two contracts, of which the first fails.

`switch_s` is the time from the first failure to the first message by the second contract, `back_s` from the first one's
return to the first message by it that is no try; None where a cell doesn't wait for it. `crossed` are the messages that
the first contract took and the second sent as well.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from bench.drill import FIELDS as COMMON
from bench.drill import holds as common_holds
from bench.harness import Ground, Sent
from bench.report import Run
from bench.send import clerk, database

FIELDS = (*COMMON[:-1], "crossed", "switch_s", "back_s", COMMON[-1])
_ROWS, _RATE, _OUTAGE_S = 20_000, 25, 120
_HANGING_ROWS = 300
SWITCH_S, BACK_S = 30.0, 360.0
# A list so long has two numbers of phones that are switched off (`sandbox.messages`): undelivered is an end as well.
_ENDS = ("accepted", "delivered", "undelivered")
# longer than all may take: what a busy machine slows down is told as late, not as left
_PATIENCE_S = 1_500.0
# two messages of the first contract that leave so close together are no tries, seconds
_TRIES_APART_S = 20.0


@dataclass(frozen=True, slots=True)
class _Left:
    """A request to send, by the ledger: when it came (epoch seconds), to which contract, and what became of it."""

    at: float
    contract: str
    fate: str
    accepted: bool
    reference: str


def _begin(ground: Ground, rows: int, rate: int) -> tuple[Sent, str, str]:
    """Run the product and prepare a campaign that allows another sender; give both contracts' ids at the carrier."""
    ground.run("web", "tracking", "delivery", "scheduler")
    own, second = clerk(ground.stack, "second", rate).split()[1:]
    ground.rows, rows = rows, ground.rows
    try:
        campaign = replace(ground.campaign(), ends=_ENDS)
    finally:
        ground.rows = rows
    return campaign, own, second


def _judged(campaign: Sent, since: float, own: str, second: str, returned_at: float | None = None) -> Run:
    """Wait for the end; the next cell's company has one contract again."""
    stack = campaign.ground.stack
    try:
        run = campaign.verdict(since, limit_s=_PATIENCE_S)
    finally:
        clerk(stack, "alone", "-")
    left = _ledger(campaign.ground)
    taken = {one.reference.rpartition(".")[0] for one in left if one.contract == own and one.accepted}
    failed_at = min(one.at for one in left if one.contract == own and one.fate != "answered")
    by_second = [one for one in left if one.contract == second]
    return {
        **run,
        "crossed": sum(one.reference.rpartition(".")[0] in taken for one in by_second),
        "switch_s": round(by_second[0].at - failed_at, 1) if by_second else None,
        "back_s": None if returned_at is None else _back_s(left, own, returned_at),
    }


def _back_s(left: Sequence[_Left], own: str, returned_at: float) -> float | None:
    """Return how long after its return a contract had two messages close together: one alone is a try."""
    times = [one.at for one in left if one.contract == own and one.at > returned_at and one.accepted]
    for first, following in pairwise(times):
        if following - first < _TRIES_APART_S:
            return round(first - returned_at, 1)
    return None


def _ledger(ground: Ground) -> list[_Left]:
    found = []
    for row in ground.sandbox.ledger("karaden"):
        if row["call"] == "create":
            contract = row["target"].partition("?")[0].split("/")[-2]
            at = datetime.fromisoformat(row["at"]).timestamp()
            [reference] = row["form"].get("tags[]", [""])
            found.append(_Left(at, contract, row["fate"], row["accepted"] is not None, reference))
    return found


def _failover_500(ground: Ground) -> Run:
    """Have the first contract answer 500 for two minutes, in a campaign that leaves at 25 a second."""
    campaign, own, second = _begin(ground, _ROWS + 2, _RATE)
    campaign.launch()
    ground.until(lambda: ground.requests() > 4 * _RATE, "some are sent")
    ground.sandbox.faults(error_before={"value": True, "on": f"karaden.create@{own}"})
    time.sleep(_OUTAGE_S)
    ground.sandbox.faults()
    return _judged(campaign, time.monotonic(), own, second, time.time())


def _failover_unknown(ground: Ground) -> Run:
    """Have the first contract take messages and never answer: none of these may reach the second."""
    campaign, own, second = _begin(ground, _HANGING_ROWS + 2, _RATE)
    ground.sandbox.faults(hang={"value": True, "on": f"karaden.create@{own}"})
    campaign.launch()
    with database(ground.stack) as connection:
        ground.until(
            lambda: bool(
                connection.execute(
                    "SELECT standby_account_id FROM campaign WHERE id = %s AND standby_account_id IS NOT NULL",
                    [campaign.id],
                ).fetchone()
            ),
            "the second contract has taken over",
            limit_s=120,
        )
    ground.sandbox.faults()
    return _judged(campaign, time.monotonic(), own, second)


CELLS: Mapping[str, Callable[[Ground], Run]] = {
    "failover_500": _failover_500,
    "failover_unknown": _failover_unknown,
}
# at the rate the whole campaign takes 800 s, whatever a settle time is divided by
FACTORS: Mapping[str, int] = {"failover_500": 1}
LIMITS_S: Mapping[str, tuple[float, str]] = {
    "failover_500": (_ROWS / _RATE + 60, "all leave at 25 a second"),
    "failover_unknown": (900.0, "a gateway's settle time, then the first contract's own list"),
}


def holds(run: Run) -> bool:
    """Return whether a cell came out as it must."""
    limit_s, _ = LIMITS_S[str(run["cell"])]
    switch_s, back_s = run["switch_s"], run["back_s"]
    in_time = isinstance(switch_s, float) and (run["factor"] != 1 or switch_s <= SWITCH_S)
    back = run["cell"] != "failover_500" or (isinstance(back_s, float) and back_s <= BACK_S)
    return in_time and back and not run["crossed"] and common_holds(run, limit_s)
