"""While the database may have been set back, every page of the back office says so, and what to do."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app import tenancy
from app.models import Campaign
from app.setback import doubt
from app.setback.beat import Held
from app.setback.known import Why
from tests.admin_views.conftest import Browser, House

PAGES = ("/admin/", "/admin/campaign/", "/admin/recipient/", "/admin/payment/", "/admin/myself/")


@pytest.fixture
def held(app: Flask) -> None:
    with app.app_context(), tenancy.platform():
        doubt.hold(Held(Why.BEAT))


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
        doubt.hold(Held(why))
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
        doubt.hold(Held(Why.TIMELINE))
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok", "hold": "timeline"})
    run = runner.invoke(args=["ready"])
    assert run.exit_code == 1
    assert "after-restore" in run.output


def test_a_manager_releases_what_could_not_be_asked_and_a_clerk_cannot(
    clerk: Browser, manager: Browser, ours: House, change: Callable[..., None], ask: Callable[..., list[tuple[str]]]
) -> None:
    address = f"/admin/campaign/{ours.campaign}/release-restored"
    page = f"/admin/campaign/{ours.campaign}/"
    assert "復元の確認待ち" not in manager.get(page).text
    change("UPDATE campaign SET restore_hold = 'no_list' WHERE id = :id", id=ours.campaign)
    assert "復元の確認待ち" in clerk.get(page).text
    assert "送信を許可する" not in clerk.get(page).text
    assert clerk.post(address, {"sure": "yes"}).status_code == 403
    assert "確かめて、送信を許可する" in manager.get(page).text
    assert "送信履歴を確かめてください" in manager.get(address).text
    assert manager.post(address, {"sure": "yes"}).status_code == 303
    assert "送信を許可する" not in manager.get(page).text
    assert ask(select(Campaign.restore_hold).where(Campaign.id == ours.campaign)) == [("",)]
