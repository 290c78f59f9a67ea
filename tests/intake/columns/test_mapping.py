import json

import pytest

from app.intake.columns.mapping import ColumnMapping, Question, propose
from app.values.answers import QuestionKind
from app.values.column_names import canonical

BIRTH = Question("生年月日", QuestionKind.DATE)
LAST4 = Question("電話番号下4桁", QuestionKind.LAST4)


def _phone(*header):
    return propose(header, [], payment_required=False).phone


@pytest.mark.parametrize(
    "name",
    [
        "携帯電話番号",
        "電話番号",
        "お電話番号",
        "TEL",
        "ＴＥＬ",
        "Tel.",
        "携帯",
        "ケータイ",
        "ｹｰﾀｲ",
        "携帯電話",
        "電話番号（ハイフンなし）",
        "電話番号(携帯)",
        "電話番号※必須",
        "ご連絡先電話番号",
        "契約者電話番号",
        "お客様携帯電話番号",
        "Mobile Phone",
        "phone_number",
    ],
)
def test_a_phone_column_is_known_by_its_name(name):
    assert _phone("氏名", name, "請求金額") == name


@pytest.mark.parametrize(
    ("header", "phone"),
    [
        (("電話番号下4桁", "電話番号"), "電話番号"),
        (("電話番号下4桁", "氏名"), None),
        (("電話番号（下4桁）", "氏名"), None),
        (("携帯電話番号", "電話番号"), "携帯電話番号"),
        (("電話番号(自宅)", "電話番号(携帯)"), "電話番号(携帯)"),
        (("電話番号(自宅)", "電話番号(勤務先)"), None),
        (("契約者電話番号", "保証人電話番号"), None),
        (("契約者電話番号", "保証人携帯電話番号"), "保証人携帯電話番号"),
        (("電話", "TEL"), None),
        (("携帯", "携帯電話番号", "電話番号"), None),
        (("FAX番号", "氏名"), None),
    ],
)
def test_no_phone_column_is_guessed(header, phone):
    assert _phone(*header) == phone


@pytest.mark.parametrize(
    ("header", "role", "column"),
    [
        (("お客様番号", "証券番号"), "reference", "お客様番号"),
        (("証券番号", "管理番号"), "reference", "管理番号"),
        (("お客さま番号",), "reference", "お客さま番号"),
        (("受付No.",), "reference", "受付No."),
        (("会員ID",), "reference", "会員ID"),
        (("ご請求金額（税込）",), "amount", "ご請求金額（税込）"),
        (("お支払い金額",), "amount", "お支払い金額"),
        (("金額", "ご請求額"), "amount", "ご請求額"),
        (("金額(円)",), "amount", "金額(円)"),
        (("払込期限",), "due_date", "払込期限"),
        (("お支払期日",), "due_date", "お支払期日"),
        (("有効期限",), "due_date", None),
        (("期限",), "due_date", "期限"),
        (("氏名",), "reference", None),
    ],
)
def test_other_roles_are_known_by_their_names(header, role, column):
    assert getattr(propose(header, [], payment_required=True), role) == column


def test_the_amount_is_a_plain_column_where_nothing_is_paid():
    assert propose(["電話番号", "請求金額"], [], payment_required=False).amount is None


@pytest.mark.parametrize(
    ("label", "header", "column"),
    [
        ("生年月日", ("生年月日", "電話番号"), "生年月日"),
        ("生年月日", ("生年月日（西暦）",), "生年月日（西暦）"),
        ("生年月日", ("誕生日",), "誕生日"),
        ("ご契約者様の生年月日を入力してください", ("生年月日", "契約日"), "生年月日"),
        ("お客様の誕生日は?", ("生年月日",), "生年月日"),
        ("電話番号下4桁", ("電話番号", "電話番号下4桁"), "電話番号下4桁"),
        ("お電話番号の下４桁", ("電話番号", "電話番号（下四桁）"), "電話番号（下四桁）"),
        ("電話番号の下4桁を入力してください", ("電話番号", "電話番号下4桁"), "電話番号下4桁"),
        ("電話番号下4桁", ("電話番号", "氏名"), None),
        ("契約番号の下4桁", ("契約番号", "契約番号末尾4ケタ"), "契約番号末尾4ケタ"),
        ("契約番号", ("契約番号下4桁",), None),
        ("郵便番号", ("〒",), "〒"),
        ("お名前", ("氏名",), "氏名"),
        ("好きな色", ("氏名",), None),
    ],
)
def test_a_question_finds_its_column(label, header, column):
    assert propose(header, [Question(label, QuestionKind.TEXT)], payment_required=False).answers == (column,)


