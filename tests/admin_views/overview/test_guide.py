"""ヘルプ: the guide as the product shows it, reached from every screen."""

import re
from html import unescape
from urllib.parse import unquote

import pytest

from admin_views.overview.guide import ANCHORS, guide
from app.auth.staff import Role


def test_every_screen_leads_to_a_place_that_is_there():
    assert set(ANCHORS.values()) <= guide().anchors


@pytest.mark.parametrize("role", Role)
def test_everybody_reads_the_guide_with_its_pictures(browser_of, ours, operator, role):
    browser = browser_of({"operator": operator, "manager": ours.manager, "clerk": ours.clerk}[role])
    page = browser.get("/admin/help/").get_data(as_text=True)
    assert page.count("<h1") == 1
    words = page[page.index("guide-text") :]
    assert "すべての状態の画像" in words
    assert 'href="../' not in words
    pictures = re.findall(r'<img src="([^"]+)" alt="([^"]+)"', page)
    assert len(pictures) == page.count("<img") >= 10
    for url, _ in pictures:
        answer = browser.get(url)
        assert (answer.status_code, answer.mimetype) == (200, "image/png"), url


def test_a_screen_leads_to_its_own_words(browser_of, ours):
    browser = browser_of(ours.clerk)
    for url, heading in (
        ("/admin/", "ホーム"), ("/admin/recipient/", "電話で問い合わせを受けたら"), ("/admin/payment/", "支払い"),
        (f"/admin/campaign/{ours.campaign}/list/", "名簿"), (f"/admin/campaign/{ours.campaign}/", "配信の進め方"),
    ):  # fmt: skip
        page = browser.get(url).get_data(as_text=True)
        found = re.search(r'class="help-link" href="/admin/help/#([^"]+)"', page)
        assert found
        assert unquote(unescape(found[1])) == heading, url


def test_no_other_file_is_served(browser_of, ours, client):
    browser = browser_of(ours.clerk)
    for name in ("nothing.png", "..%2fja%2fguide.md", "phone-page.png", "guide.md"):
        assert browser.get(f"/admin/help/picture/{name}").status_code == 404, name
    assert client.get("/admin/help/").status_code == 302
    assert client.get("/admin/help/picture/guide-home.png").status_code == 302
