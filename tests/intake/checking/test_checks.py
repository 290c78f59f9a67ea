import datetime as dt
import sys

import pytest

from app.intake.checking import checks
from app.intake.checking.checks import LEVEL_LABELS, CheckedRow, Checker, Fault, Level, Rejected, Skipped, check_row
from app.intake.checking.rules import make_rules
from app.intake.columns.mapping import ColumnMapping, Question, propose
from app.problems import Problem
from app.values import carrier_text, cell_text
from app.values.answers import QuestionKind
from app.values.csv_injection import UNWRITABLE, restore

HEADER = ("管理番号", "電話番号", "氏名", "請求金額", "支払期限", "生年月日", "契約番号下4桁", "備考")
QUESTIONS = (Question("生年月日", QuestionKind.DATE), Question("契約番号下4桁", QuestionKind.LAST4))
GOOD = ("K1", "090-1234-5678", "山田 花子", "26,000", "2026/12/26", "昭和31年9月4日", "0489", "電話済み")


def _rules(header=HEADER, questions=QUESTIONS, merge_names=("氏名",), *, payment_required=True):
    mapping = propose(header, questions, payment_required=payment_required)
    return make_rules(
        header, mapping, questions, merge_names, payment_required=payment_required, today=dt.date(2026, 11, 23)
    )


def _row(sheet_row=2, /, **cells):
    return sheet_row, [cells.get(column, cell) for column, cell in zip(HEADER, GOOD, strict=True)]


def _passed(row, rules) -> CheckedRow:
    outcome = check_row(row, rules)
    assert isinstance(outcome, CheckedRow)
    return outcome


def _faults(outcome):
    return [(fault.column, fault.level, fault.problem.code) for fault in outcome.faults]


def test_a_good_row_becomes_a_recipient():
    assert check_row(_row(), _rules()) == CheckedRow(
        sheet_row=2,
        phone="+819012345678",
        reference="K1",
        amount_yen=26_000,
        due_date=dt.date(2026, 12, 26),
        answers=("1956-09-04", "0489"),
        fields={
            "管理番号": "K1",
            "氏名": "山田 花子",
            "請求金額": "26,000",
            "支払期限": "2026/12/26",
            "備考": "電話済み",
        },
        faults=(),
    )


def test_what_tells_a_person_stands_in_no_repr():
    shown = repr(check_row(_row(), _rules())) + repr(check_row(_row(請求金額="0"), _rules()))
    for secret in ("9012345678", "1234-5678", "0489", "1956", "昭和31", "花子"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [
        ("管理番号", "", "reference_empty"),
        ("管理番号", "K" * 101, "reference_too_long"),
        ("電話番号", "", "phone_empty"),
        ("電話番号", "03-1234-5678", "phone_landline"),
        ("請求金額", "", "amount_empty"),
        ("請求金額", "五千円", "amount_not_a_number"),
        ("支払期限", "2026/02/30", "date_no_such_day"),
        ("支払期限", "46000", "date_digits_only"),
        ("生年月日", "", "date_empty"),
        ("生年月日", "昭和65年1月1日", "date_not_in_era"),
        ("生年月日", "2026-11-24", "birth_date_in_future"),
        ("契約番号下4桁", "731", "answer_last4_too_short"),
        ("氏名", "4111 1111 1111 1111", "card_number"),
        ("備考", "カード4111-1111-1111-1111", "card_number"),
        ("管理番号", "4111111111111111", "card_or_own_number"),
    ],
)
def test_each_error_keeps_the_row_out_and_names_its_column(column, cell, code):
    outcome = check_row(_row(**{column: cell}), _rules())
    assert isinstance(outcome, Rejected)
    assert _faults(outcome) == [(column, Level.ERROR, code)]
    assert outcome.faults[0].problem.message_ja.rstrip(")").endswith("。")
    assert cell == "" or cell not in outcome.faults[0].problem.message_ja


