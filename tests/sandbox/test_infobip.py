"""The stand-in for Infobip, judged by the service's own SDK: it sends, fetches and reads; and by each switch."""

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from infobip_api_client import (
    ApiClient,
    Configuration,
    SmsApi,
    SmsDeliveryResult,
    SmsDestination,
    SmsLogsResponse,
    SmsMessage,
    SmsMessageContent,
    SmsMessageDeliveryReporting,
    SmsMessageOptions,
    SmsRequest,
    SmsTextContent,
    SmsWebhooks,
    ValidityPeriod,
)
from infobip_api_client.exceptions import BadRequestException, ServiceException, UnauthorizedException

from sandbox.harness import Sandbox
from tests.sandbox.conftest import Listener
from tests.waiting import until

NUMBER, DOMESTIC = "819012345678", "09012345678"
KEY = "003026bbc133714df1834b8638bb496e-8f4b3d9a-e931-478d-a994-28a725159ab9"


@pytest.fixture
def sms(sandbox: Sandbox) -> Iterator[SmsApi]:
    """The SDK, pointed at the sandbox."""
    sandbox.addresses(sms_accounts={"infobip": {}})
    with ApiClient(Configuration(host=sandbox.infobip_base, api_key=KEY)) as client:
        yield SmsApi(client)
        client.rest_client.pool_manager.clear()


def request(
    own_id: str | None = "ref-1", to: str = NUMBER, *, url: str | None = None, text: str = "本文"
) -> SmsRequest:
    webhooks = None if url is None else SmsWebhooks(delivery=SmsMessageDeliveryReporting(url=url))
    message = SmsMessage(
        destinations=[SmsDestination(to=to, messageId=own_id)],
        content=SmsMessageContent(SmsTextContent(text=text)),
        options=SmsMessageOptions(validityPeriod=ValidityPeriod(amount=60)),
        webhooks=webhooks,
    )
    return SmsRequest(messages=[message])


def ended(sms: SmsApi, own_id: str) -> Any:
    """Wait until a message has come to its end, and return its log."""

    def log() -> Any:
        (found,) = sms.get_outbound_sms_message_logs(message_id=[own_id]).results or []
        return found if found.status is not None and found.status.group_name != "PENDING" else None

    return until(log, "the message came to an end")


@pytest.mark.parametrize(
    ("to", "group", "name", "error", "permanent"),
    [
        ("819012345678", "DELIVERED", "DELIVERED_TO_HANDSET", "NO_ERROR", False),
        ("819012340000", "UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED", "EC_UNKNOWN_SUBSCRIBER", True),
        ("819012340001", "UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED", "EC_ABSENT_SUBSCRIBER", False),
        ("819012340003", "EXPIRED", "EXPIRED_DLR_UNKNOWN", "NO_ERROR", False),
    ],
)
def test_the_sdk_sends_fetches_and_reads(
    sandbox: Sandbox, sms: SmsApi, to: str, group: str, name: str, error: str, *, permanent: bool
) -> None:
    (sent,) = sms.send_sms_messages(request(to=to)).messages
    assert sent.status is not None
    assert (sent.message_id, sent.destination, sent.status.group_name) == ("ref-1", to, "PENDING")
    log = ended(sms, "ref-1")
    assert (log.status.group_name, log.status.name, log.error.name, log.error.permanent) == (
        group,
        name,
        error,
        permanent,
    )
    assert (log.message_id, log.destination, log.message_count, log.mcc_mnc) == ("ref-1", to, 1, "44050")
    assert log.content.actual_instance.text == "本文"
    assert abs(log.sent_at - datetime.now(UTC)) < timedelta(minutes=1)
    (message,) = sandbox.messages()
    assert (message["to"], message["tags"]) == ("0" + to[2:], ["ref-1"])
    assert sms.get_outbound_sms_message_logs(message_id=["ref-2"]).results == []


def test_a_message_without_an_id_is_given_one(sms: SmsApi) -> None:
    (sent,) = sms.send_sms_messages(request(None)).messages
    assert sent.message_id
    (log,) = sms.get_outbound_sms_message_logs(message_id=[sent.message_id]).results or []
    assert log.message_id == sent.message_id


def test_an_id_is_taken_twice(sandbox: Sandbox, sms: SmsApi) -> None:
    for _ in range(2):
        sms.send_sms_messages(request())
    assert len(sms.get_outbound_sms_message_logs(message_id=["ref-1"]).results or []) == 2
    assert sandbox.summary()["duplicate_tags"] == {"ref-1": 2}


def test_logs_are_of_a_time_and_of_one_contract(sandbox: Sandbox, sms: SmsApi) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    sms.send_sms_messages(request("a"))
    sms.send_sms_messages(request("b"))
    now = datetime.now(UTC) + timedelta(seconds=1)
    listed = sms.get_outbound_sms_message_logs(sent_since=before, sent_until=now, limit=1000).results or []
    assert [log.message_id for log in listed] == ["b", "a"]
    assert len(sms.get_outbound_sms_message_logs(limit=1).results or []) == 1
    assert sms.get_outbound_sms_message_logs(sent_since=now).results == []
    with ApiClient(Configuration(host=sandbox.infobip_base, api_key="another")) as client:
        assert SmsApi(client).get_outbound_sms_message_logs().results == []
        client.rest_client.pool_manager.clear()


