"""Plain sends of every SMS service take the fast lane, and are answered and kept there as through aiohttp."""

import json
import re
from collections.abc import Mapping

import pytest

from app.providers.curl import Engine
from app.providers.http import Answer, Response
from app.providers.sms import PROVIDERS
from app.providers.sms.base import OutcomeKind, SmsAccess, SmsMessage
from bench.lists import CONTRACTS
from sandbox import doors
from sandbox.harness import Sandbox

# aiohttp tells its name in each answer, the lane none
SERVER = "server"
# ids, references and times: no two messages have these in common
OWN = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|reference-\d|\d{19}|\d\d:\d\d:\d\d")


def sent(sandbox: Sandbox, service: str, number: int) -> Response:
    held = CONTRACTS[service]
    account = SmsAccess(
        sandbox.url + doors.BASES[service],
        held.settings,
        held.credentials,
        receipt_url="http://127.0.0.1:9/callbacks/sms/1/key",
    )
    message = SmsMessage("+819010001000", "本文です https://t.example/a", f"reference-{number}")
    answers: list[Answer] = []
    # a connection of its own: one that left the lane doesn't come back to it
    with Engine[int](1) as engine:
        engine.run(
            iter([(number, PROVIDERS[service].send(account, message))]),
            lambda _, answer: answers.append(answer),
            may_connect=lambda _: True,
            may_send=lambda _: True,
            on_skipped=lambda _: None,
        )
    [answer] = answers
    assert isinstance(answer, Response)
    return answer


def told(response: Response) -> tuple[int, str | None, str]:
    return response.status, response.headers.get("content-type"), OWN.sub("", response.body.decode())


def kept(sandbox: Sandbox, service: str) -> list[Mapping[str, object]]:
    rows = [json.loads(OWN.sub("", json.dumps(row))) for row in sandbox.ledger(service)]
    return [{name: value for name, value in row.items() if name not in {"seq", "at"}} for row in rows]


@pytest.mark.parametrize("service", PROVIDERS)
def test_a_plain_send_takes_the_lane_and_is_answered_and_kept_as_through_aiohttp(
    sandbox: Sandbox, service: str
) -> None:
    # 絶対リーチ!SMS writes one message's figures as numbers and another's as texts
    fast = sent(sandbox, service, 1)
    sandbox.faults(too_many_requests={"value": True, "rate": 0.0})
    slow = sent(sandbox, service, 2)
    assert (SERVER in fast.headers, SERVER in slow.headers) == (False, True)
    if service != "zettai_reach":
        assert told(fast) == told(slow)
    outcome = PROVIDERS[service].outcome
    assert outcome(fast).kind is outcome(slow).kind is OutcomeKind.ACCEPTED
    first, second = kept(sandbox, service)
    assert first == second
    assert [message["tags"] for message in sandbox.messages()] == [["reference-1"], ["reference-2"]]


@pytest.mark.parametrize("service", [name for name in PROVIDERS if CONTRACTS[name].account])
def test_the_lane_lets_in_whom_the_door_does_and_writes_no_secret_down(sandbox: Sandbox, service: str) -> None:
    held = CONTRACTS[service]
    sandbox.addresses(sms_accounts={service: {held.account: {"url": "http://127.0.0.1:9/", "secret": "another"}}})
    refused = sent(sandbox, service, 1)
    assert SERVER not in refused.headers
    assert PROVIDERS[service].outcome(refused).account_fault
    assert sandbox.messages() == []
    [secret] = held.credentials.values()
    assert secret not in json.dumps(sandbox.ledger(service))
    sandbox.addresses(sms_accounts={service: {}})
