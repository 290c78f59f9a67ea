"""Ask a provider about many attempts at once; no transaction is open meanwhile."""

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, NamedTuple, TypeVar

from app.delivery import stopping
from app.outbound import Answer, Request, Response
from app.outbound.curl import Engine
from app.sms.base import UnclearAnswer

_AT_ONCE = 16  # a provider's read calls are for looking, not for load
# after so many in a row without any answer the rest is not asked: a provider that hangs holds nobody else up
_SILENT = 16

K = TypeVar("K")
T = TypeVar("T")


class Asked(NamedTuple, Generic[K, T]):
    """What was read, by what was asked. `silent`: the provider gave no answer any more, and the rest was not asked."""

    found: dict[K, T]
    silent: bool


def ask(requests: Mapping[K, Request], read: Callable[[K, Response], T]) -> Asked[K, T]:
    """Send the requests and read each answer; what failed or can't be read is not in what comes back."""
    found: dict[K, T] = {}
    unanswered = 0
    if not requests:
        return Asked(found, silent=False)

    def answered(key: K, answer: Answer) -> None:
        nonlocal unanswered
        if not isinstance(answer, Response):
            unanswered += 1
            return
        unanswered = 0
        try:
            found[key] = read(key, answer)
        except UnclearAnswer:
            return

    def may_ask(_key: K) -> bool:
        return unanswered < _SILENT and not stopping.asked.is_set()

    with Engine[K](min(_AT_ONCE, len(requests))) as engine:
        engine.run(iter(requests.items()), answered, before_call=may_ask, on_skipped=_nothing)
    return Asked(found, silent=unanswered >= _SILENT)


def _nothing(_skipped: object) -> None:
    """Leave what was not asked for the next time."""


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
