"""What the cells of a drill stand on: the whole product as in production, the sandbox beside it, and a campaign.

A cell prepares, breaks something in the middle, and waits for the end. The judge is the sandbox's own ledger: what it
accepted, by the reference of each message and by the number it went to.
"""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import redis

from bench.report import Run
from bench.send import clerk, database, prepare
from dev.process import spawn, stop
from dev.stack import QUEUES, ROOT, Stack
from sandbox.harness import Sandbox

# rows of a cell's list: two of them have a number that no SMS can be sent to, 1,100 people are written to
ROWS = 1_102
# how long a cell may take to come to its end, before what is left is counted; seconds
_LIMIT_S = 400
_FAULT_LIMIT_S = 60
_POLL_S = 0.05


@dataclass(slots=True)
class Ground:
    """A prepared and seeded product, and its sandbox. Programs have the names that `Stack` gives them."""

    stack: Stack
    sandbox: Sandbox
    rows: int = ROWS
    _others: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def run(self, *programs: str) -> None:
        """Let exactly these programs run, anew, each ready; and let the sandbox forget what was."""
        self.end()
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
        """Start a delivery worker that something befalls at a point of its way (`bench.doomed`); it waits for jobs."""
        with self.redis() as client:
            before = client.scard("rq:workers")
        self.stack.log("doomed").unlink(missing_ok=True)
        process = self.start("bench.doomed", act, point, str(passes), "worker", "delivery", log="doomed")
        self.await_workers(before + 1)
        return process

    def end(self) -> None:
        """Stop every program."""
        for process in [*self.stack.programs.values(), *self._others]:
            stop(process)
        self.stack.programs.clear()
        self._others.clear()

    def campaign(self) -> "Sent":
        """Take a list in and check it: a campaign ready to be launched."""
        return Sent(self, prepare(self.stack, self.rows))

    def requests(self, fate: str = "") -> int:
        """Count the SMS that were asked of the sandbox, or those that met this fate."""
        counts: dict[str, int] = self.sandbox.summary()["requests"]
        return sum(count for name, count in counts.items() if name.startswith(f"karaden.create {fate}"))

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


@dataclass(frozen=True, slots=True)
class Sent:
    """A campaign of a cell; every number on its list is one that receives."""

    ground: Ground
    id: int

    def launch(self) -> None:
        """Launch it, as a clerk does."""
        clerk(self.ground.stack, "launch", self.id)

    def verdict(self, since: float) -> Run:
        """Wait until every SMS has its end, then tell what the sandbox received.

        `since` is when what went wrong was over (`time.monotonic()`). `lost` are people to whom nothing went,
        `duplicated` the SMS beyond one for each, `unknown_left` the people whose SMS isn't known to have arrived.
        """
        ground, deadline = self.ground, since + _LIMIT_S
        with database(ground.stack) as connection:
            if not self._left(connection):
                raise RuntimeError("the campaign was over before anything broke")
            while (left := self._left(connection)) and time.monotonic() < deadline:
                time.sleep(_POLL_S)
            recovery_s = time.monotonic() - since
            # a receipt that comes late or twice must not undo anything
            ground.until(lambda: not self._receipts_under_way(connection), "every receipt has come", _LIMIT_S)
            left = self._left(connection)
            rows = connection.execute("SELECT id FROM recipient WHERE campaign_id = %s", [self.id]).fetchall()
        messages = ground.sandbox.messages()
        reached = {int(tag.split(".")[1]) for message in messages for tag in message["tags"]}
        people = {recipient_id for (recipient_id,) in rows}
        numbers = Counter(message["to"] for message in messages)
        if reached - people:
            raise RuntimeError(f"{len(reached - people)} SMS went to nobody of this campaign")
        return {
            "messages": len(people),
            "lost": len(people - reached),
            "duplicated": numbers.total() - len(numbers),
            "unknown_left": left,
            "recovery_s": round(recovery_s, 1),
        }

    def _receipts_under_way(self, connection: psycopg.Connection) -> bool:
        row = connection.execute("SELECT count(*) FROM receipt WHERE applied_at IS NULL").fetchone()
        assert row is not None  # noqa: S101 - an aggregate
        return bool(row[0]) or bool(self.ground.sandbox.summary()["sent"].get("receipts_pending"))

    def _left(self, connection: psycopg.Connection) -> int:
        """Count people short of an end; at least one as long as the campaign itself isn't completed."""
        row = connection.execute(
            """
            SELECT count(*) FILTER (WHERE r.sms_state <> 'delivered'), bool_and(c.state = 'completed')
            FROM recipient r JOIN campaign c ON c.id = r.campaign_id WHERE c.id = %s
            """,
            [self.id],
        ).fetchone()
        assert row is not None  # noqa: S101 - an aggregate
        left, completed = row
        return max(int(left), 0 if completed else 1)
