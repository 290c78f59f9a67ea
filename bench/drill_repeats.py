"""The drill's cell of messages that are sent again at once: a service that refuses a reference it had before.

For twenty seconds 絶対リーチ!SMS answers nothing; of what it is sent meanwhile it takes one half. Its list is an hour
behind and no receipt comes, so a look-up shows nobody's message: only sending again tells what became of them.
`recovery_s` is short of every settle time. `refused` are the requests that it refused because it had the message.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from bench.drill import FIELDS as COMMON
from bench.drill import holds as common_holds
from bench.harness import Ground
from bench.report import Run

FIELDS = (*COMMON[:-1], "refused", COMMON[-1])
_SERVICE = "zettai_reach"
_OUTAGE_S, _BEHIND_S = 20, 3600
_LIMIT_S = 40.0
# the contract with the service is another company's than the one that the other cells know
_COMPANY = "1"


def _duplicate_resend(ground: Ground) -> Run:
    """Lose every answer for twenty seconds, from the launch on."""
    ground.run("web", "tracking", "delivery", "scheduler", BENCH_COMPANY=_COMPANY)
    with ground.through(_SERVICE):
        campaign = replace(ground.campaign(), ends=("accepted",))
        blind = {"list_stale_s": _BEHIND_S, "receipts_off": True, "seed": 7}
        ground.sandbox.faults(
            **blind,
            reset_before_body={"value": True, "rate": 0.5, "on": ground.create},
            reset_after_body={"value": True, "on": ground.create},
        )
        campaign.launch()
        ground.until(lambda: ground.requests() > 0, "a send failed")
        time.sleep(_OUTAGE_S)
        ground.sandbox.faults(**blind)
        run = campaign.verdict(time.monotonic())
        rows = [row for row in ground.sandbox.ledger(_SERVICE) if row["call"] == "create"]
    refused = sum(row["fate"] == "answered" and row["accepted"] is None for row in rows)
    return {**run, "service": _SERVICE, "refused": refused}


CELLS: Mapping[str, Callable[[Ground], Run]] = {"duplicate_resend": _duplicate_resend}
# with the settle times of production, which it must not wait for
FACTORS: Mapping[str, int] = {"duplicate_resend": 1}


def holds(run: Run) -> bool:
    """Return whether the cell came out as it must: some were sent again that the service had."""
    return bool(run["refused"]) and common_holds(run, _LIMIT_S)