def test_what_excel_does_to_numbers_is_told_with_its_cure():
    for cells in ({"契約番号下4桁": "731"}, {"支払期限": "46000"}):
        outcome = check_row(_row(**cells), _rules())
        assert "Excelで" in outcome.faults[0].problem.message_ja
        assert "表示形式" in outcome.faults[0].problem.message_ja


def test_all_errors_of_a_row_are_told_at_once():
    outcome = check_row(_row(電話番号="03-1234-5678", 請求金額="0", 生年月日="なし", 契約番号下4桁="x"), _rules())
    assert [column for column, _, _ in _faults(outcome)] == ["電話番号", "請求金額", "生年月日", "契約番号下4桁"]


@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [
        ("電話番号", "9012345678", "phone_zero_added"),
        ("氏名", '=HYPERLINK("http://x","y")', "cell_like_formula"),
        ("氏名", "＝1+1", "cell_like_formula"),
        ("備考", "@SUM(A1)", "cell_like_formula"),
        ("備考", "+cmd|x", "cell_like_formula"),
        ("備考", "-2+A1", "cell_like_formula"),
        ("氏名", "山田\n花子", "cell_line_break"),
        ("氏名", "髙橋 ①郎", "cell_carrier_characters"),
        ("氏名", "吉田😀", "cell_carrier_characters"),
        ("氏名", "𠮷田", "cell_carrier_characters"),
        ("備考", "9時～12時", "cell_carrier_characters"),
        ("備考", "a\tb", "cell_carrier_characters"),
        ("氏名", "", "cell_merged_empty"),
        ("氏名", "　", "cell_merged_empty"),
    ],
)
def test_each_warning_lets_the_row_pass_and_names_its_column(column, cell, code):
    outcome = _passed(_row(**{column: cell}), _rules())
    assert _faults(outcome) == [(column, Level.WARNING, code)]
    if column != "電話番号":
        assert outcome.fields[column] == cell.strip()


@pytest.mark.parametrize(
    "cells",
    [
        {"備考": ""},
        {"備考": "-"},
        {"備考": "－"},
        {"備考": "１－２－３"},
        {"備考": "-500"},
        {"備考": "+81 90-1234-5678"},
        {"備考": "ｻﾄｳ ﾊﾅｺ"},
        {"備考": "9時〜12時"},
        {"備考": "8959191425"},
        {"電話番号": "+819012345678"},
        {"支払期限": ""},
        {"契約番号下4桁": " ０４８９ "},
        {"生年月日": "2026-11-23"},
    ],
)
def test_nothing_else_is_flagged(cells):
    assert _passed(_row(**cells), _rules()).faults == ()


def test_what_excel_could_not_compute_is_sent_to_nobody():
    rules = _rules()
    outcome = check_row(_row(氏名=" #N/A"), rules)
    assert isinstance(outcome, Rejected)
    assert ("氏名", Level.ERROR, "cell_excel_error") in _faults(outcome)
    assert ("管理番号", Level.ERROR, "cell_excel_error") in _faults(check_row(_row(管理番号="#REF!"), rules))
    assert _passed(_row(備考="#N/A", 氏名="山田 #1"), rules).faults == ()


def test_the_sign_our_files_put_before_formulas_is_taken_off():
    outcome = _passed(_row(電話番号="'+819012345678", 氏名="'=1+1", 備考="'引用'"), _rules())
    assert outcome.phone == "+819012345678"
    assert (outcome.fields["氏名"], outcome.fields["備考"]) == ("=1+1", "'引用'")


def test_a_row_wider_than_the_headline_is_rejected_as_a_whole():
    outcome = check_row((9, [*GOOD, "余分"]), _rules())
    assert isinstance(outcome, Rejected)
    assert _faults(outcome) == [(None, Level.ERROR, "row_too_many_cells")]
    assert (outcome.sheet_row, outcome.cells) == (9, [*GOOD, "余分"])


