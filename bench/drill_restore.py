"""The drill's cells of a database that was set back: restored, failed over without its last commits, a whole machine.

Each begins as an ordinary campaign. Until `flask after-restore` has run nothing may be sent: `requests_held` counts
what was all the same. Then it goes on to its end; the judge is the sandbox's ledger, by reference and by number.
"""

import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench import drill
from bench.drill_payments import Shop, Way
from bench.harness import Ground, Sent
from bench.report import Run
from bench.send import database, prepare
from dev import backup
from dev.process import kill_tree
from dev.stack import Stack, remove

FIELDS = (
    "cell", "factor", "messages", "lost", "duplicated", "unknown_left", "recovery_s", "requests_held", "yen_difference",
)  # fmt: skip
_PROGRAMS = ("web", "tracking", "delivery", "scheduler")
_ROWS = 5_007  # one in a thousand has no number that can be written to, and see `_reachable`
_FEWER = 1_502
_PAYERS = 50
_SLOWLY = {"value": 1_500, "on": "karaden.create"}
_LOST_S = 2.0
_LOOKED_AT_S = 4.0
_MOST_S = 60.0


def _restored(ground: Ground) -> Run:
    """Dump at 30 %, go on to 70 % with 50 people paying, destroy everything but the folder, restore, go on."""
    with _sending(ground, _ROWS) as campaign:
        shop = Shop.open(ground, _PAYERS)
        shop = Shop(ground, [person for person in shop.people if person["provider"] == "stripe"])
        _reachable(ground, campaign)
        campaign.launch()
        _sent(ground, 0.3)
        file = _dumped(ground)
        with ThreadPoolExecutor(8) as crowd:
            list(crowd.map(lambda person: shop.pay(person, Way()), shop.people))
        _sent(ground, 0.7)
        _destroy(ground)
        _restore(ground, file)
        requests_held = _held(ground)
        since = time.monotonic()
        ground.stack.flask("after-restore")
        told = campaign.verdict(since)
        return {**told, "requests_held": requests_held, "yen_difference": shop.verdict()["yen_difference"]}


def _restored_unknown_people(ground: Ground) -> Run:
    """Dump before the list came; send it, destroy, restore, and upload the list again."""
    with _sending(ground, _FEWER):
        file = _dumped(ground)
        campaign = _uploaded(ground)
        campaign.launch()
        _sent(ground, 0.7)
        _destroy(ground)
        had = Counter(message["to"] for message in ground.sandbox.messages())
        _restore(ground, file)
        requests_held = _held(ground)
        since = time.monotonic()
        ground.stack.flask("after-restore")
        again = _uploaded(ground)
        again.launch()
        with database(ground.stack) as connection:

            def left() -> int:
                row = connection.execute(
                    """
                    SELECT count(*) FILTER (WHERE sms_state <> 'delivered' AND sms_state <> 'cancelled'),
                        count(*) FILTER (WHERE sms_state = 'cancelled')
                    FROM recipient WHERE campaign_id = %s
                    """,
                    [again.id],
                ).fetchone()
                assert row is not None  # noqa: S101 - an aggregate
                return int(row[0])

            deadline = time.monotonic() + _MOST_S
            while (unknown_left := left()) and time.monotonic() < deadline:
                time.sleep(0.1)
            recovery_s = time.monotonic() - since
            people = connection.execute("SELECT count(*) FROM recipient WHERE campaign_id = %s", [again.id]).fetchone()
            # other cells send to the same numbers
            connection.execute("DELETE FROM missed_message")
        assert people is not None  # noqa: S101 - an aggregate
        numbers = Counter(message["to"] for message in ground.sandbox.messages())
        if not had:
            raise RuntimeError("nothing had left before the restore")
        return {
            "messages": people[0],
            "lost": people[0] - len(numbers),
            "duplicated": numbers.total() - len(numbers),
            "unknown_left": unknown_left,
            "recovery_s": round(recovery_s, 1),
            "requests_held": requests_held,
            "yen_difference": 0,
        }


