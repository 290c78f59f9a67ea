"""The pages around a payment: they show what the payment provider confirmed, whatever the browser claims."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import psycopg
import pytest
from flask import Flask
from stripe import StripeClient

from app import config, tenancy
from app.config import Settings
from app.payments import operations
from app.states.vocabulary import PAYMENT, PaymentState
from sandbox.harness import Sandbox, running_sandbox
from tests import steps
from tests.addresses import at
from tests.payments.shop import choose
from tests.public.browser import Browser
from tests.public.conftest import ANSWERS, Sent


@pytest.fixture(scope="module")
def running_site() -> Iterator[Sandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@dataclass(frozen=True, slots=True)
class Shop:
    """A person who has read the message and is to pay, and the payment provider."""

    sent: Sent
    account_id: int
    site: Sandbox
    database: psycopg.Connection

    def session(self) -> str:
        client = StripeClient(f"sk_test_{self.account_id}", base_addresses={"api": self.site.stripe_base})
        return client.v1.checkout.sessions.list().data[0].id

    def choose(self, choice: str, *, slip: bool = False) -> None:
        choose(f"{self.site.url}/pay/{self.session()}{'/slip' if slip else ''}", choice)

    def later(self) -> None:
        """Let the few seconds pass in which a page does not ask again."""
        self.database.execute("UPDATE payment SET checked_at = checked_at - interval '1 minute'")

    def state(self) -> str:
        row = self.database.execute(
            "SELECT payment_state FROM recipient WHERE id = %s", [self.sent.person.id]
        ).fetchone()
        assert row is not None
        return str(row[0])


@pytest.fixture
def shop(
    running_site: Sandbox,
    app: Flask,
    settings: Settings,
    send: Callable[..., Sent],
    database: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> Shop:
    running_site.reset()
    config.install(replace(at(settings, stripe=running_site.stripe_base), send_timeout_s=5))
    sent = send(payment=True)
    (account_id,) = database.execute("SELECT id FROM payment_account").fetchone() or (0,)
    return Shop(sent, account_id, running_site, database)


@pytest.fixture
def reader(shop: Shop, browser: Browser) -> Browser:
    """A browser that shows the message."""
    return browser.open(shop.sent.link).press().press(**ANSWERS)


def test_amount_and_due_date_stand_with_the_message(reader: Browser) -> None:
    assert "12,000円" in reader.text
    assert "2026年12月25日" in reader.text
    assert "支払いに進む" in reader.text
    assert "お支払いの前にお送りした内容です" not in reader.text


def test_pressing_pay_leads_over_a_page_of_our_own(shop: Shop, reader: Browser) -> None:
    reader.press()
    assert (reader.path, reader.title) == ("/p/pay", "決済ページへ移動します | みどり信販")
    url = f"{shop.site.url}/pay/{shop.session()}"
    assert reader.page.headers["Refresh"] == f"0;url={url}"
    assert f'href="{url}"' in reader.text
    assert "移動先：127.0.0.1" in reader.text
    assert shop.state() == "started"


def test_paid_is_shown_once_the_site_confirms_it(shop: Shop, reader: Browser) -> None:
    reader.press()
    shop.choose("card")
    shop.later()
    reader.open("/p/return")
    assert reader.title == "お支払いが完了しました | みどり信販"
    assert "12,000円" in reader.text
    assert re.search(r"20\d\d年\d+月\d+日 \d+時\d\d分", reader.text)
    assert f".{shop.sent.person.id}.p1" in reader.text
    assert "支払う" not in reader.text
    assert shop.state() == "paid"
    reader.open("/p")
    assert "お支払いが完了しました" in reader.text
    assert "支払いに進む" not in reader.text
    assert "お支払いの前にお送りした内容です" in reader.text
    assert reader.open("/p/pay").path == "/p"


def test_coming_back_proves_nothing(shop: Shop, reader: Browser) -> None:
    reader.press()
    for claim in ("/p/return", "/p/return?session_id=cs_1&status=paid", "/p/return?looks=3"):
        reader.open(claim)
        assert reader.title == "お支払いを確認しています | みどり信販"
        assert "完了" not in reader.text
    assert shop.state() == "started"


def test_the_waiting_page_looks_again_a_few_times_by_itself(reader: Browser) -> None:
    reader.press()
    path, looks = "/p/return", 0
    while "Refresh" in (answer := reader.open(path).page).headers:
        path = answer.headers["Refresh"].partition("url=")[2]
        looks += 1
        assert "自動で更新されます" in answer.text
    assert looks == 8
    assert "もう一度支払わないでください" in reader.text
    assert 'href="/p/return"' in reader.text
    for strange in ("-1", "99999999999999999999999", "x"):
        assert reader.open(f"/p/return?looks={strange}").page.status_code == 200


def test_who_turns_back_is_offered_to_go_on(shop: Shop, reader: Browser) -> None:
    reader.press()
    reader.open("/p/return?back=1")
    assert reader.path == "/p"
    assert "お支払いの手続きが途中です" in reader.text
    reader.press()
    assert reader.path == "/p/pay"
    assert reader.page.headers["Refresh"].endswith(shop.session())


def test_konbini_waits_with_its_deadline(shop: Shop, reader: Browser) -> None:
    reader.press()
    shop.choose("konbini")
    shop.later()
    reader.open("/p/return")
    assert reader.title == "ご入金をお待ちしています | みどり信販"
    assert "お支払いの締め切り" in reader.text
    assert "支払いに進む" not in reader.text
    # whoever closed the provider's page finds the numbers for the konbini again
    slip = f'href="{shop.site.url}/pay/{shop.session()}/slip" rel="noreferrer">払込番号とお支払い方法を見る'
    assert slip in reader.text
    assert slip in reader.open("/p").text
    shop.choose("paid", slip=True)
    shop.later()
    reader.open("/p/return")
    assert reader.title == "お支払いが完了しました | みどり信販"


def test_a_slip_that_lapsed_may_be_paid_again(shop: Shop, reader: Browser) -> None:
    reader.press()
    shop.choose("konbini")
    shop.choose("lapsed", slip=True)
    shop.later()
    reader.open("/p/return")
    assert "前回のお支払い手続きは期限が切れました" in reader.text
    assert "もう一度支払う" in reader.text
    assert reader.press().path == "/p/pay"


def test_a_site_that_is_away_is_told_with_the_way_on(shop: Shop, reader: Browser) -> None:
    shop.site.faults(error_before={"value": True, "on": "stripe"})
    reader.press()
    assert (reader.page.status_code, reader.title) == (503, "エラー：決済ページを開けませんでした | みどり信販")
    assert "お支払いは行われていません" in reader.text
    shop.site.faults()
    assert reader.press().path == "/p/pay"


def test_who_may_have_paid_is_not_told_that_nothing_was_paid(shop: Shop, reader: Browser) -> None:
    """The site took the money and is away before anybody heard of it; its page is about to end."""
    reader.press()
    shop.choose("card")
    shop.database.execute("UPDATE payment SET expires_at = now() + interval '1 minute'")
    shop.site.faults(error_before={"value": True, "on": "stripe"})
    reader.open("/p")
    reader.press()
    assert reader.page.status_code == 503
    assert "お支払いは行われていません" not in reader.text
    assert "もう一度支払わないでください" in reader.text
    shop.site.faults()
    reader.press()
    assert "お支払いが完了しました" in reader.text


def test_a_payment_to_be_looked_at_offers_no_second_one(shop: Shop, reader: Browser) -> None:
    reader.press()
    shop.database.execute("UPDATE payment SET problem = 'mismatch: amount'")
    for path in ("/p", "/p/return"):
        reader.open(path)
        assert "二重のお支払いを防ぐため" in reader.text
        assert "<form" not in reader.text


def test_without_the_cookie_the_way_back_names_no_one(shop: Shop, reader: Browser, app: Flask) -> None:
    reader.press()
    stranger = Browser(app.test_client()).open("/p/return")
    assert (stranger.page.status_code, stranger.title) == (200, "お支払いの手続きから戻りました")
    assert "みどり信販" not in stranger.text


def _end_link(shop: Shop) -> None:
    shop.database.execute("UPDATE recipient SET link_expires_at = now()")


def test_a_payment_begun_in_time_may_end_after_the_link(shop: Shop, reader: Browser) -> None:
    reader.press()
    _end_link(shop)
    shop.choose("card")
    shop.later()
    reader.open("/p/return")
    assert reader.title == "お支払いが完了しました | みどり信販"
    assert f".{shop.sent.person.id}.p1" in reader.text
    assert "お知らせに戻る" not in reader.text
    assert shop.state() == "paid"
    # the message itself ended with the link
    assert reader.open("/p").page.status_code == 404


def test_after_the_link_no_other_payment_begins(shop: Shop, reader: Browser) -> None:
    reader.press()
    _end_link(shop)
    shop.choose("konbini")
    shop.choose("lapsed", slip=True)
    shop.later()
    reader.open("/p/return")
    assert "このページからお支払いを始めることはできません" in reader.text
    assert "<form" not in reader.text


def test_an_ended_link_without_a_payment_shows_nothing(shop: Shop, reader: Browser) -> None:
    _end_link(shop)
    assert reader.open("/p/return").page.status_code == 404


def test_after_the_link_the_proof_is_still_asked_for(shop: Shop, reader: Browser) -> None:
    reader.press()
    shop.choose("card")
    _end_link(shop)
    shop.database.execute("UPDATE recipient SET token_digest = '', link_generation = 2")
    assert reader.open("/p/return").page.status_code == 404


def test_a_test_contract_says_so_on_every_page(shop: Shop, reader: Browser, app: Flask) -> None:
    words = "テスト決済：お金は動きません。"
    stranger = Browser(app.test_client())
    assert words in stranger.open(shop.sent.link).text
    assert words in stranger.press().text
    assert words in stranger.press(q2="9999").text
    assert words in reader.open("/p").text
    assert words in reader.press().text
    assert words in reader.open("/p/return").text
    shop.choose("card")
    shop.later()
    assert words in reader.open("/p/return").text
    shop.database.execute("UPDATE payment_account SET test_mode = false")
    assert words not in reader.open("/p/return").text
    assert words not in reader.open("/p").text


def test_money_given_back_is_told(shop: Shop, reader: Browser, app: Flask) -> None:
    reader.press()
    shop.choose("card")
    shop.later()
    reader.open("/p/return")
    (payment_id,) = shop.database.execute("SELECT id FROM payment").fetchone() or (0,)
    with app.app_context(), tenancy.tenant(shop.sent.tenant_id):
        assert operations.refund(payment_id, actor="user:1") is operations.RefundResult.DONE
    assert "ご返金しました" in reader.open("/p").text


def test_who_has_not_answered_pays_nothing(shop: Shop, browser: Browser) -> None:
    browser.open(shop.sent.link).press()
    token = re.search(r'name="csrf_token" value="([^"]+)"', browser.text)
    assert token is not None
    answer = browser.client.post("/p/pay", data={"csrf_token": token[1]})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/p")
    assert browser.open("/p/pay").title == "ご本人の確認 | みどり信販"
    assert browser.open("/p/return").title == "ご本人の確認 | みどり信販"
    assert shop.state() == "unpaid"


def test_a_message_without_payment_has_no_place_to_pay(send: Callable[..., Sent], browser: Browser) -> None:
    browser.open(send().link).press().press(**ANSWERS)
    assert "お支払い金額" not in browser.text
    assert browser.open("/p/return").path == "/p"


def test_who_paid_in_another_browser_is_told_so_by_the_link(shop: Shop, reader: Browser, app: Flask) -> None:
    """PayPay's app may come back in another browser, which knows nobody, and no webhook came yet."""
    reader.press()
    shop.choose("card")
    shop.later()
    other = Browser(app.test_client()).open(shop.sent.link).press().press(**ANSWERS)
    assert "お支払いが完了しました" in other.text
    assert "支払いを続ける" not in other.text
    assert shop.state() == "paid"


