"""The web server as it runs in production, on the tests' database, and what a plain HTTP client gets of it."""

import http.client
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from dev.process import free_port, spawn, stop, wait_until
from dev.stack import answers, serve

ROOT = Path(__file__).parents[2]
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its status, its headers as they came but for the date, its body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(slots=True)
class Visitor:
    """A browser with cookies and one connection, from an address of its own; `ask` follows nothing."""

    port: int
    source: str = "127.0.0.1"
    cookies: dict[str, str] = field(default_factory=dict)
    connection: http.client.HTTPConnection = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=30, source_address=(self.source, 0)
        )

    def close(self) -> None:
        self.connection.close()

    def ask(
        self, method: str, path: str, values: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        sent = {**(headers or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if values is not None:
            body = urlencode(values)
            sent["Content-Type"] = FORM
        self.connection.request(method, path, body, sent)
        got = self.connection.getresponse()
        content = got.read()
        if body is not None:
            # the server ends a connection on which something was sent that nobody read
            self.connection.close()
        for cookie in got.headers.get_all("Set-Cookie") or []:
            name, _, rest = cookie.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        told = tuple((name, value) for name, value in got.headers.items() if name.lower() != "date")
        return Answer(got.status, told, content)

    def form(self, path: str = "/p") -> dict[str, str]:
        """Open a page with a form; return the values that it carries hidden."""
        page = self.ask("GET", path)
        assert page.status == 200, page
        return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))


@contextmanager
def web(environment: dict[str, str], folder: Path) -> Iterator[int]:
    """Run the web server; return its port."""
    chosen = free_port()
    log = folder / "web.log"
    process = spawn(serve("wsgi:app", chosen), log=log, env=environment, cwd=ROOT)
    ready = partial(answers, f"http://127.0.0.1:{chosen}/healthz")
    try:
        wait_until(ready, process, name="the web server", log=log, limit_s=60)
        yield chosen
    finally:
        stop(process)
