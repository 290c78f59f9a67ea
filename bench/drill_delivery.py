"""The drill's cells of delivery: each breaks one thing while a campaign is being sent."""

import signal
import time
from collections.abc import Callable, Mapping

from bench.ground import Ground
from bench.report import Run

_ALL = ("web", "tracking", "delivery", "scheduler")
# how long the carrier takes for its answer to a send while something is to break in between
_SLOWLY = {"value": 300, "on": "karaden.create"}


def killed(point: str, passes: int) -> Callable[[Ground], Run]:
    """Kill the delivery worker -9 at a point of its way; another one is started at once, as by a supervisor."""

    def cell(ground: Ground) -> Run:
        ground.run("web", "tracking", "scheduler")
        ground.sandbox.switches(latency_ms=_SLOWLY)
        campaign = ground.campaign()
        worker = ground.start("bench.doomed", "kill", point, str(passes), "worker", "delivery", log="doomed")
        ground.await_workers(2)
        campaign.launch()
        if worker.wait(60) != -signal.SIGKILL:
            raise RuntimeError(f"the worker ended by itself; see {ground.stack.log('doomed')}")
        since = time.monotonic()
        ground.stack.restart("delivery")
        return campaign.verdict(since)

    return cell


def flushed(ground: Ground) -> Run:
    """Empty Redis while the campaign is being sent."""
    ground.run(*_ALL)
    ground.sandbox.switches(latency_ms=_SLOWLY)
    campaign = ground.campaign()
    campaign.launch()
    ground.until(lambda: ground.requests() > ground.rows // 4, "a quarter is sent")
    with ground.redis() as client:
        client.flushall()
    return campaign.verdict(time.monotonic())


def failing(**switches: object) -> Callable[[Ground], Run]:
    """Let the carrier fail for some time, in the middle of a campaign."""

    def cell(ground: Ground) -> Run:
        ground.run(*_ALL)
        campaign = ground.campaign()
        ground.sandbox.switches(**switches)
        campaign.launch()
        ground.until(lambda: ground.requests() - ground.requests("answered") > ground.rows // 10, "a tenth failed")
        ground.sandbox.switches()
        return campaign.verdict(time.monotonic())

    return cell


CELLS: Mapping[str, Callable[[Ground], Run]] = {
    "killed_claimed": killed("claimed", 2),
    "redis_flushed": flushed,
    "answers_500": failing(error_before={"rate": 0.5, "on": "karaden.create"}),
}
