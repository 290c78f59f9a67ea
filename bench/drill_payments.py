"""The drill's cells of payment: 1,000 people of four payment providers each, and what goes wrong while they pay.

Real programs, phones over HTTP (`bench.recipient_client`); the judge is the sandbox's ledger of what it charged. `lost`
are people whose money the provider has, or should have, and who don't stand as paid here; `duplicated` what was
charged, or told, more than once; `yen_difference` the sum of what each person's two books differ by. All three are 0 in
a product that keeps its word.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from bench.harness import Ground
from bench.lists import write_list
from bench.recipient_client import Phone
from bench.report import Run
from bench.send import database
from dev.stack import ROOT, serve

FIELDS = ("cell", "factor", "payments", "lost", "duplicated", "yen_difference")
PAYMENTS = int(os.environ.get("DRILL_PAYMENTS", "1000"))
_SITES = ("stripe", "payjp", "komoju", "paypay")
_AT_ONCE = {"stripe": "card", "payjp": "card", "komoju": "credit_card", "paypay": "paypay"}
_LATER = ("stripe", "komoju")
# of those who can, one in so many orders a slip and pays it a moment later
_SLIP_EVERY = 3
PHONES_AT_ONCE = 12
_LIMIT_S = 500.0
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Way:
    """How people pay in a cell: how many phones each has, and which of them come back from the provider."""

    phones: int = 1
    come_back: Callable[[int], bool] = lambda _number: False


def paying(way: Way, **switches: object) -> Callable[[Ground], Run]:
    """Let webhooks go wrong while people pay who never come back; delays are divided by the factor."""

    def cell(ground: Ground) -> Run:
        ground.run("web", "tracking", "scheduler")
        shop = Shop.open(ground)
        ground.sandbox.faults(
            **{
                name: ground.scaled(value) if name.endswith("_ms") and isinstance(value, int) else value
                for name, value in switches.items()
            }
        )
        with ThreadPoolExecutor(PHONES_AT_ONCE) as crowd:
            list(crowd.map(lambda person: shop.pay(person, way), shop.people))
        if switches.get("webhooks_off"):
            shop.a_day_later()
        return shop.verdict()

    return cell


def killed(ground: Ground) -> Run:
    """Kill web server and worker -9, each life anew, between the provider's deed and our commit. Half come back."""
    ground.run("scheduler")
    programs = {
        "doomed-web": serve("bench.payment_fault_injection:app", ground.stack.web_port)[2:],
        "doomed-tracking": ["bench.payment_fault_injection", "worker", "tracking"],
    }
    lives = {name: [ground.start(*command, log=name)] for name, command in programs.items()}

    def supervise() -> None:
        for name, command in programs.items():
            if lives[name][-1].poll() is not None:
                lives[name].append(ground.start(*command, log=name))

    shop = Shop.open(ground)
    with ThreadPoolExecutor(PHONES_AT_ONCE) as crowd:
        way = Way(come_back=lambda number: number % 2 == 0)
        paid = [crowd.submit(shop.pay, person, way) for person in shop.people]
        while not all(one.done() for one in paid):
            supervise()
            time.sleep(_POLL_S)
    for one in paid:
        one.result()
    told = shop.verdict(meanwhile=supervise)
    deaths = {name: len(of) - 1 for name, of in lives.items()}
    print(f"  killed: {deaths}", file=sys.stderr, flush=True)
    if not all(deaths.values()):
        raise RuntimeError(f"a program was never killed: {deaths}")
    return told