def test_cells_left_out_at_a_rows_end_are_empty():
    """Excel leaves out the commas of the last empty cells."""
    outcome = _passed((9, list(GOOD[:-1])), _rules())
    assert outcome.fields["備考"] == ""


@pytest.mark.parametrize(("cells", "column"), [(list(GOOD[:6]), "契約番号下4桁"), (["K1"], "電話番号")])
def test_a_row_without_a_needed_cell_is_rejected_as_a_whole_and_names_the_column(cells, column):
    outcome = check_row((9, cells), _rules())
    assert isinstance(outcome, Rejected)
    assert _faults(outcome) == [(None, Level.ERROR, "row_too_few_cells")]
    assert column in outcome.faults[0].problem.message_ja
    assert (outcome.sheet_row, outcome.cells) == (9, cells)


@pytest.mark.parametrize("cells", [[], [""], [""] * 8, [" ", "　"] + [""] * 6, [""] * 20])
def test_an_empty_row_is_skipped(cells):
    outcome = check_row((9, cells), _rules())
    assert isinstance(outcome, Skipped)
    assert _faults(outcome) == [(None, Level.IGNORED, "empty_row")]


def test_card_numbers_are_masked_in_what_is_kept_of_a_rejected_row():
    for cells in (_row(氏名="4111 1111 1111 1111")[1], _row(電話番号="4111111111111111")[1], ["4111-1111-1111-1111"]):
        outcome = check_row((2, cells), _rules())
        assert isinstance(outcome, Rejected)
        assert "************1111" in outcome.cells
        assert "4111 1111" not in str(outcome.cells)
        assert not isinstance(check_row((2, outcome.cells), _rules()), CheckedRow)


def test_answers_are_stored_readable_only_where_the_text_merges_them():
    assert not {"生年月日", "契約番号下4桁", "電話番号"} & set(_passed(_row(), _rules()).fields)
    merged = _passed(_row(), _rules(merge_names=("氏名", "生年月日")))
    assert merged.fields["生年月日"] == "昭和31年9月4日"
    assert "契約番号下4桁" not in merged.fields


def test_without_payment_amounts_are_text():
    outcome = _passed(_row(請求金額="五千円"), _rules(payment_required=False))
    assert (outcome.amount_yen, outcome.fields["請求金額"]) == (None, "五千円")


def test_an_amount_mapped_by_hand_without_payment_may_be_empty_but_not_wrong():
    mapping = ColumnMapping("電話番号", "管理番号", "請求金額", None, ("生年月日", "契約番号下4桁"))
    rules = make_rules(HEADER, mapping, QUESTIONS, (), payment_required=False, today=dt.date(2026, 11, 23))
    assert _passed(_row(請求金額=""), rules).amount_yen is None
    assert _passed(_row(請求金額="100"), rules).amount_yen == 100
    assert isinstance(check_row(_row(請求金額="-100"), rules), Rejected)


def test_a_list_of_phone_numbers_alone_is_enough():
    rules = _rules(("電話番号",), (), (), payment_required=False)
    assert check_row((2, ["09012345678"]), rules) == CheckedRow(2, "+819012345678", None, None, None, (), {})


def test_the_reason_column_of_a_corrected_file_is_passed_over():
    rules = _rules(("エラー内容", *HEADER))
    outcome = check_row((2, ["請求金額: ①4111111111111111", *GOOD]), rules)
    assert outcome == check_row(_row(), _rules())


def test_a_mapping_with_problems_makes_no_rules():
    with pytest.raises(ValueError, match="problems"):
        make_rules(HEADER, ColumnMapping(), (), (), payment_required=False, today=dt.date(2026, 11, 23))