def _restored_machine(ground: Ground) -> Run:
    """Set database, Redis and folder back together, as a machine's snapshot does, after a standstill."""
    with _sending(ground, _FEWER, STANDSTILL_S="10") as campaign:
        campaign.launch()
        _sent(ground, 0.3)
        snapshot = _Snapshot(ground)
        _sent(ground, 0.7)
        _destroy(ground, redis_too=False)
        snapshot.put_back()
        time.sleep(11)
        requests_held = _held(ground)
        since = time.monotonic()
        ground.stack.flask("after-restore")
        return {**campaign.verdict(since), "requests_held": requests_held, "yen_difference": 0}


def _failover_async(ground: Ground) -> Run:
    """Take two seconds of commits away under programs that run on: no start, no other address."""
    with _sending(ground, _FEWER) as campaign:
        campaign.launch()
        _sent(ground, 0.3)
        data = _Data(ground)
        time.sleep(_LOST_S)
        _sent(ground, 0.5)
        data.put_back()
        _await_hold(ground)
        time.sleep(_LOOKED_AT_S)  # what was claimed before is on its way
        requests_held = _requests_within(ground, _LOOKED_AT_S)
        since = time.monotonic()
        ground.stack.flask("after-restore")
        return {**campaign.verdict(since), "requests_held": requests_held, "yen_difference": 0}


def _fresh_install(ground: Ground) -> Run:
    """An installation that never sent begins without a hold and without a question."""
    ground.end()
    ground.sandbox.reset()
    environ = dict(ground.stack.environ)
    bases = {name: value for name, value in ground.stack.env.items() if name.endswith("_API_BASE")}
    stack = Stack(ground.stack.folder.parent / "fresh", extra_env=bases, environ=environ)
    try:
        stack.prepare()
        stack.seed()
        fresh = Ground(stack, ground.sandbox, rows=_FEWER, factor=ground.factor)
        ground.sandbox.addresses(karaden_receipts=_receipts(stack))
        fresh.run(*_PROGRAMS)
        ground.sandbox.faults(latency_ms=_SLOWLY)  # so that it is not over before it is looked at
        campaign = fresh.campaign()
        since = time.monotonic()
        campaign.launch()
        told = campaign.verdict(since)
        asked = sum(n for name, n in ground.sandbox.summary()["requests"].items() if name.startswith("karaden.list"))
        if asked:
            raise RuntimeError(f"a fresh installation asked for {asked} lists")
        fresh.end()
        return {**told, "requests_held": 0, "yen_difference": 0}
    finally:
        stack.stop()
        remove(stack.folder, {})
        ground.sandbox.addresses(karaden_receipts=_receipts(ground.stack))


# --- parts ---


@contextmanager
def _sending(ground: Ground, rows: int, **own: str) -> Iterator[Sent]:
    """Run everything, with a list of so many rows taken in and a carrier that takes its time."""
    usual, ground.rows = ground.rows, rows
    try:
        # many small claims: what is lost must hold some of them, not the answers to one alone
        ground.run(*_PROGRAMS, BATCH_ROWS="50", **own)
        with database(ground.stack) as connection:
            # the sandbox forgets between cells what it took, and a list that lacks what is on record is not believed
            connection.execute(
                "UPDATE send_log SET started_at = started_at - interval '60 days',"
                " answered_at = answered_at - interval '60 days' WHERE started_at > now() - interval '30 days'"
            )
        ground.sandbox.faults(latency_ms=_SLOWLY)
        yield _uploaded(ground)
    finally:
        ground.rows = usual
        ground.end()


def _uploaded(ground: Ground) -> Sent:
    return Sent(ground, prepare(ground.stack, ground.rows))


def _reachable(ground: Ground, campaign: Sent) -> None:
    """Leave out the one whose number never receives (`sandbox.messages`): the others' end is what is waited for."""
    with database(ground.stack) as connection:
        connection.execute("DELETE FROM recipient WHERE campaign_id = %s AND reference = 'K0002809'", [campaign.id])


def _sent(ground: Ground, share: float) -> None:
    ground.until(lambda: ground.requests() >= ground.rows * share, f"{share:.0%} are sent", _MOST_S)


def _names(ground: Ground) -> tuple[str, str, str]:
    """Return the database's name, its owner and the product's role."""
    parts = urlsplit(ground.stack.env["DATABASE_OWNER_URL"])
    return parts.path.lstrip("/"), parts.username or "", ground.stack.env["DATABASE_APP_ROLE"]


