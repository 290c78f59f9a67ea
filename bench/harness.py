"""Carry the cells of a drill: the whole product as in production, the sandbox beside it, and a campaign.

A cell prepares, breaks something in the middle, and waits for the end. The judge is the sandbox's own ledger: what it
accepted, by the reference of each message and by the number it went to.
"""

import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields

import psycopg
import redis

from app.config import Settings, variable
from bench.report import Run
from bench.send import clerk, contract, database, prepare
from dev.process import signal_tree, spawn, stop
from dev.stack import QUEUES, ROOT, Stack
from sandbox.harness import Sandbox

KARADEN = "karaden"
# rows of a cell's list: two of them have a number that no SMS can be sent to, 1,100 people are written to
ROWS = 1_102
# how long a cell may take to come to its end, before what is left is counted; seconds
_LIMIT_S = 900
# how often a clerk looks for people who are held, seconds
_ASK_S = 3.0
_FAULT_LIMIT_S = 60
_POLL_S = 0.05
# the number that settle times and the sandbox's delays are divided by, unless a cell's module says otherwise
FACTOR = int(os.environ.get("DRILL_FACTOR", "10"))
# settings that the factor divides, and the least value of each
_SCALABLE = {
    "LEASE_S": 5,
    "SEND_TIMEOUT_S": 1,
    "UNKNOWN_SETTLE_S": 2,
    "SWEEP_S": 1,
    "GATEWAY_SETTLE_S": 2,
    "ABSENCE_GAP_S": 1,
    "HELD_AFTER_S": 1,
    "STANDSTILL_S": 10,
}
# how long the sandbox takes for an answer while something is to break in between, at factor 1 and at least
_SLOWLY_MS = 2_000
_LEAST_SLOWLY_MS = 1_000


