import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.problems import Refused
from app.values.answers import KANA_LABELS, QUESTION_KIND_LABELS, Kana, QuestionKind, forms, normalise

TEXT, DIGITS, DATE, POSTCODE, LAST4, CHOICE = QuestionKind


@pytest.mark.parametrize(
    ("kind", "expected", "written"),
    [
        (TEXT, "山田花子", ["山田花子", "山田 花子", "山田　花子", " 山田\u200b花子\n"]),
        (TEXT, "サトウハナコ", ["サトウ ハナコ", "ｻﾄｳ ﾊﾅｺ", "ｻﾄｳﾊﾅｺ"]),
        (TEXT, "johnsmith", ["John Smith", "ＪＯＨＮ　ＳＭＩＴＨ", "john smith"]),
        (TEXT, "(株)届け", ["㈱届け", "(株) 届け", "（株）届け"]),
        (TEXT, "葛城", ["葛城", "葛\U000e0100城"]),
        (DIGITS, "0012345", ["0012345", "００１２３４５", "00-12345", "00 12 345", "００－１２３ー４５", "00‐12−345"]),
        (POSTCODE, "1000001", ["1000001", "100-0001", "〒100-0001", "１００－０００１", "〒 100 0001", "100ー0001"]),
        (POSTCODE, "0600001", ["060-0001"]),
        (LAST4, "0489", ["0489", "０４８９", " 0489 ", "04-89", "0 4 8 9"]),
        (DATE, "1956-09-04", ["1956/9/4", "昭和31年9月4日", "S31.9.4", "１９５６年９月４日"]),
        (CHOICE, "はい", ["はい", " はい "]),
    ],
)
def test_what_must_not_matter_does_not(kind, expected, written):
    assert {normalise(kind, form) for form in written} == {expected}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("髙橋", "高橋"),
        ("渡邉", "渡辺"),
        ("さとう", "サトウ"),
        ("ハナコ", "ハナゴ"),
        ("サー", "サ一"),
        ("サトー", "サト"),
    ],
)
def test_different_letters_stay_different(one, other):
    assert normalise(TEXT, one) != normalise(TEXT, other)


def test_kana_are_one_where_the_question_says_so():
    written = ["さとう はなこ", "サトウ ハナコ", "ｻﾄｳ ﾊﾅｺ", "サトウはなこ"]
    assert {normalise(TEXT, form, kana=Kana.KANA) for form in written} == {"サトウハナコ"}
    assert normalise(TEXT, "ゔゞ", kana=Kana.KANA) == "ヴヾ"


@pytest.mark.parametrize(
    ("bank", "typed"),
    [
        ("ﾘﾖｳｺ", "リョウコ"),
        ("ｼﾕﾝｲﾁ", "しゅんいち"),
        ("ﾊﾂﾄﾘ", "はっとり"),
        ("ﾌｱﾝ", "ファン"),
        ("ﾏﾂｹﾞ", "マッゲ"),
        ("ｶｹｲ", "ヵヶイ"),
    ],
)
def test_bank_kana_knows_no_small_letters(bank, typed):
    assert normalise(TEXT, bank, kana=Kana.KANA) == normalise(TEXT, typed, kana=Kana.KANA)
    assert normalise(TEXT, bank) != normalise(TEXT, typed)


def test_an_answer_is_tried_in_the_form_of_earlier_releases_too():
    assert forms(TEXT, "りょうこ", kana=Kana.KANA) == ["リヨウコ", "リョウコ"]
    assert forms(TEXT, "りょうこ") == ["りょうこ"]
    assert forms(TEXT, "はなこ", kana=Kana.KANA) == ["ハナコ"]


@pytest.mark.parametrize(
    ("kind", "raw", "code"),
    [
        (TEXT, "", "answer_empty"),
        (TEXT, " 　\u200b", "answer_empty"),
        (TEXT, "あ" * 101, "answer_too_long"),
        (DIGITS, "", "answer_without_digits"),
        (DIGITS, "--", "answer_without_digits"),
        (DIGITS, "12a4", "answer_not_digits"),
        (DIGITS, "1.5", "answer_not_digits"),
        (DIGITS, "٣٤٥", "answer_not_digits"),
        (POSTCODE, "", "answer_without_digits"),
        (POSTCODE, "〒", "answer_without_digits"),
        (POSTCODE, "600001", "answer_postcode_too_short"),
        (POSTCODE, "10000011", "answer_postcode_too_long"),
        (POSTCODE, "東京都", "answer_not_digits"),
        (LAST4, "489", "answer_last4_too_short"),
        (LAST4, "10489", "answer_last4_too_long"),
        (LAST4, "04B9", "answer_not_digits"),
        (LAST4, "", "answer_without_digits"),
        (DATE, "昭和65年1月1日", "date_not_in_era"),
        (DATE, "", "date_empty"),
        (CHOICE, "", "answer_empty"),
    ],
)
def test_what_is_not_of_its_kind_is_refused_in_japanese(kind, raw, code):
    with pytest.raises(Refused) as refusal:
        normalise(kind, raw)
    assert refusal.value.problem.code == code
    assert "。" in refusal.value.message_ja


def test_a_choice_must_be_one_of_the_choices():
    assert normalise(CHOICE, "ｱﾊﾟｰﾄ", choices=["アパート", "一戸建て"]) == "アパート"
    with pytest.raises(Refused) as refusal:
        normalise(CHOICE, "マンション", choices=["アパート", "一戸建て"])
    assert refusal.value.problem.code == "answer_not_a_choice"
    assert "「アパート」「一戸建て」" in refusal.value.message_ja
    assert "マンション" not in refusal.value.message_ja


