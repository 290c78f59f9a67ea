"""Lists of messages that lag, flap, or don't obey their filter, and gateways that let a message through late."""

import json
import time
import urllib.request
from typing import Any

import pytest

from sandbox.harness import Sandbox
from tests.sandbox.conftest import TENANT
from tests.sandbox.karaden_sender import fates, post
from tests.waiting import until


def listed(sandbox: Sandbox, tag: str = "") -> list[dict[str, Any]]:
    """Return what is listed under a tag, or of any time."""
    url = f"{sandbox.karaden_base}/{TENANT}/messages{f'?tag={tag}' if tag else '?start_at=2020-01-01T00:00:00%2B09:00'}"
    request = urllib.request.Request(url, headers={"Authorization": "Bearer token"})
    with urllib.request.urlopen(request) as response:
        found: list[dict[str, Any]] = json.load(response)["data"]
        return found


def test_a_stale_list_shows_a_message_once_it_is_old_enough(sandbox: Sandbox) -> None:
    sandbox.faults(list_stale_s=1.5)
    post(sandbox)
    assert listed(sandbox, "ref") == []
    until(lambda: len(listed(sandbox, "ref")) == 1)


def test_a_list_flaps_by_the_dice(sandbox: Sandbox) -> None:
    post(sandbox)
    sandbox.faults(list_empty={"rate": 0.5}, seed=3)
    assert {len(listed(sandbox, "ref")) for _ in range(20)} == {0, 1}


def test_an_unfiltered_list_shows_others(sandbox: Sandbox) -> None:
    post(sandbox)
    assert listed(sandbox, "other") == []
    sandbox.faults(list_unfiltered=True)
    assert [message["tags"] for message in listed(sandbox, "other")] == [["ref"]]


def test_tags_in_upper_case_are_found_all_the_same(sandbox: Sandbox) -> None:
    sandbox.faults(tags_upper=True)
    post(sandbox)
    assert [message["tags"] for message in listed(sandbox, "ref")] == [["REF"]]


def test_a_message_may_never_be_listed_under_its_tag(sandbox: Sandbox) -> None:
    sandbox.faults(tag_unlisted={"next": 1})
    post(sandbox)
    post(sandbox)
    assert len(listed(sandbox, "ref")) == 1
    assert [message["tags"] for message in listed(sandbox)] == [["ref"]] * 2


def test_a_message_may_be_listed_without_its_tag(sandbox: Sandbox) -> None:
    sandbox.faults(tag_lost=True)
    post(sandbox)
    assert listed(sandbox, "ref") == []
    assert [message["tags"] for message in listed(sandbox)] == [[]]


def test_a_gateways_message_is_taken_late(sandbox: Sandbox) -> None:
    sandbox.faults(gateway_timeout=True, taken_late_s=3)
    start = time.monotonic()
    assert post(sandbox) == 504
    assert time.monotonic() - start < 3
    assert sandbox.messages() == []
    assert fates(sandbox) == [("gateway_timeout", 504, False)]
    until(lambda: len(sandbox.messages()) == 1)


def test_a_hanging_request_is_taken_late_though_its_client_is_gone(sandbox: Sandbox) -> None:
    sandbox.faults(hang_late=True, taken_late_s=3)
    with pytest.raises(TimeoutError):
        post(sandbox, timeout=0.2)
    assert sandbox.messages() == []
    until(lambda: len(sandbox.messages()) == 1)


def test_a_reset_forgets_what_was_to_be_taken(sandbox: Sandbox) -> None:
    sandbox.faults(gateway_timeout=True, taken_late_s=0.3)
    post(sandbox)
    sandbox.reset()
    time.sleep(0.5)
    assert sandbox.messages() == []
