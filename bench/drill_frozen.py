"""The drill's cells of silent holders: frozen programs, a database whose packets vanish, a slow neighbour.

Beside the fields of delivery: `taken_over_s` is how long a slice stood still before another worker had it,
`cancelled_s` how long 取消 took, `pressed_s` the longest press on a link, `neighbour_s` how long ten people of another
company waited.
"""

import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg

from bench.drill import holds as delivered
from bench.harness import Ground, Sent
from bench.report import Run
from bench.send import clerk, database, prepare
from bench.vanishing import Vanishing

_MEASURED = ("taken_over_s", "cancelled_s", "pressed_s", "neighbour_s")
FIELDS = ("cell", "factor", "messages", "lost", "duplicated", "unknown_left", "recovery_s", *_MEASURED)
# how long a frozen worker stands, at factor 1; seconds
_FROZEN_S = 180.0
_VANISHED_S = 120.0
# the longest of each; seconds, at any factor
_TAKEN_OVER_S = 10.0  # beyond LEASE_S
_CANCELLED_S = 30.0  # a clerk's program starts for it
_PRESSED_S = 1.0
_NEIGHBOUR_S = 10.0
_SLOW_MS = 15_000
_TEN = 11  # rows: one in a thousand, the first one too, has a number that no SMS can be sent to
_LINK = re.compile(r"https://todoke\.example/(\w+)")
_PRESSES = 5


def _frozen_worker(ground: Ground, point: str, passes: int) -> tuple[Sent, "psutil.Process", float]:
    """Launch a campaign whose worker freezes itself at a point of its way."""
    campaign = ground.campaign()
    worker = ground.doomed("freeze", point, passes)
    campaign.launch()
    process = psutil.Process(worker.pid)
    ground.until(lambda: process.status() == psutil.STATUS_STOPPED, f"the worker freezes at {point}")
    return campaign, process, time.monotonic()


def _worker_frozen(ground: Ground) -> Run:
    """Freeze a worker in mid-transaction: 取消 works.

    Then another: its slice goes on, presses are answered.
    """
    ground.run("web", "tracking", "scheduler")
    ground.sandbox.faults(latency_ms=ground.slowly())
    called_off, first, _ = _frozen_worker(ground, "recording", 2)
    began = time.monotonic()
    clerk(ground.stack, "cancel", called_off.id)
    cancelled_s = time.monotonic() - began
    first.send_signal(signal.SIGCONT)
    with database(ground.stack) as connection:
        ground.until(lambda: _ended(connection, called_off.id), "the cancelled campaign comes to its end", 120)
    numbers = [message["to"] for message in _to_people(ground)]
    if len(set(numbers)) != len(numbers):
        raise RuntimeError("somebody got two SMS of the cancelled campaign")
    ground.end()

    ground.run("web", "tracking", "scheduler")
    ground.sandbox.faults(latency_ms=ground.slowly())
    campaign, second, frozen = _frozen_worker(ground, "recording", 2)
    pressed_s = _press(ground)
    ground.stack.restart("delivery")
    with database(ground.stack) as connection:
        ground.until(lambda: _fence(connection, campaign.id) > 1, "another worker has the slice")
        taken_over_s = time.monotonic() - frozen
    time.sleep(max(0.0, frozen + ground.scaled(_FROZEN_S) - time.monotonic()))
    second.send_signal(signal.SIGCONT)
    told = campaign.verdict(frozen, broken=True)
    return {**told, **_measured(taken_over_s=taken_over_s, cancelled_s=cancelled_s, pressed_s=pressed_s)}


