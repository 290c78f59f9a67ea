"""Made-up answers into every SMS adapter: each is read, or is unclear; nothing else is raised and nothing is guessed.

Some are nothing but noise: of those none may count as accepted or delivered. The others are the service's own answers
with a few of their values changed, cut or moved. Some thousands in a default run, 100,000 for each service with
`make test PYTEST_ARGS='-m slow -k junk'`.
"""

import json
import random
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.providers.http import Response
from app.providers.sms import PROVIDERS
from app.providers.sms.base import (
    Outcome,
    OutcomeKind,
    Page,
    Pushed,
    Report,
    ReportState,
    SmsProvider,
    Sought,
    UnclearAnswer,
)
from tests.providers.sms.sample import Sample, Shown
from tests.providers.sms.samples import SAMPLES

NUMBER, DIGITS, BODY = "+819012345678", "9012345678", "秘密のお知らせ https://todoke.example/a"
REFERENCE = "k3mzq7x2abcd.41.1"
AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
SHOWN = Shown(REFERENCE, NUMBER, BODY, AT)
ARRIVED = Shown(REFERENCE, NUMBER, BODY, AT, arrived=True)
SOUGHT = Sought(REFERENCE, AT, NUMBER, BODY)
STATUSES = (200, 200, 200, 200, 201, 202, 204, 301, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 520, 999)
SCALARS: tuple[object, ...] = (
    None, True, False, 0, 1, -1, 3, 400, 10**12, 10**30, 0.5, float("inf"), float("nan"), "", " ", "0", "00", "x",
    "ー" * 3, "\x00", "\ud800", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "20269999 999999999", [], {},
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """An answer that was made up, and the receipt that goes with it. `noise` holds nothing of the service's own."""

    response: Response
    pushed: Pushed
    noise: bool


def _value(dice: random.Random, depth: int = 3) -> Any:
    kind = dice.random()
    if depth == 0 or kind < 0.6:
        return (
            dice.choice(SCALARS)
            if dice.random() < 0.7
            else "".join(dice.choices(string.printable, k=dice.randrange(9)))
        )
    if kind < 0.8:
        return [_value(dice, depth - 1) for _ in range(dice.randrange(4))]
    return {"".join(dice.choices(string.ascii_letters, k=4)): _value(dice, depth - 1) for _ in range(dice.randrange(4))}


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from _places(value[key], (*path, key))


def _changed(dice: random.Random, value: Any) -> Any:
    """Return a JSON value with one to three of its places changed, taken away or taken from elsewhere."""
    value = json.loads(json.dumps(value))
    for _ in range(dice.randrange(1, 4)):
        places = [place for place in _places(value) if place]
        if not places:
            return _value(dice)
        *way, last = dice.choice(places)
        parent = value
        for key in way:
            parent = parent[key]
        act = dice.random()
        if act < 0.2 and isinstance(parent, dict):
            del parent[last]
        elif act < 0.3 and isinstance(parent, list):
            parent.append(parent[last])
        else:
            parent[last] = _value(dice)
    return value


def _noise(dice: random.Random) -> bytes:
    kind = dice.random()
    if kind < 0.3:
        return dice.randbytes(dice.randrange(60))
    if kind < 0.4:
        return b"[" * dice.randrange(4_000)
    if kind < 0.5:
        return ("&".join(f"{dice.choice(string.ascii_letters)}={dice.randrange(99)}" for _ in range(5))).encode()
    return json.dumps(_value(dice)).encode("utf-8", "replace")


def _bent(dice: random.Random, body: bytes) -> bytes:
    """Return a body that is cut, or has a few of its bytes changed."""
    if not body or dice.random() < 0.5:
        return body[: dice.randrange(len(body) + 1)]
    bent = bytearray(body)
    for _ in range(dice.randrange(1, 5)):
        bent[dice.randrange(len(bent))] = dice.randrange(256)
    return bytes(bent)


def _likely(dice: random.Random, sample: Sample) -> tuple[bytes, Pushed]:
    """Return an answer of the service's own, and a receipt, after something was changed in both."""
    shown = dice.choice((SHOWN, ARRIVED))
    message = sample.message(shown)
    whole: tuple[Callable[[], Response], ...] = (
        lambda: sample.accepted(shown),
        lambda: sample.listing([message, message]),
        lambda: sample.detail(message),
        lambda: sample.refused,
        lambda: sample.quota,
    )
    body, notice = dice.choice(whole)().body, sample.notice(shown)
    if dice.random() < 0.3:
        pushed = sample.pushed([notice])
        return _bent(dice, body), Pushed(_bent(dice, pushed.body), pushed.headers, pushed.query)
    changed = _changed(dice, dict(notice))
    try:
        pushed = sample.pushed([changed if isinstance(changed, dict) else notice])
    except UnicodeEncodeError:  # half a letter, in a form: nothing can carry that
        pushed = sample.pushed([notice])
    return json.dumps(_changed(dice, json.loads(body))).encode(), pushed


def _made(dice: random.Random, sample: Sample) -> Made:
    headers: Mapping[str, str] = (
        {"retry-after": dice.choice(("7", "soon", "-1", "9" * 40))} if dice.random() < 0.2 else {}
    )
    status = dice.choice(STATUSES)
    if dice.random() < 0.4:
        body = _noise(dice)
        given = sample.pushed([sample.notice(SHOWN)])
        return Made(Response(status, headers, body), Pushed(_noise(dice), given.headers, given.query), noise=True)
    body, pushed = _likely(dice, sample)
    return Made(Response(status, headers, body), pushed, noise=False)


def _read(provider: SmsProvider, made: Made) -> Iterator[object]:
    """Yield whatever the adapter makes of an answer and a receipt."""
    end = AT + timedelta(minutes=1)
    readers: tuple[Callable[[], object], ...] = (
        lambda: provider.report(made.response),
        lambda: provider.parse_lookup(made.response, SOUGHT),
        lambda: provider.parse_list(made.response, AT, end),
        lambda: list(provider.receipt(made.pushed)),
    )
    for read in readers:
        try:
            yield read()
        except UnclearAnswer as unclear:
            yield str(unclear)


def _reports(read: object) -> list[Report]:
    match read:
        case Report():
            return [read]
        case list():
            return [one for one in read if isinstance(one, Report)]
        case Page(messages=messages):
            return [one.report for one in messages]
    return []


def _try(name: str, many: int, seed: int) -> None:
    provider, sample = PROVIDERS[name], SAMPLES[name]
    dice = random.Random(f"{name} {seed}")
    noise = 0
    for _ in range(many):
        made = _made(dice, sample)
        outcome = provider.outcome(made.response)
        assert isinstance(outcome, Outcome)
        assert "秘密" not in repr(outcome)
        read = list(_read(provider, made))
        assert not any(secret in told for told in read if isinstance(told, str) for secret in (DIGITS, "秘密"))
        reports = [report for one in read for report in _reports(one)]
        for report in reports:
            assert report.at is None or report.at.tzinfo is not None
            assert report.units is None or 0 <= report.units < 100
        if made.noise:
            noise += 1
            assert outcome.kind is not OutcomeKind.ACCEPTED
            assert reports == []
        if made.response.status >= 300:
            assert outcome.kind is not OutcomeKind.ACCEPTED
    assert noise > many / 4


@pytest.mark.parametrize("name", PROVIDERS)
def test_no_junk_is_taken_for_an_answer(name: str) -> None:
    _try(name, 3_000, random.randrange(10**6))


@pytest.mark.slow
@pytest.mark.parametrize("name", PROVIDERS)
def test_no_junk_of_a_hundred_thousand_is_taken_for_an_answer(name: str) -> None:
    _try(name, 100_000, 1)


def test_an_arrived_message_is_read_as_such() -> None:
    """Or the tests above would hold of an adapter that reads nothing."""
    for name, provider in PROVIDERS.items():
        sample = SAMPLES[name]
        (report,) = provider.receipt(sample.pushed([sample.notice(ARRIVED)]))
        assert report.state is ReportState.DELIVERED
