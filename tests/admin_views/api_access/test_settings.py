"""The screen of keys, addresses and test numbers: managers alone, on record, a key shown once."""

import re

import pytest

from app.api_access import keys
from app.models import ApiAddress, ApiKey
from tests.admin_views.conftest import acts, only, plain, words

KEY = {"name": "基幹システム", "mode": "live", "scopes": ["read", "send"], "last_day": ""}


def test_a_key_is_shown_once(app, manager, ours):
    page = manager.post("/admin/api/key/new/", KEY).get_data(as_text=True)
    (text,) = re.findall(r"tdk_live_[0-9A-Za-z_]+", page)
    row = only(app, ApiKey)
    assert (row.name, row.scopes, row.digest) == ("基幹システム", ["read", "send"], keys.digest(text))
    listed = manager.get("/admin/api/").get_data(as_text=True)
    assert text not in listed
    assert row.public_id in listed
    assert acts(app, ours) == [("create_api_key", f"user:{ours.manager}", f"api_key:{row.id}")]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": ""}, "システムの名前を入力"),
        ({"scopes": []}, "1つ以上選んで"),
        ({"scopes": ["all"]}, "選択肢から"),
        ({"last_day": "きのう"}, "日付として読めません"),
        ({"last_day": "2020/1/1"}, "キーの期限が過去"),
        ({"mode": "x"}, "選択肢"),
    ],
)
def test_a_key_that_cannot_be_is_told(app, manager, given, says):
    answer = manager.post("/admin/api/key/new/", {**KEY, **given})
    assert answer.status_code == 422
    assert says in plain(answer.get_data(as_text=True))
    assert "tdk_" not in answer.get_data(as_text=True)


def test_a_key_is_taken_back(app, manager, ours):
    manager.post("/admin/api/key/new/", KEY)
    row = only(app, ApiKey)
    manager.post(f"/admin/api/key/{row.id}/revoke")
    assert only(app, ApiKey).revoked_at is not None
    assert "無効" in words(manager, "/admin/api/")
    assert "見つからないか、すでに無効" in plain(
        manager.post(f"/admin/api/key/{row.id}/revoke", follow_redirects=True).get_data(as_text=True)
    )


def test_addresses_come_and_go(app, manager, ours):
    assert "どのキーも使えません" in words(manager, "/admin/api/")
    manager.post("/admin/api/address", {"network": "203.0.113.0/28", "note": "本社"})
    row = only(app, ApiAddress)
    assert "203.0.113.0/28" in manager.get("/admin/api/").get_data(as_text=True)
    bad = manager.post("/admin/api/address", {"network": "203.0.113.1/28", "note": ""})
    assert (bad.status_code, "203.0.113.0/28 と" in plain(bad.get_data(as_text=True))) == (422, True)
    manager.post(f"/admin/api/address/{row.id}/remove")
    assert [act for act, _, _ in acts(app, ours)] == ["add_api_address", "remove_api_address"]


def test_another_companys_keys_and_addresses_are_not_ours(app, browser_of, ours, theirs):
    stranger = browser_of(theirs.manager)
    stranger.post("/admin/api/key/new/", KEY)
    stranger.post("/admin/api/address", {"network": "203.0.113.5", "note": ""})
    key, address = only(app, ApiKey), only(app, ApiAddress)
    browser = browser_of(ours.manager)
    assert key.public_id not in browser.get("/admin/api/").get_data(as_text=True)
    browser.post(f"/admin/api/key/{key.id}/revoke")
    browser.post(f"/admin/api/address/{address.id}/remove")
    assert only(app, ApiKey).revoked_at is None
    assert only(app, ApiAddress).id == address.id


@pytest.mark.parametrize("role", ["clerk", "operator"])
def test_nobody_but_managers_sees_it(browser_of, ours, operator, role):
    browser = browser_of(operator if role == "operator" else ours.clerk)
    for url in ("/admin/api/", "/admin/api/key/new/"):
        assert browser.get(url).status_code == 403
    assert browser.post("/admin/api/key/new/", KEY).status_code == 403


def test_home_tells_managers_who_was_turned_away(database, browser_of, ours):
    database.execute(
        "INSERT INTO api_refusal (tenant_id, address, reason, public_id, hour)"
        " VALUES (%s, '198.51.100.7', 'address', 'abc', date_trunc('hour', now()))",
        [ours.tenant],
    )
    assert "1か所からのAPIの利用を断りました" in words(browser_of(ours.manager), "/admin/")
    assert "APIの利用を断りました" not in words(browser_of(ours.clerk), "/admin/")
    assert "登録されていないアドレス" in words(browser_of(ours.manager), "/admin/api/")
