"""Lists as customers make them. The folder of samples lies beside the project; without it these tests are skipped."""

import datetime as dt
import json
from pathlib import Path

import pytest

from app.intake.checking.checks import CheckedRow, Checker, Level
from app.intake.checking.rules import make_rules
from app.intake.columns.mapping import ColumnMapping, Question, propose
from app.intake.reading.reader import read_table
from app.values.answers import QuestionKind

SAMPLES = Path(__file__).parents[3].parent / "shared" / "samples"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no folder of samples: {SAMPLES.name} beside the project")

BIRTH = Question("生年月日", QuestionKind.DATE)
CONTRACT = Question("契約番号の下4桁", QuestionKind.LAST4)
POSTCODE = Question("郵便番号", QuestionKind.POSTCODE)
PHONE_LAST4 = Question("電話番号の下4桁", QuestionKind.LAST4)


def _check(name, questions, merge_names, *, payment_required):
    with (SAMPLES / name).open("rb") as file:
        table = read_table(file)
        mapping = propose(table.header, questions, payment_required=payment_required)
        assert mapping.problems(table.header, questions, merge_names, payment_required=payment_required) == []
        today = dt.date(2026, 11, 23)
        rules = make_rules(
            table.header, mapping, questions, merge_names, payment_required=payment_required, today=today
        )
        checker = Checker(rules)
        return table, mapping, [checker.check(row) for row in table.rows]


def test_every_known_fault_is_found_and_no_other():
    truth = json.loads((SAMPLES / "dirty.truth.json").read_text())
    table, _, outcomes = _check("dirty.csv", [BIRTH, CONTRACT], ["氏名"], payment_required=True)
    assert table.encoding == "cp932"
    found = [(fault.sheet_row, fault.column, fault.level) for outcome in outcomes for fault in outcome.faults]
    assert found == [(int(row), fault["column"], fault["level"]) for row, fault in truth.items()]
    kept_out = {int(row) for row, fault in truth.items() if fault["level"] != "warning"}
    good = [outcome.sheet_row for outcome in outcomes if isinstance(outcome, CheckedRow)]
    assert good == [row for row in range(2, len(outcomes) + 2) if row not in kept_out]


@pytest.mark.parametrize(
    ("name", "encoding", "questions", "merge_names", "payment_required", "mapping"),
    [
        (
            "insurance.csv",
            "cp932",
            [BIRTH, POSTCODE],
            ["氏名", "証券番号"],
            True,
            ColumnMapping("携帯電話番号", "お客様番号", "請求金額", "払込期限", ("生年月日", "郵便番号")),
        ),
        (
            "collection.csv",
            "cp932",
            [BIRTH, CONTRACT],
            ["氏名"],
            True,
            ColumnMapping("電話番号", "管理番号", "請求金額", "支払期限", ("生年月日", "契約番号下4桁")),
        ),
        (
            "visit.csv",
            "utf-8-sig",
            [PHONE_LAST4],
            ["お名前", "訪問日", "時間帯"],
            False,
            ColumnMapping("電話番号", "受付番号", None, None, ("電話番号下4桁",)),
        ),
    ],
)
def test_every_row_of_a_good_list_passes(name, encoding, questions, merge_names, payment_required, mapping):
    table, proposed, outcomes = _check(name, questions, merge_names, payment_required=payment_required)
    assert (table.encoding, proposed) == (encoding, mapping)
    assert len(outcomes) == 500
    for outcome in outcomes:
        assert isinstance(outcome, CheckedRow)
        assert outcome.phone.startswith("+81")
        assert (outcome.amount_yen is not None) == (outcome.due_date is not None) == payment_required
        assert len(outcome.answers) == len(questions)
        assert set(merge_names) <= set(outcome.fields)
    codes = {(fault.level, fault.problem.code) for outcome in outcomes for fault in outcome.faults}
    assert codes <= {(Level.WARNING, "cell_carrier_characters")}  # some are called 﨑山


def test_a_visit_list_tells_last_digits_of_the_phone_from_the_phone():
    _, _, outcomes = _check("visit.csv", [PHONE_LAST4], ["お名前", "訪問日"], payment_required=False)
    for outcome in outcomes:
        assert outcome.phone.endswith(outcome.answers[0])
    assert outcomes[0].fields["訪問日"] == "12月13日"
