"""No English on any page: every view is rendered, empty and full and with its errors, and read word by word."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from admin_views.framework.access import ACCESS
from admin_views.recipients.person_page import _KINDS
from admin_views.staff.audit import ACTS
from admin_views.staff.reauthentication import FRESH
from app.auth.staff import Role
from tests.admin_views.english import english_in
from tests.admin_views.estate import empty, furnish_all
from tests.admin_views.signing_in import Door, set_up
from tests.admin_views.tour import ONLY_LEAD_ON, ROLES, posts, rules, tour


def test_the_reader_reads():
    assert english_in('<p>保存 <a title="Sort by name">名前</a><input value="typed"><script>no()</script>Save</p>') == [
        "Sort", "by", "Save",
    ]  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("full", [False, True])
def test_no_view_speaks_english(app, database, browser_of, operator, role, full):
    """All that the application's map offers, in a company where nothing and in one where everything has happened."""
    estate = furnish_all(app, database) if full else empty(app)
    browser = browser_of({"operator": operator, "manager": estate.manager, "clerk": estate.clerk}[role])
    seen: set[str] = set()
    english: dict[str, str] = {}
    for endpoint, url in tour(app, estate, role):
        answer = browser.get(url)
        assert answer.status_code < 500, url
        if answer.status_code < 300 or answer.status_code >= 400:
            seen |= {endpoint} if answer.status_code in {200, 403} else set()
            for word in english_in(_said(answer)):
                english.setdefault(word, url)
    assert english == {}
    offered = {rule.endpoint for rule in rules(app) if role in ACCESS.get(rule.endpoint.split(".")[0], ())}
    if full:
        assert offered - seen == ONLY_LEAD_ON & offered


def _said(answer):
    if answer.is_json:
        return " ".join(str(text) for text in answer.json.get("texts", {}).values())
    return answer.get_data(as_text=True)


def test_the_page_with_a_number_in_full_speaks_japanese(browser_of, ours):
    page = browser_of(ours.manager).post(f"/admin/recipient/{ours.people[0].id}/reveal").get_data(as_text=True)
    assert "証跡に記録しました" in page
    assert english_in(page) == []


JUNK = {
    "name": "x" * 201, "email": "x", "password": "x", "role": "x", "provider": "x", "code": "み", "state": "x",
    "sms_account_id": "x", "page_language": "x", "max_failures": "x", "validity": "x", "link_amount": "x",
    "link_unit": "x", "until": "x", "questions-0-kind": "x", "questions-0-label": "", "starts": "x", "deadline": "x",
    "questions-0-column_name": "あ" * 200, "payment_account_id": "99999999999999999999", "retry_times": "x",
    "retry_after_minutes": "x", "hours-choice": "x", "rate_per_s": "x", "daily_cap": "x",
    "price_yen": "x", "approval_above": "x", "method": "x", "amount": "x",
    "account_id": "x", "carrier": "x", "number": "x", "note": "x" * 201, "colour": "x", "contact_phone": "x" * 300,
}  # fmt: skip


@pytest.mark.parametrize("role", ["operator", "manager"])
@pytest.mark.parametrize("data", [{}, JUNK], ids=["nothing", "junk"])
def test_no_answer_to_a_bad_form_speaks_english(app, database, browser_of, operator, role, data):
    estate = furnish_all(app, database)
    browser = browser_of({"operator": operator, "manager": estate.manager}[role])
    errors = 0
    for url in posts(app, estate, Role(role)):
        answer = browser.post(url, data, follow_redirects=True)
        assert answer.status_code < 500, url
        if answer.mimetype == "text/html":
            page = answer.get_data(as_text=True)
            errors += "エラー：" in page
            assert english_in(page) == [], url
    assert errors > 4


@pytest.mark.parametrize("url", ["/nothing", "/nothing/at/all/", "/recipient/details/?id=x", "/tenant/", "/campaign"])
def test_no_error_page_speaks_english(browser_of, client, ours, url):
    for answer in (browser_of(ours.clerk).get(f"/admin{url}"), client.get(f"/admin{url}"), client.post(f"/admin{url}")):
        if answer.status_code >= 400:
            assert english_in(answer.get_data(as_text=True)) == []


def test_no_step_of_the_second_factor_speaks_english(app, browser_of, ours):
    browser = browser_of(ours.clerk)
    phone, _ = set_up(browser)
    door = Door(app, ours.clerk)
    answers = [
        browser.get("/admin/myself/"),
        browser.post("/admin/myself/factor/codes"),
        door.password(),
        door.client.get("/admin/login/code"),
        door.typed("1"),
    ]
    stale = browser_of(ours.manager)
    with time_machine.travel(datetime.now(UTC) + FRESH + timedelta(seconds=1), tick=True):
        answers += [
            stale.post("/admin/myself/factor/begin"),
            stale.post("/admin/myself/factor/begin", {"again_password": "x"}),
        ]
    pages = [answer.get_data(as_text=True) for answer in answers if answer.status_code == 200]
    assert len(pages) == 6
    assert [english_in(page) for page in pages] == [[]] * 6
    assert phone.secret not in "".join(pages)


def test_no_message_after_an_act_speaks_english(browser_of, ours):
    browser = browser_of(ours.manager)
    data = {
        "name": "新人",
        "email": "n@midori.example.jp",
        "role": "clerk",
        "password": "correct horse battery",
        "active": "y",
    }
    for url, form in (("user/new/", data), (f"user/edit/?id={ours.clerk}", {**data, "email": "m@midori.example.jp"})):
        answer = browser.post(f"/admin/{url}", form, follow_redirects=True)
        page = answer.get_data(as_text=True)
        assert "しました。" in page
        assert english_in(page) == []


def test_the_sign_in_speaks_japanese(client):
    assert english_in(client.get("/admin/login").get_data(as_text=True)) == []


def test_every_act_on_record_has_words(app):
    """The audit can name every act that the code records."""
    root = Path(__file__).parents[3]
    texts = [
        path.read_text("utf-8") for folder in ("app", "admin_views", "jobs") for path in (root / folder).rglob("*.py")
    ]
    acts = {act for text in texts for act in re.findall(r'\bact="([a-z_.]+)"', text)}
    acts |= {act for text in texts for act in re.findall(r'_change_state\(campaign_id, [^,]+, [^,]+, "(\w+)"', text)}
    acts |= {act for text in texts for act in re.findall(r'_record\("(\w+)"', text)}
    assert len(acts) > 8
    assert acts <= set(ACTS)


def test_every_kind_of_event_has_words():
    root = Path(__file__).parents[3]
    texts = [path.read_text("utf-8") for folder in ("app", "public", "jobs") for path in (root / folder).rglob("*.py")]
    kinds = {kind for text in texts for kind in re.findall(r'\bnote\(\s*\w+,\s*\w+\.name,\s*"(\w+)"', text)}
    kinds |= {kind for text in texts for kind in re.findall(r'\bnote\(\s*\w+,\s*"\w+",\s*"(\w+)"', text)}
    assert "wrong_answer" in kinds
    assert kinds <= {kind for _, kind in _KINDS}
