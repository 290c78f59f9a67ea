"""The drill's cells of delivery: each breaks one thing while a campaign is being sent."""

import signal
import time
from collections.abc import Callable, Mapping

from bench.fault_injection import JUMPED, POINTS
from bench.harness import Ground
from bench.report import Run
from dev.process import stop

Cell = Callable[[Ground], Run]

# how long a carrier fails, and a server is away; seconds
_OUTAGE_S = 20.0
_AWAY_S = 2.0
# at which pass of its point a worker dies: in the middle of the campaign
_PASSES = {"leased": 1, "sending": 300}


def _worker_killed(point: str) -> Cell:
    """Kill the delivery worker -9 at a point of its way; another is started at once, as a supervisor does."""

    def cell(ground: Ground) -> Run:
        ground.run("web", "tracking", "scheduler")
        ground.sandbox.faults(latency_ms=ground.slowly())
        campaign = ground.campaign()
        worker = ground.doomed("kill", point, _PASSES.get(point, 2))
        campaign.launch()
        if worker.wait(60) != -signal.SIGKILL:
            raise RuntimeError(f"the worker ended by itself; see {ground.stack.log('doomed')}")
        since = time.monotonic()
        ground.stack.restart("delivery")
        return campaign.verdict(since)

    return cell


def _redis_flushed(ground: Ground) -> Run:
    """Empty Redis: jobs, workers' names, the accounts' pace."""
    with ground.in_mid_campaign() as campaign, ground.redis() as client:
        client.flushall()
        return campaign.verdict(time.monotonic())


def _redis_restarted(ground: Ground) -> Run:
    """Kill Redis -9 and start it again after two seconds."""
    with ground.in_mid_campaign() as campaign:
        ground.stack.kill("valkey")
        in_mid_campaign = ground.requests() < ground.rows
        time.sleep(_AWAY_S)
        ground.stack.restart("valkey")
        return campaign.verdict(time.monotonic(), broken=in_mid_campaign)


def _postgres_restarted(ground: Ground) -> Run:
    """Stop PostgreSQL at once (immediate: no goodbye, recovery from its log), start it again after two seconds."""
    with ground.in_mid_campaign() as campaign:
        stop(ground.stack.processes()["postgres"], first=signal.SIGQUIT)
        time.sleep(_AWAY_S)
        ground.stack.restart("postgres")
        return campaign.verdict(time.monotonic())


def _carrier_fails(name: str, late_s: float = 0, outage_s: float = _OUTAGE_S) -> Cell:
    """Let every send fail from the launch on, or be answered late, for 20 seconds or longer."""

    def cell(ground: Ground) -> Run:
        ground.run("web", "tracking", "delivery", "scheduler")
        campaign = ground.campaign()
        value = ground.scaled(late_s) * 1000 if late_s else True
        ground.sandbox.faults(**{name: {"value": value, "on": ground.create}})
        campaign.launch()
        ground.until(lambda: ground.requests() > 0, "a send failed")
        time.sleep(ground.scaled(outage_s))
        ground.sandbox.faults()
        return campaign.verdict(time.monotonic())

    return cell


def _receipts(switch: str) -> Cell:
    """Let each receipt come otherwise than it should; nothing else is wrong, so the time is the campaign's own."""

    def cell(ground: Ground) -> Run:
        ground.run("web", "tracking", "delivery", "scheduler")
        campaign = ground.campaign()
        ground.sandbox.faults(**{switch: True})
        since = time.monotonic()
        campaign.launch()
        # on a busy machine all is over before the clerk's program is
        return campaign.verdict(since, broken=True)

    return cell


def _clock_jumps(hours: int) -> Cell:
    """Put the clock of the worker's machine wrong as its first people are claimed; another machine's is right.

    The carrier broke some connections before: what became of those must not be judged by the wrong clock.
    """

    def cell(ground: Ground) -> Run:
        ground.run("web", "tracking", "scheduler")
        campaign = ground.campaign()
        ground.sandbox.faults(latency_ms=ground.slowly(), reset_before_body={"next": 15, "on": ground.create})
        ground.doomed(f"jump{hours:+d}h", "claimed", 1)
        campaign.launch()
        ground.until(lambda: JUMPED in ground.stack.log("doomed").read_text("utf-8"), "its clock jumps")
        ground.stack.restart("delivery")
        return campaign.verdict(time.monotonic())

    return cell


def _two_schedulers(ground: Ground) -> Run:
    """Run two schedulers; empty Redis and kill the one that leads, so that only the other can put the jobs back."""
    ground.run("web", "tracking", "delivery", "scheduler")
    leads = ground.stack.log("scheduler")
    ground.until(lambda: "scheduler leads" in leads.read_text("utf-8"), "the first scheduler leads")
    ground.start("flask", "--app", "wsgi", "scheduler", log="second")
    waits = ground.stack.log("second")
    ground.until(lambda: "scheduler stands by" in waits.read_text("utf-8"), "the second one waits")
    ground.sandbox.faults(latency_ms=ground.slowly())
    campaign = ground.campaign()
    campaign.launch()
    ground.until(lambda: ground.requests() > ground.rows // 4, "a quarter is sent")
    with ground.redis() as client:
        client.flushall()
    ground.stack.kill("scheduler")
    return campaign.verdict(time.monotonic())


CELLS: Mapping[str, Cell] = {
    **{f"killed_{point}": _worker_killed(point) for point in POINTS},
    "redis_flushed": _redis_flushed,
    "redis_restarted": _redis_restarted,
    "postgres_restarted": _postgres_restarted,
    "carrier_429": _carrier_fails("too_many_requests"),
    "carrier_429_for_long": _carrier_fails("too_many_requests", outage_s=180),
    "carrier_500": _carrier_fails("error_before"),
    "carrier_500_taken": _carrier_fails("error_after"),
    "carrier_slow": _carrier_fails("latency_ms", late_s=25),
    "carrier_reset_before": _carrier_fails("reset_before_body"),
    "carrier_reset_after": _carrier_fails("reset_after_body"),
    "receipts_doubled": _receipts("receipts_doubled"),
    "receipts_reversed": _receipts("receipts_reversed"),
    "receipts_early": _receipts("receipts_early"),
    "clock_forward": _clock_jumps(1),
    "clock_back": _clock_jumps(-1),
    "two_schedulers": _two_schedulers,
}
# the cells that each SMS service beside Karaden is held to
OF_EACH_SERVICE = (
    "killed_claimed",
    "killed_sending",
    "carrier_429",
    "carrier_500",
    "carrier_slow",
    "carrier_reset_before",
    "carrier_reset_after",
    "receipts_early",
)
_PROVEN = "two look-ups a minute apart must prove absent what is sent again"
_SOON = (360.0, f"{_PROVEN}, 40 s after the carrier's own error")
_LATE = (720.0, f"{_PROVEN}, 5 min after nothing came: a gateway may take it late")
LIMITS_S: Mapping[str, tuple[float, str]] = {
    **{f"killed_{point}": _LATE for point in POINTS},
    "postgres_restarted": _LATE,
    "carrier_500": _SOON,
    "carrier_slow": _LATE,
    "carrier_reset_before": _LATE,
    "clock_forward": _LATE,
    "clock_back": _LATE,
}
