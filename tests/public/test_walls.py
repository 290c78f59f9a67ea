"""Strangers' input on the recipients' side, and links as phones really send them."""

import re

import pytest
from flask import Flask

from app import links
from app.tenants import branding
from public.look import version
from tests.public.browser import Browser
from tests.public.conftest import ANSWERS, Sent


@pytest.mark.parametrize(
    "tail",
    [
        "%0A",
        "%0Aお支払い%0Aください",
        "%0A%0Awords%0D%0Aand%20more",
        "%20words",
        "。",
        "%E3%80%80お早めに",
        "%0Aa1%0A" * 90,
    ],
)
def test_a_link_with_what_follows_it_in_the_sms_opens(sent: Sent, app: Flask, tail: str) -> None:
    client = app.test_client()
    answer = client.get(f"{sent.link}{tail}")
    assert (answer.status_code, answer.headers["Location"]) == (303, sent.link)
    assert client.get(f"/{links.TRIAL}000{tail}").status_code == 200


@pytest.mark.parametrize("sign", ["1", "１", "\u0315\u0300", "\u200b", "（", "ー"])
@pytest.mark.parametrize("length", [101, 1_000])
def test_an_answer_that_is_too_long_is_told_and_costs_no_try(
    sent: Sent, browser: Browser, state, sign: str, length: int
) -> None:
    browser.open(sent.link).press()
    for name in set(ANSWERS) - {"q1_calendar"}:  # a select: what it doesn't offer is no era
        typed = {**ANSWERS, name: (sign * length)[:length]}
        browser.press(**typed)
        assert browser.page.status_code == 422
        assert "長すぎます" in browser.text or "読めません" in browser.text or "選び" in browser.text
    assert state(sent) == ("opened", 0)


def test_a_form_that_is_too_large_is_refused_before_it_is_read(sent: Sent, browser: Browser, state) -> None:
    browser.open(sent.link).press()
    answer = browser.client.post("/p/answers", data={"q1": "1" * 240_000})
    assert answer.status_code == 413
    assert "送られたデータが大きすぎます" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert state(sent) == ("opened", 0)


@pytest.mark.parametrize("field", ["company", "number"])
def test_who_asks_about_a_sender_is_told_what_is_too_long(app: Flask, field: str) -> None:
    typed = {"company": "みどり信販", "number": "0120-000-101", field: "1" * 101}
    answer = app.test_client().post("/verify", data=typed)
    assert answer.status_code == 422
    assert re.search(rf'id="{field}-error">[^<]*長すぎます', answer.text)
    assert typed[field] in answer.text  # shown as it was typed, whole


def test_a_look_that_is_asked_for_before_it_is_saved_is_kept_by_nobody(sent: Sent, app: Flask, database) -> None:
    colour = "#123456"
    digest = branding.digest(colour, None)
    address = f"/look/{digest}.css?v={version()}"
    client = app.test_client()
    early = client.get(address)
    assert (early.status_code, early.headers["Cache-Control"]) == (404, "no-store")
    database.execute("UPDATE tenant SET colour = %s, look = %s", [colour, digest])
    found = client.get(address)
    assert (found.status_code, found.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
    assert colour in found.text