@given(st.sampled_from(QuestionKind), st.text(max_size=120), st.sampled_from(Kana))
def test_any_text_is_an_answer_or_a_refusal_that_does_not_repeat_it(kind, raw, kana):
    outcome = _outcome(kind, raw, kana)
    if isinstance(outcome, Refused):
        assert set(outcome.problem.facts) <= {"most", "era", "since", "until"}
        assert outcome.__cause__ is None
    else:
        assert outcome
        assert not any(letter.isspace() for letter in outcome)


def _outcome(kind, raw, kana):
    try:
        return normalise(kind, raw, kana=kana)
    except Refused as refusal:
        return refusal


@given(st.from_regex(r"[0-9]{4}", fullmatch=True))
def test_four_digits_keep_their_zeros(digits):
    assert normalise(LAST4, digits) == digits


def test_every_kind_has_a_word_for_screens():
    assert set(QUESTION_KIND_LABELS) == set(QuestionKind)
    assert set(KANA_LABELS) == set(Kana)


# --- whatever people do ---

UNSEEN_OR_SPACE = [" ", "　", "\t", "\u200b", "\u200e", "\u202a", "\u202c", "\u2060", "\ufeff", "\u00a0"]
HYPHENS = ["-", "‐", "‑", "–", "—", "―", "−", "－", "ー", "ｰ", "─", "━", "﹣"]
FULL_WIDTH = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
KANA_TEXT = st.text(st.sampled_from("あいうがぎぱぴっゃょんをアイウガギパピッャョンヲヴヵ"), min_size=1, max_size=20)
NAMES = st.text(st.characters(categories=["Lo", "Ll", "Lu"]), min_size=1, max_size=30)


def strewn(text, signs, data):
    """Return `text` with signs put in anywhere, at its ends too."""
    pieces = [data.draw(st.text(st.sampled_from(signs), max_size=2)) for _ in range(len(text) + 1)]
    return "".join(piece + letter for piece, letter in zip(pieces, [*text, ""], strict=True))


@given(st.sampled_from(QuestionKind), st.text(max_size=100), st.sampled_from(Kana))
def test_the_form_of_a_form_is_itself(kind, raw, kana):
    once = _outcome(kind, raw, kana)
    if not isinstance(once, Refused) and len(once) <= 100:
        assert normalise(kind, once, kana=kana) == once


@given(st.from_regex(r"[0-9]{1,20}", fullmatch=True), st.data())
def test_digits_are_read_however_they_are_spaced_and_wide(digits, data):
    typed = strewn(
        data.draw(st.sampled_from([digits, digits.translate(FULL_WIDTH)])), [*UNSEEN_OR_SPACE, *HYPHENS], data
    )
    if len(typed) <= 100:
        assert normalise(DIGITS, typed) == digits


@given(st.from_regex(r"[0-9]{7}", fullmatch=True), st.data())
def test_a_postcode_is_read_with_its_mark_or_without(digits, data):
    mark = data.draw(st.sampled_from(["", "〒", "〒 ", "〠"]))
    typed = mark + strewn(
        data.draw(st.sampled_from([digits, digits.translate(FULL_WIDTH)])), ["-", "－", "ー", " "], data
    )
    assert normalise(POSTCODE, typed) == digits


@given(NAMES, st.sampled_from(Kana), st.data())
def test_space_and_what_cannot_be_seen_do_not_matter_in_a_text(name, kana, data):
    plain = _outcome(TEXT, name, kana)
    typed = strewn(name, UNSEEN_OR_SPACE, data)
    if len(typed) <= 100:
        other = _outcome(TEXT, typed, kana)
        assert isinstance(plain, Refused) if isinstance(other, Refused) else other == plain


@given(st.from_regex(r"[A-Za-z0-9]{1,20}", fullmatch=True), st.data())
def test_a_contracts_number_is_read_with_hyphens_or_without_in_any_case_and_width(number, data):
    typed = strewn(data.draw(st.sampled_from([number, number.translate(FULL_WIDTH)])), [*HYPHENS, " "], data)
    if len(typed) <= 100:
        assert normalise(TEXT, typed) == normalise(TEXT, number) == number.lower()


@given(KANA_TEXT, st.data())
def test_kana_are_read_in_either_script_with_any_long_vowel(name, data):
    katakana = "".join(chr(ord(c) + 0x60) if "ぁ" <= c <= "ゖ" else c for c in name)
    large = katakana.translate(str.maketrans("ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ"))
    typed = strewn(name, HYPHENS, data)
    if len(typed) <= 100:
        assert normalise(TEXT, typed, kana=Kana.KANA) == large == normalise(TEXT, katakana, kana=Kana.KANA)


@pytest.mark.parametrize(
    ("expected", "written"),
    [
        ("ガギ", ["ガギ", "カ゛キ゛", "ｶﾞｷﾞ", "カ\u3099キ\u3099", "カ ゛キ ゛", "ｶ ﾞｷﾞ"]),
        ("サトー", ["サトー", "ｻﾄｰ", "サ トー"]),
        ("ジャンピエール", ["ジャン・ピエール", "ジャン ピエール", "ジャン-ピエール", "ｼﾞｬﾝ･ﾋﾟｴｰﾙ", "ジャン・ ピエール"]),
        ("ab12", ["AB-12", "ａｂー１２", "Ab 12", "ab‐12"]),
        ("09012345678", ["\u202a090-1234-5678\u202c"]),
    ],
)
def test_the_forms_of_one_text(expected, written):
    assert {normalise(TEXT, form) for form in written} == {expected}


def test_where_kana_are_one_a_hyphen_for_the_long_vowel_does_not_matter():
    assert len({normalise(TEXT, form, kana=Kana.KANA) for form in ["サトー", "ｻﾄ-", "さとー", "サト－", "サト"]}) == 1