def test_a_question_s_own_column_name_comes_first():
    question = Question("証券番号の下4桁を入力してください", QuestionKind.LAST4, column="本人確認")
    assert propose(["証券番号下4桁", "本人確認"], [question], payment_required=False).answers == ("本人確認",)


def test_no_column_answers_two_questions_or_shows_an_answer():
    mapping = propose(["管理番号", "契約番号"], [Question("契約番号", QuestionKind.DIGITS)] * 2, payment_required=False)
    assert mapping.answers == ("契約番号", None)
    question = Question("お客様番号", QuestionKind.DIGITS)
    assert propose(["お客様番号", "受付番号"], [question], payment_required=False).reference == "受付番号"


def test_the_reason_column_of_a_corrected_file_takes_no_role():
    mapping = propose(["エラー内容", "電話番号"], [Question("エラー内容", QuestionKind.TEXT)], payment_required=False)
    assert mapping == ColumnMapping(phone="電話番号", answers=(None,))


def test_problems_name_what_is_missing():
    header = ["氏名", "請求金額"]
    found = ColumnMapping(answers=(None,)).problems(header, [BIRTH], ["氏名", "担当者"], payment_required=True)
    assert len(found) == 4
    for word in ("電話番号", "金額", "生年月日", "担当者"):
        assert sum(word in problem.message_ja for problem in found) == 1


def test_a_good_mapping_has_no_problems():
    header = ["管理番号", "電話番号", "氏名", "請求金額", "支払期限", "生年月日", "電話番号下4桁"]
    mapping = propose(header, [BIRTH, LAST4], payment_required=True)
    assert mapping == ColumnMapping("電話番号", "管理番号", "請求金額", "支払期限", ("生年月日", "電話番号下4桁"))
    assert mapping.problems(header, [BIRTH, LAST4], ["氏名"], payment_required=True) == []


@pytest.mark.parametrize(
    ("mapping", "word"),
    [
        (ColumnMapping(phone="電話", answers=("生年月日",)), "「電話」がファイルにありません"),
        (ColumnMapping(phone="電話番号", answers=("誕生日",)), "「誕生日」がファイルにありません"),
        (ColumnMapping(phone="電話番号", reference="電話番号", answers=("生年月日",)), "電話番号と管理番号の両方"),
        (ColumnMapping(phone="電話番号", reference="生年月日", answers=("生年月日",)), "管理番号には使えません"),
        (ColumnMapping(phone="電話番号", answers=(None,)), "「生年月日」の答えの列"),
        (ColumnMapping(phone="電話番号", answers=()), "設問の数が変わりました"),
        (ColumnMapping(phone="電話番号", answers=("生年月日", None)), "設問の数が変わりました"),
    ],
)
def test_a_mapping_made_by_hand_is_checked(mapping, word):
    found = mapping.problems(["電話番号", "生年月日"], [BIRTH], [], payment_required=False)
    assert len(found) == 1
    assert word in found[0].message_ja


def test_two_questions_need_two_columns():
    mapping = ColumnMapping(phone="電話番号", answers=("生年月日", "生年月日"))
    found = mapping.problems(["電話番号", "生年月日"], [BIRTH, LAST4], [], payment_required=False)
    assert len(found) == 1
    assert "2つの設問" in found[0].message_ja


def test_a_mapping_comes_back_from_json():
    mapping = ColumnMapping("電話番号", "管理番号", None, "支払期限", ("生年月日", None))
    assert ColumnMapping.from_json(json.loads(json.dumps(mapping.to_json()))) == mapping


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("お電話番号", "電話番号"),
        ("電話番号 （半角）", "電話番号"),
        ("契約番号（下４桁）", "契約番号下4桁"),
        ("【必須】氏名", "氏名"),
        ("※ 生年月日", "生年月日"),
        ("お", "お"),
    ],
)
def test_names_are_compared_in_one_form(written, same):
    assert canonical(written) == canonical(same)