@dataclass(frozen=True, slots=True)
class Shop:
    """People who are to pay, and both books."""

    ground: Ground
    people: Sequence[Mapping[str, Any]]
    accounts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, ground: Ground, people: int = PAYMENTS // len(_SITES)) -> "Shop":
        """Make so many people for each provider, and tell the providers where their webhooks go."""
        path = ground.stack.folder / "payers.csv"
        # one row in a thousand is faulty, the first one
        write_list(path, people + 1)
        command = [sys.executable, "-m", "bench.payment_dataset", str(path)]
        done = subprocess.run(command, cwd=ROOT, env=ground.stack.env, stdout=subprocess.PIPE, check=True)
        told = json.loads(done.stdout.splitlines()[-1])
        for site, account in told["accounts"].items():
            url = f"{ground.stack.web_url}/callbacks/payment/{account['id']}"
            webhook = {account["key"]: {"url": url, "secret": account["secret"]}}
            ground.sandbox.addresses(**{f"{site}_webhooks": webhook})
        payers = list(told["people"])
        random.Random(PAYMENTS).shuffle(payers)
        return cls(ground, payers, told["accounts"])

    def pay(self, person: Mapping[str, Any], way: Way) -> None:
        """Let one person pay, from the tap on the link to the provider's thanks."""
        number = person["id"] * way.phones
        with ThreadPoolExecutor(way.phones) as hands:
            done = [hands.submit(self._pay, person, way, Phone(self._url, number + hand)) for hand in range(way.phones)]
        for one in done:
            one.result()

    @property
    def _url(self) -> str:
        return self.ground.stack.web_url

    def _pay(self, person: Mapping[str, Any], way: Way, phone: Phone) -> None:
        site = person["provider"]
        slip = site in _LATER and person["id"] % _SLIP_EVERY == 0
        phone.open(person["token"])
        while url := phone.to_the_provider():
            if not phone.choose(url, "konbini" if slip else _AT_ONCE[site]):
                continue  # that page is over
            if slip:
                phone.choose(f"{url}/slip", "paid")
            break
        if way.come_back(person["id"]):
            phone.come_back()

    def a_day_later(self) -> None:
        """Move the clock of what waits by a day: whatever should have been heard of by then was not."""
        with database(self.ground.stack) as connection:
            for column in ("created_at", "checked_at", "ask_at"):
                connection.execute(f"UPDATE payment SET {column} = {column} - interval '1 day'")  # noqa: S608

    def verdict(self, meanwhile: Callable[[], None] = lambda: None, *, limit_s: float = _LIMIT_S) -> Run:
        """Wait until everybody stands as paid, then compare both books person by person."""
        deadline = time.monotonic() + limit_s
        ids = [person["id"] for person in self.people]
        with database(self.ground.stack) as connection:
            while time.monotonic() < deadline:
                meanwhile()
                row = connection.execute(
                    "SELECT count(*) FROM recipient WHERE id = ANY(%s) AND payment_state <> 'paid'", [ids]
                ).fetchone()
                if row is None or row[0] == 0:
                    break
                time.sleep(_POLL_S)
            ours = {
                recipient_id: (yen, told)
                for recipient_id, yen, told in connection.execute(
                    """
                    SELECT r.id, coalesce((
                        SELECT sum(p.amount_yen) FROM payment p
                        WHERE p.recipient_id = r.id AND p.state = 'paid' AND p.problem = '' AND r.payment_state = 'paid'
                        AND p.amount_yen = r.amount_yen
                    ), 0), (
                        SELECT count(*) FROM event e
                        WHERE e.recipient_id = r.id AND e.track = 'payment' AND e.state = 'paid'
                    )
                    FROM recipient r WHERE r.id = ANY(%s)
                    """,
                    [ids],
                )
            }
        charged: dict[int, list[int]] = defaultdict(list)
        for payment in self.ground.sandbox.payments():
            if payment["state"] == "paid":
                charged[int(payment["reference"].split(".")[1])].append(payment["amount"])
        if set(charged) - set(ids):
            raise RuntimeError("somebody paid who is on no list of this cell")
        return {
            "payments": len(charged),
            "lost": sum(not charged[one] or not ours[one][0] for one in ids),
            "duplicated": sum(max(len(charged[one]) - 1, 0) + max(ours[one][1] - 1, 0) for one in ids),
            "yen_difference": sum(abs(sum(charged[one]) - int(ours[one][0])) for one in ids),
        }


def holds(run: Run) -> bool:
    """Return whether a cell came out as it must."""
    return run["payments"] == PAYMENTS and not any(run[name] for name in ("lost", "duplicated", "yen_difference"))


CELLS: Mapping[str, Callable[[Ground], Run]] = {
    "payment_killed": killed,
    "webhooks_doubled": paying(Way(), webhooks_doubled=True),
    "webhooks_reversed": paying(Way(), webhooks_jitter_ms=20_000),
    "webhooks_lost": paying(Way(), webhooks_off=True),
    "two_phones": paying(Way(phones=2)),
}
