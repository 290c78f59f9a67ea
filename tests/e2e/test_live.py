"""The page of a campaign under way keeps itself fresh: in a browser whose clock the test turns, on real answers.

Headless Chromium shows every tab it has, so that a page is hidden is said to it by the test; all else is as it is.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, Request, expect

from app.extensions import redis_client
from tests import steps
from tests.admin_views.conftest import Browser as Client
from tests.admin_views.conftest import House, browser_of, ours  # noqa: F401 - fixtures
from tests.e2e.office import Visitor
from tests.factories import launch

pytestmark = pytest.mark.e2e

FIRST_MS = 2_000
LAST_MS = 30_000
_WAIT_S = 30
_HIDE = """hidden => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
# the page's plans are written down beside
_LISTEN = """() => {
    window.plans = [];
    const plan = window.setTimeout;
    window.setTimeout = (act, wait) => { window.plans.push(wait); return plan(act, wait); };
}"""


class Watcher:
    """Somebody who leaves the page open."""

    def __init__(self, visitor: Visitor, campaign: int) -> None:
        self.visitor = visitor
        self.page: Page = visitor.page
        self.asked = 0
        self.page.on("request", self._count)
        began = time.time()
        self.page.clock.install(time=began)
        self.page.clock.pause_at(began + 1)
        self.page.goto(f"{visitor.base}/admin/campaign/{campaign}/status/")
        self.page.evaluate(_LISTEN)

    def _count(self, request: Request) -> None:
        self.asked += "/status.json" in request.url

    def plans(self) -> list[float]:
        """Return what the page has planned since it was loaded, in ms."""
        plans: list[float] = self.page.evaluate("window.plans")
        return plans

    def lets_pass(self, wait_ms: int) -> None:
        """Let time pass on the page, and nothing be asked in it."""
        before = self.asked
        self.page.clock.run_for(wait_ms)
        self.page.evaluate("0")
        assert self.asked == before, f"asked within {wait_ms} ms"

    def is_answered(self, act: Callable[[], Any]) -> float:
        """Do what makes the page ask; return how long it waits then, in ms."""
        asked, planned = self.asked, len(self.plans())
        act()
        until = time.monotonic() + _WAIT_S
        while len(self.plans()) == planned:
            assert time.monotonic() < until, "nothing planned"
            self.page.wait_for_load_state()
            time.sleep(0.02)
        assert self.asked == asked + 1
        return self.plans()[-1]

    def waits(self, wait_ms: float) -> float:
        """See that it asks after this time and no sooner; return how long it waits then, in ms."""
        self.lets_pass(math.ceil(wait_ms) - 1)
        return self.is_answered(lambda: self.page.clock.run_for(1))

    def hides(self, *, hidden: bool) -> None:
        """Put another tab before the page, or take it away."""
        self.page.evaluate(_HIDE, hidden)


@pytest.fixture
def watcher(
    browser_of: Callable[[int], Client],  # noqa: F811 - a fixture
    ours: House,  # noqa: F811 - a fixture
    browser: Browser,
    served: str,
    app: Flask,
) -> Iterator[Watcher]:
    """The status of a campaign whose three SMS the carrier has taken, and a browser that heard no error at the end."""
    with app.app_context():
        launch(ours.tenant, ours.campaign)
        steps.accept(*steps.everybody())
    cookies = browser_of(ours.clerk).client._cookies or {}
    visitor = Visitor(browser, served, {cookie.key: cookie.value for cookie in cookies.values()})
    yield Watcher(visitor, ours.campaign)
    visitor.context.close()
    assert visitor.said == []


def _arrive(people: int) -> None:
    steps.deliver(*steps.everybody(sms_state="accepted")[:people])
    # a count is kept twenty times as long as it took
    for key in redis_client.connection.scan_iter("todoke:count:*"):
        redis_client.connection.delete(key)


