"""The table of what providers were tried with: each case says what became of it, and docs/ holds all of them."""

from typing import Any, Literal

import pytest

from app.providers.payments import PROVIDERS
from dev.contract import TABLE, Results, markdown, text


def told(case: str, outcome: Literal["passed", "failed", "skipped"], when: Literal["setup", "call", "teardown"]) -> Any:
    nodeid = f"tests/payments/test_conformance.py::test_conformance[{case}]"
    longrepr = ("test_conformance.py", 1, "Skipped: not offered") if outcome == "skipped" else None
    return pytest.TestReport(nodeid, ("", 1, ""), {}, outcome, longrepr, when)


def test_the_worst_of_a_case_counts() -> None:
    results = Results()
    for report in (
        told("stripe-paid", "passed", "setup"),
        told("stripe-paid", "passed", "call"),
        told("stripe-paid", "failed", "teardown"),
        told("payjp-paid", "passed", "call"),
        told("komoju-paid", "failed", "setup"),
        told("paypay-pending, then paid", "skipped", "call"),
    ):
        results.pytest_runtest_logreport(report)
    results.pytest_runtest_logreport(pytest.TestReport("tests/x.py::test_y", ("", 1, ""), {}, "failed", None, "call"))
    assert results.cases == {
        "paid": {"stripe": "failed", "payjp": "passed", "komoju": "failed"},
        "pending, then paid": {"paypay": "n/a: not offered"},
    }
    assert text(results.cases)[1].split() == ["paid", "FAILS", "passes", "FAILS", "not", "run"]
    assert "| pending, then paid | not run | not run | not run | n/a: not offered |" in markdown(results.cases)


def test_the_table_in_docs_is_whole() -> None:
    written = TABLE.read_text(encoding="utf-8")
    assert "FAILS" not in written
    assert "not run" not in written
    assert f"| case | {' | '.join(provider.label for provider in PROVIDERS.values())} |" in written
