"""The drill's cell of questions about payments: some can't be asked about, and nobody else waits for them.

Real programs, phones over HTTP (`bench.recipient_client`). At each of four providers 40 people pay; about two of them
the provider gives no answer, to one question never, to the other 500; and it tells of 500 payments of another system in
the same contract. `paid_s` is the time from the last press until everybody else stands as paid. Then the provider
answers again, and both books are compared person by person, as in `bench.drill_payments`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.drill_payments import PHONES_AT_ONCE, Shop, Way
from bench.harness import Ground
from bench.report import Run
from bench.send import database

FIELDS = (
    "cell",
    "factor",
    "payments",
    "unanswerable",
    "foreign",
    "paid_s",
    "lost",
    "duplicated",
    "yen_difference",
)
# time limits of questions are those of production
FACTORS = {"notices_unanswerable": 1}
_PAYERS = 160  # 40 at each provider
_FOREIGN = 500  # at each provider
_LIMIT_S = 60.0
# how much later the provider tells of those that can't be asked about: until then it is known which they are
_DELAY_MS = 8_000
_POLL_S = 0.2


def notices_unanswerable(ground: Ground) -> Run:
    """Let two payments of each provider stay without an answer while everybody else's events come."""
    ground.run("web", "tracking", "scheduler")
    shop = Shop.open(ground, _PAYERS // 4)
    silent, others = _parted(shop.people)
    ground.sandbox.faults(webhooks_delay_ms=_DELAY_MS)
    _let_pay(shop, silent)
    told = ground.sandbox.payments()
    ids = [[one[name] for one in told[half::2] for name in ("id", "reference")] for half in (0, 1)]
    ground.sandbox.faults(hang={"value": True, "ids": ids[0]}, error_before={"value": True, "ids": ids[1]})
    for site, account in shop.accounts.items():
        ground.sandbox.foreign(site, account["key"], _FOREIGN, merchant="merchant-1")
    _let_pay(shop, others)
    since = time.monotonic()
    wanted = {person["id"] for person in others}
    with database(ground.stack) as connection:
        while time.monotonic() < since + 2 * _LIMIT_S:
            rows = connection.execute("SELECT id FROM recipient WHERE payment_state = 'paid'").fetchall()
            if wanted <= {recipient_id for (recipient_id,) in rows}:
                break
            time.sleep(_POLL_S)
    paid_s = time.monotonic() - since
    ground.sandbox.faults()
    return {
        "unanswerable": len(silent),
        "foreign": _FOREIGN * len(shop.accounts),
        "paid_s": round(paid_s, 1),
        **shop.verdict(),
    }


def _parted(people: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Part two people of each provider from all others."""
    silent: list[Mapping[str, Any]] = []
    others: list[Mapping[str, Any]] = []
    for person in people:
        mine = sum(one["provider"] == person["provider"] for one in silent)
        (silent if mine < 2 else others).append(person)  # noqa: PLR2004 - two of each
    return silent, others


def _let_pay(shop: Shop, people: Sequence[Mapping[str, Any]]) -> None:
    with ThreadPoolExecutor(PHONES_AT_ONCE) as crowd:
        list(crowd.map(lambda person: shop.pay(person, Way()), people))


def holds(run: Run) -> bool:
    """Return whether the cell came out as it must."""
    paid_s = run["paid_s"]
    in_time = isinstance(paid_s, int | float) and paid_s <= _LIMIT_S
    return (
        in_time
        and run["payments"] == _PAYERS
        and not any(run[name] for name in ("lost", "duplicated", "yen_difference"))
    )


CELLS: Mapping[str, Callable[[Ground], Run]] = {"notices_unanswerable": notices_unanswerable}
