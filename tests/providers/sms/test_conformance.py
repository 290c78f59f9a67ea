"""Sixteen cases for every SMS service: no person gets an SMS twice because an adapter took a guess for an answer.

`make contract` prints them as a table, service by case. A service that doesn't offer a case says so by skipping it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from app import references
from app.providers.curl import perform
from app.providers.http import Answer, Failure, Reach, Request, Response
from app.providers.sms import PROVIDERS
from app.providers.sms.base import (
    LookupBy,
    Outcome,
    OutcomeKind,
    Pushed,
    ReceiptTrust,
    Report,
    ReportState,
    SmsMessage,
    SmsProvider,
    Sought,
    UnclearAnswer,
)
from dev.contract import KINDS
from tests.providers.rawserver import Peer, RawServer
from tests.providers.sms.sample import Message, Sample, Shown, said
from tests.providers.sms.samples import SAMPLES

NUMBER, DIGITS, BODY = "+819012345678", "9012345678", "お届け物です https://todoke.example/a"
OURS, ANOTHERS = "k3mzq7x2abcd.41.1", "zzzzzzzzzzzz.42.1"
AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
LATER = timedelta(minutes=1)
MESSAGE = SmsMessage(NUMBER, BODY, OURS, valid_until=AT + timedelta(hours=2))
SHOWN = Shown(OURS, NUMBER, BODY, AT)
ANOTHER = Shown(ANOTHERS, NUMBER, "別のお知らせです https://todoke.example/b", AT)
SOUGHT = Sought(OURS, AT, NUMBER, BODY)
NONSENSE = [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"data": 1}', b"<html>", b"[" * 5_000, b"9" * 5_000]
TOLD = frozenset({ReportState.DELIVERED, ReportState.PROCESSING})


@dataclass(frozen=True)
class Tried:
    """A service's adapter, and its sample."""

    provider: SmsProvider
    sample: Sample

    def outcome(self, answer: Answer) -> Outcome:
        """Read an answer to a send."""
        return self.provider.outcome(answer)

    def message(self, shown: Shown = SHOWN) -> Message:
        """Write a message as the service shows it."""
        return self.sample.message(shown)

    def found(self, *shown: Shown) -> Report | None:
        """Read the answer to a look-up for ours that lists such messages."""
        return self.provider.parse_lookup(self.sample.listing([self.message(one) for one in shown]), SOUGHT)

    def pushed(self, *shown: Shown) -> Pushed:
        """Return a receipt that tells of such messages."""
        return self.sample.pushed([self.sample.notice(one) for one in shown])

    def needs_lookup(self) -> None:
        """Skip a service that can't be asked about an attempt."""
        if self.provider.capabilities.lookup_by is LookupBy.NONE:
            pytest.skip("no look-up")

    def needs_receipts(self) -> None:
        """Skip a service that pushes nothing."""
        if self.provider.capabilities.receipts is ReceiptTrust.NONE:
            pytest.skip("no receipts")


def sent(tried: Tried) -> None:
    request = tried.provider.send(tried.sample.account, MESSAGE)
    assert request.method == "POST"
    assert request.url.startswith(tried.sample.account.base_url)
    assert request.timeout_s == tried.sample.account.timeout_s
    # the number, the text and our reference go out whole
    assert all(part in said(request) for part in (DIGITS, BODY, OURS))
    secrets = (DIGITS, BODY, *tried.sample.account.credentials.values())
    for spoken in (repr(request), repr(MESSAGE), repr(tried.sample.account)):
        assert not any(secret in spoken for secret in secrets)
    outcome = tried.outcome(tried.sample.accepted(SHOWN))
    assert (outcome.kind, outcome.account_fault) == (OutcomeKind.ACCEPTED, False)
    assert not references.mismatch(OURS, outcome.references)
    assert not any(secret in repr(outcome) for secret in secrets)


def refused(tried: Tried) -> None:
    outcome = tried.outcome(tried.sample.refused)
    assert (outcome.kind, outcome.account_fault) == (OutcomeKind.REFUSED, False)
    assert outcome.code
    assert DIGITS not in repr(outcome)


def quota(tried: Tried) -> None:
    outcome = tried.outcome(tried.sample.quota)
    assert (outcome.kind, outcome.account_fault) == (OutcomeKind.LATER, True)
    assert outcome.code


def wrong_credential(tried: Tried) -> None:
    answers = [tried.sample.wrong_credential, Response(401, {}, b""), Response(403, {}, b"")]
    for answer in answers:
        outcome = tried.outcome(answer)
        assert (outcome.kind, outcome.account_fault) == (OutcomeKind.LATER, True)
        assert outcome.code


def too_many(tried: Tried) -> None:
    outcome = tried.outcome(Response(429, {"retry-after": "7"}, b""))
    assert (outcome.kind, outcome.retry_after_s, outcome.account_fault) == (OutcomeKind.LATER, 7.0, False)


