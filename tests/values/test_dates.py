import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.problems import Refused
from app.values.dates import join_date, parse_date, parse_date_ahead

ERAS = [
    ("明治", "M", dt.date(1868, 1, 25), dt.date(1912, 7, 30)),
    ("大正", "T", dt.date(1912, 7, 30), dt.date(1926, 12, 25)),
    ("昭和", "S", dt.date(1926, 12, 25), dt.date(1989, 1, 7)),
    ("平成", "H", dt.date(1989, 1, 8), dt.date(2019, 4, 30)),
    ("令和", "R", dt.date(2019, 5, 1), dt.date(2099, 12, 31)),
]
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


@pytest.mark.parametrize(
    "written",
    [
        "1956-09-04",
        "1956/9/4",
        "1956.9.4",
        "1956年9月4日",
        "1956年 9月 4日",
        "19560904",
        "１９５６／０９／０４",
        "１９５６年９月４日",
        "1956－09－04",
        "1956‐9‐4",
        "西暦1956年9月4日",
        "1956/9/4 0:00",
        "1956-09-04T00:00:00",
        "1956/09/04 00:00:00.000",
        "1956/9/4(火)",
        "1956年9月4日（火曜日）",
        "昭和31年9月4日",
        "昭和３１年０９月０４日",
        "昭和 31年 9月 4日",
        "昭31.9.4",
        "S31.9.4",
        "s31/09/04",
        "Ｓ３１．９．４",
        "S.31.9.4",
        "S310904",
        "㍼31年9月4日",
        " 1956-09-04 ",
        "\u202a1956/9/4\u202c",
        "\u200e昭和31\u2060年9月4日",
    ],
)
def test_one_day_in_every_form_people_write_it(written):
    assert parse_date(written) == dt.date(1956, 9, 4)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("", "date_empty"),
        ("　", "date_empty"),
        ("昭和65年1月1日", "date_not_in_era"),
        ("昭和64年1月8日", "date_not_in_era"),
        ("平成元年1月7日", "date_not_in_era"),
        ("平成31年5月1日", "date_not_in_era"),
        ("令和元年4月30日", "date_not_in_era"),
        ("昭和元年12月24日", "date_not_in_era"),
        ("昭和0年1月1日", "date_not_in_era"),
        ("大正16年1月1日", "date_not_in_era"),
        ("平成4年2月30日", "date_no_such_day"),
        ("2026/02/30", "date_no_such_day"),
        ("2026/13/01", "date_no_such_day"),
        ("2023-02-29", "date_no_such_day"),
        ("20261301", "date_no_such_day"),
        ("2026-00-10", "date_no_such_day"),
        ("33.2.28", "date_ambiguous_year"),
        ("56/9/4", "date_ambiguous_year"),
        ("’56/9/4", "date_unreadable"),
        ("33年2月28日", "date_ambiguous_year"),
        ("46000", "date_digits_only"),
        ("560904", "date_digits_only"),
        ("3310904", "date_digits_only"),
        ("12/25/1990", "date_unreadable"),
        ("1956年9月", "date_unreadable"),
        ("なし", "date_unreadable"),
        ("X31.9.4", "date_unreadable"),
        ("0956-09-04", "date_year_out_of_range"),
        ("9999-12-31", "date_year_out_of_range"),
        ("1956-09-04" * 100, "date_unreadable"),
    ],
)
def test_unreal_and_unclear_dates_are_refused(written, code):
    with pytest.raises(Refused) as refusal:
        parse_date(written)
    assert refusal.value.problem.code == code
    assert refusal.value.message_ja.endswith(("。", "。)"))


@pytest.mark.parametrize("written", ["9.3.31", "なし", "12/25/2027", "2027年3月"])
def test_of_a_date_to_come_no_example_is_a_date_of_birth(written):
    with pytest.raises(Refused) as refusal:
        parse_date_ahead(written)
    assert "2027" in refusal.value.message_ja
    assert "1956" not in refusal.value.message_ja
    assert parse_date_ahead("令和9年3月31日") == dt.date(2027, 3, 31)


def test_showa_passes_into_heisei_overnight():
    assert parse_date("昭和64年1月7日") == dt.date(1989, 1, 7)
    assert parse_date("平成元年1月8日") == parse_date("平成1年1月8日") == dt.date(1989, 1, 8)
    assert parse_date("H1.1.8") == dt.date(1989, 1, 8)
    assert parse_date("令和元年5月1日") == dt.date(2019, 5, 1)


@pytest.mark.parametrize(("era", "letter", "first", "last"), ERAS)
@given(data=st.data())
def test_every_day_of_every_era_is_read_and_the_days_around_it_are_not(era, letter, first, last, data):
    date = data.draw(st.dates(first, last))
    year = date.year - first.year + 1
    kanji = f"{era}{'元' if year == 1 else year}年{date.month}月{date.day}日"
    for written in (kanji, kanji.translate(FULL_WIDTH), f"{letter}{year}.{date.month}.{date.day}"):
        assert parse_date(written) == date
    for outside in (first - dt.timedelta(days=1), last + dt.timedelta(days=1)):
        if era == "令和" and outside > last:
            continue  # it has no last day yet
        with pytest.raises(Refused):
            parse_date(f"{letter}{outside.year - first.year + 1}.{outside.month}.{outside.day}")


@given(st.dates(dt.date(1868, 1, 25), dt.date(2199, 12, 31)))
def test_every_day_of_the_western_calendar_is_read(date):
    for form in ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y年%m月%d日"):
        assert parse_date(date.strftime(form)) == date


@given(st.text(max_size=60) | st.text(alphabet="0123456789年月日/-.昭和SHR元 ０１２", max_size=14))
def test_any_text_is_a_date_or_a_refusal(text):
    outcome = _outcome(text)
    if isinstance(outcome, Refused):
        assert outcome.message_ja.endswith(("。", "。)"))
        assert set(outcome.problem.facts) <= {"era", "since", "until"}
    else:
        assert dt.date(1868, 1, 1) <= outcome <= dt.date(2199, 12, 31)


def _outcome(text):
    try:
        return parse_date(text)
    except Refused as refusal:
        return refusal


@pytest.mark.parametrize(
    ("parts", "date"),
    [
        (("1956", "9", "4"), dt.date(1956, 9, 4)),
        (("１９５６", "０９", "０４"), dt.date(1956, 9, 4)),
        (("昭和31", "9", "4"), dt.date(1956, 9, 4)),
        (("昭和元", "12", "25"), dt.date(1926, 12, 25)),
        (("S31", " 9 ", "4"), dt.date(1956, 9, 4)),
        (("1956年", "9月", "4日"), dt.date(1956, 9, 4)),
    ],
)
def test_three_inputs_make_a_date(parts, date):
    assert parse_date(join_date(*parts)) == date


@pytest.mark.parametrize("parts", [("1956", "", "4"), ("", "9", "4"), ("1956", "9", " ")])
def test_a_missing_part_is_told(parts):
    with pytest.raises(Refused) as refusal:
        join_date(*parts)
    assert refusal.value.problem.code == "date_incomplete"


@pytest.mark.parametrize("parts", [("31", "9", "4"), ("1956", "2/28", "3"), ("1956", "13", "1"), ("1956", "9", "4日5")])
def test_three_inputs_that_make_no_date_are_refused(parts):
    with pytest.raises(Refused):
        parse_date(join_date(*parts))


def test_three_empty_inputs_are_an_empty_answer():
    assert join_date("", " ", "") == ""
