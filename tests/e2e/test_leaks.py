"""A hundred known tokens, numbers and answers through the whole product, and all goes wrong that can: in no log.

All programs are real: web server, workers, scheduler, PostgreSQL, Valkey. Their output, and Valkey's content, is
searched at the end. The sandbox is the outside world and may know.
"""

import random
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
import redis
from playwright.sync_api import Browser
from werkzeug.datastructures import Headers

from dev.process import wait_until
from dev.servers import plain_url
from dev.stack import QUEUES, Stack, answers, remove
from tests.e2e.clerk import Office, ask, put
from tests.e2e.conftest import QUICK
from tests.public.page_headers import check_headers
from tests.public.served import Visitor
from tests.waiting import until

pytestmark = pytest.mark.e2e

PEOPLE = 100
_LOGS = ("web", *QUEUES, "scheduler", "commands", "postgres", "valkey")
_SYLLABLES = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロ"


@dataclass(frozen=True, slots=True)
class Person:
    """One row of the list, and what this person types wrongly and unreadably."""

    number: str
    name: str
    born: tuple[int, int, int]
    contract: str
    wrong: str
    unreadable: str


def people() -> list[Person]:
    luck = random.Random(4)
    return [
        Person(
            number=f"0901{n:03d}{2000 + luck.randrange(8000):04d}",
            name="".join(luck.choices(_SYLLABLES, k=8)),
            born=(1930 + n % 70, 1 + n % 12, 1 + n % 28),
            contract=f"7{luck.randrange(10**9):09d}",
            wrong=f"8{luck.randrange(10**9):09d}",
            unreadable="".join(luck.choices(_SYLLABLES, k=9)),
        )
        for n in range(PEOPLE)
    ]


