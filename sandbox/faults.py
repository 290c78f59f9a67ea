"""Faults on demand.

In: a JSON object, switch -> setting, which replaces all switches. Out: for each request the one fault it meets, and
for each receipt or webhook what becomes of it. A setting is a plain value (always), `{"value": v, "next": n}` (the
next n times) or `{"value": v, "rate": p}` (each time with probability p); `"on"` limits it to an API or one of its
calls by prefix (`karaden`, `zettai_reach.create`, `stripe.session_create`, …), with Karaden's tenant id behind it to
one contract (`karaden.create@1b4e28ba-…`). For switches that are only on or off, `"value"` may be left out. `"seed"`
makes the dice repeatable.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# At most one of these meets a request; the first that fires.
FAULTS = {
    "reset_before_body": "the connection is reset before the request is accepted",
    "too_many_requests": "429 with Retry-After, not accepted",
    "forbidden": "403, not accepted",
    "error_before": "500, not accepted",
    "error_after": "accepted, then 500",
    "reset_after_body": "accepted, then the connection is reset without an answer",
    "hang": "accepted, never answered",
    "gateway_timeout": "504 of a gateway; accepted `taken_late_s` later",
    "hang_late": "never answered; accepted `taken_late_s` later",
}
FLAGS = {
    "receipts_off": "no receipt is sent",
    "receipts_doubled": "each receipt is sent twice",
    "receipts_reversed": "after the final receipt comes one that still says processing",
    "receipts_early": "the receipt comes before our own HTTP answer",
    "webhooks_off": "no webhook is sent",
    "webhooks_doubled": "each webhook is sent twice",
    "currency_wrong": "a payment provider tells another currency than was ordered",
    "list_empty": "a list of messages is empty, whatever there is",
    "list_unfiltered": "a list of messages doesn't obey its tag filter",
    "tags_upper": "tags are written in upper case",
    "tag_unlisted": "an accepted message never stands in the list of its tag, only in that of its time",
    "tag_lost": "an accepted message is listed without its tags",
}
AMOUNTS = {
    "latency_ms": "each answer comes this much later",
    "jitter_ms": "and up to this much more, evenly spread",
    "retry_after_s": "Retry-After of a 429, seconds",
    "receipt_delay_ms": "from acceptance to the end of an SMS",
    "receipts_late_ms": "the receipt comes this long after the end of an SMS",
    "webhooks_delay_ms": "each webhook comes this much later",
    "webhooks_jitter_ms": "and up to this much more, evenly spread: they overtake each other",
    "amount_wrong": "a payment provider tells so much more than was ordered",
    "paid_ahead_s": "a payment provider tells a time of payment so much later",
    "paid_behind_s": "a payment provider tells a time of payment so much earlier",
    "list_stale_s": "messages younger than this stand in no list yet, seconds",
    "clock_behind_s": "the carrier's clock is this much behind, seconds",
    "taken_late_s": "how much later a gateway's message is accepted, seconds",
    "poison": "the status with which sends are refused, not accepted; `ids` has digits of the numbers",
}
_NAMES = FAULTS.keys() | FLAGS.keys() | AMOUNTS.keys()


class SwitchError(Exception):
    """A switch that can't be set; `args[0]` says what to give."""


@dataclass(slots=True)
class Switch:
    """One switch that was set.

    `left`: how many more times; `rate`: how likely; neither: always.

    With `ids`, only for calls that name one of them.
    """

    value: float
    left: int | None = None
    rate: float | None = None
    on: str = ""
    ids: tuple[str, ...] = ()

    def fires(self, dice: random.Random, call: str, path: str = "") -> bool:
        """Return whether it acts this time, and count it."""
        if not self.value or not call.startswith(self.on):
            return False
        if self.ids and not any(one in path for one in self.ids):
            return False
        if self.rate is not None:
            return dice.random() < self.rate
        if self.left is not None:
            if self.left == 0:
                return False
            self.left -= 1
        return True