def test_money_of_a_slip_is_looked_for_when_the_message_is_opened(shop: Shop, reader: Browser) -> None:
    reader.press()
    shop.choose("konbini")
    shop.later()
    assert "ご入金をお待ちしています" in reader.open("/p").text
    shop.choose("paid", slip=True)
    shop.later()
    assert "お支払いが完了しました" in reader.open("/p").text


def test_a_site_that_refuses_for_good_is_not_to_be_tried_again(shop: Shop, reader: Browser) -> None:
    """A typing error in the account's methods, say: to wait some minutes helps nobody."""
    shop.database.execute("""UPDATE payment_account SET settings = '{"methods": "credit"}'""")
    reader.press()
    assert reader.page.status_code == 503
    assert "みどり信販へお問い合わせください" in reader.text
    assert "お支払いは行われていません" in reader.text
    assert "数分たってから" not in reader.text
    assert "もう一度試す" not in reader.text
    assert 'href="/p"' in reader.text


def test_a_contract_that_is_not_used_any_more_is_not_to_be_tried_again(shop: Shop, reader: Browser) -> None:
    shop.database.execute("UPDATE payment_account SET active = false")
    reader.press()
    assert "みどり信販へお問い合わせください" in reader.text
    assert "数分たってから" not in reader.text


def test_who_paid_twice_reads_so_and_whom_to_call(shop: Shop, reader: Browser, take: Callable[..., None]) -> None:
    shop.database.execute("UPDATE tenant SET contact_phone = '0120-123-456'")
    person_id = shop.sent.person.id
    for attempt, problem in ((1, ""), (2, "paid twice")):
        shop.database.execute(
            "INSERT INTO payment (tenant_id, campaign_id, recipient_id, payment_account_id, attempt, reference, state,"
            " amount_yen, paid_at, problem) SELECT tenant_id, campaign_id, id, %s, %s, %s, 'paid', 12000, now(), %s"
            " FROM recipient WHERE id = %s",
            [shop.account_id, attempt, f"ref-{attempt}", problem, person_id],
        )
    take(steps.pay, person_id)
    page = reader.open("/p").text
    assert "二重のお支払い" in page
    assert "0120-123-456）へお問い合わせください" in page
    assert page.count("12,000円") == 2
    assert "ref-1" in page
    assert "ref-2" in page
    assert "支払いに進む" not in page
    assert "もう一度支払う" not in page
    shop.database.execute("UPDATE campaign SET page_language = 'en'")
    assert "You have paid twice" in reader.open("/p").text
    # once the company has looked into it
    shop.database.execute("UPDATE campaign SET page_language = 'ja'")
    shop.database.execute("UPDATE payment SET problem = ''")
    assert "二重のお支払い" not in reader.open("/p").text


