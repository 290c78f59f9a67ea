"""`make probe`: whether one hand can hold the product up, against a product started for it.

Every field of every form that the pages show (the sign-in, the back office as its three roles see it, the recipients'
pages), the names of uploaded files, headers, paths, queries and providers' calls are filled with a thousand to a
million letters of the dearest kinds; then hundreds of connections say nothing, half a head or half a body.
`/healthz` is asked all the while. Fields are found in the pages' HTML: a new form is probed without an edit here.

`seconds` is the slowest answer, and for the slow connections the 99th percentile of a press beside them. A request over
the limit is repeated twice, a moment later, and the quickest counts: others may use this machine.
"""

import contextlib
import http.client
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import quote_plus, urlencode, urljoin, urlsplit

from bench.page import people
from bench.report import report
from bench.slow import SLOW, percentile
from dev.process import DevError, wait_until
from dev.stack import Stack, answers, remove

FIELDS = ("probe", "seconds", "healthz_p99_ms")
LIMIT_S, HEALTHZ_LIMIT_MS, SLOW_LIMIT_S = 0.2, 50.0, 0.1

_KINDS = {
    "digits": "1",
    "combining": "\u0315\u0300",
    "zero width": "\u200b",
    "full width": "１",
    "brackets": "（[",
}
_LENGTHS = (1_000, 30_000, 1_000_000)  # bytes
_HEADERS = (
    *("Cookie", "User-Agent", "Accept", "Accept-Language", "Accept-Encoding", "Referer", "Origin", "Host"),
    *("X-Forwarded-For", "X-Forwarded-Host", "Authorization", "Range", "If-None-Match", "If-Modified-Since"),
    *("Content-Type", "Sec-Fetch-Site", "Stripe-Signature", "X-Anything"),
)
# these would end the session of whoever probes
_LEFT_OUT = re.compile(r"logout|session/|password|/revoke|factor")
_MOST_PAGES = 80  # of one role
# a moment before what took too long is asked again
_PAUSE_S = 0.5
_FORM = "application/x-www-form-urlencoded"
_HEAD = {"Content-Type": _FORM}


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Return what is typed, each kind at each length: as it is, and as an address or a form writes it."""
    made = [sign * (length // len(sign.encode())) for sign in _KINDS.values() for length in _LENGTHS]
    return tuple((text, quote_plus(text)) for text in made)


@dataclass(frozen=True, slots=True)
class Form:
    """A form as a page shows it: where it leads, how, and its fields with what stands in them."""

    page: str
    action: str
    method: str
    fields: Mapping[str, str]
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name it alike for every campaign or person."""
        return re.sub(r"/\d+", "/…", urlsplit(self.action).path)


