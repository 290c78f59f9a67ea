"""The drill's cells of absence: a carrier whose list can't be believed, and messages nobody can tell of.

Some messages of each campaign get an error though they were taken, some get one and were not: none of the first may
leave twice, the others must leave once, or be held for a manager where the rule asks for it. `held` are the people whom
the product holds; they count neither as lost nor as unknown where `HELD` allows them.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from bench.drill import FIELDS as COMMON
from bench.drill import holds as common_holds
from bench.harness import Ground, Sent
from bench.report import Run
from bench.send import clerk, database

Cell = Callable[[Ground], Run]

FIELDS = (*COMMON[:-1], "held", COMMON[-1])
_ROWS = 300
_EDITED_ROWS, _EDITED = 60, 50
# how long a list flaps or ignores its filter; seconds at factor 1
_BROKEN_S = 240
# a person is held so soon in cells that wait for it, in seconds that no factor divides
_HELD_AFTER_S = 75
_TAIL = 16

_BEFORE = {"value": True, "rate": 0.05, "on": "karaden.create"}
_AFTER = {"value": True, "rate": 0.1, "on": "karaden.create"}
# until the account is another, no look-up settles anything
_NO_LIST = {"value": True, "on": "karaden.list"}


def _switch(ground: Ground, **switches: object) -> None:
    """Set switches; no receipts come, for they would settle what the list must."""
    ground.sandbox.faults(receipts_off=True, **switches)


def _begin(ground: Ground, rows: int, *, witness: bool = True, **own: str) -> Sent:
    """Run the product, with a 確認用番号 or without one, and prepare a campaign."""
    ground.run("web", "tracking", "delivery", "scheduler", **own)
    clerk(ground.stack, "witness", "on" if witness else "off")
    ground.rows, rows = rows, ground.rows
    try:
        return replace(ground.campaign(), ends=("accepted", "delivered"))
    finally:
        ground.rows = rows


def _judged(campaign: Sent, since: float) -> Run:
    """Wait for the end; whatever comes next has a 確認用番号 again, and nobody of this cell is left to be sent to."""
    stack = campaign.ground.stack
    try:
        run = campaign.verdict(since, may_hold=True)
    finally:
        clerk(stack, "witness", "on")
    if run["held"] or run["unknown_left"]:
        clerk(stack, "cancel", campaign.id)  # the next cell's sandbox forgets what these people got
    return run


def _sent(ground: Ground, campaign: Sent, **switches: object) -> None:
    """Launch, and wait until each person's first SMS was asked of the carrier under these switches."""
    _switch(ground, seed=7, **switches)
    campaign.launch()
    ground.until(lambda: ground.requests() >= campaign.people(), "everybody was sent to once")


def _list(*, broken_s: float = 0, faults: Mapping[str, object], **switches: object) -> Cell:
    """Let the carrier's list be wrong, for a while or for good, while some messages have no known outcome."""

    def cell(ground: Ground) -> Run:
        times = {
            name: ground.scaled(value)
            for name, value in switches.items()
            if name.endswith("_s") and isinstance(value, int)
        }
        wrong = {**switches, **times}
        campaign = _begin(ground, _ROWS)
        _sent(ground, campaign, **wrong, **faults)
        since = time.monotonic()
        _switch(ground, seed=8, **wrong)
        if broken_s:
            time.sleep(ground.scaled(broken_s))
            _switch(ground)
        return _judged(campaign, since)

    return cell


def _last_batch(*, witness: bool) -> Cell:
    """Let the last messages of a campaign have no known outcome: nothing leaves after them that could be a witness."""

    def cell(ground: Ground) -> Run:
        held_after = {} if witness else {"HELD_AFTER_S": str(_HELD_AFTER_S)}
        campaign = _begin(ground, _ROWS, witness=witness, SEND_CONNECTIONS="4", **held_after)
        _switch(ground, latency_ms={"value": 50, "on": "karaden.create"})
        campaign.launch()
        ground.until(lambda: ground.requests() >= campaign.people() - _TAIL, "all but the last are sent")
        _switch(ground, seed=7, error_before={"value": True, "rate": 0.5, "on": "karaden.create"}, error_after=True)
        ground.until(lambda: ground.requests() >= campaign.people(), "the last are sent")
        since = time.monotonic()
        _switch(ground)
        return _judged(campaign, since)

    return cell


def _campaign_of_one(*, witness: bool) -> Cell:
    """Send a single SMS that the carrier answers with 500 and doesn't take."""

    def cell(ground: Ground) -> Run:
        held_after = {} if witness else {"HELD_AFTER_S": str(_HELD_AFTER_S)}
        campaign = _begin(ground, 2, witness=witness, **held_after)  # the first row can't be sent to
        _sent(ground, campaign, error_before={"value": True, "on": "karaden.create"})
        since = time.monotonic()
        _switch(ground)
        return _judged(campaign, since)

    return cell


