"""People who visit their pages on a running product, each with a browser: for checks, pictures and the browser run.

In: a started `Stack`. Out: a browser's page that shows a state of `dev.page_states`. The link comes from the SMS at the
stand-in carrier; answers and payments from pressing what is on the page; what only time or staff bring (a link's end, a
refund) is put into the database. Can't happen here: a state taken for another, for each names the words that must be
seen; one person brought into two states.
"""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg
import redis
from playwright.sync_api import Browser, CDPSession, Page, Response, Route, expect
from playwright.sync_api import Error as PlaywrightError

from dev.browser import PHONE
from dev.process import DevError
from dev.stack import LINK_BASE_URL, ROOT, Stack
from public.texts import texts

RIGHT = {"q1_year": "1980", "q1_month": "1", "q1_day": "2", "q2": "100-0001"}
RIGHT_FOUR = {"q1": "タナカ イチロウ", "q2": "12345678", "q3": "0123"}

_LIMIT_S = 120
_WAIT_MS = 30_000
_SMS_LINK = re.compile(re.escape(LINK_BASE_URL) + r"/(\w+)")


@dataclass(frozen=True, slots=True)
class Way:
    """How a browser came to what it shows: `body` is a POST's form; `leads_on` tells of a Refresh header."""

    method: str
    url: str
    body: str | None
    leads_on: bool


@dataclass  # no slots: Playwright keeps what it needs of a listener with its owner
class Visit:
    """One person with a browser.

    `way` is the last request of ours that led to a page, `document` what it gave.
    """

    page: Page
    stack: Stack
    language: str
    play: str
    token: str
    recipient_id: int
    database: psycopg.Connection = field(repr=False)
    way: Way | None = None
    document: bytes = field(default=b"", repr=False)
    _leads_on: bool = False
    _answer: Response | None = field(default=None, repr=False)
    _control: CDPSession | None = field(default=None, repr=False)

    def goto(self, path: str) -> None:
        """Open one of our addresses."""
        self.page.goto(self.stack.web_url + path)

    def open(self) -> None:
        """Tap the link in the SMS."""
        self.goto(f"/{self.token}")

    def press(self) -> None:
        """Press the page's button."""
        self.page.locator("main form button").click()

    def begin(self) -> None:
        """Tap the link and press its button."""
        self.open()
        self.press()
        self.page.wait_for_url("**/p")

    def answer(self, **changed: str) -> None:
        """Fill in the right answers, but for what is changed, and send them."""
        for name, value in ((RIGHT_FOUR if self.play == "four" else RIGHT) | changed).items():
            self.page.locator(f"[name={name}]").fill(value)
        if self.play == "four":
            self.page.locator("[name=q4][value=火災保険]").check()
        self.press()

    def read(self) -> None:
        """Go all the way to the message."""
        self.begin()
        self.answer()

    def pay(self) -> None:
        """Go to the payment provider."""
        self.read()
        self.press()
        self.page.wait_for_url(f"{self.stack.sandbox_url}/**")

    def choose(self, choice: str) -> None:
        """Press a button of the payment provider's page, or of the slip that it led to."""
        self.page.locator(f"button[name=choice][value={choice}]").click()

    def change(self, statement: str) -> None:
        """Bring about what time or staff would: `{id}` stands for the person."""
        self.database.execute(statement.replace("{id}", str(self.recipient_id)).encode())

    def switch(self, switches: dict[str, object]) -> None:
        """Put the sandbox's switches. Raises DevError."""
        done = self.page.request.put(f"{self.stack.sandbox_url}/_sandbox/switches", data=switches)
        if not done.ok:
            raise DevError(f"the sandbox refused the switches {switches}: {done.text()}")

    def stand(self, path: str) -> None:
        """Open one of our pages that leads on by itself, without the header that does it: it stands still."""
        self.page.route(self.stack.web_url + path, self._without_refresh)
        self.goto(path)

    def _without_refresh(self, route: Route) -> None:
        answer = route.fetch(max_redirects=0)
        headers = answer.headers
        self._leads_on = headers.pop("refresh", None) is not None
        route.fulfill(response=answer, headers=headers)

    def let_script(self, *, run: bool) -> None:
        """Switch script off, or on again for a checker that is script itself: the document stays as it is."""
        if self._control is None:
            self._control = self.page.context.new_cdp_session(self.page)
        self._control.send("Emulation.setScriptExecutionDisabled", {"value": not run})

    def heed(self, response: Response) -> None:
        """Remember how the page came about."""
        request = response.request
        ours = request.is_navigation_request() and request.url.startswith(self.stack.web_url)
        if ours and not 300 <= response.status < 400:  # noqa: PLR2004 - a redirect shows nothing
            self.way = Way(request.method, request.url, request.post_data, self._leads_on)
            self._answer = response

    def keep(self) -> None:
        """Keep the document that the page was made of."""
        if self._answer is not None:
            self.document = self._answer.body()


