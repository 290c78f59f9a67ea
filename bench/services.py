"""`make bench-send PROVIDER=…`: an SMS service's rate against Karaden's, in turn, in one run.

A campaign of the same list is sent through each by one real worker, three rounds; rates are the middle ones. Both go
through the sandbox's fast lane. Where a service
allows only so many requests a second, Karaden's account gets the same limit. `request_us` and `outcome_us` are what the
adapter alone takes to write one request and to read its answer.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from app.providers.curl import perform
from app.providers.sms import PROVIDERS
from app.providers.sms.base import OutcomeKind, SmsAccess, SmsMessage
from bench.lists import CONTRACTS
from bench.report import Run, report
from bench.send import clerk, database, environment, prepare, running, wait
from dev.stack import Stack, remove
from sandbox import doors
from sandbox.harness import Sandbox, running_sandbox

FIELDS = ("provider", "rate", "karaden_rate", "ratio", "request_us", "outcome_us")
_MEASURE = "karaden"
_MESSAGES = 10_000
_ROUNDS = 3
_CALLS = 20_000
_MOST_RATE = 1_000  # an account's, a second
_BODY = "【みどり損害保険】佐藤 太郎様 大切なお知らせです https://todoke.example/abcdefghijkmnpqr"


def main(name: str, messages: int = _MESSAGES) -> None:
    """Measure one service, or each with `all`."""
    names = sorted(set(PROVIDERS) - {_MEASURE}) if name == "all" else [name]
    if unknown := set(names) - set(PROVIDERS):
        sys.exit(f"no such service: {', '.join(sorted(unknown))}; there are {', '.join(sorted(PROVIDERS))}")
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="todoke-bench-") as folder, running_sandbox() as sandbox:
        stack = Stack(Path(folder) / "stack", extra_env=environment(sandbox))
        try:
            stack.prepare()
            stack.seed()
            runs += [_compare(stack, sandbox, one, messages) for one in names]
        finally:
            stack.stop()
            remove(stack.folder)
    report("bench-send", FIELDS, runs, sys.stdout)


def _compare(stack: Stack, sandbox: Sandbox, name: str, messages: int) -> Run:
    told: dict[str, list[float]] = {name: [], _MEASURE: []}
    most = PROVIDERS[name].capabilities.most_requests_s
    limit = None if most is None else min(most, _MOST_RATE)
    for _ in range(_ROUNDS):
        for service, rates in told.items():
            rates.append(_rate(stack, sandbox, service, messages, limit))
    rate, measure = median(told[name]), median(told[_MEASURE])
    sandbox.reset()
    own = _own_time(sandbox, name)
    return {"provider": name, "rate": rate, "karaden_rate": measure, "ratio": rate / measure, **own}


def _rate(stack: Stack, sandbox: Sandbox, service: str, messages: int, rate_per_s: int | None) -> float:
    """Send one campaign through a service; return messages a second, from the first attempt to its end."""
    sandbox.reset()
    # some services are told with each message where its receipt goes: nobody listens there now
    sandbox.faults(receipts_off=True)
    stack.env["BENCH_SERVICE"] = service
    campaign_id = prepare(stack, messages)
    with running(stack, 1), database(stack) as connection:
        connection.execute("UPDATE sms_account SET rate_per_s = %s", [rate_per_s])
        clerk(stack, "launch", campaign_id)
        wait(connection, "SELECT state = 'completed' FROM campaign WHERE id = %s", campaign_id)
        row = connection.execute(
            "SELECT count(*), extract(epoch FROM max(c.completed_at) - min(r.sent_at)) FROM recipient r"
            " JOIN campaign c ON c.id = r.campaign_id WHERE c.id = %s AND r.sms_state = 'accepted'",
            [campaign_id],
        ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate
    if sandbox.summary()["accepted"] != row[0]:
        raise RuntimeError(f"{row[0]} are accepted here, {sandbox.summary()['accepted']} at the sandbox")
    return int(row[0]) / float(row[1])


def _own_time(sandbox: Sandbox, name: str) -> dict[str, float]:
    provider, held = PROVIDERS[name], CONTRACTS[name]
    base = sandbox.url + doors.BASES[name]
    account = SmsAccess(base, held.settings, held.credentials, receipt_url="https://todoke.example/callbacks/sms/1/key")
    until = datetime.now(UTC) + timedelta(hours=2) if provider.capabilities.validity is not None else None
    message = SmsMessage("+819010001000", _BODY, "k3mzq7x2abcd.41.1", until)
    answer = perform(provider.send(account, message))
    if provider.outcome(answer).kind is not OutcomeKind.ACCEPTED:
        raise RuntimeError(f"the sandbox did not take a message through {name}")
    return {
        "request_us": _us(lambda: provider.send(account, message)),
        "outcome_us": _us(lambda: provider.outcome(answer)),
    }


def _us(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    for _ in range(_CALLS):
        call()
    return (time.perf_counter() - begun) / _CALLS * 1e6


if __name__ == "__main__":
    main(os.environ.get("PROVIDER") or "all", *map(int, sys.argv[1:2]))
