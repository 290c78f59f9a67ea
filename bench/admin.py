"""`make bench-admin`: the back office's lists and a person's page with ten thousand and a million rows in each table.

Both products stand ready on one PostgreSQL, each with its own granian, and are asked in turns over HTTP by somebody who
is signed in, so that whatever else this machine does falls on both. Each request asks for other rows. `p50_ratio` is
the median with the most rows by that with the fewest.
"""

import http.client
import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import psycopg

from app.values.japan_time import TOKYO
from bench import dataset
from bench.report import report
from dev.process import DevError, wait_until
from dev.servers import plain_url
from dev.stack import Stack, answers, remove

FIELDS = ("page", "rows", "p50_ms", "p99_ms", "p50_ratio")
ROWS = (10_000, 1_000_000)
_TURNS = 100
_WARM = 5
_COMPANY = "midori"


@dataclass(slots=True)
class Product:
    """A running back office, somebody signed in to it, and what stands in it."""

    port: int
    rows: int
    first: int
    campaigns: list[int]
    cookie: str = ""
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, path: str, form: Mapping[str, str] | None = None) -> str:
        """Ask for a page; give it.

        Raises DevError for any answer but 200, and 303 to a form.
        """
        body = None if form is None else urlencode(form)
        headers = {"Cookie": self.cookie} | ({"Content-Type": "application/x-www-form-urlencoded"} if form else {})
        self.connection.request("GET" if form is None else "POST", path, body=body, headers=headers)
        answer = self.connection.getresponse()
        content = answer.read().decode()
        jar = SimpleCookie("; ".join(answer.headers.get_all("Set-Cookie") or []))
        if jar:
            self.cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in jar.items())
        if answer.status != (200 if form is None else 303):
            raise DevError(f"{path} was answered by {answer.status}")
        return content

    def sign_in(self, account: Mapping[str, str]) -> None:
        """Sign in."""
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.ask("/admin/login"))
        assert found is not None  # noqa: S101 - a sign-in has a form
        fields = {name: account[name] for name in ("tenant_code", "email", "password")}
        self.ask("/admin/login", {**fields, "csrf_token": found[1]})


def _day(chance: random.Random) -> str:
    day = (datetime.now(UTC) - timedelta(days=chance.randrange(1, 29))).astimezone(TOKYO).date()
    return f"from={day}&to={day}"


Page = Callable[[Product, random.Random], str]
_PEOPLE = "/admin/recipient/"
PAGES: Mapping[str, Page] = {
    "home": lambda _p, _c: "/admin/",
    "status": lambda p, c: f"/admin/campaign/{c.choice(p.campaigns)}/status/",
    "people": lambda _p, _c: _PEOPLE,
    "people, next": lambda p, c: f"{_PEOPLE}?after={p.first + c.randrange(p.rows)}",
    "people, last": lambda _p, _c: f"{_PEOPLE}?end=1",
    "people, by reference": lambda _p, _c: f"{_PEOPLE}?sort=0",
    "search reference": lambda p, c: f"{_PEOPLE}?search={dataset.reference(c.randrange(p.rows))}",
    "search phone": lambda p, c: f"{_PEOPLE}?search=0{dataset.phone(c.randrange(p.rows))[3:]}",
    "search last four": lambda p, c: f"{_PEOPLE}?search={dataset.phone(c.randrange(p.rows))[-4:]}",
    "filter undelivered": lambda _p, _c: f"{_PEOPLE}?sms=undelivered",
    "filter unknown": lambda _p, _c: f"{_PEOPLE}?sms=unknown",
    "filter accepted": lambda _p, _c: f"{_PEOPLE}?sms=accepted",
    "filter locked": lambda _p, _c: f"{_PEOPLE}?page_state=locked",
    "filter paid": lambda _p, _c: f"{_PEOPLE}?payment=paid",
    "filter carrier": lambda _p, _c: f"{_PEOPLE}?carrier=au",
    "filter day": lambda _p, c: f"{_PEOPLE}?{_day(c)}",
    "filter campaign": lambda p, c: f"{_PEOPLE}?campaign={c.choice(p.campaigns)}",
    "filter campaign, undelivered": lambda p, c: f"{_PEOPLE}?campaign={c.choice(p.campaigns)}&sms=undelivered",
    "filter four ways": lambda _p, c: f"{_PEOPLE}?sms=delivered&page_state=viewed&carrier=softbank&{_day(c)}",
    "person": lambda p, c: f"/admin/recipient/details/?id={p.first + 1 + c.randrange(p.rows)}",
    "send log": lambda _p, _c: "/admin/send_log/",
    "send log, last": lambda _p, _c: "/admin/send_log/?end=1",
    "send log, campaign": lambda p, c: f"/admin/send_log/?campaign={c.choice(p.campaigns)}&state=undelivered",
    "send log, day": lambda _p, c: f"/admin/send_log/?{_day(c)}",
    "campaigns": lambda _p, _c: "/admin/campaign/",
    "campaigns, last": lambda _p, _c: "/admin/campaign/?end=1",
    "payments": lambda _p, _c: "/admin/payment/",
    "payments, last": lambda _p, _c: "/admin/payment/?end=1",
    "payments, paid": lambda _p, _c: "/admin/payment/?state=paid",
    "payments, to look at": lambda _p, _c: "/admin/payment/?look=1",
    "audit": lambda _p, _c: "/admin/audit/",
    "audit, last": lambda _p, _c: "/admin/audit/?end=1",
    "audit, one act": lambda _p, _c: "/admin/audit/?act=reveal_phone",
}


