"""A new campaign starts with a starter's or an old one's words; what is saved is what stood in the form."""

import html
import re
from datetime import UTC, datetime, timedelta

import pytest

from app import tenancy
from app.campaigns.presets import STARTERS
from app.extensions import db
from app.models import Campaign
from app.values.answers import QuestionKind
from tests import factories


def form_of(page):
    """Return the values that a browser would send of the campaign's form as it is shown."""
    form = page[page.index('<form method="post" class="admin-form"') :]
    values = {}
    for tag, name in re.findall(r'(<input [^>]*name="([^"]+)"[^>]*>)', form):
        kind = re.search(r'type="(\w+)"', tag)
        if kind and kind[1] in {"radio", "checkbox"} and " checked" not in tag:
            continue
        found = re.search(r'value="([^"]*)"', tag)
        values[name] = html.unescape(found[1]) if found else "y"
    for name, text in re.findall(r'<textarea [^>]*name="([^"]+)"[^>]*>\r?\n(.*?)</textarea>', form, re.DOTALL):
        values[name] = html.unescape(text)
    for name, options in re.findall(r'<select [^>]*name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option selected[^>]*value="([^"]*)"', options)
        first = re.search(r'value="([^"]*)"', options)
        found = chosen or first
        assert found
        values[name] = found[1]
    return values


def saved(app, browser, ours, address):
    """Open a form, save it as it stands, and give the new campaign as plain values."""
    values = form_of(browser.get(address).get_data(as_text=True))
    answer = browser.post(address, values)
    assert answer.status_code == 302, re.findall(r"エラー：[^<]+", answer.get_data(as_text=True))
    leads_to = re.search(r"/campaign/(\d+)/", answer.headers["Location"])
    assert leads_to
    number = int(leads_to[1])
    with app.app_context(), tenancy.tenant(ours.tenant):
        row = db.session.get_one(Campaign, number)
        questions = [(q.label, q.kind, q.column_name, q.choices) for q in row.questions]
        columns = {column.key: getattr(row, column.key) for column in Campaign.__table__.columns}
        return {**columns, "questions": questions}


@pytest.mark.parametrize("key", STARTERS)
def test_a_starter_is_saved_as_it_is_offered(app, browser_of, ours, key):
    starter = STARTERS[key]
    made = saved(app, browser_of(ours.clerk), ours, f"/admin/campaign/new/?starter={key}")
    for name in ("name", "sms_text", "page_title", "payment_required", "profile", "retry_times", "link_minutes"):
        assert made[name] == getattr(starter, name), name
    assert made["page_text"].replace("\r\n", "\n") == starter.page_text
    assert made["questions"] == [(ask.label, str(ask.kind), ask.column, "") for ask in starter.questions]
    assert made["sms_account_id"] == ours.sms_account
    assert made["payment_account_id"] == (ours.payment_account if starter.payment_required else None)
    assert (made["state"], made["link_until"], made["starts_at"]) == ("draft", None, None)


def test_a_copy_takes_words_and_terms_and_no_times(app, browser_of, ours):
    now = datetime.now(UTC)
    with app.app_context():
        old = factories.campaign(
            ours.tenant, sms_account_id=ours.sms_account, payment_account_id=ours.payment_account, name="あ" * 100,
            questions=[("色", QuestionKind.TEXT), ("番号", QuestionKind.LAST4)], max_failures=3, profile="collection",
            link_minutes=None, link_until=now - timedelta(days=1), starts_at=now - timedelta(days=3),
            deadline_at=now - timedelta(days=2), retry_times=0, page_language="en",
        )  # fmt: skip
        factories.people(ours.tenant, old, 2)
    made = saved(app, browser_of(ours.clerk), ours, f"/admin/campaign/new/?copy={old}")
    assert made["name"] == "あ" * 95 + "（コピー）"
    assert [label for label, *_ in made["questions"]] == ["色", "番号"]
    assert (made["max_failures"], made["profile"], made["retry_times"]) == (3, "collection", 0)
    assert made["page_language"] == "en"
    assert made["payment_account_id"] == ours.payment_account
    assert (made["starts_at"], made["deadline_at"], made["link_until"]) == (None, None, None)
    assert made["link_minutes"] == 14 * 1440
    assert made["created_by"] == ours.clerk


def test_what_is_not_there_is_copied_by_nobody(app, browser_of, ours, theirs):
    browser = browser_of(ours.clerk)
    for query in (f"copy={theirs.campaign}", "copy=x", "copy=9999999999999999999", "starter=x"):
        answer = browser.get(f"/admin/campaign/new/?{query}")
        assert answer.status_code == 404, query
        assert "あおば" not in answer.get_data(as_text=True)


def test_what_was_typed_over_a_starter_stays_after_an_error(browser_of, ours):
    page = browser_of(ours.clerk).post(
        "/admin/campaign/new/?starter=visit", {"name": "", "sms_text": "直した {リンク}"}
    )
    shown = form_of(page.get_data(as_text=True))
    assert "エラー：" in page.get_data(as_text=True)
    assert (shown["sms_text"], shown["questions-0-label"]) == ("直した {リンク}", "")


def test_the_way_to_a_new_campaign_leads_past_the_starters(browser_of, ours):
    browser = browser_of(ours.clerk)
    for url in ("/admin/", "/admin/campaign/"):
        assert 'href="/admin/campaign/start/"' in browser.get(url).get_data(as_text=True)
    page = browser.get("/admin/campaign/start/").get_data(as_text=True)
    assert all(f"starter={key}" in page for key in STARTERS)
    assert f"copy={ours.campaign}" in page
