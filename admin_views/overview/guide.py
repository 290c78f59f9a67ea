"""ヘルプ: the clerks' guide, docs/ja/guide.md, as the product itself shows it, and each screen's way into it.

In: the guide of this very version. Out: one page, its pictures, and an address for every screen. Can't happen here:
another file than the guide's own pictures, markup that the guide's text brings along.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Response, abort, request, url_for
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from admin_views.framework import assets
from admin_views.framework.secure_view import SecureView, expose

_DOCS = Path(__file__).parents[2] / "docs"
GUIDE = _DOCS / "ja" / "guide.md"
_PICTURES = _DOCS / "images"
_PICTURE = re.compile(r"\A\.\./images/([a-z0-9-]+\.png)\Z")
_NUMBER = re.compile(r"\A\d+\.\s*")

# A view, or a step of a campaign -> the heading of the guide that tells of it, without its number.
ANCHORS = {
    "admin": "ホーム",
    "campaign": "文面",
    "flow": "配信の進め方",
    "write": "文面",
    "list": "名簿",
    "check": "確認",
    "send": "送信",
    "status": "状況",
    "result": "結果",
    "export": "結果",
    "export_layout": "結果",
    "life": "もう一度送る",
    "rows": "名簿",
    "standing": "常設配信（1人に送る）",
    "recipient": "電話で問い合わせを受けたら",
    "suppression": "送信しない番号",
    "suppression_files": "送信しない番号",
    "imports": "名簿",
    "send_log": "状況",
    "payment": "支払い",
    "payment_difference": "支払い",
    "payment_acts": "支払い",
    "user": "管理者の画面",
    "sms_account": "管理者の画面",
    "sender_number": "送信元番号（管理者）",
    "payment_account": "管理者の画面",
    "audit": "管理者の画面",
    "password": "サインイン",
    "myself": "サインイン",
    "tenant": "運営担当者の画面",
    "page_look": "受信者の画面の色・ロゴ（管理者）",
}


@dataclass(frozen=True, slots=True)
class Guide:
    """The guide as HTML, its headings of the second level, and the pictures it shows."""

    body: Markup
    headings: tuple[str, ...]
    anchors: frozenset[str]
    pictures: frozenset[str]


@assets.bp.app_template_global()
def help_url(step: str = "") -> str:
    """Return the place of the guide that tells of the screen that is shown; `step` is a campaign's."""
    view = (request.endpoint or "").split(".")[0]
    heading = ANCHORS.get(step) or ANCHORS.get(view)
    return url_for("guide.index", _anchor=heading)


@cache
def guide() -> Guide:
    """Read the guide; once a process."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(GUIDE.read_text("utf-8"))
    pictures: set[str] = set()
    headings: list[tuple[str, str]] = []
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            name = _NUMBER.sub("", tokens[place + 1].content)
            token.attrSet("id", name)
            headings.append((token.tag, name))
        if token.type == "th_open":
            token.attrSet("scope", "col")
        if token.type == "table_open":
            token.attrSet("class", "table table-sm")
        token.children = _without_ways_out(token.children or [])
        pictures |= {_serve(child) for child in token.children if child.type == "image"}
    html = markdown.renderer.render(tokens, markdown.options, {})
    return Guide(
        Markup(html),  # noqa: S704 - our own text, rendered without raw HTML
        tuple(name for tag, name in headings if tag == "h2"),
        frozenset(name for _, name in headings),
        frozenset(pictures),
    )


def _without_ways_out(children: list[Token]) -> list[Token]:
    """Leave out links to other files of docs/, which this door doesn't show; their words stay."""
    kept = []
    away = False
    for child in children:
        if child.type == "link_open":
            away = not str(child.attrGet("href")).startswith("#")
        if not (away and child.type in {"link_open", "link_close"}):
            kept.append(child)
    return kept


def _serve(image: Token) -> str:
    """Let an image come from this door; give its file's name."""
    found = _PICTURE.match(str(image.attrGet("src")))
    if found is None:
        raise LookupError(f"the guide shows {image.attrGet('src')}: pictures stand in docs/images")
    image.attrSet("src", f"{assets.PREFIX}/help/picture/{found[1]}")
    image.attrSet("loading", "lazy")
    return found[1]


class GuideView(SecureView):
    """ヘルプ."""

    def __init__(self) -> None:
        super().__init__("ヘルプ", endpoint="guide", url="/admin/help")

    def is_visible(self) -> bool:
        """Stay out of the menu: it stands at the top of each screen."""
        return False

    @expose("/")
    def index(self) -> str:
        """Show the guide."""
        return self.render("office/guide.html", guide=guide())

    @expose("/picture/<file>")
    def picture(self, file: str) -> BaseResponse:
        """Return one of the guide's pictures."""
        if file not in guide().pictures or not (_PICTURES / file).is_file():
            abort(404)
        return Response((_PICTURES / file).read_bytes(), mimetype="image/png")