@dataclass(slots=True)
class Way:
    """The stack after everything has happened, and what was known of whom."""

    stack: Stack
    people: list[Person]
    tokens: list[str]
    statuses: set[int]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Return a product of our own, whose guard lets so many wrong answers pass."""
    folder = Path(tempfile.mkdtemp(prefix="todoke-e2e-"))
    patient = {"GUARD_FAILING_PERCENT": "100", "GUARD_PEOPLE": "10000", "GUARD_LOCKED": "10000"}
    try:
        with Stack(folder, durable=False, extra_env=QUICK | patient) as running:
            yield running
    finally:
        remove(folder)


@pytest.fixture(scope="module")
def way(stack: Stack, browser: Browser) -> Way:
    """Send to all, let all of them visit, and let go wrong what can."""
    known = people()
    clerk = Office(browser, stack, "midori")
    put(stack, "/_sandbox/switches", {"reset_after_body": {"next": 5}, "error_before": {"next": 5}})
    tokens = _send(clerk, known)
    clerk.page.goto(f"{stack.web_url}/admin/recipient/?search={known[0].number}")
    clerk.page.context.close()
    done = Way(stack, known, tokens, set())
    _visits(done)
    _broken_database(done)
    _servers_away(done)
    time.sleep(5)  # sweeps and workers meet again what was away
    return done


def _send(clerk: Office, known: list[Person]) -> list[str]:
    page, stack = clerk.page, clerk.stack
    page.goto(f"{stack.web_url}/admin/campaign/new/")
    page.locator("[name=name]").fill("漏れの試験")
    page.locator("[name=sms_text]").fill("【{会社名}】{氏名}様 お知らせです {リンク}")
    page.locator("[name=page_title]").fill("お知らせ")
    page.locator("[name=page_text]").fill("{氏名} 様\n契約番号は{契約番号}です。")
    for n, (label, kind) in enumerate((("生年月日", "date"), ("氏名", "text"), ("契約番号", "digits"))):
        page.locator(f"[name=questions-{n}-label]").fill(label)
        page.locator(f"[name=questions-{n}-kind]").select_option(kind)
    page.locator("form:has([name=sms_text]) [type=submit]:not([aria-hidden], [name])").first.click()
    page.wait_for_url(re.compile(r"/admin/campaign/\d+/"))
    found = re.search(r"/admin/campaign/(\d+)/", page.url)
    assert found
    rows = (f"K{n},{p.number},{p.name},{'/'.join(map(str, p.born))},{p.contract}" for n, p in enumerate(known))
    content = "\r\n".join(("管理番号,電話番号,氏名,生年月日,契約番号", *rows))
    before = len(ask(stack, "/_sandbox/messages"))
    clerk.upload(int(found[1]), content.encode("cp932"), PEOPLE)
    clerk.send(int(found[1]), PEOPLE)
    until(lambda: len(ask(stack, "/_sandbox/messages")) >= before + PEOPLE, "a hundred SMS")
    links = {message["to"]: message["body"].rpartition("/")[2] for message in ask(stack, "/_sandbox/messages")[before:]}
    return [links[person.number] if person.number in links else links[f"+81{person.number[1:]}"] for person in known]


def _typed(person: Person, **changed: str) -> dict[str, str]:
    year, month, day = map(str, person.born)
    return {"q1_year": year, "q1_month": month, "q1_day": day, "q2": person.name, "q3": person.contract} | changed


def _visitor(way: Way, n: int) -> Visitor:
    # addresses of their own, so that nobody is slowed down
    return Visitor(way.stack.web_port, source=f"127.0.1.{1 + n % 50}")


def _visits(way: Way) -> None:
    for n, (person, token) in enumerate(zip(way.people, way.tokens, strict=True)):
        visitor = _visitor(way, n)
        one = partial(_one, way, visitor)
        assert one("GET", f"/{token}") == 200
        assert one("POST", f"/{token}") == 303
        hidden = visitor.form()
        assert one("POST", "/p/answers", _typed(person, q3=person.unreadable) | hidden) == 422
        assert one("POST", "/p/answers", _typed(person, q3=person.wrong) | hidden) == 422
        _odd(one, person, token, hidden)
        if n % 3 == 0:
            assert one("POST", "/p/answers", _typed(person) | hidden) == 303
            assert person.contract in visitor.ask("GET", "/p").text
        visitor.close()


def _odd(one: partial[int], person: Person, token: str, hidden: dict[str, str]) -> None:
    """Ask in ways nobody should."""
    name = quote(person.name)
    for path in (f"/{token}/", f"/{token}/x", f"/{token}?q={name}", f"/p?t={token}&tel={person.number}", f"/x/{name}"):
        one("GET", path)
    one("GET", f"/{token}%00")
    one("GET", f"/{token}%ff%fe")
    one("PUT", f"/{token}", {"tel": person.number})
    one("GET", f"/{token}", None, {"Host": "elsewhere.example"})
    one("GET", "/p", None, {"Referer": f"https://todoke.example/{token}", "User-Agent": f"{token} {person.number}"})
    one("GET", "/p", None, {"Cookie": f"todoke={token}.{person.number}"})
    one("POST", "/p/answers", _typed(person))  # without the form's token
    one("POST", "/p/answers", {**_typed(person), **hidden, "q2": f"{person.name}\0{person.number}"})
    one("POST", "/p/answers", {**_typed(person), **hidden, "q2": person.name * 200})
    one("POST", "/p/answers", {**hidden, person.name: person.number})
    one("POST", "/verify", {"company": person.name, "number": person.number})
    one("POST", f"/callbacks/sms/1/{token}", {"tel": person.number})
    one("POST", "/callbacks/payment/1", {"tel": person.number, "token": token})
    one("POST", "/admin/login", {"tenant_code": "midori", "email": f"{person.number}@{token}", "password": person.name})


def _one(
    way: Way,
    visitor: Visitor,
    method: str,
    path: str,
    values: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> int:
    answer = visitor.ask(method, path, values, headers)
    way.statuses.add(answer.status)
    if not path.startswith(("/admin", "/callbacks")):
        check_headers(Headers(answer.headers))
    return answer.status


def _broken_database(way: Way) -> None:
    """Take away what each step needs, so that it fails in its midst with everything in hand."""
    with psycopg.connect(plain_url(way.stack.env["DATABASE_OWNER_URL"]), autocommit=True) as owner:
        for table in ("event", "question", "tenant"):
            visitors = [_visitor(way, n) for n in range(0, PEOPLE, 10)]
            hidden = []
            for n, visitor in enumerate(visitors):
                visitor.ask("POST", f"/{way.tokens[10 * n + 1]}")
                hidden.append(visitor.form())
            owner.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
            try:
                for n, visitor in enumerate(visitors):
                    person, token = way.people[10 * n + 1], way.tokens[10 * n + 1]
                    one = partial(_one, way, visitor)
                    one("POST", "/p/answers", _typed(person, q3=person.wrong) | hidden[n])
                    one("POST", "/p/answers", _typed(person) | hidden[n])
                    one("POST", f"/{token}")
                    one("GET", f"/{token}")
                    one("POST", "/verify", {"company": person.name, "number": person.number})
                    visitor.close()
            finally:
                owner.execute(f"ALTER TABLE {table}_away RENAME TO {table}")


def _servers_away(way: Way) -> None:
    for server in ("valkey", "postgres"):
        visitors = [_visitor(way, n) for n in range(10)]
        hidden = []
        for n, visitor in enumerate(visitors):
            visitor.ask("POST", f"/{way.tokens[10 * n + 2]}")
            hidden.append(visitor.form())
        way.stack.kill(server)
        for n, visitor in enumerate(visitors):
            person, token = way.people[10 * n + 2], way.tokens[10 * n + 2]
            one = partial(_one, way, visitor)
            got = [one("GET", f"/{token}"), one("POST", f"/{token}")]
            got.append(one("POST", "/p/answers", _typed(person) | hidden[n]))
            got.append(one("POST", "/verify", {"company": person.name, "number": person.number}))
            # without Valkey people go on, counted by each process for itself; without PostgreSQL they are asked to wait
            assert got == ([200, 303, 303, 200] if server == "valkey" else [503] * 4)
            visitor.close()
        time.sleep(3)  # workers and scheduler miss it too
        way.stack.restart(server)
    ready = partial(answers, f"{way.stack.web_url}/healthz")
    wait_until(ready, way.stack.programs["web"], name="web", log=way.stack.log("web"), limit_s=60)


def needles(way: Way) -> Iterable[tuple[str, str]]:
    """Return everything that must stand nowhere, by what it is."""
    for person, token in zip(way.people, way.tokens, strict=True):
        year, month, day = person.born
        yield "token", token
        yield "number", person.number
        yield "number", person.number[1:]  # after +81 or 81
        yield "number", f"{person.number[:3]}-{person.number[3:7]}-{person.number[7:]}"
        for said in (person.name, person.contract, person.wrong, person.unreadable):
            yield "answer", said
        for born in (f"{year}-{month:02d}-{day:02d}", f"{year}/{month}/{day}", f"{year:04d}{month:02d}{day:02d}"):
            yield "birth date", born


def found_in(content: bytes, way: Way) -> set[str]:
    """Name what is found, in any of the ways in which logs write letters."""
    texts = [content.decode("utf-8", "replace")]
    texts.append(re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), texts[0]))
    found = set()
    for what, needle in needles(way):
        forms = {needle, quote(needle), needle.encode().hex(), "".join(f"\\x{b:02x}" for b in needle.encode())}
        if any(form in text for form in forms for text in texts):
            found.add(f"{what} {needle}")
    return found


def test_the_search_finds_what_is_there(way: Way) -> None:
    first, last = way.people[0], way.people[-1]
    assert found_in(f"x {way.tokens[3]} y".encode(), way) == {f"token {way.tokens[3]}"}
    assert f"answer {first.name}" in found_in(quote(first.name).encode(), way)
    assert f"answer {last.name}" in found_in(str([last.name]).encode("unicode_escape"), way)
    assert f"number {last.number}" in found_in(b"tel=" + last.number.encode(), way)
    known = (way.stack.folder / "sandbox.jsonl").read_bytes()
    assert sum(1 for found in found_in(known, way) if found.startswith("token")) == PEOPLE


def test_things_did_go_wrong(way: Way) -> None:
    assert way.statuses >= {200, 303, 400, 404, 405, 422, 500}
    assert b"Traceback" in way.stack.log("web").read_bytes()
    assert b"ERROR" in way.stack.log("postgres").read_bytes()
    said = b"".join(way.stack.log(name).read_bytes() for name in (*QUEUES, "scheduler"))
    assert re.search(rb"redis|Redis", said)
    assert re.search(rb"psycopg|OperationalError", said)


@pytest.mark.parametrize("name", _LOGS)
def test_no_log_holds_any_of_it(way: Way, name: str) -> None:
    assert found_in(way.stack.log(name).read_bytes(), way) == set()


def test_no_log_is_left_out(way: Way) -> None:
    logs = set(way.stack.folder.rglob("*.log"))
    assert logs - {way.stack.log("sandbox")} <= {way.stack.log(name) for name in _LOGS}


def test_valkey_holds_none_of_it(way: Way) -> None:
    with redis.Redis.from_url(way.stack.env["REDIS_URL"], protocol=2) as client:
        keys = list(client.scan_iter())
        assert keys
        kept = b"\n".join([*keys, *(_value(client, key) for key in keys)])
    assert found_in(kept, way) == set()
    for path in (way.stack.folder / "valkey").rglob("*"):
        if path.is_file():
            assert found_in(path.read_bytes(), way) == set(), path.name


def _value(client: "redis.Redis", key: bytes) -> bytes:
    kind = bytes(client.execute_command("TYPE", key)).decode()
    reads: dict[str, tuple[str, ...]] = {"string": ("GET",), "hash": ("HGETALL",), "set": ("SMEMBERS",)}
    command, *bounds = reads.get(kind) or ({"zset": "ZRANGE", "list": "LRANGE", "stream": "XRANGE"}[kind], "0", "-1")
    value = client.execute_command(command, key, *(("-", "+") if kind == "stream" else bounds))
    return value if isinstance(value, bytes) else repr(value).encode()
