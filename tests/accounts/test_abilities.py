"""The engine keeps to the abilities of a service, whatever service it is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.accounts import abilities
from app.campaigns import schedule
from app.campaigns.send_windows import DAYS, Policy, Window
from app.models import Campaign, SmsAccount
from app.providers.sms import PROVIDERS
from app.providers.sms.base import Capabilities, LookupBy, ReceiptTrust, Validity

PLAIN = Capabilities(
    lookup_by=LookupBy.REFERENCE,
    receipts=ReceiptTrust.UNSIGNED,
    refuses_duplicates=False,
    tells_carrier=True,
    tells_units=True,
    validity=Validity(),
)
BEGINS = datetime(2026, 12, 1, tzinfo=UTC)


def able(patch: pytest.MonkeyPatch, **changes: Any) -> None:
    patch.setattr(type(PROVIDERS["karaden"]), "capabilities", replace(PLAIN, **changes))


@pytest.mark.parametrize(
    ("own", "services", "expected"), [(None, None, None), (5, None, 5), (None, 600, 600), (900, 600, 600), (5, 600, 5)]
)
def test_an_account_sends_no_faster_than_its_service_allows(
    monkeypatch: pytest.MonkeyPatch, own: int | None, services: int | None, expected: int | None
) -> None:
    able(monkeypatch, most_requests_s=services)
    assert abilities.rate_of(SmsAccount(provider="karaden", rate_per_s=own)) == expected


@pytest.mark.usefixtures("app")
def test_a_request_starts_early_enough_for_the_carriers_own_trying() -> None:
    answer_time = abilities.lead_time(PLAIN)
    assert answer_time > timedelta()
    assert abilities.lead_time(replace(PLAIN, validity=Validity(least_s=300))) == timedelta(minutes=5)
    assert abilities.lead_time(replace(PLAIN, validity=None, retries_for_s=3600)) == timedelta(hours=1)
    assert abilities.lead_time(replace(PLAIN, validity=None)) == answer_time


def test_a_message_is_given_the_end_that_its_service_takes() -> None:
    ends = datetime.now(UTC) + timedelta(hours=20)
    assert abilities.valid_until(PLAIN, ends) == ends
    assert abilities.valid_until(replace(PLAIN, validity=None), ends) is None
    shortened = abilities.valid_until(replace(PLAIN, validity=Validity(most_s=3600)), ends)
    assert shortened is not None
    assert shortened - datetime.now(UTC) <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, True), ({"longest_reference": 29}, False), ({"longest_text": 69}, False), ({"longest_reference": 30}, True)],
)
def test_a_service_must_carry_a_reference_and_a_text_whole(changes: dict[str, Any], *, expected: bool) -> None:
    assert abilities.carries(replace(PLAIN, **changes), 70) is expected


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(("hours", "codes"), [(10, ["send_window_shorter_than_delivery"]), (7, [])])
def test_hours_that_are_shorter_than_the_carriers_trying_are_named_before_sending(
    monkeypatch: pytest.MonkeyPatch, hours: int, codes: list[str]
) -> None:
    """Eight hours a day never hold a message that carriers try for ten: it would wait for ever without a word."""
    window = Window.from_json({"days": {day: ["10:00", "18:00"] for day in DAYS}, "holidays": True})
    campaign = Campaign(sms_account=SmsAccount(provider="karaden"))
    begins = Policy(window).next_opening(BEGINS)
    assert begins is not None
    able(monkeypatch, validity=None, retries_for_s=hours * 3600)
    assert [problem.code for problem in schedule.too_short(campaign, Policy(window), begins)] == codes
