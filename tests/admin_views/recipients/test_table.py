"""People, looked at and helped by staff; a number in full is on record."""

from datetime import UTC, datetime

import pytest

from admin_views.recipients.person_page import problem_words
from app import tenancy
from app.extensions import db
from app.models import Recipient
from app.states.transitions import Step, move, note
from app.states.vocabulary import PAGE, SMS, PageState, SmsState
from tests import factories
from tests.admin_views.conftest import acts, plain, words


def test_numbers_are_masked_until_a_manager_asks_and_that_is_on_record(app, browser_of, ours):
    manager, person = browser_of(ours.manager), ours.people[0]
    number = person.phone.replace("+81", "0")
    masked = f"{number[:3]}-****-{number[-4:]}"
    for url in ("/admin/recipient/", f"/admin/recipient/details/?id={person.id}"):
        page = manager.get(url).get_data(as_text=True)
        assert masked in page
        assert number not in page
    shown = manager.post(f"/admin/recipient/{person.id}/reveal")
    assert number in shown.get_data(as_text=True)
    assert shown.headers["Cache-Control"] == "no-store"
    assert acts(app, ours) == [("reveal_phone", f"user:{ours.manager}", f"recipient:{person.id}")]
    assert number not in manager.get(f"/admin/recipient/details/?id={person.id}").get_data(as_text=True)


def test_a_clerk_is_shown_no_number(app, browser_of, ours):
    clerk, person = browser_of(ours.clerk), ours.people[0]
    assert "電話番号を表示" not in clerk.get(f"/admin/recipient/details/?id={person.id}").get_data(as_text=True)
    assert clerk.post(f"/admin/recipient/{person.id}/reveal").status_code == 403
    assert acts(app, ours) == []


@pytest.fixture
def locked(app, ours):
    person = ours.people[0]
    now = datetime.now(UTC)
    with app.app_context(), tenancy.tenant(ours.tenant):
        for state in (PageState.OPENED, PageState.LOCKED):
            move(db.session, PAGE, state, [Step(person.id, now, columns={"failed_attempts": 5})], actor="person")
        note(db.session, "page", "wrong_answer", tenant_id=ours.tenant, campaign_id=ours.campaign,
             recipient_id=person.id, at=now, actor="person", detail={"attempt": 5, "of": 5})  # fmt: skip
        db.session.commit()
    return person


def test_a_clerk_ends_a_link_for_good(app, browser_of, ours):
    person = ours.people[0]
    with app.app_context(), tenancy.tenant(ours.tenant):
        move(db.session, SMS, SmsState.QUEUED, [Step(person.id, datetime.now(UTC))], actor="system")
        db.session.commit()
    clerk = browser_of(ours.clerk)
    assert "リンクを無効にする" in words(clerk, f"/admin/recipient/details/?id={person.id}")
    assert "元には戻せません" in words(clerk, f"/admin/recipient/{person.id}/revoke")
    done = clerk.post(f"/admin/recipient/{person.id}/revoke", follow_redirects=True)
    assert "リンクを無効にしました" in plain(done.get_data(as_text=True))
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.get_one(Recipient, person.id)
        assert (row.page_state, row.sms_state) == ("revoked", "cancelled")
    assert acts(app, ours) == [("revoke_link", f"user:{ours.clerk}", f"recipient:{person.id}")]
    for again in (clerk.get, clerk.post):
        assert "すでに無効です" in plain(
            again(f"/admin/recipient/{person.id}/revoke", follow_redirects=True).get_data(as_text=True)
        )
    assert len(acts(app, ours)) == 1


def test_a_clerk_lets_a_locked_person_try_again(app, browser_of, ours, locked):
    clerk = browser_of(ours.clerk)
    page = words(clerk, f"/admin/recipient/details/?id={locked.id}")
    assert "ロックを解除する" in page
    assert "回答の間違い（5/5回目）" in page
    clerk.post(f"/admin/recipient/{locked.id}/unlock")
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.get_one(Recipient, locked.id)
        assert (row.page_state, row.failed_attempts) == ("opened", 0)
    # nobody opened the page at that moment: staff did something else
    assert "ロックの解除" in words(clerk, f"/admin/recipient/details/?id={locked.id}")
    assert acts(app, ours) == [("unlock", f"user:{ours.clerk}", f"recipient:{locked.id}")]
    again = clerk.post(f"/admin/recipient/{locked.id}/unlock", follow_redirects=True)
    assert "この送信先はロックされていません" in plain(again.get_data(as_text=True))
    assert len(acts(app, ours)) == 1


@pytest.mark.parametrize(
    ("query", "count"), [("page_state=locked", 1), ("page_state=unopened", 2), ("sms=draft", 3), ("sms=delivered", 0)]
)
def test_people_are_filtered_by_their_states(browser_of, ours, locked, query, count):
    page = browser_of(ours.clerk).get(f"/admin/recipient/?{query}").get_data(as_text=True)
    assert sum(person.reference in page for person in ours.people) == count
    assert ("条件をすべて外す" in page) is True


@pytest.mark.parametrize("form", ["{}", "0{1}-{2}-{3}", "+81{1}{2}{3}", "  0{1}{2}{3} "])
def test_a_person_is_found_by_reference_and_by_number_however_typed(browser_of, ours, form):
    wanted, other = ours.people[0], ours.people[1]
    digits = wanted.phone.removeprefix("+81")
    search = (
        form.format(wanted.reference, digits[:2], digits[2:6], digits[6:]) if "{}" not in form else wanted.reference
    )
    page = browser_of(ours.clerk).get("/admin/recipient/", query_string={"search": search}).get_data(as_text=True)
    assert wanted.reference in page
    assert other.reference not in page


def test_pages_of_a_long_list(app, browser_of, ours):
    with app.app_context():
        factories.people(ours.tenant, ours.campaign, 40)
    browser = browser_of(ours.clerk)
    first, last = words(browser, "/admin/recipient/"), words(browser, "/admin/recipient/?end=1")
    assert "43件" in first
    assert "次のページ" in first
    assert "前のページ" in last
    assert "次のページ" not in last
    assert "50件" in first


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        ("", ""),
        ("mismatch: amount, currency", "金額・通貨が決済サイトと合いません。決済サイトで確かめてください。"),
        (
            "refund not done; refund not done",
            "返金が終わっていません。決済サイトの管理画面で、返金の状態を確かめてください。" * 2,
        ),
        ("something new", "決済サイトと食い違いがあります。決済サイトで確かめてください。"),
    ],
)
def test_a_payment_that_needs_a_look_says_what_to_do(problem, says):
    assert problem_words(problem) == says
