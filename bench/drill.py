"""`make drill`: the crash matrix.

Every cell breaks one thing in the middle of the work of real programs.

`python -m bench.drill [CELL …]` runs the named cells, or all. With DRILL_SERVICE, campaigns leave through that SMS
service instead of Karaden: cells of `bench.drill_delivery` only, and those it names for each service where none is.
Each module of `_ROOMS` has `CELLS`: name -> a function
of a `Ground` that returns the fields below but `cell` and `factor`. A module may also have
- `FACTORS`: cell -> what settle times and the sandbox's delays are divided by (otherwise `bench.harness.FACTOR`);
- `LIMITS_S`: cell -> (longest recovery at factor 1, seconds; why it is longer than `RECOVERY_S`);
- `FIELDS` and `holds(run)` where its cells tell something else, as those of payment do.

`lost`, `duplicated` and `unknown_left` are 0 in a product that keeps its word; `recovery_s` is the time from the end of
what went wrong to the end of the last message, as measured. At factor 1 all settings are those of production.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from bench.drill_delivery import OF_EACH_SERVICE
from bench.harness import FACTOR, KARADEN, Ground
from bench.lists import CONTRACTS
from bench.report import Run, report
from bench.send import clerk, contract
from dev.stack import Stack, remove
from sandbox import doors
from sandbox.harness import Sandbox, running_sandbox

FIELDS = ("cell", "service", "factor", "messages", "lost", "duplicated", "unknown_left", "recovery_s")
RECOVERY_S = 90.0
# times that no factor shortens: programs that start, an account's rest after refusals, the sending itself; seconds
_UNSCALED_S = 30.0
_ROOMS = (
    "bench.drill_delivery",
    "bench.drill_queues",
    "bench.drill_payments",
    "bench.drill_restore",
    "bench.drill_notices",
    "bench.drill_tokens",
    "bench.drill_retries",
    "bench.drill_absence",
    "bench.drill_frozen",
    "bench.drill_conditions",
    "bench.drill_failover",
    "bench.drill_repeats",
)


def main(names: Sequence[str]) -> int:
    """Run the cells, tell the result, give the exit code: 1 when one of them did not hold."""
    service = os.environ.get("DRILL_SERVICE") or KARADEN
    cells = _cells(service)
    if unknown := set(names) - set(cells):
        sys.exit(f"no such cell: {', '.join(sorted(unknown))}; there are {', '.join(cells)}")
    runs: dict[str, list[Run]] = {room: [] for room in _ROOMS}
    undone: list[str] = []
    with tempfile.TemporaryDirectory(prefix="todoke-drill-") as folder, running_sandbox(receipt_delay_ms=0) as sandbox:
        # servers that are emptied, restarted and killed are the drill's own, whatever the environment names
        own = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
        stack = Stack(Path(folder) / "stack", extra_env=_bases(sandbox), environ=own)
        try:
            stack.prepare()
            stack.seed()
            sandbox.addresses(
                karaden_receipts=json.loads(stack.env["SANDBOX_KARADEN_RECEIPTS"]),
                stripe_webhooks=json.loads(stack.env["SANDBOX_STRIPE_WEBHOOKS"]),
            )
            if service != KARADEN:
                contract(stack, sandbox, service)
            ground = Ground(stack, sandbox, service=service)
            for name in names or (cells if service == KARADEN else OF_EACH_SERVICE):
                print(name, file=sys.stderr, flush=True)
                room, cell = cells[name]
                # a cell may take it out again: with a 確認用番号 a campaign's last messages can be proven absent
                clerk(stack, "witness", "on")
                ground.factor = getattr(import_module(room), "FACTORS", {}).get(name, FACTOR)
                began = time.monotonic()
                try:
                    through = {"service": service} if "service" in _fields(room) else {}
                    runs[room].append({"cell": name, **through, "factor": ground.factor, **cell(ground)})
                except RuntimeError as fault:  # the others are run all the same
                    print(f"{name}: {fault}", file=sys.stderr, flush=True)
                    undone.append(name)
                    continue
                took_s = time.monotonic() - began
                print(f"{json.dumps(runs[room][-1])} ({took_s:.0f} s)", file=sys.stderr, flush=True)
            ground.end()
        finally:
            stack.stop()
            remove(stack.folder)
    held = not undone
    for name in undone:
        print(f"{name} did NOT come to its end", file=sys.stderr)
    for room, told in runs.items():
        module = import_module(room)
        if told:
            report(room.partition(".")[2], _fields(room), told, sys.stdout)
        for run in told:
            if not (kept := _kept(run, module)):
                print(f"{run['cell']} did NOT hold", file=sys.stderr)
            held &= kept
    return 0 if held else 1


def holds(run: Run, limit_s: float = RECOVERY_S) -> bool:
    """Return whether a cell came out as it must; `limit_s` is its longest recovery at factor 1."""
    factor, recovery_s = run["factor"], run["recovery_s"]
    if any(run[name] for name in ("lost", "duplicated", "unknown_left")):
        return False
    if not isinstance(factor, int) or not isinstance(recovery_s, int | float):
        return False
    return recovery_s <= (limit_s if factor == 1 else limit_s / factor + _UNSCALED_S)


def _kept(run: Run, module: ModuleType) -> bool:
    """Judge a run by its module's own rule, or by the common one with the limit that the module gives the cell."""
    if own := getattr(module, "holds", None):
        return bool(own(run))
    limit_s, why = getattr(module, "LIMITS_S", {}).get(run["cell"], (RECOVERY_S, ""))
    if why:
        print(f"{run['cell']}: up to {limit_s:.0f} s at factor 1, because {why}", file=sys.stderr)
    return holds(run, limit_s)


def _fields(room: str) -> Sequence[str]:
    fields: Sequence[str] = getattr(import_module(room), "FIELDS", FIELDS)
    return fields


def _cells(service: str) -> Mapping[str, tuple[str, Callable[[Ground], Run]]]:
    """Return the cells that a service can be held to, by name; the other rooms know Karaden alone."""
    if service not in CONTRACTS:
        sys.exit(f"no such service: {service}; there are {', '.join(CONTRACTS)}")
    rooms = _ROOMS if service == KARADEN else _ROOMS[:1]
    return {name: (room, cell) for room in rooms for name, cell in import_module(room).CELLS.items()}


def _bases(sandbox: Sandbox) -> dict[str, str]:
    return {
        **doors.environment(sandbox.url),
        # each cell sends to the same numbers, all on one day
        "NUMBER_DAILY_CAP": "1000",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
