"""No English on any page: every view is rendered, empty and full and with its errors, and read word by word."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from admin_views.audit import ACTS
from admin_views.person_page import _KINDS
from app import tenancy
from app.extensions import db
from app.models import Import, SendLog
from tests import factories

# Names, units and what people type; nothing that is said to them.
ALLOWED = {
    "Todoke", "SMS", "URL", "ID", "Stripe", "PAY", "JP", "KOMOJU", "PayPay", "au", "Webhook", "API", "CSV", "Excel",
    "name", "example", "co", "jp", "sk", "rk",
    "whsec", "card", "konbini", "paypay", "CP932", "UTF", "BOM", "HTTP",
}  # fmt: skip
_SPOKEN = ("title", "aria-label", "placeholder", "alt", "data-confirm", "data-once")
_DATA = re.compile(
    r"https?://\S+|\{[^}]*\}|[\w.+-]+@[\w.-]+|K\d+|\w+\.csv|karaden-token|sk_test_\d+|midori\d+|[0-9a-f]{8}-[0-9a-f-]+|\bcode-\d+"
)


class _Reader(HTMLParser):
    """Collects what a person sees or a screen reader says; not what somebody typed into a field."""

    def __init__(self):
        super().__init__()
        self.silent = 0
        self.said: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.silent += tag in {"script", "style", "textarea", "code"}
        self.said += [value for name, value in attrs if name in _SPOKEN and value]
        typed = dict(attrs)
        if tag == "input" and typed.get("type") in {"submit", "button"}:
            self.said.append(typed.get("value") or "")

    def handle_endtag(self, tag):
        self.silent -= tag in {"script", "style", "textarea", "code"}

    def handle_data(self, data):
        if not self.silent:
            self.said.append(data)


def english_in(page: str) -> list[str]:
    reader = _Reader()
    reader.feed(page)
    text = _DATA.sub(" ", " ".join(reader.said))
    return [word for word in re.findall(r"[A-Za-z]{2,}", text) if word not in ALLOWED]


def test_the_reader_reads():
    assert english_in('<p>保存 <a title="Sort by name">名前</a><input value="typed"><script>no()</script>Save</p>') == [
        "Sort", "by", "Save",
    ]  # fmt: skip


VIEWS = {
    "operator": ["/", "/tenant/", "/tenant/new/", "/user/", "/user/new/", "/sms_account/", "/sms_account/new/",
                 "/payment_account/", "/payment_account/new/", "/audit/", "/password/"],
    "manager": ["/", "/user/", "/user/new/", "/sms_account/", "/sms_account/new/", "/payment_account/",
                "/payment_account/new/", "/audit/", "/password/", "/campaign/", "/campaign/new/", "/recipient/",
                "/import/", "/send_log/", "/payment/", "/payment_difference/"],
    "clerk": ["/", "/password/", "/campaign/", "/campaign/new/", "/recipient/", "/import/", "/send_log/", "/payment/"],
}  # fmt: skip


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("role", sorted(VIEWS))
def test_no_view_speaks_english(app, browser_of, role, full, request):
    if full:
        house = request.getfixturevalue("furnished")
        user = {"manager": house.manager, "clerk": house.clerk}.get(role)
    else:
        with app.app_context():
            user = factories.user(factories.tenant(), role) if role != "operator" else None
    browser = browser_of(user or request.getfixturevalue("operator"))
    for url in VIEWS[role]:
        answer = browser.get(f"/admin{url}")
        assert answer.status_code == 200
        assert english_in(answer.get_data(as_text=True)) == [], url


@pytest.fixture
def furnished(app, ours):
    """A company in which something stands in every table."""
    with app.app_context():
        factories.launch(ours.tenant, ours.campaign)
    now = datetime.now(UTC)
    with app.app_context(), tenancy.tenant(ours.tenant):
        for attempt, state in enumerate(("delivered", "undelivered", "unknown"), start=1):
            db.session.add(
                SendLog(
                    tenant_id=ours.tenant, campaign_id=ours.campaign, recipient_id=ours.people[0].id,
                    sms_account_id=ours.sms_account, attempt=attempt, fence=1, state=state, started_at=now,
                )
            )  # fmt: skip
        for state in ("mapping", "queued", "running", "done", "failed", "cancelled"):
            db.session.add(
                Import(
                    tenant_id=ours.tenant,
                    campaign_id=ours.campaign,
                    state=state,
                    filename="list.csv",
                    content_digest=b"",
                )
            )
        db.session.commit()
    return ours


def test_no_page_of_one_row_speaks_english(browser_of, furnished, operator, app):
    browser = browser_of(furnished.manager)
    with app.app_context():
        draft = factories.campaign(furnished.tenant)
    person = furnished.people[0].id
    for url in (
        f"/recipient/details/?id={person}",
        f"/user/edit/?id={furnished.clerk}",
        f"/sms_account/edit/?id={furnished.sms_account}",
        f"/payment_account/edit/?id={furnished.payment_account}",
        f"/campaign/edit/?id={draft}",
    ):
        assert english_in(browser.get(f"/admin{url}").get_data(as_text=True)) == [], url
    assert english_in(browser.post(f"/admin/recipient/{person}/reveal").get_data(as_text=True)) == []
    page = browser_of(operator).get(f"/admin/tenant/edit/?id={furnished.tenant}").get_data(as_text=True)
    assert english_in(page) == []


@pytest.mark.parametrize(
    ("url", "data"),
    [
        ("/user/new/", {}),
        ("/user/new/", {"role": "x", "email": "x", "password": "x"}),
        ("/sms_account/new/", {}),
        ("/payment_account/new/", {}),
        ("/password/", {}),
        ("/campaign/new/", {}),
        (
            "/campaign/new/",
            {
                "name": "x" * 200, "sms_account_id": "x", "page_language": "x", "max_failures": "x", "validity": "x",
                "link_amount": "x", "link_unit": "x", "until": "x", "questions-0-kind": "x", "questions-0-label": "",
                "questions-0-column_name": "あ" * 200, "payment_account_id": "99999999999999999999",
            },
        ),
    ],
)  # fmt: skip
def test_no_error_speaks_english(browser_of, ours, url, data):
    answer = browser_of(ours.manager).post(f"/admin{url}", data)
    page = answer.get_data(as_text=True)
    assert "エラー：" in page
    assert english_in(page) == []


@pytest.mark.parametrize("url", ["/nothing", "/nothing/at/all/", "/recipient/details/?id=x", "/tenant/", "/campaign"])
def test_no_error_page_speaks_english(browser_of, client, ours, url):
    for answer in (browser_of(ours.clerk).get(f"/admin{url}"), client.get(f"/admin{url}"), client.post(f"/admin{url}")):
        if answer.status_code >= 400:
            assert english_in(answer.get_data(as_text=True)) == []


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
    """What the code records, the audit can name."""
    root = Path(__file__).parents[2]
    texts = [
        path.read_text("utf-8") for folder in ("app", "admin_views", "jobs") for path in (root / folder).rglob("*.py")
    ]
    acts = {act for text in texts for act in re.findall(r'\bact="([a-z_.]+)"', text)}
    acts |= {act for text in texts for act in re.findall(r'_turn\(campaign_id, [^,]+, "(\w+)"', text)}
    acts |= {act for text in texts for act in re.findall(r'_record\("(\w+)"', text)}
    assert len(acts) > 8
    assert acts <= set(ACTS)


def test_every_kind_of_event_has_words():
    root = Path(__file__).parents[2]
    texts = [path.read_text("utf-8") for folder in ("app", "public", "jobs") for path in (root / folder).rglob("*.py")]
    kinds = {kind for text in texts for kind in re.findall(r'\bnote\(\s*\w+,\s*\w+\.name,\s*"(\w+)"', text)}
    kinds |= {kind for text in texts for kind in re.findall(r'\bnote\(\s*\w+,\s*"\w+",\s*"(\w+)"', text)}
    assert "wrong_answer" in kinds
    assert kinds <= {kind for _, kind in _KINDS}
