"""Merge fields and lengths."""

import pytest

from app.campaigns import letters, sms_length, template


def test_fields_are_rendered_whatever_their_width() -> None:
    text = "{氏名}様 {ＩＤ} {リンク}"
    assert template.fields_in(text) == ["氏名", "ID", "リンク"]
    assert template.render(text, {"氏名": "田中", "ID": "7", "リンク": "https://x/y"}) == "田中様 7 https://x/y"


def test_a_fields_value_is_not_rendered_again() -> None:
    assert template.render("{氏名}", {"氏名": "{リンク}", "リンク": "x"}) == "{リンク}"


def test_a_missing_field_is_named() -> None:
    with pytest.raises(template.MissingField) as caught:
        template.render("{氏名}様", {})
    assert caught.value.name == "氏名"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "入力されていません"),
        ("お知らせです", "{リンク} がありません"),
        ("{リンク}と{リンク}", "1か所だけ"),
        ("{氏名 {リンク}", "組み合わせ"),
        ("{氏名}様 {リンク}0120-000-101", "すぐ続いています"),
        ("お知らせ {リンク}{氏名}", "すぐ続いています"),
        ("お知らせ { リンク }http", "すぐ続いています"),
        ("氏名}{リンク}", "組み合わせ"),
    ],
)
def test_problems_of_an_sms_are_told(text: str, part: str) -> None:
    assert any(part in problem.message_ja for problem in template.problems(text, needs_link=True))


@pytest.mark.parametrize(
    "text",
    [
        "{氏名}様 {リンク}",
        "{リンク}",
        "詳しくは{リンク}からご覧ください。",
        "URL:{リンク}\n0120-000-101",
        "{氏名}\n{リンク} {氏名}",
    ],
)
def test_a_good_sms_has_no_problem(text: str) -> None:
    assert template.problems(text, needs_link=True) == []


@pytest.mark.parametrize(("text", "units"), [("", 0), ("あa", 2), ("ｶﾞ", 2), ("𠮷", 2), ("😀", 2), ("a\n", 2)])
def test_units_are_utf16(text: str, units: int) -> None:
    assert sms_length.units(text) == units


def test_characters_some_carriers_cannot_show() -> None:
    assert sms_length.hard_to_show("髙橋①～😀 田中〜") == ["髙", "①", "～", "😀"]


def test_a_cell_stands_in_one_line() -> None:
    assert sms_length.flatten(" 山田\r\n花子\t様 \x00") == "山田 花子 様"


@pytest.mark.parametrize(
    ("text", "name", "shown"),
    [
        ("{氏名|5|お客様}様へ", "佐藤 花子", "佐藤 花子様へ"),
        ("{氏名|5|お客様}様へ", "佐藤 花子子", "お客様へ"),
        ("{氏名|5|お客様} 様へ", "佐藤 花子子", "お客 様へ"),
        ("{氏名|5|お客様}へ", "佐藤 花子子", "お客様へ"),
        ("{ 氏名｜５｜お客様 }様へ", "佐藤 花子子", "お客様へ"),
        ("{氏名|3|ご契約者}様へ", "𠮷𠮷", "ご契約者様へ"),
        ("{氏名|4|ご契約者}様へ", "𠮷𠮷", "𠮷𠮷様へ"),
        ("{氏名|5|お客様}様と{氏名}様", "佐藤 花子子", "お客様と佐藤 花子子様"),
    ],
)
def test_a_short_form_stands_in_for_what_is_too_long(text: str, name: str, shown: str) -> None:
    assert template.render(text, {"氏名": name}) == shown
    assert template.fields_in(text) == ["氏名"]
    assert sms_length.units(shown) <= template.widest(text, {"氏名": sms_length.units(name)})


def test_a_short_form_is_written_where_there_is_none() -> None:
    text = "{会社名}{ 氏名 }様{氏名|3|客}{リンク}"
    assert template.shorten(text, "氏名", 8, "お客様") == "{会社名}{氏名|8|お客様}様{氏名|3|客}{リンク}"


def test_texts_with_other_short_forms_merge_otherwise() -> None:
    assert template.merged("{氏名}様{氏名}{リンク}") == {"氏名": 2}
    assert template.merged("{氏名|8|お客様}様{リンク}") == {"氏名|8|お客": 1}
    assert template.merged("{氏名|8|お客様} {リンク}") == {"氏名|8|お客様": 1}


@pytest.mark.parametrize("text", ["{氏名|8}様 {リンク}", "{氏名|8|}様 {リンク}", "{氏名|8|客|様}様 {リンク}"])
def test_a_short_form_that_is_none_is_told(text: str) -> None:
    assert any("「|」の書き方" in problem.message_ja for problem in template.problems(text, needs_link=True))


def test_a_link_has_no_short_form() -> None:
    found = template.problems("{リンク|8|ここ}", needs_link=True)
    assert "text_link_missing" in {problem.code for problem in found}


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("①{髙橋①}②{リンク}", "1{髙橋①}2{リンク}"),
        ("{氏名|10|お客様①}様～", "{氏名|10|お客様1}様〜"),
        ("{ 髙 ｜ 10 ｜ ㈱様 }", "{髙 ｜ 10 ｜ (株)様}"),
        # twenty letters are the most that stand there
        ("{氏名|10|㍿㍿㍿㍿㍿㍿}様", "{氏名|10|㍿㍿㍿㍿㍿㍿}様"),
        ("{会社名}", "{会社名}"),
        ("閉じない{①", "閉じない{1"),
        ("", ""),
    ],
)
def test_only_a_texts_own_words_are_replaced(text: str, changed: str) -> None:
    assert letters.offer(text).text == changed


def test_an_offer_tells_what_is_replaced_and_what_is_left() -> None:
    found = letters.offer("{髙}様①😀 {リンク}")
    assert (found.hard, found.pairs, found.left) == (["①", "😀"], [("①", "1")], ["😀"])
    assert letters.offer("ふつうの文 {リンク}").hard == []
