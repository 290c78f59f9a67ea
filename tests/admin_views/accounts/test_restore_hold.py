"""While the database may have been set back, every page of the back office says so, and what to do."""

from collections.abc import Callable
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app import tenancy
from app.models import Campaign, SmsAccount
from app.setback import doubt
from app.setback.beat import NothingMayLeave
from app.setback.known import Why
from tests import factories
from tests.admin_views.conftest import Browser, House, acts, plain, words

PAGES = ("/admin/", "/admin/campaign/", "/admin/recipient/", "/admin/payment/", "/admin/myself/")


@pytest.fixture
def held(app: Flask) -> None:
    with app.app_context(), tenancy.platform():
        doubt.hold(NothingMayLeave(Why.BEAT))


def test_no_page_speaks_of_it_while_nothing_is_held(clerk: Browser) -> None:
    assert "復元の確認待ち" not in clerk.get("/admin/").text


@pytest.mark.parametrize("page", PAGES)
def test_every_page_says_why_and_what_to_do(held: None, clerk: Browser, page: str) -> None:
    shown = clerk.get(page)
    assert shown.status_code == 200
    assert "復元の確認待ち" in shown.text
    assert "以前の状態に戻っています" in shown.text
    assert "運営担当者の確認が終わると" in shown.text


@pytest.mark.parametrize("why", list(Why))
def test_an_operator_reads_which_command_ends_it(
    app: Flask, browser_of: Callable[[int], Browser], operator: int, why: Why
) -> None:
    with app.app_context(), tenancy.platform():
        doubt.hold(NothingMayLeave(why))
    shown = browser_of(operator).get("/admin/").text
    assert "復元の確認待ち" in shown
    assert "flask --app wsgi after-restore" in shown
    assert ("OUTSIDE_DIR" in shown) == (why is Why.INSTALLATION)


def test_the_webs_health_names_the_hold_and_a_workers_readiness_fails(
    app: Flask, client: FlaskClient, ours: House
) -> None:
    runner = app.test_cli_runner()
    assert client.get("/healthz").json == {"status": "ok"}
    assert runner.invoke(args=["ready"]).exit_code == 0
    with app.app_context(), tenancy.platform():
        doubt.hold(NothingMayLeave(Why.TIMELINE))
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok", "hold": "timeline"})
    run = runner.invoke(args=["ready"])
    assert run.exit_code == 1
    assert "after-restore" in run.output


@pytest.fixture
def waiting(app: Flask, ours: House, change: Callable[..., None]) -> House:
    """A launched campaign whose SMS account could not be asked after a restore."""
    with app.app_context():
        factories.launch(ours.tenant, ours.campaign)
    change(
        "UPDATE sms_account SET restore_hold = 'http_500', restore_since = '2026-11-30T03:00:00Z',"
        " restore_until = '2026-11-30T05:40:00Z' WHERE id = :id",
        id=ours.sms_account,
    )
    change(
        "UPDATE campaign SET restore_hold = :hold WHERE id = :id",
        hold=f"sms:{ours.sms_account}:http_500",
        id=ours.campaign,
    )
    return ours


LOOKED = {"reason": "11/30 12:00〜14:40の履歴と名簿を照合し、重なりなし"}


def test_a_manager_releases_a_campaign_with_a_reason_and_a_clerk_cannot(
    app: Flask, clerk: Browser, manager: Browser, waiting: House, ask: Callable[..., list[tuple[str]]]
) -> None:
    address = f"/admin/campaign/{waiting.campaign}/release-restored"
    page = f"/admin/campaign/{waiting.campaign}/status/"
    assert "復元の確認待ち" in clerk.get(page).text
    assert "確かめて許可できるのは管理者です（山田 花子さん）" in clerk.get(page).text
    assert address not in clerk.get(page).text
    assert clerk.post(address, LOOKED).status_code == 403
    assert f'href="{address}"' in manager.get(page).text
    question = words(manager, address)
    assert "2026/11/30 12:00 から 2026/11/30 14:40 まで（日本時間）" in question
    assert "照会に失敗したため（送信サービスの障害、応答コード500）" in question
    assert "電話番号を見くらべます" in question
    assert "送信待ちの3件のSMSを、送信時間帯のうちに送ります" in question
    for refused in ("", "090-1234-5678は履歴にない"):
        answer = manager.post(address, {"reason": refused})
        assert answer.status_code == 422
        assert refused in unescape(answer.text)
    assert ask(select(Campaign.restore_hold).where(Campaign.id == waiting.campaign)) != [("",)]
    assert manager.post(address, LOOKED).status_code == 303
    assert "受付を止めています" not in words(manager, page)
    assert ask(select(Campaign.restore_hold).where(Campaign.id == waiting.campaign)) == [("",)]
    assert "release_restored" in [act for act, _, _ in acts(app, waiting)]
    assert LOOKED["reason"] in words(manager, "/admin/audit/")


