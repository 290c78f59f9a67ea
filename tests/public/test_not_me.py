"""A stranger who got an SMS says so at the foot of the page: the link ends, and a clerk decides about the number."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from flask import Flask

from app import tenancy
from app.suppression import numbers
from app.suppression.numbers import Terms
from app.values.suppression_reasons import SuppressionReason
from tests import steps
from tests.public.agents import AGENTS
from tests.public.browser import Browser
from tests.public.conftest import ANSWERS, Sent


def proposed(database: psycopg.Connection) -> list[tuple[str, str]]:
    return database.execute("SELECT source, reason FROM suppression_proposal").fetchall()


def token_of(browser: Browser, sent: Sent) -> str:
    """Return the token of the form at the foot of a link's page, as a browser shows it."""
    found = re.search(r'name="form_token" value="([^"]+)"', browser.client.get(sent.link).text)
    assert found is not None
    return found[1]


def press(browser: Browser, sent: Sent, reason: str, *, token: str | None = None, **headers: str) -> Browser:
    data = {"reason": reason, "not_me": "1", "form_token": token_of(browser, sent) if token is None else token}
    browser.page = browser.client.post(sent.link, data=data, headers=headers)
    return browser


def test_one_press_with_a_reason_ends_the_link_and_proposes_the_number(
    sent: Sent, browser: Browser, database: psycopg.Connection, state: Callable, events: Callable
) -> None:
    browser.open(sent.link)
    assert "このSMSに心当たりがない方" in browser.text
    token = token_of(browser, sent)
    press(browser, sent, "wrong_number")
    assert (browser.page.status_code, "みどり信販へ伝えました" in browser.text) == (200, True)
    assert state(sent) == ("revoked", 0)
    assert events(sent) == [("page", "revoked", "person")]
    assert proposed(database) == [("person", "wrong_number")]
    assert database.execute("SELECT count(*) FROM suppression").fetchone() == (0,)
    assert browser.open(sent.link).page.status_code == 404
    assert press(browser, sent, "wish", token=token).page.status_code == 404
    assert len(proposed(database)) == 1


def test_what_still_waits_for_them_does_not_leave(
    send: Callable[..., Sent], browser: Browser, database: psycopg.Connection, take
) -> None:
    sent = send()
    take(steps.queue, sent.person.id)
    press(browser, sent, "wish")
    row = database.execute("SELECT sms_state FROM recipient WHERE id = %s", [sent.person.id]).fetchone()
    assert row == ("delivered",)


@pytest.mark.parametrize("reason", ["", "lawyer", "x" * 50, "wish\0"])
def test_without_a_reason_of_the_page_nothing_changes_and_the_page_says_so(
    sent: Sent, browser: Browser, database: psycopg.Connection, state, reason: str
) -> None:
    press(browser, sent, reason)
    assert browser.page.status_code == 422
    assert "わけを1つ選んでから" in browser.text
    assert browser.title.startswith("エラー：")
    assert '<details class="not-me" id="not-me" open>' in browser.text
    assert state(sent) == ("unopened", 0)
    assert proposed(database) == []


def test_the_address_alone_ends_nothing(
    sent: Sent, send: Callable[..., Sent], browser: Browser, database: psycopg.Connection, state
) -> None:
    """A program that scans links may post to them; it has no form of this page."""
    other = token_of(browser, send())
    for token in ("", "x", "0" * 500, other, f"{token_of(browser, sent)}x"):
        press(browser, sent, "wish", token=token)
        assert (browser.page.status_code, "まだ伝えていません" in browser.text) == (422, True), token
    for data in ({"not_me": "wish"}, {"not_me": "1", "reason": "wish"}, {"form_token": ""}):
        assert browser.client.post(sent.link, data=data).status_code == 422
    assert state(sent) == ("unopened", 0), "nor is it the press of the page's other button"
    assert proposed(database) == []


def test_a_form_that_was_left_open_for_a_day_is_shown_anew(
    sent: Sent, browser: Browser, database: psycopg.Connection, time_machine
) -> None:
    token = token_of(browser, sent)
    database.execute("UPDATE recipient SET link_expires_at = now() + interval '9 days'")
    time_machine.move_to(datetime.now(UTC) + timedelta(hours=25))
    assert "まだ伝えていません" in press(browser, sent, "wish", token=token).text
    assert proposed(database) == []


def test_neither_a_fetch_nor_another_site_presses_for_the_person(
    sent: Sent, browser: Browser, database: psycopg.Connection, state
) -> None:
    for agent in AGENTS:
        browser.client.get(f"{sent.link}?not_me=1&reason=wish", headers={"User-Agent": agent})
    press(browser, sent, "wish", **{"Sec-Fetch-Site": "cross-site"})
    assert state(sent) == ("unopened", 0)
    assert proposed(database) == []


def test_a_link_by_which_somebody_pays_stays(
    send: Callable[..., Sent], browser: Browser, database: psycopg.Connection, state, take
) -> None:
    sent = send(payment=True)
    take(steps.verify, sent.person.id)
    take(steps.start_paying, sent.person.id)
    assert press(browser, sent, "wish").page.status_code == 409
    assert "お問い合わせください" in browser.text
    assert state(sent)[0] == "verified"
    assert proposed(database) == []


def test_a_link_by_which_somebody_proved_who_they_are_stays(
    sent: Sent, app: Flask, browser: Browser, database: psycopg.Connection, state
) -> None:
    owner = Browser(app.test_client()).open(sent.link).press().press(**ANSWERS)
    assert press(browser, sent, "wrong_number").page.status_code == 409
    assert "ご本人の確認が済んでいるため" in browser.text
    assert state(sent)[0] == "viewed"
    assert proposed(database) == []
    assert owner.open("/p").page.status_code == 200


def test_where_nothing_is_asked_whoever_opened_the_page_may_still_say_so(
    send: Callable[..., Sent], browser: Browser, state
) -> None:
    sent = send(questions=())
    browser.open(sent.link).press()
    assert state(sent)[0] == "viewed"
    assert press(browser, sent, "wrong_number").page.status_code == 200
    assert state(sent)[0] == "revoked"


def test_a_number_that_is_on_the_list_is_not_proposed(
    app: Flask, sent: Sent, browser: Browser, database: psycopg.Connection, state
) -> None:
    with app.app_context(), tenancy.tenant(sent.tenant_id):
        numbers.add(sent.person.phone, Terms(SuppressionReason.WISH), actor="user:1")
    press(browser, sent, "wish")
    assert state(sent)[0] == "revoked"
    assert proposed(database) == []


def test_the_form_speaks_the_campaigns_language(send: Callable[..., Sent], browser: Browser) -> None:
    sent = send(page_language="en")
    assert "Please choose a reason" in press(browser, sent, "").text