def test_figures_change_while_the_page_stays(watcher: Watcher, take: Callable[..., None]) -> None:
    page = watcher.page
    arrived = page.locator("[data-live-text='box.delivered']")
    bar = page.locator("[data-live-value='funnel.1.width']").first
    expect(arrived).to_have_text("0")
    width = bar.get_attribute("width")
    take(_arrive, 1)
    assert watcher.waits(FIRST_MS) == FIRST_MS
    expect(arrived).to_have_text("1")
    expect(bar).not_to_have_attribute("width", width or "")
    take(_arrive, 2)
    assert watcher.waits(FIRST_MS) == FIRST_MS
    expect(arrived).to_have_text("3")
    assert watcher.plans() == [FIRST_MS, FIRST_MS], "the page was loaded anew"


def test_it_asks_ever_more_seldom_while_nothing_changes_and_soon_again_once_something_does(
    watcher: Watcher, take: Callable[..., None]
) -> None:
    wait = float(FIRST_MS)
    waited = [wait := watcher.waits(wait) for _ in range(9)]
    assert waited == [min(FIRST_MS * 1.5**n, LAST_MS) for n in range(9)]
    assert waited[-2:] == [LAST_MS, LAST_MS]
    take(_arrive, 1)
    assert watcher.waits(LAST_MS) == FIRST_MS
    expect(watcher.page.locator("[data-live-text='box.delivered']")).to_have_text("1")


def test_it_asks_nothing_while_it_is_hidden_and_at_once_when_it_is_seen_again(
    watcher: Watcher, take: Callable[..., None]
) -> None:
    wait = watcher.waits(FIRST_MS)
    assert watcher.waits(wait) > FIRST_MS
    watcher.hides(hidden=True)
    watcher.lets_pass(10 * 60_000)
    take(_arrive, 3)
    watcher.lets_pass(60_000)
    expect(watcher.page.locator("[data-live-text='box.delivered']")).to_have_text("0")
    assert watcher.is_answered(lambda: watcher.hides(hidden=False)) == FIRST_MS
    expect(watcher.page.locator("[data-live-text='box.delivered']")).to_have_text("3")
    assert watcher.waits(FIRST_MS) > FIRST_MS


def test_an_answer_that_comes_after_it_was_hidden_plans_nothing(watcher: Watcher) -> None:
    """The tab is left in the middle of a question: its answer must not start the questions again."""
    held: list[Any] = []
    watcher.page.route("**/status.json*", lambda route: held.append(route))  # noqa: PLW0108 - looked into by Playwright
    watcher.page.clock.run_for(FIRST_MS)
    while not held:
        watcher.page.wait_for_timeout(20)
    watcher.hides(hidden=True)
    with watcher.page.expect_response("**/status.json*"):
        held[0].continue_()
    watcher.page.unroute("**/status.json*")
    watcher.lets_pass(10 * 60_000)
    assert watcher.is_answered(lambda: watcher.hides(hidden=False)) > 0


def test_it_says_that_nothing_answers_and_goes_on_by_itself(watcher: Watcher) -> None:
    problem = watcher.page.locator("[data-live-problem]")
    watcher.page.route("**/status.json*", lambda route: route.abort())
    assert watcher.waits(FIRST_MS) == 2 * FIRST_MS
    expect(problem).to_have_text("通信できません。自動でもう一度試します。")
    # Chromium itself says on the console that a request failed
    watcher.visitor.said[:] = [text for text in watcher.visitor.said if not text.startswith("Failed to load resource")]
    watcher.page.unroute("**/status.json*")
    watcher.waits(2 * FIRST_MS)
    expect(problem).to_have_text("")


def test_a_page_that_shows_an_old_form_is_loaded_anew(
    watcher: Watcher,
    take: Callable[..., None],
    ours: House,  # noqa: F811 - a fixture
) -> None:
    """A colleague has paused the campaign: the button to go on has to appear."""
    take(steps.pause, ours.campaign)
    watcher.page.clock.run_for(FIRST_MS)
    expect(watcher.page.get_by_role("link", name="送信を再開する")).to_be_visible()
    assert watcher.page.evaluate("window.plans") is None