def test_a_draft_says_beforehand_that_it_will_wait(
    clerk: Browser, manager: Browser, waiting: House, campaign: int
) -> None:
    """`campaign` is another one of the company, which was not launched yet."""
    for browser in (clerk, manager):
        assert "送信を開始しても、管理者が確かめて許可するまで送られません" in words(
            browser, f"/admin/campaign/{campaign}/"
        )
    address = f"/admin/campaign/{campaign}/release-restored"
    assert f'href="{address}"' not in manager.get(f"/admin/campaign/{campaign}/").text
    assert "いま許可できる復元の確認待ちはありません" in plain(
        manager.post(address, LOOKED, follow_redirects=True).text
    )


def test_a_manager_ends_the_hold_of_an_account_with_a_reason(
    clerk: Browser, manager: Browser, waiting: House, ask: Callable[..., list[tuple[str]]]
) -> None:
    address = f"/admin/restored/sms/{waiting.sms_account}/"
    assert f'href="{address}"' in manager.get("/admin/").text
    assert "復元の確認待ちです" in words(clerk, "/admin/")
    assert address not in clerk.get("/admin/").text
    assert clerk.get(address).status_code == clerk.post(address, LOOKED).status_code == 403
    page = words(manager, address)
    assert "待っている配信" in page
    assert "みどり信販の配信 3件" in page
    assert "送信履歴を開きます" in page
    answer = manager.post(address, {"reason": ""})
    assert (answer.status_code, "何をどう確かめたかを入力してください" in answer.text) == (422, True)
    done = plain(manager.post(address, LOOKED, follow_redirects=True).text)
    assert "1件の配信が、送信待ちの方から進みます" in done
    assert ask(select(Campaign.restore_hold).where(Campaign.id == waiting.campaign)) == [("",)]
    assert ask(select(SmsAccount.restore_hold).where(SmsAccount.id == waiting.sms_account)) == [("",)]
    assert "復元の確認待ちはありません" in plain(manager.get(address, follow_redirects=True).text)
    assert manager.get("/admin/restored/other/1/").status_code == 404


def test_a_payment_contract_without_a_list_says_why_and_what_to_compare(
    manager: Browser, waiting: House, change: Callable[..., None]
) -> None:
    change(
        "UPDATE payment_account SET provider = 'paypay', name = 'PayPay本店', restore_hold = 'no_list',"
        " restore_since = now(), restore_until = now() WHERE id = :id",
        id=waiting.payment_account,
    )
    change(
        "UPDATE campaign SET restore_hold = :hold WHERE id = :id",
        hold=f"payment:{waiting.payment_account}:no_list",
        id=waiting.campaign,
    )
    status = words(manager, f"/admin/campaign/{waiting.campaign}/status/")
    assert "決済アカウント「PayPay本店」（PayPay）" in status
    assert "一覧で照会する方法がないサービスのため、確かめられていません" in status
    for address in (
        f"/admin/campaign/{waiting.campaign}/release-restored",
        f"/admin/restored/payment/{waiting.payment_account}/",
    ):
        page = words(manager, address)
        assert "PayPayの管理画面で" in page
        assert "加盟店決済ID" in page
        assert "消込（ほかの方法で入金済み）" in page


def test_another_companys_account_is_nobody_elses(
    browser_of: Callable[[int], Browser], theirs: House, waiting: House, ask: Callable[..., list[tuple[str]]]
) -> None:
    address = f"/admin/restored/sms/{waiting.sms_account}/"
    browser_of(theirs.manager).post(address, LOOKED)
    assert ask(select(SmsAccount.restore_hold).where(SmsAccount.id == waiting.sms_account)) == [("http_500",)]


def test_home_names_a_campaign_that_waits_since_a_restore(clerk: Browser, waiting: House) -> None:
    home = clerk.get("/admin/").text
    assert "復元の確認待ちのため止まっています" in plain(home)
    assert f'href="/admin/campaign/{waiting.campaign}/' in home


def test_home_says_nothing_of_an_account_that_is_being_asked(
    manager: Browser, ours: House, change: Callable[..., None]
) -> None:
    span = "restore_since = now() - interval '1 day', restore_until = now()"
    for code, said in (("new", False), ("new_http_500", True)):
        change(f"UPDATE sms_account SET restore_hold = :code, {span} WHERE id = :id", code=code, id=ours.sms_account)  # noqa: S608 - ours
        assert (f'href="/admin/restored/sms/{ours.sms_account}/"' in manager.get("/admin/").text) is said
