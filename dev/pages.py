"""`make pages`: a picture of every state of the recipients' pages, and the part of docs/pages.md that shows them.

In: the states of `dev.page_states` on a product started for them. Out: docs/images/pages/*.png, small ones of few
colours, and everything below the mark in docs/pages.md. A state that belongs to no chapter fails here.
"""

import io
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser

from dev.browser import DESK, chromium
from dev.page_states import BY_NAME
from dev.page_visits import Visits
from dev.process import DevError
from dev.stack import ROOT, Stack, remove

PAGE = ROOT / "docs" / "pages.md"
PICTURES = ROOT / "docs" / "images" / "pages"
MARK = "<!-- What follows is written by `make pages`. -->\n"

CHAPTERS = {
    "最初のページ / The page behind the link": ("welcome", "welcome-direct"),
    "ご本人の確認 / Is it really them?": (
        "questions",
        "questions-four",
        "unreadable",
        "unreadable-four",
        "wrong",
        "wrong-four",
        "last-try",
        "locked",
    ),
    "お知らせとお支払い / The message and its payment": (
        "message",
        "message-direct",
        "unpaid",
        "go",
        "waiting",
        "waiting-long",
        "paid",
        "message-paid",
        "pending",
        "message-pending",
        "refunded",
    ),
    "お支払いが進まないとき / When a payment doesn't go on": (
        "started",
        "declined",
        "lapsed",
        "unavailable",
        "unavailable-unsure",
        "unavailable-refused",
        "review",
        "pay-over",
        "returned",
        "test",
    ),
    "疑わしいとき / For whoever doubts": ("verify", "verify-yes", "verify-no", "verify-empty"),
    "開けないとき / Where there is nothing to show": (
        "gone",
        "over",
        "stopped",
        "trial",
        "not-found",
        "busy",
        "bad",
        "failed",
    ),
}

_COLUMNS = 3
_WIDTH = 260
_COLOURS = 48


@dataclass(frozen=True, slots=True)
class Other:
    """A state seen otherwise than on a phone in daylight; `media` and the rest are a browser context's options."""

    state: str
    kind: str
    ja: str
    en: str
    language: str = "ja"
    media: str = "screen"
    options: dict[str, Any] = field(default_factory=dict)


_DARK = {"color_scheme": "dark"}
_WIDE = {"viewport": DESK, "is_mobile": False, "has_touch": False}
OTHERS = (
    Other("welcome", "dark", "暗い画面", "Dark", options=_DARK),
    Other("wrong", "dark", "暗い画面の誤り", "A fault in the dark", options=_DARK),
    Other("unpaid", "dark", "暗い画面のお支払い", "Payment in the dark", options=_DARK),
    Other("questions", "en", "英語の配信", "A campaign in English", "en"),
    Other("paid", "en", "英語の受領の控え", "The receipt in English", "en"),
    Other("paid", "print", "印刷した受領の控え", "The receipt on paper", media="print"),
    Other("message", "print", "印刷したお知らせ", "A message on paper", media="print"),
    Other("unpaid", "desk", "パソコンの画面", "On a desk", options=_WIDE),
)


def main(names: Sequence[str] = ()) -> int:
    """Take the pictures of the named states, or of all, and write the page."""
    strays = set(BY_NAME) - {name for names in CHAPTERS.values() for name in names}
    if strays:
        print(f"in no chapter: {', '.join(sorted(strays))}", file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="todoke-pages-"))
    PICTURES.mkdir(parents=True, exist_ok=True)
    try:
        with Stack(folder, durable=False) as stack, Visits(stack) as visits, chromium() as browser:
            for other in (*(Other(name, "", "", "") for name in BY_NAME), *OTHERS):
                if not names or other.state in names:
                    _picture(visits, browser, other)
    except DevError as fault:
        print(fault, file=sys.stderr)
        return 1
    finally:
        remove(folder)
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(head + MARK + "\n".join(_shown()), encoding="utf-8")
    return 0


def _file(state: str, kind: str) -> Path:
    return PICTURES / f"{state}{kind and '-'}{kind}.png"


def _picture(visits: Visits, browser: Browser, other: Other) -> None:
    with visits.at(browser, BY_NAME[other.state], other.language, **other.options) as visit:
        if other.media == "print":
            visit.page.emulate_media(media="print")
        taken = visit.page.screenshot(full_page=True, animations="disabled", caret="hide")
    with Image.open(io.BytesIO(taken)) as picture:
        few = picture.convert("RGB").quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(_file(other.state, other.kind), optimize=True)


def _shown() -> Iterator[str]:
    """Write the chapters, each a table of pictures with their captions."""
    for title, names in CHAPTERS.items():
        yield from _table(title, [(_file(name, ""), BY_NAME[name].ja, BY_NAME[name].en) for name in names])
    title = "暗い画面・英語・紙・パソコン / In the dark, in English, on paper, on a desk"
    yield from _table(title, [(_file(other.state, other.kind), other.ja, other.en) for other in OTHERS])


def _table(title: str, pictures: Sequence[tuple[Path, str, str]]) -> Iterator[str]:
    yield f"\n## {title}\n"
    yield "<table>"
    for start in range(0, len(pictures), _COLUMNS):
        yield "<tr>"
        for path, ja, en in pictures[start : start + _COLUMNS]:
            source = path.relative_to(PAGE.parent)
            yield f'<td valign="top"><img src="{source}" width="{_WIDTH}" alt="{en}"><br><b>{ja}</b><br>{en}</td>'
        yield "</tr>"
    yield "</table>"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
