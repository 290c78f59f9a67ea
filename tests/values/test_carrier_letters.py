"""Letters that not every carrier shows: each is written with what all show, or left for a person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.values import carrier_letters
from app.values.carrier_text import every_carrier_shows


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("①②⑳", "1220"),
        ("⑴ Ⅳ ⅸ", "(1) IV ix"),
        ("髙橋・山﨑・𠮷田・德永", "高橋・山崎・吉田・徳永"),
        ("10:00～12:00", "10:00〜12:00"),
        ("㈱みどり ㍿ ℡ № ㎡ ㌔ ㍻ ㋿", "(株)みどり 株式会社 TEL No m2 キロ 平成 令和"),
        ("Café Ünïcode ½ ™ © € — –", "Cafe Unicode 1/2 TM (C) ユーロ ― -"),
        ("か\u3099き\u3099", "がぎ"),
        ("見えない\u200b文字\ufeff", "見えない文字"),
        ("葛\U000e0100飾", "葛飾"),
        ("\u00a0空白", " 空白"),
        ("〝引用〟", "“引用”"),
    ],
)
def test_letters_are_written_with_what_every_carrier_shows(text: str, written: str) -> None:
    assert carrier_letters.replaced(text) == written
    assert every_carrier_shows(written)


@pytest.mark.parametrize("text", ["", "ふつうの文です。ABC 123", "ｶﾞｷﾞ", "－", "😀", "鷗", "𩸽", "︷", "\u3099"])
def test_what_is_shown_or_has_nothing_like_it_stays(text: str) -> None:
    assert carrier_letters.replaced(text) == text


def test_each_letter_is_named_once_with_what_it_becomes() -> None:
    assert carrier_letters.pairs("①髙①😀～") == [("①", "1"), ("髙", "高"), ("～", "〜")]


@given(st.text(max_size=60))
def test_no_text_becomes_harder_to_show_or_gains_a_brace(text: str) -> None:
    written = carrier_letters.replaced(text)
    assert sum(written.count(brace) for brace in "{}") == sum(text.count(brace) for brace in "{}")
    hard = {sign for sign in written if not every_carrier_shows(sign)}
    assert hard <= set(text)
    assert carrier_letters.replaced(written) == written
    assert written == text or carrier_letters.pairs(text)