class Switches:
    """All switches. `defaults` hold the amounts that count where a switch is not set."""

    def __init__(self, defaults: Mapping[str, float]) -> None:
        self._defaults = defaults
        self._set: dict[str, Switch] = {}
        self._faults: list[tuple[str, Switch]] = []
        self._seed: int | None = None
        self._dice = random.Random()  # noqa: S311 - dice, not secrets

    def replace(self, wanted: object) -> None:
        """Set exactly these switches; those not named are off.

        Raises SwitchError and then changes nothing.
        """
        if not isinstance(wanted, dict):
            message = "give a JSON object, switch -> setting"
            raise SwitchError(message)
        seed = wanted.get("seed")
        if seed is not None and type(seed) is not int:
            message = "seed: give a whole number"
            raise SwitchError(message)
        parsed = {name: _parse(name, raw) for name, raw in wanted.items() if name != "seed"}
        self._set = parsed
        self._faults = [(name, parsed[name]) for name in FAULTS if name in parsed]
        self._seed = seed
        self._dice.seed(seed)

    def show(self) -> dict[str, object]:
        """Return what is set now, in the form that `replace` takes; `next` counts down."""
        shown: dict[str, object] = {} if self._seed is None else {"seed": self._seed}
        for name, switch in self._set.items():
            full: dict[str, object] = {"value": switch.value}
            if switch.left is not None:
                full["next"] = switch.left
            if switch.rate is not None:
                full["rate"] = switch.rate
            if switch.on:
                full["on"] = switch.on
            if switch.ids:
                full["ids"] = list(switch.ids)
            shown[name] = switch.value if len(full) == 1 else full
        return shown

    @property
    def calm(self) -> bool:
        """Whether no switch is set that changes more of a request than when it is answered."""
        return not self._faults and self._set.keys().isdisjoint({"receipts_early", "poison"})

    def fault(self, call: str, path: str = "") -> str | None:
        """Name the fault that this API call meets, if any."""
        for name, switch in self._faults:
            if switch.fires(self._dice, call, path):
                return name
        return None

    def flag(self, name: str, call: str = "") -> bool:
        """Return whether an on-or-off switch acts this time."""
        switch = self._set.get(name)
        return switch is not None and switch.fires(self._dice, call)

    def amount(self, name: str, call: str = "") -> float:
        """Return the amount that counts this time."""
        switch = self._set.get(name)
        if switch is not None and (switch.fires(self._dice, call) or not switch.value):
            return switch.value
        return self._defaults.get(name, 0)

    def poison(self, number: str, call: str) -> int:
        """Return the status with which a call that sends to this number is refused, 0 for none."""
        switch = self._set.get("poison")
        if switch is None or not switch.fires(self._dice, call, number):
            return 0
        return int(switch.value)

    def webhook_wait_s(self) -> float:
        """Return how much later this webhook comes, seconds."""
        jitter_ms = self.amount("webhooks_jitter_ms")
        return (self.amount("webhooks_delay_ms") + (self._dice.random() * jitter_ms if jitter_ms else 0)) / 1000

    def wait_s(self, call: str) -> float:
        """Return how much later this call is answered, seconds."""
        if "latency_ms" not in self._set and "jitter_ms" not in self._set:
            return 0.0
        return (self.amount("latency_ms", call) + self._dice.random() * self.amount("jitter_ms", call)) / 1000


def _parse(name: str, raw: object) -> Switch:
    if name not in _NAMES:
        message = f"{name}: there is no such switch; there are {', '.join(sorted(_NAMES))}, seed"
        raise SwitchError(message)
    full: dict[str, Any] = raw if isinstance(raw, dict) else {"value": raw}
    value: Any = full.get("value", None if name in AMOUNTS else True)
    left, rate, on, ids = full.get("next"), full.get("rate"), full.get("on", ""), full.get("ids", [])
    checks = (
        full.keys() <= {"value", "next", "rate", "on", "ids"},
        (type(value) in {int, float} and value >= 0) if name in AMOUNTS else type(value) is bool,
        left is None or (type(left) is int and left >= 0),
        rate is None or (type(rate) in {int, float} and 0 <= rate <= 1),
        left is None or rate is None,
        isinstance(on, str),
        isinstance(ids, list) and all(isinstance(one, str) and one for one in ids),
    )
    if not all(checks):
        kind = "a number, 0 or more" if name in AMOUNTS else "true or false"
        message = f'{name}: give {kind}, or {{"value": …, "next": count}}, or {{"value": …, "rate": …}}, "on", "ids"'
        raise SwitchError(message)
    return Switch(value, left, rate, on, tuple(ids))
