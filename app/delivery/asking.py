"""Ask a provider about many attempts at once; no transaction is open meanwhile."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from app.delivery import stopping
from app.outbound import Answer, Request, Response
from app.outbound.curl import Engine
from app.sms.base import UnclearAnswer

_AT_ONCE = 16  # a provider's read calls are for looking, not for load

K = TypeVar("K")
T = TypeVar("T")


def ask(requests: Mapping[K, Request], read: Callable[[K, Response], T]) -> dict[K, T]:
    """Send the requests and read each answer; what failed or can't be read is not in what comes back."""
    found: dict[K, T] = {}
    if not requests:
        return found

    def answered(key: K, answer: Answer) -> None:
        if isinstance(answer, Response):
            try:
                found[key] = read(key, answer)
            except UnclearAnswer:
                return

    with Engine[K](min(_AT_ONCE, len(requests))) as engine:
        engine.run(
            iter(requests.items()), answered, before_call=lambda _: not stopping.asked.is_set(), on_skipped=_nothing
        )
    return found


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