# refunded: as payments stood that failed before they were taken as paid again
@pytest.mark.parametrize("state", [PaymentState.REFUNDED, PaymentState.PAID])
def test_a_refund_that_failed_is_not_told_as_given_back(
    shop: Shop, reader: Browser, take: Callable[..., None], state: PaymentState
) -> None:
    shop.database.execute(
        "INSERT INTO payment (tenant_id, campaign_id, recipient_id, payment_account_id, attempt, reference, state,"
        " amount_yen, paid_at, problem) SELECT tenant_id, campaign_id, id, %s, 1, 'ref-1', %s, 12000, now(),"
        " 'refund failed' FROM recipient WHERE id = %s",
        [shop.account_id, state, shop.sent.person.id],
    )
    take(steps.reach, PAYMENT, state, [shop.sent.person.id])
    page = reader.open("/p").text
    assert "ご返金を確認しています" in page
    assert "ご返金しました" not in page


def test_while_payments_are_held_the_page_says_so_politely_and_whom_to_call(shop: Shop, reader: Browser) -> None:
    shop.database.execute("INSERT INTO installation (key, system, timeline, held_why) VALUES ('k', '1', 1, 'beat')")
    reader.press()
    assert reader.page.status_code == 503
    assert "お支払いの受け付けを一時的に止めています" in reader.text
    # whether they paid after the backup is what nobody knows yet
    assert "お支払いは行われていません" not in reader.text
    assert "もう一度支払わないでください" in reader.text
    assert "みどり信販" in reader.text
    assert shop.state() == "unpaid"