def _server(ground: Ground) -> Any:  # noqa: ANN401 - the embedded server
    assert ground.stack.servers is not None  # noqa: S101 - prepared
    assert ground.stack.servers.postgres is not None  # noqa: S101 - the drill's own
    return ground.stack.servers.postgres


def _dumped(ground: Ground) -> Path:
    path = ground.stack.folder / "dump"
    path.unlink(missing_ok=True)
    backup.dump(_server(ground), _names(ground)[0], path)
    return path


def _destroy(ground: Ground, *, redis_too: bool = True) -> None:
    """Kill every program -9, and lose Redis."""
    for process in ground.stack.programs.values():
        kill_tree(process)
    ground.stack.programs.clear()
    if redis_too:
        with ground.redis() as client:
            client.flushall()


def _restore(ground: Ground, file: Path) -> None:
    name, owner, role = _names(ground)
    backup.restore(_server(ground), name, file, owner=owner, app_role=role)


def _held(ground: Ground) -> int:
    """Start the programs again.

    Returns how many SMS they asked for before anybody restored anything.
    """
    before = ground.requests()
    with ground.redis() as client:
        client.delete("rq:workers")
    for name in _PROGRAMS:
        ground.stack.restart(name)
    _await_hold(ground)
    time.sleep(_LOOKED_AT_S)
    return ground.requests() - before


def _await_hold(ground: Ground) -> None:
    with database(ground.stack) as connection:
        ground.until(
            lambda: connection.execute("SELECT FROM installation WHERE held_why <> ''").fetchone() is not None,
            "everything is held",
            _MOST_S,
        )


def _requests_within(ground: Ground, seconds: float) -> int:
    before = ground.requests()
    time.sleep(seconds)
    return ground.requests() - before


def _receipts(stack: Stack) -> Any:  # noqa: ANN401 - JSON
    return json.loads(stack.env["SANDBOX_KARADEN_RECEIPTS"])


class _Data:
    """The database's files as they were at one moment: the server stands still while they are copied."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._cluster = _server(ground).home / "cluster"
        self._copy = self._cluster.with_name("copy")
        shutil.rmtree(self._copy, ignore_errors=True)
        ground.freeze("postgres")
        try:
            subprocess.run(["cp", "-a", self._cluster, self._copy], check=True)  # noqa: S607 - coreutils
        finally:
            ground.thaw("postgres")

    def put_back(self) -> None:
        """Kill the server -9 and start it on the copy, at its address."""
        self._ground.stack.kill("postgres")
        shutil.rmtree(self._cluster)
        self._copy.rename(self._cluster)
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        self._ground.stack.restart("postgres")


class _Snapshot:
    """A whole machine as it was: the database's files, what Redis holds, the folder."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._outside = Path(ground.stack.env["OUTSIDE_DIR"])
        self._copy = self._outside.with_name("outside-copy")
        shutil.rmtree(self._copy, ignore_errors=True)
        with ground.redis() as client:
            self._keys = {key: client.dump(key) for key in client.scan_iter()}
        shutil.copytree(self._outside, self._copy)
        self._data = _Data(ground)

    def put_back(self) -> None:
        """Set all three back."""
        self._data.put_back()
        shutil.rmtree(self._outside)
        self._copy.rename(self._outside)
        with self._ground.redis() as client:
            client.flushall()
            for key, value in self._keys.items():
                if value is not None:
                    client.restore(key, 0, value)


# after-restore waits until what left last has settled (GATEWAY_SETTLE_S, 300 s) and reads each list twice
_LONGEST_S = 900.0


def holds(run: Run) -> bool:
    """Return whether a cell came out as it must."""
    return drill.holds(run, _LONGEST_S) and not run["requests_held"] and not run["yen_difference"]


# the programs' own settings of time are what these cells are about to a small part only
CELLS: Mapping[str, Callable[[Ground], Run]] = {
    "restored": _restored,
    "restored_unknown_people": _restored_unknown_people,
    "restored_machine": _restored_machine,
    "failover_async": _failover_async,
    "fresh_install": _fresh_install,
}
