"""`make contract`: every provider against its contract, and the tables of what was tried, provider by case.

In: the tests named `test_conformance[provider-case]`, and those that hold adapters and sandbox to the official SDKs and
specifications. Out: one line for each case, printed and, when all of it passed, written into docs/; and which of the
judges were not at hand. Can't happen here: a table in docs/ that a failing run made.

`python -m dev.contract sms` tries the SMS services alone, `payments` the payment providers.
"""

import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Protocol

import pytest

from app.providers import payments, sms
from app.providers.payments.base import Charge, ChargeStatus, PaymentAccess, PaymentProvider
from app.providers.sms.base import Capabilities

ROOT = Path(__file__).parents[1]
_OF_THE_PAGE = "test_conformance.py::test_the_table_in_docs_has_every_case"
_CONFORMANCE = re.compile(r"tests/(\w+|\w+/\w+)/test_conformance\.py::test_conformance\[([a-z_]+)-(.+)\]")
_WORDS = {"passed": "passes", "failed": "FAILS"}
_MISSING = re.compile(r"not at hand")

Cases = dict[str, dict[str, str]]


class _Labelled(Protocol):
    label: str


@dataclass(frozen=True)
class Kind:
    """A kind of provider: where its cases and its other judges stand, and its page in docs/.

    `abilities` are further rows, by what they tell.
    """

    room: str
    tests: Sequence[str]
    table: Path
    providers: Mapping[str, _Labelled]
    head: Sequence[str]
    abilities: Callable[[], Sequence[Sequence[str]]]


@dataclass(eq=False)  # pytest keeps its plugins in sets
class Results:
    """The result of each case, as pytest tells it: room -> case -> provider -> passed, failed, or why it isn't offered.

    `missing` are the judges that were not at hand.
    """

    rooms: dict[str, Cases] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one report; the worst of set-up, call and tear-down counts."""
        reason = str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
        found = _CONFORMANCE.search(report.nodeid)
        if found is None:
            self.missing |= {reason} if _MISSING.search(reason) else set()
            return
        room, provider, case = found.groups()
        kept = self.rooms.setdefault(room, {}).setdefault(case, {})
        if report.failed:
            kept[provider] = "failed"
        elif report.skipped:
            kept[provider] = f"n/a: {reason}"
        elif report.when == "call":
            kept.setdefault(provider, "passed")


def main(arguments: Sequence[str]) -> int:
    """Run the tests and tell of them; pytest's exit code."""
    named = [kind for name, kind in KINDS.items() if name in arguments]
    more = [argument for argument in arguments if argument not in KINDS]
    kinds = named or list(KINDS.values())
    results = Results()
    # that the pages in docs/ are of today is for the default tests to say: this run writes them
    pages = [f"--deselect=tests/{kind.room}/{_OF_THE_PAGE}" for kind in kinds]
    paths = dict.fromkeys(path for kind in kinds for path in kind.tests)
    code = int(pytest.main(["-q", "-p", "no:randomly", *pages, *paths, *more], plugins=[results]))
    for kind in kinds:
        cases = results.rooms.get(kind.room, {})
        print()
        for line in text(kind, cases):
            print(line)
        if code == 0 and not more:
            kind.table.write_text(markdown(kind, cases, results.missing), encoding="utf-8")
            print(f"\n{kind.table.relative_to(ROOT)} is written.")
    for reason in sorted(results.missing):
        print(f"missing judge: {reason}")
    return code


def text(kind: Kind, cases: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Lay the table out for a terminal."""
    rows = _rows(kind, cases)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def markdown(kind: Kind, cases: Mapping[str, Mapping[str, str]], missing: Collection[str]) -> str:
    """Write the page for docs/, with the judges that were not at hand."""
    judges = "Judges that were not at hand in that run: " + ("; ".join(sorted(missing)) or "none") + "."
    abilities = [["", *(provider.label for provider in kind.providers.values())], *kind.abilities()]
    table = _table(_rows(kind, cases))
    return "\n".join([*kind.head, "", *table, "", judges, "", "What each can do:", "", *_table(abilities), ""])


def _rows(kind: Kind, cases: Mapping[str, Mapping[str, str]]) -> list[list[str]]:
    rows = [["case", *(provider.label for provider in kind.providers.values())]]
    for case, told in cases.items():
        became = [told.get(name, "not run") for name in kind.providers]
        rows.append([case, *(_WORDS.get(one, one) for one in became)])
    return rows


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]


def _of_payments() -> list[list[str]]:
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
    providers = payments.PROVIDERS.values()
    rows = [[what, *("no" if ask(one) is None else "yes" for one in providers)] for what, ask in questions.items()]
    rows.append(["means of payment", *(", ".join(one.methods) for one in providers)])
    rows.append(["longest life of a page, minutes", *(str(one.lifetime_s[1] // 60) for one in providers)])
    return rows


def _of_sms() -> list[list[str]]:
    """Return what each adapter declares."""
    facts: dict[str, Callable[[Capabilities], str]] = {
        "looked up by": lambda able: able.lookup_by,
        "refuses a reference that it had before": lambda able: _yes(able.refuses_duplicates),
        "receipts": lambda able: able.receipts,
        "tells the carrier": lambda able: _yes(able.tells_carrier),
        "tells the units charged": lambda able: _yes(able.tells_units),
        "takes an end for a message": lambda able: _yes(able.validity is not None),
        "takes a sender": lambda able: _yes(able.takes_sender),
        "most requests a second": lambda able: str(able.most_requests_s or "not told"),
    }
    services = sms.PROVIDERS.values()
    return [[what, *(tell(one.capabilities) for one in services)] for what, tell in facts.items()]


def _yes(able: bool) -> str:  # noqa: FBT001 - a word for it
    return "yes" if able else "no"


KINDS: Mapping[str, Kind] = {
    "payments": Kind(
        "payments",
        ("tests/payments", "tests/providers/payments", "tests/sandbox"),
        ROOT / "docs" / "payment-providers-table.md",
        payments.PROVIDERS,
        (
            "# Payment providers: what each was tried with",
            "",
            "Made by `make contract`, from the last run in which everything passed, against the sandbox. `n/a` says",
            "what the provider doesn't offer. PayPay signs no webhook: there the signature is the merchant's id, and",
            "a forged one only makes the product ask.",
        ),
        _of_payments,
    ),
    "sms": Kind(
        "providers/sms",
        ("tests/providers/sms", "tests/sandbox"),
        ROOT / "docs" / "sms-providers-table.md",
        sms.PROVIDERS,
        (
            "# SMS services: what each was tried with",
            "",
            "Made by `make contract`, from the last run in which everything passed. `n/a` says what a service",
            "doesn't offer. The answers are those of each specification (`tests/providers/sms/samples_<name>.py`).",
        ),
        _of_sms,
    ),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