def faults(tried: Tried) -> None:
    for status in (500, 502, 503, 504, 520, 302):
        for body in (b"", b"<html>504 Gateway Time-out</html>", tried.sample.accepted(SHOWN).body):
            assert tried.outcome(Response(status, {}, body)).kind is OutcomeKind.UNKNOWN


def timeout(tried: Tried) -> None:
    def silent(peer: Peer) -> None:
        peer.read()
        peer.read()  # until the client has gone

    with RawServer(silent) as server:
        outcome = tried.outcome(perform(_send_to(tried, server, timeout_s=0.2)))
    assert outcome == Outcome(OutcomeKind.UNKNOWN, "timeout")
    assert tried.outcome(Failure(Reach.NEVER_LEFT, "refused")) == Outcome(OutcomeKind.LATER, "refused")


def cut(tried: Tried) -> None:
    whole = tried.sample.accepted(SHOWN)
    head = b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n" % (whole.status, len(whole.body))

    def stop_midway(peer: Peer) -> None:
        peer.answer(head + whole.body[:-9])
        peer.sock.close()

    with RawServer(stop_midway) as server:
        outcome = tried.outcome(perform(_send_to(tried, server, timeout_s=5)))
    assert (outcome.kind, outcome.code) == (OutcomeKind.UNKNOWN, "truncated")
    # nor is what a proxy passes on as if it were whole
    for end in range(len(whole.body)):
        assert tried.outcome(Response(whole.status, {}, whole.body[:end])).kind is OutcomeKind.UNKNOWN


def _send_to(tried: Tried, server: RawServer, *, timeout_s: float) -> Request:
    request = tried.provider.send(tried.sample.account, MESSAGE)
    url = request.url.replace(tried.sample.account.base_url, server.url, 1)
    return replace(request, url=url, timeout_s=timeout_s)


def junk(tried: Tried) -> None:
    for body in NONSENSE:
        for status in (200, 201, 202, 400, 404, 422):
            assert tried.outcome(Response(status, {}, body)).kind is OutcomeKind.UNKNOWN
        for read in (
            lambda body=body: tried.provider.parse_lookup(Response(200, {}, body), SOUGHT),
            lambda body=body: tried.provider.report(Response(200, {}, body)),
            lambda body=body: tried.provider.parse_list(Response(200, {}, body), AT, AT + LATER),
            lambda body=body: tried.provider.receipt(Pushed(body, tried.pushed(SHOWN).headers)),
        ):
            with pytest.raises(UnclearAnswer) as caught:
                read()
            assert DIGITS not in str(caught.value)


def duplicate(tried: Tried) -> None:
    if not tried.provider.capabilities.refuses_duplicates:
        assert tried.sample.duplicate is None
        pytest.skip("takes the same reference twice")
    assert tried.sample.duplicate is not None
    outcome = tried.outcome(tried.sample.duplicate)
    # the one before was accepted: that is what the answer proves
    assert (outcome.kind, outcome.account_fault) == (OutcomeKind.ACCEPTED, False)
    assert outcome.code != tried.outcome(tried.sample.accepted(SHOWN)).code


def looked_up(tried: Tried) -> None:
    tried.needs_lookup()
    request = tried.provider.lookup(tried.sample.account, SOUGHT)
    assert request is not None
    assert (request.method, request.url.startswith(tried.sample.account.base_url)) == ("GET", True)
    mark = DIGITS if tried.provider.capabilities.lookup_by is LookupBy.TEXT else OURS
    assert mark in said(request)
    assert not any(secret in repr(request) for secret in (DIGITS, *tried.sample.account.credentials.values()))
    found = tried.found(SHOWN)
    assert found is not None
    assert (list(found.references), found.state, found.copies) == ([OURS], ReportState.PROCESSING, 1)
    arrived = tried.found(replace(SHOWN, arrived=True))
    assert arrived is not None
    assert arrived.state is ReportState.DELIVERED
    if tried.provider.capabilities.lookup_by is LookupBy.REFERENCE:
        # once more under the same reference: told as twice, and as the first of them
        twice = tried.found(replace(SHOWN, at=AT + LATER), SHOWN)
        assert twice is not None
        assert (twice.code, twice.copies) == ("duplicate", 2)
        assert twice.accepted_at in {AT, None}
    # a message that is found is asked about by its id, and by no other's
    detail = tried.provider.detail(tried.sample.account, found.provider_id)
    assert (detail.method, found.provider_id in said(detail)) == ("GET", True)
    report = tried.provider.report(tried.sample.detail(tried.message(replace(SHOWN, arrived=True))))
    assert (report.provider_id, report.state) == (found.provider_id, ReportState.DELIVERED)
    assert not any(secret in repr((found, report)) for secret in (DIGITS, BODY))


def absent(tried: Tried) -> None:
    tried.needs_lookup()
    assert tried.found() is None


