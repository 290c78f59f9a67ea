"""A stranger who got an SMS says so at the foot of the page: the link ends, and a clerk decides about the number."""

from collections.abc import Callable

import psycopg
import pytest
from flask import Flask

from app import tenancy
from app.suppression import numbers
from app.suppression.numbers import Terms
from app.values.suppression_reasons import SuppressionReason
from tests import steps
from tests.public.browser import Browser
from tests.public.conftest import Sent


def proposed(database: psycopg.Connection) -> list[tuple[str, str]]:
    return database.execute("SELECT source, reason FROM suppression_proposal").fetchall()


def press(browser: Browser, sent: Sent, reason: str, **headers: str) -> Browser:
    browser.page = browser.client.post(sent.link, data={"not_me": reason}, headers=headers)
    return browser


def test_one_press_with_a_reason_ends_the_link_and_proposes_the_number(
    sent: Sent, browser: Browser, database: psycopg.Connection, state: Callable, events: Callable
) -> None:
    browser.open(sent.link)
    assert "このSMSに心当たりがない方" in browser.text
    press(browser, sent, "wrong_number")
    assert (browser.page.status_code, "みどり信販へ伝えました" in browser.text) == (200, True)
    assert state(sent) == ("revoked", 0)
    assert events(sent) == [("page", "revoked", "person")]
    assert proposed(database) == [("person", "wrong_number")]
    assert database.execute("SELECT count(*) FROM suppression").fetchone() == (0,)
    assert browser.open(sent.link).page.status_code == 404
    assert press(browser, sent, "wish").page.status_code == 404
    assert len(proposed(database)) == 1


def test_what_still_waits_for_them_does_not_leave(
    send: Callable[..., Sent], browser: Browser, database: psycopg.Connection, take
) -> None:
    sent = send()
    take(steps.queue, sent.person.id)
    press(browser, sent, "wish")
    row = database.execute("SELECT sms_state FROM recipient WHERE id = %s", [sent.person.id]).fetchone()
    assert row == ("delivered",)


@pytest.mark.parametrize("reason", ["", "lawyer", "x" * 50])
def test_another_reason_changes_nothing(sent: Sent, browser: Browser, state, reason: str) -> None:
    assert press(browser, sent, reason).page.status_code == 400
    assert state(sent) == ("unopened", 0)


def test_neither_a_fetch_nor_another_site_presses_for_the_person(
    sent: Sent, browser: Browser, database: psycopg.Connection, state
) -> None:
    browser.client.get(f"{sent.link}?not_me=wish")
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


def test_a_number_that_is_on_the_list_is_not_proposed(
    app: Flask, sent: Sent, browser: Browser, database: psycopg.Connection, state
) -> None:
    with app.app_context(), tenancy.tenant(sent.tenant_id):
        numbers.add(sent.person.phone, Terms(SuppressionReason.WISH), actor="user:1")
    press(browser, sent, "wish")
    assert state(sent)[0] == "revoked"
    assert proposed(database) == []