class _Forms(HTMLParser):
    """The forms and links of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._open: tuple[str, str, dict[str, str], list[str]] | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Hear of an element."""
        told = {name: value or "" for name, value in attrs}
        if tag == "a" and told.get("href", "").startswith("/"):
            self.links.append(told["href"])
        elif tag == "form":
            action = urljoin(self.page, told.get("action", "") or self.page)
            self._open = (action, told.get("method", "get").upper(), {}, [])
        elif self._open is not None and told.get("name"):
            if told.get("type") == "file":
                self._open[3].append(told["name"])
            elif tag in {"input", "textarea", "select", "button"}:
                self._open[2].setdefault(told["name"], told.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        """Hear of an element's end."""
        if tag == "form" and self._open is not None:
            action, method, fields, files = self._open
            self.forms.append(Form(self.page, action, method, fields, tuple(files)))
            self._open = None


@dataclass(slots=True)
class Browser:
    """Somebody with cookies.

    Each request comes from another address of this machine: limits per address stay out.
    """

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    _asked: int = 0

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str | bytes] | None = None
    ) -> tuple[int, str, str]:
        """Ask; return the status, the text and where it leads.

        A connection that the server ends early is an answer.
        """
        self._asked += 1
        source = f"127.0.{self._asked // 250 % 250}.{self._asked % 250 + 2}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60, source_address=(source, 0))
        try:
            connection.putrequest(method, path, skip_host=headers is not None and "Host" in headers)
            told: dict[str, str | bytes] = dict(headers or {})
            if self.cookies and "Cookie" not in told:
                told["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            if body is not None:
                told["Content-Length"] = str(len(body))
            for name, value in told.items():
                connection.putheader(name, value)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.endheaders(body)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (http.client.HTTPException, ConnectionError):
            return 0, "", ""
        finally:
            connection.close()
        jar: SimpleCookie = SimpleCookie("; ".join(answer.headers.get_all("Set-Cookie") or []))
        self.cookies |= {name: morsel.value for name, morsel in jar.items() if morsel.value}
        return answer.status, text, answer.headers.get("Location", "")

    def send(self, path: str, values: Mapping[str, str]) -> tuple[int, str, str]:
        """Send a form."""
        return self.ask("POST", path, urlencode(values).encode(), {"Content-Type": _FORM})

    def page(self, path: str) -> _Forms:
        """Open a page; return what it shows."""
        _, text, leads = self.ask("GET", path)
        for _ in range(3):
            if not leads.startswith("/"):
                break
            path = leads
            _, text, leads = self.ask("GET", path)
        found = _Forms(path)
        found.feed(text)
        return found

    def sign_in(self, account: Mapping[str, str]) -> None:
        """Sign in to the back office. Raises DevError."""
        (form,) = [form for form in self.page("/admin/login").forms if "tenant_code" in form.fields]
        typed = {name: account[name] for name in ("tenant_code", "email", "password")}
        if self.send(form.action, {**form.fields, **typed})[0] != 303:  # noqa: PLR2004 - led on
            raise DevError(f"{account['email']} could not sign in")


@dataclass(slots=True)
class Pulse:
    """`/healthz`, asked all the time; `since` gives the 99th percentile of its answers since a moment, ms."""

    port: int
    took: list[tuple[float, float]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask until `over`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self.over.wait(0.01):
            began = time.monotonic()
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
            except (http.client.HTTPException, OSError):
                connection.close()
            self.took.append((began, time.monotonic() - began))

    def since(self, moment: float) -> float:
        """Return the 99th percentile."""
        return percentile([took for began, took in self.took if began >= moment] or [0.0]) * 1000


def crawl(browser: Browser, start: str) -> list[Form]:
    """Return every form that can be reached by links, once for each kind of page."""
    seen: set[str] = set()
    forms: dict[tuple[str, str, tuple[str, ...]], Form] = {}
    waiting = [start]
    while waiting and len(seen) < _MOST_PAGES:
        path = waiting.pop(0)
        kind = re.sub(r"\d+", "…", urlsplit(path).path)
        if kind in seen or _LEFT_OUT.search(path):
            continue
        seen.add(kind)
        found = browser.page(path)
        waiting += [link for link in found.links if link.startswith("/admin")]
        for form in found.forms:
            if not _LEFT_OUT.search(form.action):
                forms.setdefault((form.method, form.name, tuple(sorted(form.fields))), form)
    return list(forms.values())


def slowest(acts: list[Callable[[], object]]) -> float:
    """Do all acts.

    Returns the longest that one took, of three tries where it was over the limit.
    """
    longest = 0.0
    for act in acts:
        best = 1e9
        for _ in range(3):
            began = time.monotonic()
            act()
            best = min(best, time.monotonic() - began)
            if best <= LIMIT_S:
                break
            time.sleep(_PAUSE_S)
        longest = max(longest, best)
    return longest


def form_acts(browser: Browser, form: Form) -> list[Callable[[], object]]:
    """Return the acts that fill each of a form's fields, and the names of its files."""
    acts: list[Callable[[], object]] = []
    for name in form.fields:
        others = {other: value for other, value in form.fields.items() if other != name}
        for text, quoted in texts():
            written = f"{urlencode(others)}&{quote_plus(name)}={quoted}"
            if form.method == "POST" and not form.files:
                acts.append(partial(browser.ask, "POST", form.action, written.encode(), _HEAD))
            elif form.method == "POST":
                acts.append(partial(browser.ask, "POST", form.action, *multipart({**others, name: text})))
            else:
                acts.append(partial(browser.ask, "GET", f"{urlsplit(form.action).path}?{written}"))
    for name in form.files:
        for text, _ in texts():
            acts.append(partial(browser.ask, "POST", form.action, *multipart(form.fields, (name, text))))
    return acts


def multipart(values: Mapping[str, str], file: tuple[str, str] | None = None) -> tuple[bytes, dict[str, str]]:
    """Write a form with files; `file` is a field and the name of the file sent in it."""
    head = "--b\r\nContent-Disposition: form-data; name="
    parts = [f'{head}"{name}"\r\n\r\n{value}\r\n' for name, value in values.items()]
    if file is not None:
        parts.append(f'{head}"{file[0]}"; filename="{file[1]}"\r\nContent-Type: text/csv\r\n\r\na,b\r\n1,2\r\n\r\n')
    return ("".join(parts) + "--b--\r\n").encode(), {"Content-Type": "multipart/form-data; boundary=b"}


def other_acts(browser: Browser, token: str) -> dict[str, list[Callable[[], object]]]:
    """Return the acts upon what no form shows: headers, paths, queries, providers' calls, JSON."""
    probes: dict[str, list[Callable[[], object]]] = {}
    for name in _HEADERS:
        probes[f"header {name}"] = [
            partial(browser.ask, "GET", path, headers={name: text.encode()})
            for path in ("/p", "/admin/login")
            for text, _ in texts()
        ]
    shapes = {
        "path": ("/{}", f"/{token}{{}}", "/admin/{}", "/look/{}.css", "/admin/recipient/{}/reveal"),
        "query": ("/p/return?looks={}", "/admin/login?next={}", "/admin/recipient/?search={}", "/admin/?{}={}"),
        "filter": tuple(f"/admin/recipient/?{name}={{}}" for name in ("campaign", "sms", "from", "after", "sort")),
    }
    for kind, paths in shapes.items():
        probes[kind] = [
            partial(browser.ask, "GET", path.replace("{}", quoted.replace("+", "%20")))
            for path in paths
            for _, quoted in texts()
        ]
    probes["callbacks"] = [
        partial(browser.ask, "POST", path, body)
        for path in ("/callbacks/sms/1/x", "/callbacks/payment/1")
        for text in (*(text for text, _ in texts()), "[" * 30_000, "[" * 1_000_000, '{"a":' * 10_000)
        for body in (text.encode(), f'{{"id": "{text}", "status": "{text}"}}'.encode())
    ]
    return probes


def main() -> int:
    """Probe. Returns an exit status."""
    folder = Path(tempfile.mkdtemp(prefix="todoke-probe-"))
    stack = Stack(folder / "stack", durable=False)
    try:
        stack.prepare()
        stack.seed()
        token = people(stack.env, 100)[0]
        stack.restart("web")
        health = f"{stack.web_url}/healthz"
        wait_until(lambda: answers(health), stack.programs["web"], name="web", log=stack.log("web"), limit_s=60)
        runs = _probe(stack, token)
    except DevError as fault:
        print(fault, file=sys.stderr)
        return 1
    finally:
        stack.stop()
        remove(stack.folder)
        shutil.rmtree(folder, ignore_errors=True)
    report("probe", FIELDS, runs, sys.stdout)
    over = [run for run in runs if _is_over(run)]
    for one in over:
        print(f"over the limit: {one['probe']}", file=sys.stderr)
    return 1 if over else 0


def _is_over(run: Mapping[str, object]) -> bool:
    limit_s = SLOW_LIMIT_S if run["probe"] in SLOW else LIMIT_S
    return float(str(run["seconds"])) > limit_s or float(str(run["healthz_p99_ms"])) > HEALTHZ_LIMIT_MS


def _probe(stack: Stack, token: str) -> list[dict[str, object]]:
    pulse = Pulse(stack.web_port)
    thread = threading.Thread(target=pulse.run, daemon=True)
    thread.start()
    runs: list[dict[str, object]] = []

    def run(name: str, measure: Callable[[], float]) -> None:
        began = time.monotonic()
        seconds = measure()
        runs.append({"probe": name, "seconds": round(seconds, 3), "healthz_p99_ms": round(pulse.since(began), 1)})
        print(f"  {name}: {seconds:.3f} s", file=sys.stderr, flush=True)

    try:
        for who, browser, forms in _visitors(stack, token):
            for form in forms:
                run(f"{who} {form.name}", partial(slowest, form_acts(browser, form)))
        manager = Browser(stack.web_port)
        manager.sign_in(next(account for account in stack.accounts if account["role"] == "manager"))
        for name, acts in other_acts(manager, token).items():
            run(name, partial(slowest, acts))
        for name, connections in SLOW.items():
            run(name, partial(connections.press, stack.web_port, f"/{token}"))
    finally:
        pulse.over.set()
        thread.join()
    return runs


def _visitors(stack: Stack, token: str) -> Iterator[tuple[str, Browser, list[Form]]]:
    """Return who fills forms in, with the forms that they see."""
    stranger = Browser(stack.web_port)
    yield "stranger", stranger, [*stranger.page("/admin/login").forms, *stranger.page("/verify").forms]
    person = Browser(stack.web_port)
    link = person.page(f"/{token}")
    person.ask("POST", f"/{token}")
    yield "person", person, [*link.forms, *person.page("/p").forms]
    probed: set[tuple[str, tuple[str, ...]]] = set()
    for role in ("clerk", "manager", "operator"):
        browser = Browser(stack.web_port)
        browser.sign_in(next(account for account in stack.accounts if account["role"] == role))
        forms = [form for form in crawl(browser, "/admin/") if (form.name, tuple(sorted(form.fields))) not in probed]
        probed |= {(form.name, tuple(sorted(form.fields))) for form in forms}
        yield role, browser, forms


if __name__ == "__main__":
    sys.exit(main())
