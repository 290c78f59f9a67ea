"""Send on the sandbox's own account: receipts and webhooks, with bounded concurrency and retries.

In: a parcel (address, body, signing secret). Out: an HTTP POST, tried again after the pauses of `RETRY_PAUSES_S` until
a 2xx answer comes. Can't happen here: an API request waiting for someone else's server.
"""

import asyncio
import hmac
import time
from collections import Counter, deque
from dataclasses import dataclass
from functools import partial

import aiohttp

from sandbox.faults import Switches
from sandbox.timers import Agenda

RETRY_PAUSES_S = (1.0, 5.0, 30.0, 120.0)
_AT_ONCE = 64
_ARRIVED = range(200, 300)
_TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass(slots=True)
class Parcel:
    """One JSON POST.

    `kind` is receipt or webhook; a `secret` signs it as Stripe does, anew for each try.
    """

    kind: str
    url: str
    body: bytes
    headers: dict[str, str]
    secret: str = ""
    tries: int = 0


class Courier:
    """Delivers parcels in the order they fall due."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._waiting: deque[Parcel] = deque()
        self._carriers: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self.counts: Counter[str] = Counter()

    def send(self, parcel: Parcel, delay_s: float = 0.0) -> None:
        """Deliver a parcel, `delay_s` seconds from now."""
        self.counts[f"{parcel.kind}s_pending"] += 1
        if delay_s > 0:
            self._agenda.after(delay_s, partial(self._hand_over, parcel))
        else:
            self._hand_over(parcel)

    def announce(self, url: str, body: bytes, headers: dict[str, str], switches: Switches, secret: str = "") -> None:
        """Send a payment provider's webhook as the switches have it: not at all, twice, later."""
        if switches.flag("webhooks_off"):
            return
        for _ in range(2 if switches.flag("webhooks_doubled") else 1):
            self.send(Parcel("webhook", url, body, headers, secret), switches.webhook_wait_s())

    async def send_now(self, parcel: Parcel) -> None:
        """Deliver a parcel before returning (a first try; retries follow later).

        Whoever waits for it may hang up: it is delivered all the same.
        """
        self.counts[f"{parcel.kind}s_pending"] += 1
        carrier = asyncio.get_running_loop().create_task(self._carry(parcel))
        self._carriers.add(carrier)
        carrier.add_done_callback(self._carriers.discard)
        await asyncio.shield(carrier)

    def clear(self) -> None:
        """Forget all parcels and counts, those under way too."""
        self._waiting.clear()
        for carrier in self._carriers:
            carrier.cancel()
        self.counts.clear()

    async def close(self) -> None:
        """Stop; what waits is dropped."""
        self.clear()
        await asyncio.gather(*self._carriers, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _hand_over(self, parcel: Parcel) -> None:
        self._waiting.append(parcel)
        if len(self._carriers) < _AT_ONCE:
            carrier = asyncio.get_running_loop().create_task(self._carry_all())
            self._carriers.add(carrier)
            carrier.add_done_callback(self._carriers.discard)

    async def _carry_all(self) -> None:
        while self._waiting:
            await self._carry(self._waiting.popleft())

    async def _carry(self, parcel: Parcel) -> None:
        arrived = await self._post(parcel)
        pending = f"{parcel.kind}s_pending"
        if arrived:
            self.counts[f"{parcel.kind}s_delivered"] += 1
        elif parcel.tries < len(RETRY_PAUSES_S):
            self.counts[f"{parcel.kind}s_retried"] += 1
            self._agenda.after(RETRY_PAUSES_S[parcel.tries], partial(self._hand_over, parcel))
            parcel.tries += 1
            return
        else:
            self.counts[f"{parcel.kind}s_given_up"] += 1
        self.counts[pending] -= 1

    async def _post(self, parcel: Parcel) -> bool:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=_AT_ONCE)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()
            )
        headers = parcel.headers
        if parcel.secret:
            headers = headers | {"Stripe-Signature": signature(parcel.body, parcel.secret, int(time.time()))}
        try:
            async with self._session.post(
                parcel.url, data=parcel.body, headers=headers, allow_redirects=False
            ) as response:
                return response.status in _ARRIVED
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


def signature(body: bytes, secret: str, at: int) -> str:
    """Return Stripe's signature header (https://docs.stripe.com/webhooks#verify-manually) for epoch seconds `at`."""
    digest = hmac.digest(secret.encode(), b"%d.%s" % (at, body), "sha256").hex()
    return f"t={at},v1={digest}"