def main(rows: tuple[int, ...] = ROWS) -> int:
    """Measure. Returns an exit status."""
    folder = Path(tempfile.mkdtemp(prefix="todoke-bench-"))
    stacks: list[Stack] = []
    try:
        products = [_product(folder, count, stacks) for count in rows]
        taken = _measure(products)
    except DevError as fault:
        print(fault, file=sys.stderr)
        return 1
    finally:
        # the first one's servers hold the others' databases
        for stack in reversed(stacks):
            stack.stop()
        for stack in reversed(stacks[1:]):
            shutil.rmtree(stack.folder, ignore_errors=True)
        if stacks:
            remove(stacks[0].folder)
        shutil.rmtree(folder, ignore_errors=True)
    report("bench-admin", FIELDS, [run for page in PAGES for run in _runs(page, products, taken)], sys.stdout)
    return 0


def _product(folder: Path, rows: int, stacks: list[Stack]) -> Product:
    environ: Mapping[str, str] = {}
    if stacks and (servers := stacks[0].servers):
        redis_url = f"{servers.redis_url.rpartition('/')[0]}/{len(stacks)}"
        environ = {"DATABASE_URL": servers.database_url, "REDIS_URL": redis_url}
    stack = Stack(folder / f"rows-{rows}", durable=False, environ=environ)
    stacks.append(stack)
    stack.prepare()
    stack.seed()
    dataset.fill(stack.env, _COMPANY, rows)
    stack.restart("web")
    ready = partial(answers, f"{stack.web_url}/healthz")
    wait_until(ready, stack.programs["web"], name="web", log=stack.log("web"), limit_s=60)
    with psycopg.connect(plain_url(stack.env["DATABASE_OWNER_URL"])) as owner:
        owner.execute("SELECT set_config('app.platform', 'on', true)")
        found = owner.execute("SELECT id FROM campaign WHERE name LIKE '送信済みの配信%' ORDER BY id").fetchall()
        last = owner.execute("SELECT max(id) FROM recipient").fetchone()
    assert last is not None  # noqa: S101 - an aggregate always answers
    product = Product(stack.web_port, rows, last[0] - rows, [row[0] for row in found])
    product.sign_in(next(account for account in stack.accounts if account["role"] == "manager"))
    return product


def _measure(products: list[Product]) -> dict[tuple[str, int], list[float]]:
    taken: dict[tuple[str, int], list[float]] = {}
    for name, page in PAGES.items():
        for product in products:
            product.connection.close()  # the server may have closed an idle one; the next request opens another
        for turn in range(-_WARM, _TURNS):
            for product in products:
                path = page(product, random.Random(f"{name}{turn}"))
                begun = time.perf_counter()
                content = product.ask(path)
                seconds = time.perf_counter() - begun
                if "<h1" not in content:
                    raise DevError(f"{path} gave no page")
                if turn >= 0:
                    taken.setdefault((name, product.rows), []).append(seconds)
    return taken


def _runs(page: str, products: list[Product], taken: Mapping[tuple[str, int], list[float]]) -> list[dict[str, object]]:
    fewest = min(product.rows for product in products)
    base = statistics.median(taken[page, fewest])
    return [
        {
            "page": page,
            "rows": product.rows,
            "p50_ms": 1000 * statistics.median(seconds),
            "p99_ms": 1000 * statistics.quantiles(seconds, n=100)[98],
            "p50_ratio": None if product.rows == fewest else statistics.median(seconds) / base,
        }
        for product in products
        for seconds in (taken[page, product.rows],)
    ]


if __name__ == "__main__":
    sys.exit(main(tuple(map(int, sys.argv[1:])) or ROWS))
