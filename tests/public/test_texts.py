"""The words: the same in both languages, and all that the templates ask for."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from string import Formatter

import pytest

from public import texts

TEMPLATES = sorted((Path(__file__).parents[2] / "public" / "templates" / "public").glob("*.html"))
JAPANESE, ENGLISH = texts.texts("ja"), texts.texts("en")
# texts that notice.html is asked for by name, in routes and errors
NOTICES = ["gone", "over", "locked", "stopped", "returned", "not_found", "busy", "failed", "bad"]


def places(words: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(words) if name}


def test_both_languages_say_the_same_things() -> None:
    assert JAPANESE.keys() == ENGLISH.keys()
    for name, words in JAPANESE.items():
        assert words
        assert places(words) >= places(ENGLISH[name]), name
        assert places(words) <= {"company", "time", "left", "host", "operator", "phone"}, name


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_asks_for_no_word_that_is_missing(template: Path) -> None:
    asked = set(re.findall(r"\bt\.(\w+)", template.read_text(encoding="utf-8"))) - {"get"}
    assert asked <= JAPANESE.keys()


def test_notices_have_their_words() -> None:
    assert {f"{name}_title" for name in NOTICES} | set(NOTICES) <= JAPANESE.keys()


def test_money_and_times_as_people_read_them() -> None:
    assert (texts.yen(1_234_567, "ja"), texts.yen(1_234_567, "en")) == ("1,234,567円", "¥1,234,567")
    assert (texts.day(date(2026, 1, 9), "ja"), texts.day(date(2026, 1, 9), "en")) == ("2026年1月9日", "2026-01-09")
    at = datetime(2026, 12, 31, 15, 4, tzinfo=UTC)
    assert (texts.moment(at, "ja"), texts.moment(at, "en")) == ("2027年1月1日 0時04分", "2027-01-01 00:04 JST")


def test_an_unknown_language_is_japanese() -> None:
    assert texts.texts("fr") == JAPANESE
