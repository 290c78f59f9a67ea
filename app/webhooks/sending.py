"""One batch on its way: over connections of the endpoint's own, each delivery tried once, none repeated here.

In: deliveries. Out: an `Outcome` for each, in the same order; one without a try for what did not leave. Can't happen
here: a redirect followed, a proxy asked, a socket opened to a private address (`app.webhook_addresses`, asked by
libcurl about the address that was resolved), a batch that goes on after `BATCH_S` or against a receiver that takes
nothing; with `in_order`, a delivery that leaves before the earlier ones of its recipient arrived.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from app import webhook_addresses
from app.config import settings
from app.providers.curl import Engine
from app.providers.http import Answer, Failure, Request, Response, retry_after_s
from app.webhooks import retry_schedule
from app.webhooks.delivery_log import Outcome
from app.webhooks.message import Signer
from app.webhooks.outbox import Delivery

TIMEOUT_S: Final = 15.0
# requests under way to one endpoint
CONNECTIONS: Final = 16
# after so long no further one of a batch leaves: what was sent is recorded soon, and little is sent again after a kill
BATCH_S: Final = 5.0

# of one batch; it has fewer
MOST: Final = 1_000_000

WebhookEngine = Engine[int]


def engine() -> WebhookEngine:
    """Make the connections of one endpoint."""
    allowed = settings().webhook_local_addresses
    return Engine(CONNECTIONS, may_reach=lambda address: webhook_addresses.may_reach(address, allowed))


@dataclass(slots=True)
class Sent:
    """A batch's outcomes, and what its answers say of the endpoint as a whole."""

    outcomes: list[Outcome]
    # failures in a row at the end, with those of before where nothing arrived
    failures: int
    arrived: bool = False
    gone: bool = False
    wish_s: float = 0.0


class Sending:
    """One batch."""

    def __init__(
        self,
        url: str,
        signer: Signer,
        deliveries: Sequence[Delivery],
        *,
        in_order: bool,
        failures: int = 0,
        most: int = MOST,
    ) -> None:
        """Prepare a batch, of which `most` leave at most; `failures` in a row came before it."""
        self._url = url
        self._signer = signer
        self._deliveries = deliveries
        self._begun: dict[int, tuple[float, datetime]] = {}
        self.sent = Sent([Outcome(delivery) for delivery in deliveries], failures)
        self._ends_at = time.monotonic() + BATCH_S
        # places that go one after the other, the first of each first
        self._lanes: dict[int, deque[int]] = {}
        for place, delivery in enumerate(deliveries):
            if delivery.stands_back:
                continue
            together = in_order and delivery.recipient_id is not None
            self._lanes.setdefault(delivery.recipient_id or 0 if together else -1 - place, deque()).append(place)
        self._lane_of = {place: lane for lane, places in self._lanes.items() for place in places}
        self._ready = deque(self._lanes)
        self._left = sum(len(places) for places in self._lanes.values())
        self._may_leave = most

    def run(self, connections: WebhookEngine, is_halted: Callable[[], bool]) -> Sent:
        """Send, and wait for the answers."""
        connections.run(
            self._requests(is_halted),
            self._answered,
            may_connect=lambda _place: True,
            may_send=lambda _place: True,
            on_skipped=lambda _place: None,
        )
        return self.sent

    def _requests(self, is_halted: Callable[[], bool]) -> Iterator[tuple[int, Request] | None]:
        while self._left and self._may_leave and not self._is_over() and not is_halted():
            if not self._ready:
                yield None
                continue
            place = self._lanes[self._ready.popleft()].popleft()
            self._left -= 1
            self._may_leave -= 1
            delivery, now = self._deliveries[place], datetime.now(UTC)
            headers = self._signer.headers(delivery.told.message_id, delivery.body, now)
            self._begun[place] = (time.monotonic(), now)
            yield place, Request("POST", self._url, headers, delivery.body, TIMEOUT_S)

    def _is_over(self) -> bool:
        sent = self.sent
        return sent.gone or sent.failures >= retry_schedule.FAILING_AFTER or time.monotonic() >= self._ends_at

    def _answered(self, place: int, answer: Answer) -> None:
        began, at = self._begun[place]
        sent = self.sent
        status = answer.status if isinstance(answer, Response) else None
        fault = _fault(answer)
        took_ms = round((time.monotonic() - began) * 1000)
        sent.outcomes[place] = Outcome(self._deliveries[place], at, status, fault, took_ms)
        lane = self._lane_of[place]
        if not fault:
            sent.failures, sent.arrived = 0, True
            if self._lanes[lane]:
                self._ready.append(lane)
            return
        sent.failures += 1
        self._left -= len(self._lanes[lane])  # the others of its recipient wait for it
        self._lanes[lane].clear()
        sent.gone = sent.gone or fault == "gone"
        if isinstance(answer, Response):
            sent.wish_s = max(sent.wish_s, retry_schedule.wish_s(retry_after_s(answer.headers)))


def _fault(answer: Answer) -> str:
    """Return why a delivery did not arrive, in a word; "" where it did."""
    if isinstance(answer, Failure):
        return answer.reason
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return ""
    if answer.status == HTTPStatus.GONE:
        return "gone"
    return "redirect" if answer.status < HTTPStatus.BAD_REQUEST else "http"
