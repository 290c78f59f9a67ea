"""`make drill`: the crash matrix. Every cell breaks one thing in the middle of the work of real programs.

`python -m bench.drill [CELL …]` runs the named cells, or all. A cell is a function of a `Ground` that gives the fields
below but its own name; `bench.drill_delivery.CELLS` has those of delivery, `bench.drill_payments.CELLS` those of
payment, with fields and a verdict of their own. `lost`, `duplicated` and `unknown_left` are 0 in a product that keeps
its word; `recovery_s` is the time from the end of what went wrong to the end of the last message. All settings are
those of production, as by default.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from bench.ground import Ground
from bench.report import Run, report
from dev.stack import Stack, remove
from sandbox.harness import Sandbox, running_sandbox

FIELDS = ("cell", "messages", "lost", "duplicated", "unknown_left", "recovery_s")
RECOVERY_S = 90
_ROOMS = ("bench.drill_delivery", "bench.drill_payments")


def main(names: Sequence[str]) -> int:
    """Run the cells, tell the result, give the exit code: 1 when one of them did not hold."""
    cells = _cells()
    if unknown := set(names) - set(cells):
        sys.exit(f"no such cell: {', '.join(sorted(unknown))}; there are {', '.join(cells)}")
    runs: dict[str, list[Run]] = {room: [] for room in _ROOMS}
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
            ground = Ground(stack, sandbox)
            for name in names or cells:
                print(name, file=sys.stderr, flush=True)
                room, cell = cells[name]
                runs[room].append({"cell": name, **cell(ground)})
            ground.end()
        finally:
            stack.stop()
            remove(stack.folder)
    held = True
    for room, told in runs.items():
        own_rules = import_module(room)
        if told:
            report(room.partition(".")[2], getattr(own_rules, "FIELDS", FIELDS), told, sys.stdout)
        held &= all(map(getattr(own_rules, "holds", holds), told))
    return 0 if held else 1


def holds(run: Run) -> bool:
    """Say whether a cell came out as it must."""
    broken = [run[name] for name in ("lost", "duplicated", "unknown_left")]
    recovery_s = run["recovery_s"]
    return not any(broken) and isinstance(recovery_s, int | float) and recovery_s <= RECOVERY_S


def _cells() -> Mapping[str, tuple[str, Callable[[Ground], Run]]]:
    return {name: (room, cell) for room in _ROOMS for name, cell in import_module(room).CELLS.items()}


def _bases(sandbox: Sandbox) -> dict[str, str]:
    return {
        "KARADEN_API_BASE": sandbox.karaden_base,
        "STRIPE_API_BASE": sandbox.stripe_base,
        "PAYJP_API_BASE": sandbox.payjp_base,
        "KOMOJU_API_BASE": sandbox.komoju_base,
        "PAYPAY_API_BASE": sandbox.paypay_base,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