def test_who_has_paid_is_not_asked_to_go_on_while_the_site_wishes_to_be_left_alone(
    shop: Shop, reader: Browser, database: psycopg.Connection
) -> None:
    reader.press()
    shop.choose("card")
    shop.later()
    shop.site.faults(too_many_requests={"value": True, "on": "stripe"}, retry_after_s={"value": 600})
    reader.open("/p")
    assert "もう一度支払わずにお待ちください" in reader.text
    assert "手続きが途中です" not in reader.text
    # the provider has told of it: nothing is left to press
    database.execute("UPDATE payment SET told_at = now()")
    shop.later()
    reader.open("/p")
    assert "お支払いを確認しています" in reader.text
    assert "支払いを続ける" not in reader.text
    shop.site.faults()
    database.execute("UPDATE payment_account SET ask_after = now()")
    shop.later()
    database.execute("UPDATE payment SET checked_at = checked_at - interval '1 minute'")
    reader.open("/p")
    assert "お支払いが完了しました" in reader.text


def test_who_got_their_money_back_by_their_card_company_is_told_so(
    shop: Shop, reader: Browser, take: Callable[..., None]
) -> None:
    """Also once the company has looked into it: nothing stands at 要確認 any more."""
    shop.database.execute(
        "INSERT INTO payment (tenant_id, campaign_id, recipient_id, payment_account_id, attempt, reference, state,"
        " amount_yen, paid_at, dispute) SELECT tenant_id, campaign_id, id, %s, 1, 'ref-1', 'paid', 12000, now(), 'lost'"
        " FROM recipient WHERE id = %s",
        [shop.account_id, shop.sent.person.id],
    )
    take(steps.pay, shop.sent.person.id)
    page = reader.open("/p").text
    assert "お支払いが取り消されています" in page
    assert "お支払いが完了しました" not in page