@dataclass(slots=True)
class Ground:
    """A prepared and seeded product, and its sandbox.

    Programs have the names that `Stack` gives them.

    `factor` is the present cell's; `plain` the environment that programs get beside the scaled settings; `service` the
    SMS service through which campaigns leave.
    """

    stack: Stack
    sandbox: Sandbox
    rows: int = ROWS
    factor: int = FACTOR
    service: str = KARADEN
    plain: dict[str, str] = field(default_factory=dict)
    _others: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _frozen: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Keep the environment as it is before a cell changes it."""
        self.plain = dict(self.plain or self.stack.env)

    def scaled(self, seconds: float) -> float:
        """Divide a time of a cell by its factor."""
        return seconds / self.factor

    def slowly(self) -> Mapping[str, object]:
        """Return the switch `latency_ms` that leaves time for something to break in mid-request."""
        return {"value": max(_SLOWLY_MS / self.factor, _LEAST_SLOWLY_MS), "on": self.create}

    @property
    def create(self) -> str:
        """The service's call that sends, as switches and the ledger name it."""
        return f"{self.service}.create"

    @contextmanager
    def through(self, service: str) -> "Iterator[None]":
        """Have a cell's campaigns leave through another service, from its `run` on; the company gets a contract."""
        before, self.service = self.service, service
        try:
            contract(self.stack, self.sandbox, service)
            yield
        finally:
            self.service = before

    def environment(self, **own: str) -> dict[str, str]:
        """Return the environment of this cell's programs: scaled settings, then what it sets itself."""
        return {**self.plain, **scaled_settings(self.plain, self.factor), **own}

    def run(self, *programs: str, **own: str) -> None:
        """Let exactly these programs run, anew, each ready; and let the sandbox forget what was.

        `own` are variables of the environment for all programs and clerks until the next `run`.
        """
        self.end()
        self.stack.env = self.environment(**own)
        self.sandbox.reset()
        with self.redis() as client:
            client.delete("rq:workers")
        for name in programs:
            self.stack.log(name).unlink(missing_ok=True)
            self.stack.restart(name)
        self.await_workers(len(set(programs) & set(QUEUES)))

    def await_workers(self, number: int) -> None:
        """Wait until so many workers wait for jobs."""
        with self.redis() as client:
            self.until(lambda: client.scard("rq:workers") >= number, f"{number} workers wait for jobs")

    def start(self, *command: str, log: str) -> "subprocess.Popen[bytes]":
        """Start one more Python program (`-m` and its arguments); it is stopped with the others."""
        process = spawn([sys.executable, "-m", *command], log=self.stack.log(log), env=self.stack.env, cwd=ROOT)
        self._others.append(process)
        return process

    def doomed(self, act: str, point: str, passes: int) -> "subprocess.Popen[bytes]":
        """Start a delivery worker with a fault at a point of its way (`bench.fault_injection`); it waits for jobs."""
        with self.redis() as client:
            before = client.scard("rq:workers")
        self.stack.log("doomed").unlink(missing_ok=True)
        process = self.start("bench.fault_injection", act, point, str(passes), "worker", "delivery", log="doomed")
        self.await_workers(before + 1)
        return process

    def restart(self, name: str, **own: str) -> None:
        """Stop a program and start it anew; `own` are variables of the environment for it alone."""
        if name in self.stack.programs:
            stop(self.stack.programs[name])
        usual = self.stack.env
        self.stack.env = {**usual, **own}
        try:
            self.stack.restart(name)
        finally:
            self.stack.env = usual

    def freeze(self, name: "str | subprocess.Popen[bytes]") -> None:
        """Stop a program or server where it stands (SIGSTOP), with all it started; `end` thaws what is left so."""
        process = self._process(name)
        signal_tree(process, signal.SIGSTOP)
        self._frozen.append(process)

    def thaw(self, name: "str | subprocess.Popen[bytes]") -> None:
        """Let a frozen program go on (SIGCONT)."""
        process = self._process(name)
        signal_tree(process, signal.SIGCONT)
        self._frozen.remove(process)

    def _process(self, name: "str | subprocess.Popen[bytes]") -> "subprocess.Popen[bytes]":
        return self.stack.processes()[name] if isinstance(name, str) else name

    def end(self) -> None:
        """Stop every program, those frozen too; a frozen server goes on."""
        while self._frozen:
            signal_tree(self._frozen.pop(), signal.SIGCONT)
        for process in [*self.stack.programs.values(), *self._others]:
            stop(process)
        self.stack.programs.clear()
        self._others.clear()

    def campaign(self) -> "Sent":
        """Take a list in and check it: a campaign ready to be launched."""
        return Sent(self, prepare(self.stack, self.rows))

    @contextmanager
    def in_mid_campaign(self, *programs: str, **own: str) -> "Iterator[Sent]":
        """Begin with a campaign of which a quarter is sent, slowly, and the rest is not."""
        self.run(*(programs or ("web", "tracking", "delivery", "scheduler")), **own)
        self.sandbox.faults(latency_ms=self.slowly())
        campaign = self.campaign()
        campaign.launch()
        self.until(lambda: self.requests() > self.rows // 4, "a quarter is sent")
        yield campaign

    def requests(self, fate: str = "") -> int:
        """Count the SMS that were asked of the sandbox, or those that met this fate."""
        counts: dict[str, int] = self.sandbox.summary()["requests"]
        return sum(count for name, count in counts.items() if name.startswith(f"{self.create} {fate}"))

    @contextmanager
    def redis(self) -> "Iterator[redis.Redis]":
        """Open the product's Redis."""
        with redis.Redis.from_url(self.stack.env["REDIS_URL"]) as client:
            yield client

    def until(self, condition: Callable[[], bool], what: str, limit_s: float = _FAULT_LIMIT_S) -> None:
        """Wait for a condition. Raises RuntimeError that says `what` did not come about."""
        deadline = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {limit_s:.0f} s: {what}")
            time.sleep(_POLL_S)


def scaled_settings(environ: Mapping[str, str], factor: int) -> dict[str, str]:
    """Return the settings of time that this commit has, divided by `factor`; none at factor 1.

    A request's limit is rounded down, every other time up: LEASE_S and UNKNOWN_SETTLE_S stay well above it.
    """
    if factor == 1:
        return {}
    scaled = {}
    for item in fields(Settings):
        name = variable(item.name)
        if name in _SCALABLE:
            value = int(environ.get(name) or item.metadata["default"]) / factor
            whole = math.floor(value) if name == "SEND_TIMEOUT_S" else math.ceil(value)
            scaled[name] = str(max(whole, _SCALABLE[name]))
    return scaled


@dataclass(frozen=True, slots=True)
class Sent:
    """A campaign of a cell; every number on its list is one that receives, unless it has more rows than most cells'.

    `ends` are the states in which a person's SMS is done: also accepted, where no receipts come.
    """

    ground: Ground
    id: int
    ends: tuple[str, ...] = ("delivered",)

    def launch(self) -> None:
        """Launch it, as a clerk does."""
        clerk(self.ground.stack, "launch", self.id)

    def people(self) -> int:
        """Count the people of the list that SMS can be sent to."""
        with database(self.ground.stack) as connection:
            row = connection.execute("SELECT count(*) FROM recipient WHERE campaign_id = %s", [self.id]).fetchone()
        return int(row[0]) if row else 0

    def verdict(
        self,
        since: float,
        *,
        may_hold: bool = False,
        beside: Sequence[int] = (),
        broken: bool = False,
        limit_s: float = _LIMIT_S,
    ) -> Run:
        """Wait until every SMS has its end, then tell what the sandbox received.

        `since` is when what went wrong was over (`time.monotonic()`). `lost` are people to whom nothing went,
        `duplicated` the SMS beyond one for each, `unknown_left` the people whose SMS isn't known to have arrived. Where
        the rule `may_hold` people for a manager, these are `held` and neither lost nor left. People of the campaigns
        `beside` are looked at too, but not waited for. `broken`: the cell saw for itself that something broke.
        After `limit_s` whatever is left is counted.
        """
        ground, deadline = self.ground, since + limit_s
        held: set[int] = set()
        with database(ground.stack) as connection:
            if not broken and not self._left(connection):
                raise RuntimeError("the campaign was over before anything broke")
            while (left := self._left(connection)) and time.monotonic() < deadline:
                time.sleep(_POLL_S)
                if may_hold and len(unknown := self._unknown(connection)) == left:
                    held = set(map(int, clerk(ground.stack, "held", self.id).split()[1:]))
                    if held >= unknown:
                        break
                    time.sleep(_ASK_S)
            held &= self._unknown(connection)
            recovery_s = time.monotonic() - since
            # a receipt that comes late or twice must not undo anything
            ground.until(lambda: not self._receipts_under_way(connection), "every receipt has come", _LIMIT_S)
            left = self._left(connection) - len(held)
            rows = connection.execute(
                "SELECT id, campaign_id FROM recipient WHERE campaign_id = ANY(%s)", [[self.id, *beside]]
            ).fetchall()
        # those to the company's own number are nobody's
        messages = [message for message in ground.sandbox.messages() if not message["tags"][0].lower().endswith(".w")]
        reached = {int(tag.split(".")[1]) for message in messages for tag in message["tags"]}
        people = {int(recipient_id): int(campaign_id) for recipient_id, campaign_id in rows}
        numbers = Counter((people.get(int(message["tags"][0].split(".")[1])), message["to"]) for message in messages)
        if reached - people.keys():
            raise RuntimeError(f"{len(reached - people.keys())} SMS went to nobody of this campaign")
        return {
            "messages": len(people),
            "lost": len(people.keys() - reached - held),
            "duplicated": numbers.total() - len(numbers),
            "unknown_left": left,
            **({"held": len(held)} if may_hold else {}),
            "recovery_s": round(recovery_s, 1),
        }

    def _unknown(self, connection: psycopg.Connection) -> set[int]:
        """Return the people whose SMS has no known outcome."""
        rows = connection.execute(
            "SELECT id FROM recipient WHERE campaign_id = %s AND sms_state = 'unknown'", [self.id]
        )
        return {int(row[0]) for row in rows}

    def _receipts_under_way(self, connection: psycopg.Connection) -> bool:
        # a signed one that was tried and waits names nobody: the company's own number got it (it has no message_id)
        row = connection.execute(
            "SELECT count(*) FROM receipt WHERE applied_at IS NULL AND (tries = 0 OR message_id IS NOT NULL)"
        ).fetchone()
        assert row is not None  # noqa: S101 - an aggregate
        return bool(row[0]) or bool(self.ground.sandbox.summary()["sent"].get("receipts_pending"))

    def _left(self, connection: psycopg.Connection) -> int:
        """Count people short of an end; at least one as long as the campaign itself isn't completed."""
        row = connection.execute(
            """
            SELECT count(*) FILTER (WHERE r.sms_state <> ALL(%s)), bool_and(c.state = 'completed')
            FROM recipient r JOIN campaign c ON c.id = r.campaign_id WHERE c.id = %s
            """,
            [list(self.ends), self.id],
        ).fetchone()
        assert row is not None  # noqa: S101 - an aggregate
        left, completed = row
        return max(int(left), 0 if completed else 1)