def incomplete(tried: Tried) -> None:
    tried.needs_lookup()
    whole = tried.sample.listing([])
    others = tried.sample.listing([tried.message(ANOTHER)])
    cuts = [Response(200, {}, others.body[:end]) for end in range(0, len(others.body), 7)]
    answers = [*tried.sample.incomplete, *cuts, *(replace(whole, status=status) for status in (401, 404, 429, 500))]
    if tried.provider.capabilities.lookup_by is LookupBy.REFERENCE:
        answers.append(others)  # a list that ignored the reference may lack ours
    for answer in answers:
        with pytest.raises(UnclearAnswer):
            tried.provider.parse_lookup(answer, SOUGHT)


def receipt(tried: Tried) -> None:
    tried.needs_receipts()
    pushed = tried.pushed(replace(SHOWN, arrived=True))
    (report,) = tried.provider.receipt(pushed)
    assert (list(report.references), report.state) == ([OURS], ReportState.DELIVERED)
    assert not any(secret in repr((report, pushed)) for secret in (DIGITS, BODY))
    if tried.provider.capabilities.lookup_by is LookupBy.REFERENCE:
        # it is asked about by the id by which a look-up finds it
        found = tried.found(SHOWN)
        assert found is not None
        assert found.provider_id == report.provider_id
    signed = tried.provider.capabilities.receipts is ReceiptTrust.SIGNED
    assert tried.provider.is_authentic(tried.sample.account, pushed) is signed
    for forged in (replace(pushed, headers={}), replace(pushed, body=pushed.body + b"&x=1"), Pushed(b"")):
        assert not tried.provider.is_authentic(tried.sample.account, forged)


def doubled_receipt(tried: Tried) -> None:
    tried.needs_receipts()
    once = tried.pushed(replace(SHOWN, arrived=True))
    assert tried.provider.receipt(once) == tried.provider.receipt(once)
    if tried.sample.bundles:
        both = tried.provider.receipt(tried.pushed(SHOWN, replace(SHOWN, arrived=True), replace(SHOWN, arrived=True)))
        assert {report.provider_id for report in both} == {tried.provider.receipt(once)[0].provider_id}
        assert {report.state for report in both} == TOLD


def foreign_receipt(tried: Tried) -> None:
    """Another system's message of the same contract is never taken for ours, nor does it hide ours."""
    tried.needs_receipts()
    (report,) = tried.provider.receipt(tried.pushed(replace(ANOTHER, arrived=True)))
    assert OURS not in report.references
    assert references.mismatch(OURS, report.references)
    if tried.sample.bundles:
        told = tried.provider.receipt(tried.pushed(ANOTHER, replace(SHOWN, arrived=True)))
        assert [list(one.references) for one in told] == [[ANOTHERS], [OURS]]


CASES: dict[str, Callable[[Tried], None]] = {
    "send": sent,
    "refuse": refused,
    "quota": quota,
    "wrong credential": wrong_credential,
    "429 with a wish": too_many,
    "5xx": faults,
    "timeout": timeout,
    "cut answer": cut,
    "junk": junk,
    "duplicate": duplicate,
    "look-up found": looked_up,
    "absent": absent,
    "incomplete": incomplete,
    "receipt": receipt,
    "doubled receipt": doubled_receipt,
    "foreign receipt": foreign_receipt,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_conformance(provider: str, case: str) -> None:
    CASES[case](Tried(PROVIDERS[provider], SAMPLES[provider]))


def test_the_table_in_docs_has_every_case() -> None:
    rows = [line.split(" | ")[0] for line in KINDS["sms"].table.read_text(encoding="utf-8").splitlines()]
    assert [f"| {case}" for case in CASES] == [row for row in rows if row.removeprefix("| ") in CASES]


@pytest.fixture(params=sorted(PROVIDERS))
def tried(request: pytest.FixtureRequest) -> Tried:
    return Tried(PROVIDERS[request.param], SAMPLES[request.param])


@pytest.mark.parametrize("to", ["+17035551234", "+8190123456789", "09012345678", "+819012345678\n", ""])
def test_a_number_that_may_ring_a_stranger_is_refused_and_not_told(tried: Tried, to: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each service has words of its own
        tried.provider.send(tried.sample.account, replace(MESSAGE, to=to))
    assert not to or to.strip() not in str(caught.value)


def test_a_list_of_a_time_tells_numbers_and_refuses_other_times(tried: Tried) -> None:
    start, end = AT - timedelta(minutes=5), AT + timedelta(minutes=5)
    if tried.provider.sent_between(tried.sample.account, start, end, 1) is None:
        pytest.skip("the service lists nothing by time")
    page = tried.provider.parse_list(tried.sample.listing([tried.message()]), start, end)
    assert [left.to for left in page.messages] == [NUMBER]
    assert DIGITS not in repr(page)
    other = tried.message(replace(SHOWN, at=AT + timedelta(days=1)))
    with pytest.raises(UnclearAnswer):
        tried.provider.parse_list(tried.sample.listing([other]), start, end)


def test_its_fields_are_those_of_the_sample_and_its_secrets_are_marked(tried: Tried) -> None:
    account, fields = tried.sample.account, tried.provider.fields
    assert {given.name for given in fields} == {*account.settings, *account.credentials}
    assert {given.name for given in fields if given.secret} == set(account.credentials)