def _account_edited(ground: Ground) -> Run:
    """Change the contract's service behind the form's back while 50 messages, all taken, have no known outcome."""
    campaign = _begin(ground, _EDITED_ROWS)
    _switch(ground, error_after={"value": True, "on": "karaden.create"}, error_before=_NO_LIST)
    campaign.launch()
    ground.until(lambda: ground.requests() >= _EDITED, "50 have no known outcome")
    change = "UPDATE sms_account SET settings = jsonb_set(settings, '{service_id}', %s) WHERE tenant_id = 1"
    with database(ground.stack) as connection:
        [before] = connection.execute(
            "SELECT settings->'service_id' FROM sms_account WHERE tenant_id = 1"
        ).fetchone() or [0]
        connection.execute(change, ['"4711"'])
        connection.commit()
        since = time.monotonic()
        _switch(ground)
        try:
            return _judged(campaign, since)
        finally:
            connection.execute(change, [f'"{before}"'])
            connection.commit()


def _token_renewed(ground: Ground) -> Run:
    """Renew the account's token while messages have no known outcome."""
    campaign = _begin(ground, _ROWS)
    _sent(ground, campaign, error_after={**_AFTER, "rate": 0.05}, reset_before_body=_AFTER, error_before=_NO_LIST)
    clerk(ground.stack, "renew", campaign.id)
    since = time.monotonic()
    _switch(ground)
    return _judged(campaign, since)


_ODD = {"error_before": _BEFORE, "error_after": _AFTER}
_GATEWAY = {
    "gateway_timeout": {"value": True, "rate": 0.1, "on": "karaden.create"},
    "error_before": _BEFORE,
}
CELLS: Mapping[str, Cell] = {
    "list_stale_120": _list(list_stale_s=120, faults=_ODD),
    "list_stale_300_504_taken_90": _list(list_stale_s=300, taken_late_s=90, faults=_GATEWAY),
    "list_flaps": _list(broken_s=_BROKEN_S, list_empty={"value": True, "rate": 0.3}, faults=_ODD),
    "list_unfiltered": _list(broken_s=_BROKEN_S, list_unfiltered=True, faults=_ODD),
    "list_never_tagged": _list(faults={**_ODD, "tag_unlisted": {"value": True, "on": "karaden.create"}}),
    "list_case": _list(tags_upper=True, faults=_ODD),
    "gateway_504_taken_late": _list(taken_late_s=90, faults=_GATEWAY),
    "last_batch_unknown": _last_batch(witness=True),
    "last_batch_unknown_alone": _last_batch(witness=False),
    "campaign_of_one_unknown": _campaign_of_one(witness=True),
    "campaign_of_one_unknown_alone": _campaign_of_one(witness=False),
    "account_edited": _account_edited,
    "token_renewed": _token_renewed,
}
# how many people the rule has held: without a 確認用番号 those not taken, all where the contract is another
HELD: Mapping[str, tuple[int, int]] = {
    "last_batch_unknown_alone": (1, 2 * _TAIL),
    "campaign_of_one_unknown_alone": (1, 1),
    "account_edited": (50, 60),
}
_WHY_LATE = "two look-ups a minute apart, after the settle time, must show the list fresh"
_ONE_LOOK = 300.0
LIMITS_S: Mapping[str, tuple[float, str]] = {
    **dict.fromkeys(CELLS, (_ONE_LOOK + 120, _WHY_LATE)),
    "list_stale_120": (_ONE_LOOK + 300, "the list is two minutes behind besides"),
    "list_stale_300_504_taken_90": (1200.0, "a gateway's settle time, and a list five minutes behind"),
    "gateway_504_taken_late": (900.0, "a gateway's settle time, then two look-ups"),
    "list_flaps": (_BROKEN_S + _ONE_LOOK + 240, "nothing is proven while the list flaps"),
    "list_unfiltered": (_BROKEN_S + _ONE_LOOK + 240, "nothing is proven by a list that ignores its filter"),
    "account_edited": (600.0, "held once a gateway's settle time is over"),
    "last_batch_unknown_alone": (900.0, f"held after {_HELD_AFTER_S} s, which no factor divides"),
    "campaign_of_one_unknown_alone": (900.0, f"held after {_HELD_AFTER_S} s, which no factor divides"),
}


def holds(run: Run) -> bool:
    """Return whether a cell came out as it must, with just the people held whom the rule has held."""
    least, most = HELD.get(str(run["cell"]), (0, 0))
    limit_s, _ = LIMITS_S[str(run["cell"])]
    return least <= int(str(run["held"])) <= most and common_holds(run, limit_s)
