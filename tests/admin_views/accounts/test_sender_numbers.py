"""送信元番号 on its screens: registered by a company, decided by an operator, shown before the SMS leave."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.models import SenderNumber
from tests import factories
from tests.admin_views.conftest import Browser, House, acts, plain

NEW = "/admin/sender_number/new/"


def text_of(answer: TestResponse) -> str:
    return plain(answer.get_data(as_text=True))


@pytest.fixture
def typed(ours: House) -> dict[str, str]:
    return {
        "account_id": str(ours.sms_account),
        "carrier": "docomo",
        "number": "０５０ー１２３４ー５６７８",
        "note": "",
    }


@pytest.fixture
def stored(ask: Callable[..., list[tuple[str, ...]]]) -> Callable[[], list[tuple[str, ...]]]:
    columns = (SenderNumber.carrier, SenderNumber.number, SenderNumber.state)
    return lambda: ask(select(*columns).order_by(SenderNumber.id))


def test_a_number_is_registered_decided_and_retired(
    app: Flask, manager: Browser, operator: int, browser_of, ours: House, typed, stored, ask
) -> None:
    assert manager.post(NEW, typed).status_code == 302
    assert stored() == [("docomo", "05012345678", "applied")]
    page = text_of(manager.get("/admin/sender_number/"))
    assert "05012345678" in page
    assert "申請中" in page
    ((number_id,),) = ask(select(SenderNumber.id))
    one = f"/admin/sender_number/{number_id}/"
    waiting = text_of(manager.get(one))
    assert "運営担当者が記録します" in waiting
    assert "承認を記録する" not in waiting
    assert manager.post(one, {"to": "approved"}).status_code == 422
    them = browser_of(operator)
    assert "携帯会社の回答を待つ送信元番号が1件あります" in text_of(them.get("/admin/"))
    assert "みどり信販" in text_of(them.get("/admin/sender_number/?state=applied"))
    refused = them.post(one, {"to": "rejected", "note": ""})
    assert refused.status_code == 422
    assert "却下の理由を入力してください" in text_of(refused)
    assert them.post(one, {"to": "approved", "note": "12/1に承認"}).status_code == 303
    assert stored() == [("docomo", "05012345678", "approved")]
    assert manager.post(one, {"to": "retired", "note": ""}).status_code == 303
    assert stored() == [("docomo", "05012345678", "retired")]
    assert "廃止した番号です" in text_of(manager.get(one))
    assert [(act, actor) for act, actor, _ in acts(app, ours) if act.startswith("sender_number.")] == [
        ("sender_number.applied", f"user:{ours.manager}"),
        ("sender_number.approved", f"user:{operator}"),
        ("sender_number.retired", f"user:{ours.manager}"),
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"number": "TODOKE"}, "数字以外の文字"),
        ({"number": "0" * 39}, "長すぎます"),
        ({"number": "0" * 5000}, "長すぎます"),
        ({"number": "+1 202 555 0123"}, "海外の電話番号"),
        ({"number": ""}, "送信元番号を入力してください"),
        ({"number": "4242 4242 4242 4242"}, "カード番号"),
        ({"carrier": ""}, "携帯会社を選んでください"),
        ({"carrier": "mvno"}, "選択肢から選び直してください"),
        ({"account_id": ""}, "SMSアカウントを選んでください"),
        ({"account_id": "9" * 30}, "SMSアカウントを選んでください"),
        ({"note": "長" * 201}, "200文字以内"),
    ],
)
def test_what_can_be_no_sender_is_told_at_its_field_and_nothing_is_stored(
    manager: Browser, typed, stored, changes: dict[str, str], told: str
) -> None:
    answer = manager.post(NEW, {**typed, **changes})
    assert answer.status_code == 200
    assert told in text_of(answer)
    assert "まだ保存されていません" in text_of(answer)
    assert stored() == []


def test_the_same_number_twice_is_told(manager: Browser, typed, stored) -> None:
    manager.post(NEW, typed)
    again = manager.post(NEW, {**typed, "number": "+81 50 1234 5678"})
    assert "すでに登録されています（申請中）" in text_of(again)
    assert len(stored()) == 1


def test_another_companys_account_and_numbers_are_out_of_reach(
    app: Flask, manager: Browser, theirs: House, typed, stored
) -> None:
    with app.app_context():
        number_id = factories.sender_number(theirs.sms_account, "05098765432", carrier="docomo")
    assert "選択肢から選び直してください" in text_of(
        manager.post(NEW, {**typed, "account_id": str(theirs.sms_account)})
    )
    assert stored() == []
    assert manager.get(f"/admin/sender_number/{number_id}/").status_code == 404
    assert manager.post(f"/admin/sender_number/{number_id}/", {"to": "retired"}).status_code == 404
    assert "05098765432" not in text_of(manager.get("/admin/sender_number/"))
    assert "05098765432" not in text_of(manager.get("/admin/sender_number/?search=05098765432"))


def test_a_clerk_sees_no_sender_numbers(clerk: Browser) -> None:
    assert clerk.get("/admin/sender_number/").status_code == 403
    assert clerk.post(NEW, {}).status_code == 403


@pytest.mark.parametrize("to", ["", "gone", "x" * 5000])
def test_a_press_of_no_button_records_nothing(app: Flask, manager: Browser, ours: House, stored, to: str) -> None:
    with app.app_context():
        number_id = factories.sender_number(ours.sms_account, "0005123456")
    assert manager.post(f"/admin/sender_number/{number_id}/", {"to": to}).status_code in {413, 422}
    assert stored() == [("all", "0005123456", "approved")]


def test_one_number_for_two_companies_is_asked_about_first(
    app: Flask, browser_of, operator: int, ours: House, theirs: House, stored
) -> None:
    with app.app_context():
        factories.sender_number(theirs.sms_account, "0005123456")
        number_id = factories.sender_number(ours.sms_account, "0005123456", state="applied")
    them, one = browser_of(operator), f"/admin/sender_number/{number_id}/"
    assert "共同で使う番号" not in text_of(them.get(one))
    asked = them.post(one, {"to": "approved"})
    assert asked.status_code == 422
    assert "別の企業（あおば保険）" in text_of(asked)
    assert 'name="shared"' in asked.get_data(as_text=True)
    assert stored()[0][2] == "applied"
    assert them.post(one, {"to": "approved", "shared": "y"}).status_code == 303
    assert stored()[0][2] == "approved"


def test_numbers_are_found_as_they_are_typed(app: Flask, manager: Browser, ours: House) -> None:
    with app.app_context():
        factories.sender_number(ours.sms_account, "05012345678", carrier="docomo")
        factories.sender_number(ours.sms_account, "243056", carrier="softbank")
    found = text_of(manager.get("/admin/sender_number/?search=050-1234-5678"))
    assert "05012345678" in found
    assert "243056" not in found
    assert "番号は全桁を入力してください" in text_of(manager.get("/admin/sender_number/?search=0501"))


# --- before the SMS leave ---


def test_the_check_shows_what_stands_with_each_carrier_as_of_now(
    app: Flask, clerk: Browser, ours: House, campaign: int
) -> None:
    url = f"/admin/campaign/{campaign}/check/"
    clerk.post(url)
    page = text_of(clerk.get(url))
    assert "送信元が未登録です" in page
    assert "ドコモ：未登録、au：未登録、ソフトバンク：未登録、楽天モバイル：未登録" in page
    assert "送信できます" in page  # a warning stops nothing
    with app.app_context():
        factories.sender_number(ours.sms_account, "05012345678", carrier="docomo")
        factories.sender_number(ours.sms_account, "243056", carrier="softbank", state="applied")
    for step in ("check", "send"):
        page = text_of(clerk.get(f"/admin/campaign/{campaign}/{step}/"))
        assert "送信元が未登録です" not in page
        assert "05012345678" in page  # the picture of the phone
    page = text_of(clerk.get(url))
    assert "ドコモ：05012345678（承認）、ソフトバンク：243056（申請中）、au：未登録、楽天モバイル：未登録" in page