def _worker_frozen_calling(frozen_s: float) -> Callable[[Ground], Run]:
    """Freeze a worker between its last look at the lease and the first byte of a request; thaw it when all is over."""

    def cell(ground: Ground) -> Run:
        ground.run("web", "tracking", "scheduler")
        ground.sandbox.faults(latency_ms=ground.slowly())
        campaign, worker, frozen = _frozen_worker(ground, "sending", 300)
        ground.stack.restart("delivery")
        time.sleep(max(0.0, frozen + ground.scaled(frozen_s) - time.monotonic()))
        worker.send_signal(signal.SIGCONT)
        time.sleep(1)
        return {**campaign.verdict(time.monotonic(), broken=True), **_measured()}

    return cell


def _scheduler_frozen(ground: Ground) -> Run:
    """Freeze the scheduler that leads, kill the worker and empty Redis: only another scheduler can put the job back."""
    ground.run("web", "tracking", "delivery", "scheduler")
    leads = ground.stack.log("scheduler")
    ground.until(lambda: "scheduler leads" in leads.read_text("utf-8"), "the first scheduler leads")
    ground.start("flask", "--app", "wsgi", "scheduler", log="second")
    ground.sandbox.faults(latency_ms=ground.slowly())
    campaign = ground.campaign()
    campaign.launch()
    ground.until(lambda: ground.requests() > ground.rows // 4, "a quarter is sent")
    ground.freeze("scheduler")
    ground.stack.kill("delivery")
    with ground.redis() as client:
        client.flushall()
    since = time.monotonic()
    ground.stack.restart("delivery")
    second = ground.stack.log("second")
    ground.until(lambda: "scheduler leads" in second.read_text("utf-8"), "the second one leads")
    taken_over_s = time.monotonic() - since
    ground.thaw("scheduler")
    ground.until(lambda: "scheduler lead lost" in leads.read_text("utf-8"), "the first one sees that it lost it")
    return {**campaign.verdict(since, broken=True), **_measured(taken_over_s=taken_over_s)}


def _database_vanished(ground: Ground) -> Run:
    """Let every packet between the programs and PostgreSQL vanish for two minutes, and come back."""
    at = urlsplit(ground.plain["DATABASE_URL"])
    with Vanishing(at.hostname or "", at.port or 5432) as proxy:
        through = at._replace(netloc=f"{at.netloc.rpartition('@')[0]}@127.0.0.1:{proxy.port}").geturl()
        with ground.in_mid_campaign(DATABASE_URL=through) as campaign:
            proxy.vanish()
            time.sleep(ground.scaled(_VANISHED_S))
            proxy.come_back()
            told = campaign.verdict(time.monotonic())
        ground.end()
    return {**told, **_measured()}


def _slow_neighbour(ground: Ground) -> Run:
    """Let one company's carrier take 15 s a request; ten people of another company are launched beside it."""
    ground.run("web", "tracking", "delivery", "scheduler")
    campaign = ground.campaign()
    ground.stack.env["BENCH_COMPANY"] = "1"
    ten = Sent(ground, prepare(ground.stack, _TEN))
    with database(ground.stack) as connection:
        row = connection.execute(
            "SELECT a.settings->>'tenant_id' FROM sms_account a JOIN campaign c ON c.sms_account_id = a.id"
            " WHERE c.id = %s",
            [campaign.id],
        ).fetchone()
        assert row is not None  # noqa: S101 - it was prepared above
        slow = {"value": ground.scaled(_SLOW_MS), "on": f"karaden.create@{row[0]}"}
        ground.sandbox.faults(latency_ms=slow)
        ground.stack.env["BENCH_COMPANY"] = "0"
        campaign.launch()
        ground.until(lambda: ground.requests() > ground.rows // 5, "the slow company has its connections")
        ground.stack.env["BENCH_COMPANY"] = "1"
        ten.launch()
        ground.until(lambda: _accepted(connection, ten.id), "the ten are accepted")
        # an answer that came too late leaves its acceptance to the receipt
        waited = "SELECT extract(epoch FROM max(coalesce(accepted_at, delivered_at)) - min(queued_at)) FROM recipient"
        neighbour_s = float(_asked(connection, waited, ten.id))
    ground.sandbox.faults()
    del ground.stack.env["BENCH_COMPANY"]
    told = campaign.verdict(time.monotonic(), beside=(ten.id,))
    return {**told, **_measured(neighbour_s=neighbour_s)}


def _measured(**values: float) -> Run:
    return {name: round(values[name], 2) if name in values else None for name in _MEASURED}


def _to_people(ground: Ground) -> list[dict[str, Any]]:
    """List the SMS but those to the company's own number, which witness that the carrier's list is whole."""
    return [message for message in ground.sandbox.messages() if not message["tags"][0].lower().endswith(".w")]


def _press(ground: Ground) -> float:
    """Press the buttons of some links, those of people who got theirs last.

    Returns how long the longest took.
    """
    longest = 0.0
    for message in _to_people(ground)[-_PRESSES:]:
        found = _LINK.search(message["body"])
        assert found is not None  # noqa: S101 - every SMS has its link
        request = urllib.request.Request(f"{ground.stack.web_url}/{found[1]}", data=b"", method="POST")  # noqa: S310
        began = time.monotonic()
        try:
            urllib.request.build_opener(_Stay).open(request, timeout=60).close()
        except urllib.error.HTTPError as answer:
            if answer.code not in {HTTPStatus.SEE_OTHER, HTTPStatus.SERVICE_UNAVAILABLE}:
                raise
        longest = max(longest, time.monotonic() - began)
    return longest


class _Stay(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for the answer."""

    def redirect_request(self, *_: object) -> None:
        """Go nowhere."""


def _ended(connection: psycopg.Connection, campaign_id: int) -> bool:
    question = "SELECT bool_and(sms_state NOT IN ('draft', 'queued', 'sending')) FROM recipient"
    return bool(_asked(connection, question, campaign_id))


def _accepted(connection: psycopg.Connection, campaign_id: int) -> bool:
    question = "SELECT bool_and(sms_state IN ('accepted', 'delivered')) FROM recipient"
    return bool(_asked(connection, question, campaign_id))


def _fence(connection: psycopg.Connection, campaign_id: int) -> int:
    return int(_asked(connection, "SELECT max(fence) FROM slice", campaign_id))


def _asked(connection: psycopg.Connection, question: str, campaign_id: int) -> Any:  # noqa: ANN401 - one value
    row = connection.execute(f"{question} WHERE campaign_id = %s".encode(), [campaign_id]).fetchone()
    assert row is not None  # noqa: S101 - an aggregate
    return row[0]


def holds(run: Run) -> bool:
    """Return whether a cell came out as it must."""
    lease_s = 30 / int(str(run["factor"]))
    limits = {
        "taken_over_s": max(lease_s, 5) + _TAKEN_OVER_S,
        "cancelled_s": _CANCELLED_S,
        "pressed_s": _PRESSED_S,
        "neighbour_s": _NEIGHBOUR_S,
    }
    kept = all(run[name] is None or float(str(run[name])) <= most for name, most in limits.items())
    return kept and delivered(run, LIMITS_S.get(str(run["cell"]), (90, ""))[0])


FACTORS = {"slow_neighbour": 1}
LIMITS_S: Mapping[str, tuple[float, str]] = {
    "worker_frozen": (700, "it counts from the freeze of three minutes, and what never left has to be proven"),
    **dict.fromkeys(
        ("worker_frozen_calling_2min", "worker_frozen_calling_10min", "scheduler_frozen", "database_vanished"),
        (600, "of a message that never left it has to be proven, by two look-ups and a witness"),
    ),
}
CELLS: Mapping[str, Callable[[Ground], Run]] = {
    "worker_frozen": _worker_frozen,
    "worker_frozen_calling_2min": _worker_frozen_calling(120),
    "worker_frozen_calling_10min": _worker_frozen_calling(600),
    "scheduler_frozen": _scheduler_frozen,
    "database_vanished": _database_vanished,
    "slow_neighbour": _slow_neighbour,
}
