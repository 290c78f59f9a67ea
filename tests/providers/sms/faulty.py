"""Hold an adapter to a fault at the sandbox: it is told as it is, and a look-up finds out what became of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from app.providers.sms.base import Outcome, OutcomeKind, Report, SmsAccess
from sandbox.harness import Sandbox


@dataclass(frozen=True)
class Fault:
    """A switch of the sandbox, the outcome that an adapter reads from it, and whether the message got in."""

    switch: str
    kind: OutcomeKind
    code: str
    got_in: bool


def meets(
    fault: Fault,
    sandbox: Sandbox,
    account: SmsAccess,
    service: str,
    *,
    send: Callable[[SmsAccess, str], Outcome],
    look_up: Callable[[SmsAccess, str], Report | None],
    copies: Callable[[str], int],
) -> None:
    """Send two messages, the second into the fault; `copies` counts those of a name that the sandbox accepted."""
    assert send(account, "first").kind is OutcomeKind.ACCEPTED  # the connection is kept: the dangerous case
    sandbox.faults(**{fault.switch: {"next": 1, "on": f"{service}.create"}, "retry_after_s": 7})
    outcome = send(replace(account, timeout_s=0.5) if fault.switch == "hang" else account, "second")
    assert (outcome.kind, outcome.code) == (fault.kind, fault.code)
    assert outcome.retry_after_s == (7.0 if fault.switch == "too_many_requests" else None)
    found = look_up(account, "second")
    assert (found is not None) is fault.got_in
    assert found is None or (found.code != "duplicate" and found.copies == 1)
    assert copies("second") == int(fault.got_in)
