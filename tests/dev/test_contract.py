"""The tables of what providers were tried with: each case says what became of it, and docs/ holds all of them."""

from typing import Any, Literal

import pytest

from dev.contract import KINDS, Kind, Results, markdown, text

ROOM = KINDS["payments"].room


def told(case: str, outcome: Literal["passed", "failed", "skipped"], when: Literal["setup", "call", "teardown"]) -> Any:
    nodeid = f"tests/{case}"
    longrepr = ("test_conformance.py", 1, "Skipped: not offered") if outcome == "skipped" else None
    return pytest.TestReport(nodeid, ("", 1, ""), {}, outcome, longrepr, when)


def of_payments(case: str) -> str:
    return f"payments/test_conformance.py::test_conformance[{case}]"


def test_the_worst_of_a_case_counts() -> None:
    results = Results()
    for report in (
        told(of_payments("stripe-paid"), "passed", "setup"),
        told(of_payments("stripe-paid"), "passed", "call"),
        told(of_payments("stripe-paid"), "failed", "teardown"),
        told(of_payments("payjp-paid"), "passed", "call"),
        told(of_payments("komoju-paid"), "failed", "setup"),
        told(of_payments("paypay-pending, then paid"), "skipped", "call"),
        told("providers/sms/test_conformance.py::test_conformance[zettai_reach-5xx]", "passed", "call"),
    ):
        results.pytest_runtest_logreport(report)
    results.pytest_runtest_logreport(pytest.TestReport("tests/x.py::test_y", ("", 1, ""), {}, "failed", None, "call"))
    cases = results.rooms[ROOM]
    assert cases == {
        "paid": {"stripe": "failed", "payjp": "passed", "komoju": "failed"},
        "pending, then paid": {"paypay": "n/a: not offered"},
    }
    assert results.rooms["providers/sms"] == {"5xx": {"zettai_reach": "passed"}}
    assert text(KINDS["payments"], cases)[1].split() == ["paid", "FAILS", "passes", "FAILS", "not", "run"]
    whole = markdown(KINDS["payments"], cases, [])
    assert "| pending, then paid | not run | not run | not run | n/a: not offered |" in whole


def test_a_judge_that_was_not_at_hand_is_named() -> None:
    results = Results()
    reason = "the official contract x.yaml is not at hand"
    for said in (reason, "slow"):
        results.pytest_runtest_logreport(
            pytest.TestReport("tests/x.py::test_y", ("", 1, ""), {}, "skipped", ("x.py", 1, f"Skipped: {said}"), "call")
        )
    assert results.missing == {reason}
    assert f"not at hand in that run: {reason}.\n" in markdown(KINDS["sms"], {}, results.missing)
    assert "not at hand in that run: none.\n" in markdown(KINDS["sms"], {}, [])


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_the_table_in_docs_is_whole(kind: Kind) -> None:
    written = kind.table.read_text(encoding="utf-8")
    assert "FAILS" not in written
    assert "not run" not in written
    assert "\nJudges that were not at hand in that run: " in written
    assert f"| case | {' | '.join(provider.label for provider in kind.providers.values())} |" in written
