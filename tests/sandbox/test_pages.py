"""The pages people see: the phone shows each SMS as sent and opens its link; the payment page can't be mistaken."""

import re
import time

import pytest
import requests
import stripe
from markupsafe import Markup

from sandbox.harness import Sandbox
from sandbox.pages import tappable
from tests.sandbox.conftest import LINKS, TENANT
from tests.sandbox.stripe_shop import choose, opened
from tests.waiting import until

TEXT = "【さくら保険】<お支払い>\nhttps://todoke.example/r/AbC?x=1&y=2。ご確認ください"


def send(sandbox: Sandbox, to: str, body: str = TEXT) -> None:
    answer = requests.post(
        f"{sandbox.karaden_base}/{TENANT}/messages",
        data={"service_id": "1", "to": to, "body": body},
        headers={"Authorization": "Bearer token"},
        timeout=5,
    )
    assert answer.status_code == 200
    if not to.endswith("0002"):
        until(lambda: sandbox.messages()[-1]["state"] != "processing")


def page(sandbox: Sandbox, path: str, status: int = 200) -> str:
    answer = requests.get(sandbox.url + path, timeout=5)
    assert answer.status_code == status
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert '<html lang="ja">' in answer.text
    assert len(re.findall("<h1", answer.text)) == 1
    return answer.text


def test_the_start_page_says_what_this_is(sandbox: Sandbox) -> None:
    send(sandbox, "09012345678")
    html = page(sandbox, "/")
    assert "本物のSMSは送られず、実際のお金も動きません" in html
    assert "1 番号・SMS 1 通" in html


def test_numbers_come_newest_first_and_are_found(sandbox: Sandbox) -> None:
    assert "まだSMSは届いていません" in page(sandbox, "/phone")
    for to in ("09012345678", "08011110000", "09012345678", "07055550001"):
        send(sandbox, to)
    numbers = re.findall(r'href="/phone/(\d+)"', page(sandbox, "/phone"))
    assert numbers == ["07055550001", "09012345678", "08011110000"]
    html = page(sandbox, "/phone?q=080-1111")
    assert re.findall(r'href="/phone/(\d+)"', html) == ["08011110000"]
    assert "不達" in html
    assert "SMSはありません" in page(sandbox, "/phone?q=999")


def test_many_numbers_ask_for_a_search(sandbox: Sandbox) -> None:
    for at in range(51):
        requests.post(
            f"{sandbox.karaden_base}/{TENANT}/messages",
            data={"service_id": "1", "to": f"090123456{at:02}", "body": "a"},
            headers={"Authorization": "Bearer token"},
            timeout=5,
        )
    html = page(sandbox, "/phone")
    assert len(re.findall(r'href="/phone/\d+"', html)) == 50
    assert "番号の一部を入れるとしぼり込めます" in html


def test_the_phone_shows_the_sms_as_sent_with_its_link(sandbox: Sandbox) -> None:
    send(sandbox, "09012345678")
    html = page(sandbox, "/phone/09012345678")
    link = '<a href="http://127.0.0.1:8000/r/AbC?x=1&amp;y=2">https://todoke.example/r/AbC?x=1&amp;y=2</a>'
    assert f"【さくら保険】&lt;お支払い&gt;\n{link}。ご確認ください" in html
    assert "http-equiv" not in html