def test_the_same_phone_number_twice_is_a_warning_that_names_the_first_row():
    checker = Checker(_rules())
    checker.check(_row(5))
    for sheet_row in (6, 9):
        outcome = checker.check(_row(sheet_row, 管理番号=f"K{sheet_row}", 電話番号="０９０１２３４５６７８"))
        assert isinstance(outcome, CheckedRow)
        assert _faults(outcome) == [("電話番号", Level.WARNING, "phone_twice")]
        assert outcome.faults[0].problem.message_ja.startswith("5行目と同じ")


def test_the_same_reference_twice_is_an_error_that_names_the_first_row():
    checker = Checker(_rules())
    checker.check(_row(5))
    outcome = checker.check(_row(8, 管理番号=" K1 ", 電話番号="08012345678", 氏名="'=1"))
    assert isinstance(outcome, Rejected)
    assert _faults(outcome) == [
        ("氏名", Level.WARNING, "cell_like_formula"),
        ("管理番号", Level.ERROR, "reference_twice"),
    ]
    assert outcome.faults[1].problem.message_ja.startswith("5行目と同じ")
    # the rejected row's number was not taken: it counts for nobody
    assert checker.check(_row(9, 管理番号="K2", 電話番号="08012345678")).faults == ()


def test_a_rejected_row_is_nobody_s_twin():
    checker = Checker(_rules())
    assert isinstance(checker.check(_row(5, 請求金額="0")), Rejected)
    assert checker.check(_row(6)).faults == ()


def test_choices_are_held_to():
    question = Question("住まい", QuestionKind.CHOICE, choices=("アパート", "一戸建て"))
    rules = _rules(("電話番号", "住まい"), (question,), (), payment_required=False)
    assert _passed((2, ["09012345678", "ｱﾊﾟｰﾄ"]), rules).answers == ("アパート",)
    assert _faults(check_row((2, ["09012345678", "寮"]), rules)) == [("住まい", Level.ERROR, "answer_not_a_choice")]


def test_a_text_answer_that_is_merged_too_is_checked_as_text():
    rules = _rules(("電話番号", "氏名"), (Question("氏名", QuestionKind.TEXT),), ("氏名",), payment_required=False)
    outcome = _passed((2, ["09012345678", "髙橋 一郎"]), rules)
    assert (outcome.answers, outcome.fields) == (("髙橋一郎",), {"氏名": "髙橋 一郎"})
    # and as an answer: the person may type 高橋
    assert _faults(outcome) == [
        ("氏名", Level.WARNING, "answer_with_variants"), ("氏名", Level.WARNING, "cell_carrier_characters"),
    ]  # fmt: skip


def test_levels_have_words_and_faults_are_values():
    assert set(LEVEL_LABELS) == set(Level)
    assert Fault(2, None, Level.ERROR, Problem("a", "b")) == Fault(2, None, Level.ERROR, Problem("a", "b"))


@pytest.mark.parametrize("sign", ["\0", "\ud800"])
@pytest.mark.parametrize("column", ["管理番号", "電話番号", "氏名", "生年月日", "備考"])
def test_nul_and_half_of_a_letter_are_refused_at_their_cell(column, sign):
    outcome = check_row(_row(**{column: f"山{sign}田"}), _rules())
    assert isinstance(outcome, Rejected)
    assert _faults(outcome) == [(column, Level.ERROR, "cell_unwritable")]
    assert "入力し直してください" in outcome.faults[0].problem.message_ja
    # the file of rejected rows can be written
    assert "".join(outcome.cells).encode()
    assert "山�田" in outcome.cells


def test_a_row_that_is_looked_at_once_holds_nothing_that_the_other_looks_would_find():
    for number in range(sys.maxunicode + 1):
        sign = chr(number)
        if not checks._RARE.search(sign):
            cell = f"山{sign}田"
            assert cell_text.cleaned([cell, sign]) == [cell, sign], hex(number)
            assert not UNWRITABLE.search(sign)
            assert not carrier_text.may_have_lost_letters(sign)
            assert restore(f"{sign}=") == f"{sign}="
    assert checks._RARE.search("#N/A")
    assert checks._RARE.search('="001"')
