"""`make contract`: every provider against its contract, and the table of what was tried, provider by case.

In: the tests named `test_conformance[provider-case]`, and those that hold adapters and sandbox to the official SDKs and
specifications. Out: one line for each case, printed and, when all of it passed, written into docs/. Can't happen here:
a table in docs/ that a failing run made.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from app.providers.payments import PROVIDERS
from app.providers.payments.base import Charge, ChargeStatus, PaymentAccess, PaymentProvider

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs" / "payment-providers-table.md"
_TESTS = ("tests/payments", "tests/sms", "tests/sandbox")
_OF_THE_PAGE = "tests/payments/test_conformance.py::test_the_table_in_docs_has_every_case"
_CONFORMANCE = re.compile(r"tests/payments/test_conformance\.py::test_conformance\[([a-z]+)-(.+)\]")
_WORDS = {"passed": "passes", "failed": "FAILS"}


class Results:
    """The result of each case, as pytest tells it: case -> provider -> passed, failed, or why it is not offered."""

    def __init__(self) -> None:
        self.cases: dict[str, dict[str, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one report; the worst of set-up, call and tear-down counts."""
        found = _CONFORMANCE.search(report.nodeid)
        if found is None:
            return
        provider, case = found.groups()
        kept = self.cases.setdefault(case, {})
        if report.failed:
            kept[provider] = "failed"
        elif report.skipped and isinstance(report.longrepr, tuple):
            kept[provider] = f"n/a: {report.longrepr[2].removeprefix('Skipped: ')}"
        elif report.when == "call":
            kept.setdefault(provider, "passed")


def main() -> int:
    """Run the tests and tell of them; pytest's exit code."""
    results = Results()
    # that the page in docs/ is of today is for the default tests to say: this run writes it
    options = ["-q", "-p", "no:randomly", f"--deselect={_OF_THE_PAGE}"]
    code = int(pytest.main([*options, *_TESTS, *sys.argv[1:]], plugins=[results]))
    print()
    for line in text(results.cases):
        print(line)
    if code == 0 and not sys.argv[1:]:
        TABLE.write_text(markdown(results.cases), encoding="utf-8")
        print(f"\n{TABLE.relative_to(ROOT)} is written.")
    return code


def text(cases: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Lay the table out for a terminal."""
    rows = _rows(cases)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def markdown(cases: Mapping[str, Mapping[str, str]]) -> str:
    """Write the page for docs/."""
    abilities = [["", *(provider.label for provider in PROVIDERS.values())]]
    abilities += [[what, *column] for what, *column in _abilities()]
    return "\n".join(
        [
            "# Payment providers: what each was tried with",
            "",
            "Made by `make contract`, from the last run in which everything passed, against the sandbox. `n/a` says",
            "what the provider doesn't offer. PayPay signs no webhook: there the signature is the merchant's id, and",
            "a forged one only makes the product ask.",
            "",
            *_table(_rows(cases)),
            "",
            "What each can do:",
            "",
            *_table(abilities),
            "",
        ]
    )


def _rows(cases: Mapping[str, Mapping[str, str]]) -> list[list[str]]:
    rows = [["case", *(provider.label for provider in PROVIDERS.values())]]
    for case, told in cases.items():
        became = [told.get(name, "not run") for name in PROVIDERS]
        rows.append([case, *(_WORDS.get(one, one) for one in became)])
    return rows


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]


def _abilities() -> list[list[str]]:
    """Ask each adapter what it would do with a charge."""
    account = PaymentAccess("https://provider.example", {}, {})
    paid = Charge("id", "reference", ChargeStatus.PAID, 1_000, "jpy", payment_id="payment")
    opened, waiting = replace(paid, status=ChargeStatus.OPEN), replace(paid, status=ChargeStatus.PENDING)
    questions: dict[str, Callable[[PaymentProvider], object]] = {
        "ends an open page": lambda one: one.expire(account, opened),
        "cancels an order that waits for its money": lambda one: one.expire(account, waiting),
        "gives money back": lambda one: one.refund(account, paid, 1_000, "refund"),
        "lists a day's charges": lambda one: one.day_request(account, date(2026, 1, 1)),
    }
    providers = PROVIDERS.values()
    rows = [[what, *("no" if ask(one) is None else "yes" for one in providers)] for what, ask in questions.items()]
    rows.append(["means of payment", *(", ".join(one.methods) for one in providers)])
    rows.append(["longest life of a page, minutes", *(str(one.lifetime_s[1] // 60) for one in providers)])
    return rows


if __name__ == "__main__":
    sys.exit(main())