def test_what_never_reached_the_phone_is_not_on_it(sandbox: Sandbox) -> None:
    send(sandbox, "09012340000")
    html = page(sandbox, "/phone/09012340000")
    assert "さくら保険" not in html
    assert "届かなかったSMS 1通（不達）" in html
    sandbox.faults(receipt_delay_ms=60_000)
    send(sandbox, "09012340002")
    waiting = page(sandbox, "/phone/09012340002")
    assert 'http-equiv="refresh"' in waiting
    assert "配信中 1通" in waiting
    page(sandbox, "/phone/09099999999", 404)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://todoke.example", ("http://127.0.0.1:8000", "https://todoke.example")),
        ("(https://todoke.example/a)", ("http://127.0.0.1:8000/a", "https://todoke.example/a")),
        ("https://todoke.example.evil/a", ("https://todoke.example.evil/a",) * 2),
        ("https://other.example/日本", ("https://other.example/",) * 2),
    ],
)
def test_a_link_is_mapped_by_whole_hosts_alone(text: str, expected: tuple[str, str]) -> None:
    html = tappable(text, LINKS)
    assert Markup('<a href="{}">{}</a>').format(*expected) in html
    assert html.striptags() == text


@pytest.mark.parametrize("text", ["http://todoke.example/a", "javascript:alert(1)", "<script>", ""])
def test_nothing_else_is_tappable(text: str) -> None:
    assert "<a" not in tappable(text, LINKS)
    assert "<script" not in tappable(text, LINKS)


def test_the_payment_page_is_marked_and_offers_the_methods(sandbox: Sandbox, client: stripe.StripeClient) -> None:
    sandbox.addresses(stripe_webhooks={"sk_test_shop": {"shop": "さくら保険"}})
    html = page(sandbox, f"/pay/{opened(client).id}")
    for word in ("ダミー決済ページ", "さくら保険", "12,300", "初回保険料", 'href="http://127.0.0.1:9/page"'):
        assert word in html
    assert re.findall(r'name="choice" value="(\w+)"', html) == ["card", "declined", "konbini", "paypay"]
    only = page(sandbox, f"/pay/{opened(client, payment_method_types=['card']).id}")
    assert re.findall(r'name="choice" value="(\w+)"', only) == ["card", "declined"]


def test_a_get_of_the_payment_pages_changes_nothing(sandbox: Sandbox, client: stripe.StripeClient) -> None:
    session = opened(client)
    for _ in range(3):
        page(sandbox, f"/pay/{session.id}?choice=card")
        page(sandbox, f"/pay/{session.id}/slip", 404)
    assert client.v1.checkout.sessions.retrieve(session.id) == session


def test_the_slip_leads_on(sandbox: Sandbox, client: stripe.StripeClient) -> None:
    session = opened(client)
    choose(session, "konbini")
    slip = page(sandbox, f"/pay/{session.id}/slip")
    for word in ("ダミー決済ページ", "ローソン", "お支払い期限", f'href="http://127.0.0.1:9/back?s={session.id}"'):
        assert word in slip
    assert re.findall(r'name="choice" value="(\w+)"', slip) == ["paid", "lapsed"]
    choose(session, "lapsed", "/slip")
    lapsed = page(sandbox, f"/pay/{session.id}/slip")
    assert "お支払い期限が過ぎました" in lapsed
    assert 'name="choice"' not in lapsed


def test_a_finished_or_expired_session_leads_back(sandbox: Sandbox, client: stripe.StripeClient) -> None:
    paid, expired = opened(client), opened(client)
    choose(paid, "card")
    assert "お手続きは完了しています" in page(sandbox, f"/pay/{paid.id}")
    client.v1.checkout.sessions.expire(expired.id)
    assert 'href="http://127.0.0.1:9/page"' in page(sandbox, f"/pay/{expired.id}", 410)
    assert "見つかりません" in page(sandbox, "/pay/cs_test_none", 404)


def test_a_page_without_a_way_back_shows_none(sandbox: Sandbox, client: stripe.StripeClient) -> None:
    html = page(sandbox, f"/pay/{opened(client, cancel_url=None, expires_at=int(time.time()) + 1900).id}")
    assert "もどる" not in html
    assert "閉じる" not in html


def test_the_style_is_local_and_small(sandbox: Sandbox) -> None:
    style = requests.get(f"{sandbox.url}/static/sandbox.css", timeout=5)
    assert style.status_code == 200
    assert "://" not in style.text
    assert len(style.content) < 20_000