def test_mistakes_are_told_by_their_place(sandbox: Sandbox, sms: SmsApi) -> None:
    wrong = request(to="090-1234-5678")
    with pytest.raises(BadRequestException) as caught:
        sms.send_sms_messages(wrong)
    (violation,) = json.loads(caught.value.body or "")["violations"]
    assert violation["property"] == "messages[0].destinations[0].to"
    (foreign,) = sms.send_sms_messages(request(to="33612345678")).messages
    assert foreign.status is not None
    assert foreign.status.name == "REJECTED_NETWORK"
    (long,) = sms.send_sms_messages(request(text="あ" * 671)).messages
    assert long.status is not None
    assert long.status.name == "REJECTED_MESSAGE_TOO_LONG"
    assert sandbox.messages() == []


def test_a_key_is_asked_for(sandbox: Sandbox, sms: SmsApi) -> None:
    sandbox.addresses(sms_accounts={"infobip": {"ours": {"url": "http://127.0.0.1:9/", "secret": KEY}}})
    sms.send_sms_messages(request())
    with ApiClient(Configuration(host=sandbox.infobip_base, api_key="wrong")) as client:
        with pytest.raises(UnauthorizedException):
            SmsApi(client).send_sms_messages(request())
        client.rest_client.pool_manager.clear()
    assert KEY not in json.dumps(sandbox.ledger("infobip"))


def test_a_report_is_pushed_to_where_its_message_says(sandbox: Sandbox, sms: SmsApi, listener: Listener) -> None:
    listener.answers = [500, 200]  # a push that fails is made again
    sms.send_sms_messages(request(url=listener.url))
    headers, body = listener.wait(2)[1]
    assert headers["Content-Type"] == "application/json"
    told = SmsDeliveryResult.from_json(body.decode())
    assert told is not None
    (report,) = told.results or []
    assert report.status is not None
    assert report.error is not None
    assert (report.message_id, report.to, report.status.name) == ("ref-1", NUMBER, "DELIVERED_TO_HANDSET")
    assert (report.error.name, report.message_count, report.mcc_mnc) == ("NO_ERROR", 1, "44050")
    assert sandbox.summary()["sent"]["receipts_retried"] == 1


def test_reports_come_as_the_switches_have_it(sandbox: Sandbox, sms: SmsApi, listener: Listener) -> None:
    sandbox.faults(receipts_doubled={"next": 1}, receipts_reversed={"next": 1})
    sms.send_sms_messages(request(url=listener.url))
    names = [told["results"][0]["status"]["name"] for told in (json.loads(body) for _, body in listener.wait(3))]
    assert names == ["DELIVERED_TO_HANDSET", "DELIVERED_TO_HANDSET", "PENDING_ENROUTE"]
    sandbox.faults(receipts_off=True)
    sms.send_sms_messages(request("ref-2", url=listener.url))
    ended(sms, "ref-2")
    sandbox.faults(receipts_early=True)
    sms.send_sms_messages(request("ref-3", url=listener.url))
    assert [json.loads(body)["results"][0]["messageId"] for _, body in listener.got[3:]] == ["ref-3"]


@pytest.mark.parametrize(
    ("switches", "ids"),
    [
        ({"list_empty": True}, []),
        ({"list_stale_s": 3600}, []),
        ({"list_unfiltered": True}, ["other", "ref-1"]),
        ({"tags_upper": True}, ["REF-1"]),
        ({"tag_unlisted": True}, []),
        ({"tag_lost": True}, []),
    ],
)
def test_logs_lag_and_lie_as_the_switches_have_it(
    sandbox: Sandbox, sms: SmsApi, switches: dict[str, Any], ids: list[str]
) -> None:
    sandbox.faults(**switches)
    sms.send_sms_messages(request())
    sandbox.faults(**{name: value for name, value in switches.items() if name.startswith("list")})
    if "list_unfiltered" in switches:
        sms.send_sms_messages(request("other"))
    logs = sms.get_outbound_sms_message_logs(message_id=["ref-1"]).results or []
    assert [log.message_id for log in logs] == ids
    if not any(name.startswith("list") for name in switches):
        listed = sms.get_outbound_sms_message_logs().results or []
        assert len(listed) == 1  # it stands in the list of its time


def test_one_number_is_refused_at_the_door(sandbox: Sandbox, sms: SmsApi) -> None:
    sandbox.faults(poison={"value": 422, "ids": [DOMESTIC]})
    with pytest.raises(BadRequestException):
        sms.send_sms_messages(request())
    sms.send_sms_messages(request(to="819087654321"))
    assert [message["to"] for message in sandbox.messages()] == ["09087654321"]


def test_a_fault_is_the_services_own(sandbox: Sandbox, sms: SmsApi) -> None:
    sandbox.faults(error_after={"next": 1, "on": "infobip.create"})
    with pytest.raises(ServiceException) as caught:
        sms.send_sms_messages(request())
    assert json.loads(caught.value.body or "")["errorCode"] == "E500"
    assert len(sandbox.messages()) == 1


def test_what_is_not_spoken_is_not_there(sandbox: Sandbox) -> None:
    asked = urllib.request.Request(f"{sandbox.infobip_base}/sms/3/reports", headers={"Authorization": f"App {KEY}"})
    with pytest.raises(urllib.error.HTTPError) as caught, urllib.request.urlopen(asked):
        pass
    caught.value.close()
    assert caught.value.code == 404
    assert SmsLogsResponse.from_json('{"results": []}') is not None
    until(lambda: sandbox.summary()["requests"] == {"infobip.other answered 404": 1})
