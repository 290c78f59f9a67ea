"""A person with a phone, over real HTTP: opens their link, presses pay, pays at the provider, comes back or doesn't.

Patient, as people are: where a server is away they try again, where a page is over they go back to the message. Every
phone has an address of its own (127.x.y.z), so that no limit per address counts them as one.
"""

import http.client
import re
import time
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

_CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')
_PAGE = re.compile(r'<a class="act" href="([^"]+)" rel="noreferrer">')
_AGAIN_S = 0.5
_LONGEST_WAIT_S = 240.0
_AWAY = frozenset({429, 500, 502, 503})
_SEE_OTHER = 303

Answer = tuple[int, str, str]


class GaveUpError(Exception):
    """Someone whose patience was over; `args[0]` says what they saw last."""


class Phone:
    """One phone with its cookie.

    `number` makes its address; phones of one person have different ones.
    """

    def __init__(self, base: str, number: int) -> None:
        self._base = urlsplit(base)
        self._address = f"127.{1 + number // 62_500 % 200}.{number // 250 % 250}.{1 + number % 250}"
        self._cookie = ""
        self._until = time.monotonic() + _LONGEST_WAIT_S
        self._last = ""

    def once(self, method: str, path: str, form: Mapping[str, str] | None = None) -> int:
        """Ask our server once and return the status: nothing is tried again."""
        return self._once(method, self._base.netloc, path, form)[0]

    def open(self, token: str) -> None:
        """Open the link and press its button."""
        self._ask("POST", f"/{token}", {})

    def to_the_provider(self) -> str:
        """Press pay until a payment page is there; its address, or nothing when there is no more to pay."""
        while True:
            self._patient()
            _, _, page = self._ask("GET", "/p")
            token = _CSRF.search(page)
            if token is None:
                return ""
            self._ask("POST", "/p/pay", {"csrf_token": token[1]})
            status, _, page = self._ask("GET", "/p/pay")
            found = _PAGE.search(page)
            if found is not None:
                return found[1]
            self._last = f"{status} at /p/pay"
            time.sleep(_AGAIN_S)

    def choose(self, url: str, choice: str) -> bool:
        """Press a button of the payment provider.

        Returns whether it did anything: that page may be over.
        """
        return self._ask("POST", url, {"choice": choice})[0] == _SEE_OTHER

    def come_back(self) -> None:
        """Take the way back to our page."""
        self._ask("GET", "/p/return")

    def sees(self, path: str, method: str = "GET") -> bool:
        """Return whether an address of ours leads this phone to a page."""
        return self._ask(method, path, {} if method == "POST" else None)[0] != http.client.NOT_FOUND

    def _patient(self) -> None:
        if time.monotonic() > self._until:
            raise GaveUpError(self._last)

    def _ask(self, method: str, url: str, form: Mapping[str, str] | None = None) -> Answer:
        """Ask once, and again while the server is away: an answer that never came may have done its work."""
        target = urlsplit(url)
        while True:
            self._patient()
            try:
                answer = self._once(method, target.netloc or self._base.netloc, target.path, form)
            except (OSError, http.client.HTTPException) as fault:
                self._last = f"{type(fault).__name__} at {method} {target.path[:3]}"
            else:
                if answer[0] not in _AWAY:
                    return answer
                self._last = f"{answer[0]} at {method} {target.path[:3]}"
            time.sleep(_AGAIN_S)

    def _once(self, method: str, netloc: str, path: str, form: Mapping[str, str] | None) -> Answer:
        ours = netloc == self._base.netloc
        connection = http.client.HTTPConnection(netloc, timeout=30, source_address=(self._address, 0))
        headers = {"Cookie": self._cookie} if ours and self._cookie else {}
        body = None
        if form is not None:
            body = urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body, headers)
            with connection.getresponse() as answer:
                if ours and (cookie := answer.headers.get("Set-Cookie")):
                    self._cookie = cookie.partition(";")[0]
                return answer.status, answer.headers.get("Location", ""), answer.read().decode()
        finally:
            connection.close()
