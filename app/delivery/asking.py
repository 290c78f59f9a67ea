"""Ask a provider about many attempts at once; no transaction is open meanwhile.

A provider that wishes to be left alone (429, or Retry-After), gives no answer, or refuses the account is not asked
on: the rest of the questions wait, and so do those of every other job and worker about the same account (`ask_after`).
"""

import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Generic, NamedTuple, TypeVar

from sqlalchemy import text

from app import tenancy
from app.delivery import stopping
from app.outbound import Answer, Request, Response, wish_s
from app.outbound.curl import Engine
from app.sms.base import UnclearAnswer

_AT_ONCE = 16  # a provider's read calls are for looking, not for load
# after so many in a row without any answer the rest is not asked: a provider that hangs holds nobody else up
_SILENT = 16
# how long an account is left alone whose provider gives no answer, or refuses it
_SILENT_WAIT_S = 15.0
_REFUSED_WAIT_S = 60.0
_REFUSALS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}

K = TypeVar("K")
T = TypeVar("T")


class Asked(NamedTuple, Generic[K, T]):
    """What was read, by what was asked.

    `silent`: the provider gave no answer any more, and the rest was not asked. `wait_s`: the account must not be asked
    again for so many seconds; 0 for an account that answers. Nothing is known of the `skipped`: they were not asked,
    or the provider put them off.
    """

    found: dict[K, T]
    silent: bool
    wait_s: float = 0.0
    skipped: frozenset[K] = frozenset()


def ask_account(
    account_id: int, requests: Mapping[K, Request], read: Callable[[K, Response], T], *, for_s: float | None = None
) -> Asked[K, T]:
    """Ask as `ask` does, unless the account is to be left alone; remember for everybody how long it then is."""
    if not requests:
        return Asked({}, silent=False)
    if (wait_s := rest_s(account_id)) > 0:
        return Asked({}, silent=False, wait_s=wait_s, skipped=frozenset(requests))
    asked = ask(requests, read, for_s=for_s)
    if asked.wait_s:
        leave_alone(account_id, asked.wait_s)
    return asked


def leave_alone(account_id: int, wait_s: float) -> None:
    """Have nobody ask about the account's messages for so many seconds."""
    with tenancy.transaction() as connection:
        connection.execute(
            text("""
                UPDATE sms_account SET ask_after = greatest(ask_after, now() + make_interval(secs => :wait_s))
                WHERE id = :id
            """),
            {"id": account_id, "wait_s": wait_s},
        )


def rest_s(account_id: int) -> float:
    """Return for how many seconds more the account must not be asked, by the database's clock."""
    with tenancy.transaction() as connection:
        found = connection.scalar(
            text("SELECT extract(epoch FROM ask_after - now()) FROM sms_account WHERE id = :id"), {"id": account_id}
        )
    return max(0.0, float(found or 0))


def ask(requests: Mapping[K, Request], read: Callable[[K, Response], T], *, for_s: float | None = None) -> Asked[K, T]:
    """Send the requests and read each answer; what failed or can't be read is not in what comes back.

    After `for_s` seconds, where that is given, no further question leaves.
    """
    found: dict[K, T] = {}
    skipped: set[K] = set()
    ends = None if for_s is None else time.monotonic() + for_s
    unanswered = refused = 0
    wait_s = 0.0
    if not requests:
        return Asked(found, silent=False)

    def answered(key: K, answer: Answer) -> None:
        nonlocal unanswered, refused, wait_s
        if not isinstance(answer, Response):
            unanswered += 1
            return
        unanswered = 0
        if wish := wish_s(answer):
            wait_s = max(wait_s, wish)
            skipped.add(key)
            return
        refused = refused + 1 if answer.status in _REFUSALS else 0
        try:
            found[key] = read(key, answer)
        except UnclearAnswer:
            return

    def may_ask(_key: K) -> bool:
        if ends is not None and time.monotonic() >= ends:
            return False
        return not wait_s and unanswered < _SILENT and refused < _SILENT and not stopping.asked.is_set()

    with Engine[K](min(_AT_ONCE, len(requests))) as engine:
        engine.run(iter(requests.items()), answered, before_call=may_ask, on_skipped=skipped.add)
    silent = unanswered >= _SILENT
    if silent or refused >= _SILENT:
        wait_s = max(wait_s, _SILENT_WAIT_S if silent else _REFUSED_WAIT_S)
    return Asked(found, silent, wait_s, frozenset(skipped))


def chunks(items: Iterable[T], size: int) -> Iterable[list[T]]:
    """Cut into lists of at most `size`."""
    chunk: list[T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
