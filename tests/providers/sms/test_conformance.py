"""Every SMS service keeps the contract: no person gets an SMS twice because an adapter took a guess for an answer."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.providers.http import Failure, Reach, Response
from app.providers.sms import PROVIDERS
from app.providers.sms.base import (
    Outcome,
    OutcomeKind,
    Pushed,
    ReportState,
    SmsMessage,
    SmsProvider,
    Sought,
    UnclearAnswer,
)
from tests.providers.sms.samples import SAMPLES, Sample, answer

NUMBER, DIGITS, BODY = "+819012345678", "9012345678", "お届け物です https://todoke.example/a"
OURS, ANOTHERS = "k3mzq7x2abcd.41.1", "zzzzzzzzzzzz.42.1"
AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
MESSAGE = SmsMessage(NUMBER, BODY, OURS, valid_until=AT + timedelta(hours=2))
NONSENSE = [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"data": 1}', b"<html>", b"[" * 5_000, b"9" * 5_000]


@pytest.fixture(params=sorted(PROVIDERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def provider(name: str) -> SmsProvider:
    return PROVIDERS[name]


@pytest.fixture
def sample(name: str) -> Sample:
    return SAMPLES[name]


def shown(sample: Sample, reference: str = OURS, at: datetime = AT, *, arrived: bool = False) -> Mapping[str, object]:
    return sample.message(reference, NUMBER, at, arrived)


def test_each_service_has_its_line() -> None:
    assert set(SAMPLES) == set(PROVIDERS)


def test_the_request_goes_to_the_installations_address_and_shows_nobody(provider: SmsProvider, sample: Sample) -> None:
    request = provider.send(sample.account, MESSAGE)
    assert request.method == "POST"
    assert request.url.startswith(sample.account.base_url)
    assert DIGITS.encode() in request.body
    assert OURS.encode() in request.body
    assert request.timeout_s == sample.account.timeout_s
    for spoken in (repr(request), repr(MESSAGE), repr(sample.account)):
        assert not any(secret in spoken for secret in (DIGITS, BODY, *sample.account.credentials.values()))


@pytest.mark.parametrize("to", ["+17035551234", "+8190123456789", "09012345678", "+819012345678\n", ""])
def test_a_number_that_may_ring_a_stranger_is_refused_and_not_told(
    provider: SmsProvider, sample: Sample, to: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each service has words of its own
        provider.send(sample.account, replace(MESSAGE, to=to))
    assert not to or to.strip() not in str(caught.value)


def test_an_accepted_message_is_known_by_id_and_reference(provider: SmsProvider, sample: Sample) -> None:
    outcome = provider.outcome(answer(shown(sample)))
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert outcome.provider_id
    assert list(outcome.references) == [OURS]


def test_a_documented_refusal_is_for_good(provider: SmsProvider, sample: Sample) -> None:
    outcome = provider.outcome(sample.refused)
    assert (outcome.kind, outcome.provider_id) == (OutcomeKind.REFUSED, None)
    assert outcome.code


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_credential_is_the_accounts_fault(provider: SmsProvider, status: int) -> None:
    outcome = provider.outcome(Response(status, {}, b""))
    assert (outcome.kind, outcome.account_fault) == (OutcomeKind.LATER, True)


def test_too_many_requests_did_not_get_in_and_wait_as_long_as_is_asked(provider: SmsProvider) -> None:
    outcome = provider.outcome(Response(429, {"retry-after": "7"}, b""))
    assert (outcome.kind, outcome.retry_after_s, outcome.account_fault) == (OutcomeKind.LATER, 7.0, False)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 302])
def test_a_fault_of_the_service_leaves_the_outcome_open(provider: SmsProvider, status: int) -> None:
    assert provider.outcome(Response(status, {}, b"")).kind is OutcomeKind.UNKNOWN


def test_a_timeout_leaves_the_outcome_open_and_what_never_left_is_tried_again(provider: SmsProvider) -> None:
    assert provider.outcome(Failure(Reach.UNKNOWN, "timeout")) == Outcome(OutcomeKind.UNKNOWN, "timeout")
    assert provider.outcome(Failure(Reach.NEVER_LEFT, "refused")) == Outcome(OutcomeKind.LATER, "refused")


@pytest.mark.parametrize("body", NONSENSE)
@pytest.mark.parametrize("status", [200, 400, 404, 422])
def test_nonsense_proves_nothing(provider: SmsProvider, status: int, body: bytes) -> None:
    assert provider.outcome(Response(status, {}, body)).kind is OutcomeKind.UNKNOWN


def test_a_look_up_names_the_reference_and_believes_no_list_that_ignored_it(
    provider: SmsProvider, sample: Sample
) -> None:
    request = provider.lookup(sample.account, Sought(OURS))
    if request is None:
        pytest.skip("the service has no look-up by reference")
    assert request.method == "GET"
    assert OURS in request.url
    found = provider.parse_lookup(sample.listing([shown(sample)]), Sought(OURS))
    assert found is not None
    assert (list(found.references), found.state) == ([OURS], ReportState.PROCESSING)
    assert provider.parse_lookup(sample.listing([]), Sought(OURS)) is None
    with pytest.raises(UnclearAnswer):
        provider.parse_lookup(sample.listing([shown(sample, ANOTHERS)]), Sought(OURS))


def test_a_message_under_one_reference_twice_is_told_as_twice(provider: SmsProvider, sample: Sample) -> None:
    if provider.lookup(sample.account, Sought(OURS)) is None:
        pytest.skip("the service has no look-up by reference")
    found = provider.parse_lookup(
        sample.listing([shown(sample), shown(sample, at=AT + timedelta(minutes=1))]), Sought(OURS)
    )
    assert found is not None
    assert (found.code, found.copies, found.accepted_at) == ("duplicate", 2, AT)


def test_a_list_of_a_time_tells_numbers_and_refuses_other_times(provider: SmsProvider, sample: Sample) -> None:
    start, end = AT - timedelta(minutes=5), AT + timedelta(minutes=5)
    if provider.sent_between(sample.account, start, end, 1) is None:
        pytest.skip("the service lists nothing by time")
    page = provider.parse_list(sample.listing([shown(sample)]), start, end)
    assert [left.to for left in page.messages] == [NUMBER]
    assert DIGITS not in repr(page)
    with pytest.raises(UnclearAnswer):
        provider.parse_list(sample.listing([shown(sample, at=AT + timedelta(days=1))]), start, end)


def test_a_message_is_asked_about_by_its_id(provider: SmsProvider, sample: Sample) -> None:
    provider_id = provider.report(answer(shown(sample))).provider_id
    request = provider.detail(sample.account, provider_id)
    assert request.method == "GET"
    assert provider_id in request.url
    assert provider.report(answer(shown(sample, arrived=True))).state is ReportState.DELIVERED


def test_a_receipt_tells_of_ours_and_shows_nobody(provider: SmsProvider, sample: Sample) -> None:
    body = json.dumps(shown(sample, arrived=True)).encode()
    (report,) = provider.receipt(Pushed(body, sample.receipt_headers))
    assert (list(report.references), report.state) == ([OURS], ReportState.DELIVERED)
    assert not any(secret in repr(report) for secret in (DIGITS, "秘密の本文"))


@pytest.mark.parametrize("body", NONSENSE)
def test_nonsense_is_no_report(provider: SmsProvider, sample: Sample, body: bytes) -> None:
    for read in (
        lambda: provider.parse_lookup(Response(200, {}, body), Sought(OURS)),
        lambda: provider.report(Response(200, {}, body)),
        lambda: provider.parse_list(Response(200, {}, body), AT, AT),
        lambda: provider.receipt(Pushed(body, sample.receipt_headers)),
    ):
        with pytest.raises(UnclearAnswer) as caught:
            read()
        assert DIGITS not in str(caught.value)


def test_its_address_belongs_to_the_installation_and_its_secrets_are_marked(
    provider: SmsProvider, sample: Sample
) -> None:
    names = {given.name for given in provider.fields}
    assert names == {*sample.account.settings, *sample.account.credentials}
    assert {given.name for given in provider.fields if given.secret} == set(sample.account.credentials)
