"""No card field and nothing of a third party on any page of a recipient: who pays does so at the payment provider."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import public
from tests.public.browser import Browser
from tests.public.conftest import ANSWERS, Sent

FOLDER = Path(public.__file__).parent
TEMPLATES = sorted((FOLDER / "templates").rglob("*.html"))
# markup that makes a browser fetch or run something, or take a card
_FOREIGN = {"script", "iframe", "object", "embed", "video", "audio", "frame", "applet"}
_FETCHES = {("img", "src"), ("link", "href"), ("source", "src"), ("input", "src"), ("form", "action"), ("use", "href")}
_CARD = re.compile(r"card|cvc|cvv|cc-|pan\b|カード番号|有効期限.{0,4}月", re.IGNORECASE)


class _Faults(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _FOREIGN:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            told = value or ""
            if (tag, name) in _FETCHES and re.match(r"\s*(https?:)?//", told):
                self.found.append(f"{tag} {name}={told}")
            if name.startswith("on") or told.strip().lower().startswith("javascript:"):
                self.found.append(f"{tag} {name}")
            if tag == "input" and name in {"name", "id", "autocomplete", "placeholder"} and _CARD.search(told):
                self.found.append(f"input {name}={told}")


def faults(html: str) -> list[str]:
    reader = _Faults()
    reader.feed(html)
    return reader.found


def test_the_reader_finds_what_must_not_be_there() -> None:
    bad = (
        '<script src="https://js.example/"></script><iframe></iframe><img src="//cdn.example/a.png">'
        '<form action="https://pay.example/"></form><input name="card_number"><input autocomplete="cc-number">'
        '<a href="javascript:x()" onclick="x()">x</a>'
    )
    assert len(faults(bad)) == 8
    assert faults('<img src="/static/a.png"><input name="q1"><a href="https://pay.example/">go</a>') == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_takes_a_card_or_fetches_from_elsewhere(template: Path) -> None:
    assert faults(template.read_text(encoding="utf-8")) == []


def test_style_sheets_fetch_nothing_from_elsewhere() -> None:
    sheets = sorted((FOLDER / "static").rglob("*.css"))
    assert sheets
    for sheet in sheets:
        assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet.name


def test_pages_as_people_get_them(sent: Sent, browser: Browser) -> None:
    pages = [browser.open(sent.link), browser.press(), browser.press(**ANSWERS), browser.open("/p/return")]
    for page in pages:
        assert faults(page.text) == []
        policy = page.page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "http" not in policy