@dataclass(frozen=True, slots=True)
class State:
    """One state of a page: `shows` names the text (public/texts.py) that must be seen, `ja` and `en` tell of it.

    `play` is whose page it is (`dev.seed_page_states`); `undo` takes back what others would feel.
    """

    name: str
    act: Callable[[Visit], None]
    shows: str
    ja: str
    en: str
    play: str = "pay"
    undo: Callable[[Visit], None] | None = None


class Visits:
    """The people of one running product. Use it as a context."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        url = stack.env["DATABASE_OWNER_URL"].replace("+psycopg", "", 1)
        self._database = psycopg.connect(url, autocommit=True)
        self._database.execute("SELECT set_config('app.platform', 'on', false)")
        self._people: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
        try:
            self._invite()
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the database go."""
        self._database.close()

    @contextmanager
    def at(
        self,
        browser: Browser,
        state: State,
        language: str = "ja",
        *,
        script: bool = True,
        **context: Any,  # noqa: ANN401 - Playwright's
    ) -> Iterator[Visit]:
        """Bring the next person into a state, in a browser of their own.

        Raises DevError where it isn't reached.
        """
        options = {"viewport": PHONE, "is_mobile": True, "has_touch": True, "timezone_id": "Asia/Tokyo"}
        locale = {"ja": "ja-JP", "en": "en-US"}[language]
        made = browser.new_context(**{**options, "locale": locale, **context})
        visit: Visit | None = None
        try:
            made.set_default_timeout(_WAIT_MS)
            visit = self.visit(made.new_page(), state.play, language)
            if not script:
                visit.let_script(run=False)
            self.bring(visit, state)
            yield visit
        finally:
            if visit is not None and state.undo is not None:
                state.undo(visit)
            made.close()

    def bring(self, visit: Visit, state: State) -> None:
        """Bring a person into a state. Raises DevError."""
        # a machine that presses this often would be throttled, as it should be
        with redis.Redis.from_url(self.stack.env["REDIS_URL"]) as client:
            if keys := list(client.scan_iter("LIMITS*")):
                client.delete(*keys)
        try:
            state.act(visit)
            longest = max(re.split(r"\{\w+\}", texts(visit.language)[state.shows]), key=len)
            expect(visit.page.get_by_text(longest.strip()).first).to_be_visible(timeout=_WAIT_MS)
            visit.keep()
        except (AssertionError, PlaywrightError) as fault:
            raise DevError(f"{state.name} ({visit.language}) was not reached, but {visit.page.url}: {fault}") from fault

    def visit(self, page: Page, play: str, language: str) -> Visit:
        """Return the next person of a play a page."""
        token, recipient_id = self._people[play, language].pop()
        visit = Visit(page, self.stack, language, play, token, recipient_id, self._database)
        page.on("response", visit.heed)
        return visit

    def _invite(self) -> None:
        """Have the cast written to, and take the links from their SMS."""
        done = subprocess.run(
            [sys.executable, "-m", "dev.seed_page_states"],
            env=self.stack.env,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            raise DevError("dev.seed_page_states failed; it says why above")
        cast = {person["phone"]: person for person in json.loads(done.stdout)}
        links = self._links(set(cast))
        # sandbox contracts are test ones; what people see has no mark of it, but for the state that shows the mark
        self._database.execute("UPDATE payment_account SET test_mode = false")
        ids: dict[str, int] = dict(
            self._database.execute("SELECT reference, id FROM recipient WHERE reference <> ''").fetchall()
        )
        for phone, person in cast.items():
            self._people[person["play"], person["language"]].append((links[phone], ids[person["reference"]]))
        self._database.execute("UPDATE campaign SET checks_stopped_at = now() WHERE name LIKE 'stopped %'")

    def _links(self, phones: set[str]) -> dict[str, str]:
        deadline = time.monotonic() + _LIMIT_S
        while True:
            url = f"{self.stack.sandbox_url}/_sandbox/messages?limit=10000"
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - this machine's own
                messages = json.load(answer)
            links = {message["to"]: found[1] for message in messages if (found := _SMS_LINK.search(message["body"]))}
            if phones <= set(links):
                return links
            if time.monotonic() > deadline:
                raise DevError(f"{len(phones - set(links))} SMS did not reach the stand-in carrier")
            time.sleep(0.3)
