"""A manager registers the company's own server, sees its secret once, tries it, and sends again what it missed."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from app.models import WebhookDelivery, WebhookEndpoint
from tests.admin_views.conftest import Browser, House, acts, only, plain

GOOD = {
    "name": "基幹システム",
    "url": "https://example.co.jp/webhook",
    "event_types": ["sms.delivered", "payment.paid"],
}


@pytest.fixture
def made(app: Flask, manager: Browser) -> tuple[int, str]:
    """Register an endpoint; give its id and the secret that was shown."""
    answer = manager.post("/admin/webhook/new", GOOD)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    found = re.search(r"whsec_[\w+/=]+", answer.get_data(as_text=True))
    assert found
    return only(app, WebhookEndpoint).id, found[0]


def said(browser: Browser, url: str, data: dict[str, Any] | None = None) -> str:
    answer = browser.post(url, data, follow_redirects=True) if data is not None else browser.get(url)
    assert answer.status_code in {200, 422}
    return plain(answer.get_data(as_text=True))


def test_a_secret_is_shown_once_and_never_again(manager: Browser, made: tuple[int, str]) -> None:
    endpoint, secret = made
    for url in ("/admin/webhook/", f"/admin/webhook/{endpoint}/", f"/admin/webhook/{endpoint}/edit",
                f"/admin/webhook/{endpoint}/log", "/admin/audit/"):  # fmt: skip
        assert secret not in manager.get(url).get_data(as_text=True)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": "http://example.co.jp/"}, "暗号化されない通知先には送れません"),
        ({"url": "https://localhost/"}, "インターネットから届くURL"),
        ({"url": "https://me:topsecret@example.co.jp/"}, "パスワードは入れられません"),
        ({"name": ""}, "名前を入力してください"),
        ({"event_types": []}, "1つ以上選んでください"),
        ({"event_types": ["page.wrong_answer"]}, "選択肢から選び直してください"),
    ],
)
def test_what_is_wrong_stands_at_its_field(
    app: Flask, manager: Browser, ours: House, wrong: dict[str, object], words: str
) -> None:
    answer = manager.post("/admin/webhook/new", {**GOOD, **wrong})
    assert answer.status_code == 422
    assert words in answer.get_data(as_text=True)
    assert "webhook.create" not in [act for act, _, _ in acts(app, ours)]


def test_every_press_does_what_it_says_and_is_on_record(
    app: Flask, manager: Browser, ours: House, made: tuple[int, str]
) -> None:
    endpoint, secret = made
    one = f"/admin/webhook/{endpoint}/"
    assert "テスト通知を送ります" in said(manager, one, {"act": "ping"})
    assert "テスト通知" in said(manager, f"{one}log")
    assert "休止しました" in said(manager, one, {"act": "rest"})
    assert "すでに休止しています" in said(manager, one, {"act": "rest"})
    assert "休止中の出来事も通知します" in said(manager, one, {"act": "resume"})
    said(manager, one, {"act": "rest"})
    assert "これからの出来事を通知します" in said(manager, one, {"act": "skip"})
    renewed = manager.post(one, {"act": "renew_secret"}).get_data(as_text=True)
    assert "whsec_" in renewed
    assert secret not in renewed
    assert "前の鍵は" in said(manager, one)
    assert "使えなくしました" in said(manager, one, {"act": "end_former"})
    assert "ボタンから選んで" in said(manager, one, {"act": "x"})
    said(manager, f"{one}edit", {**GOOD, "url": "https://example.co.jp/other", "in_order": "y"})
    row = only(app, WebhookEndpoint)
    assert (row.url, row.in_order, row.former_secret_sealed) == ("https://example.co.jp/other", True, None)
    recorded = [act.removeprefix("webhook.") for act, _, target in acts(app, ours) if target == f"webhook:{endpoint}"]
    assert recorded == [
        "create", "ping", "rest", "resume", "rest", "resume", "renew_secret", "end_secret", "update",
    ]  # fmt: skip


@pytest.fixture
def failed(app: Flask, ours: House, made: tuple[int, str], change: Callable[..., None]) -> int:
    """A delivery that was given up; give its endpoint."""
    endpoint, _ = made
    change(
        "INSERT INTO webhook_delivery (tenant_id, endpoint_id, event_id, event_type, event_at, tries, status, fault)"
        " VALUES (:t, :e, 1, 'sms.delivered', :at, 10, 500, 'http')",
        t=ours.tenant, e=endpoint, at=datetime(2026, 11, 30, 3, tzinfo=UTC),
    )  # fmt: skip
    return endpoint


def test_home_tells_of_what_did_not_arrive_and_leads_to_sending_it_again(
    app: Flask, manager: Browser, clerk: Browser, failed: int
) -> None:
    told = "届けられなかった通知があります"
    assert told in said(manager, "/admin/")
    assert told not in said(clerk, "/admin/")
    log = f"/admin/webhook/{failed}/log"
    assert "受信側がエラーを返しました" in said(manager, f"{log}?only=failed")
    assert "1件の通知を送り直します" in said(manager, log, {"act": "failed"})
    assert only(app, WebhookDelivery).due_at is not None
    assert told not in said(manager, "/admin/")
    assert "送り直す通知がありません" in said(manager, log, {"act": "failed"})


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"act": "span", "first": "2026/11/30", "last": "2026/11/30"}, "1件の通知を送り直します"),
        ({"act": "span", "first": "2026/12/1", "last": "2026/12/2"}, "送り直す通知がありません"),
        ({"act": "span", "first": "", "last": "2026/12/2"}, "期間の初めの日と終わりの日"),
        ({"act": "span", "first": "きのう", "last": "2026/12/2"}, "日付"),
    ],
)
def test_a_span_is_sent_again(manager: Browser, failed: int, form: dict[str, str], words: str) -> None:
    assert words in said(manager, f"/admin/webhook/{failed}/log", form)


@pytest.mark.parametrize("because", ["failing", "gone"])
def test_home_tells_of_an_endpoint_that_rests_by_itself(
    manager: Browser, made: tuple[int, str], change: Callable[..., None], because: str
) -> None:
    change("UPDATE webhook_endpoint SET rests_because = :because", because=because)
    assert "休止しています" in said(manager, "/admin/")
    assert "休止中の出来事は失われていません" in said(manager, f"/admin/webhook/{made[0]}/")


def test_a_clerk_and_another_company_get_none_of_it(
    browser_of: Callable[[int], Browser], clerk: Browser, theirs: House, failed: int
) -> None:
    stranger = browser_of(theirs.manager)
    for path in ("", "edit", "log"):
        url = f"/admin/webhook/{failed}/{path}"
        assert clerk.get(url).status_code == 403
        assert stranger.get(url).status_code == 404
        assert stranger.post(url, {"act": "ping"}).status_code == 404
    assert clerk.get("/admin/webhook/new").status_code == 403
