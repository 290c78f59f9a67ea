"""Infobip, which NTT sells as NTT CPaaS: one SMS to a Japanese mobile number, by the API `/sms/3/`.

Source of every rule here: the service's Python SDK, infobip-api-python-client 6.0.0, which is made from its OpenAPI
document, and its pages "Response status and error codes" and "Message status codes". The message's id is ours: our
reference, by which the logs are asked. A repeated id is not documented as refused in this API, so nothing is sent again
blind. Receipts are pushed to the address told with each message, unsigned: they only say "ask the logs". The reports of
`/sms/3/reports` are never asked for: each is given once. Logs go back 48 hours and show a thousand messages at once.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from app.providers.http import AccountField, Answer, Request, Response
from app.providers.sms import base
from app.providers.sms.answers import date_of, json_of, let_in, time_of
from app.providers.sms.base import Outcome, OutcomeKind, Pushed, Report, ReportState, SmsAccess, Sought, UnclearAnswer

_NUMBER: Final = re.compile(r"\+81[1-9]\d{9}", re.ASCII)
_ID: Final = re.compile(r"[0-9A-Za-z._-]{1,200}", re.ASCII)  # ours are of these; another system's may be anything
_WORD: Final = re.compile(r"[0-9A-Za-z_]{1,60}", re.ASCII)

# the longest is documented; in less than the other no phone comes on again
_VALIDITY: Final = base.Validity(60.0, 48 * 3600.0)
_LOGS_KEPT: Final = timedelta(hours=47)  # an hour less than is documented
_MOST_LOGS: Final = 1000
_MOST_UNITS: Final = 99  # 660 characters come to 10; a larger figure is a mistake

_FAILED: Final = frozenset({"UNDELIVERABLE", "EXPIRED", "REJECTED"})
# "intermediate: reached the operator, not yet the handset"; of the two others no carrier told what became of them
_NO_END: Final = {"DELIVERED_TO_OPERATOR": "processing", "EXPIRED_DLR_UNKNOWN": "unknown", "EXPIRED_UNKNOWN": "unknown"}
# refusals of a send by whose fault they are; a trial reaches numbers alone that are registered
_OF_ACCOUNT: Final = {
    **dict.fromkeys(("REJECTED_NOT_ENOUGH_CREDITS", "REJECTED_PREPAID_PACKAGE_EXPIRED"), "quota"),
    **dict.fromkeys(("REJECTED_SOURCE", "REJECTED_SENDER"), "sender_refused"),
    "REJECTED_DESTINATION_NOT_REGISTERED": "quota",
}
_OF_NUMBER: Final = ("REJECTED_DND", "REJECTED_DESTINATION", "REJECTED_INVALID_DESTINATION", "REJECTED_PREFIX_MISSING")
_PASSING: Final = ("REJECTED_FLOODING_FILTER", "REJECTED_SYSTEM_ERROR")
_DUPLICATE: Final = "REJECTED_DUPLICATE_MESSAGE_ID"  # of an older API: there is a message to ask about
# fields of a request, by the last word of the `property` that is refused
_FIELDS: Final = {"to": "to", "text": "body"}
_OF_VALIDITY: Final = frozenset({"validityPeriod", "amount", "timeUnit"})

# errors of networks, by what they tell of the phone; all but "vacant" pass, where `permanent` says so too
_CAUSES: Final = {
    "vacant": "UNKNOWN_SUBSCRIBER UNIDENTIFIED_SUBSCRIBER",
    "unconnected": "ABSENT_SUBSCRIBER ABSENT_SUBSCRIBER_SM",
    "congested": "SUBSCRIBER_BUSY_FOR_MT_SMS MESSAGE_WAITING_LIST_FULL RESOURCE_LIMITATION SYSTEM_FAILURE NO_RESPONSE "
    "TIME_OUT SM_DF_memoryCapacityExceeded SM_DF_sc_Congestion NNR_subsystemCongestion NNR_networkCongestion",
}
_WORDS: Final = {f"EC_{error}": word for word, errors in _CAUSES.items() for error in errors.split()}

# Japan's networks by country and network code, as far as they are in use
_NETWORKS: Final = {"docomo": "10", "rakuten": "11", "softbank": "00 20 21", "au": "50 51 52 53 54 70"}
_CARRIERS: Final = {f"440{code}": carrier for carrier, codes in _NETWORKS.items() for code in codes.split()}


class _Infobip:
    """The adapter; see `SmsProvider` for each method."""

    name, label = "infobip", "Infobip（NTT CPaaS）"
    api_base = None  # each contract has an address of its own: the operator lists them
    fields: Sequence[AccountField] = (
        AccountField("api_key", "APIキー", secret=True, expects="送信とログの閲覧ができるキー（空白なし）"),
    )
    capabilities = base.Capabilities(
        lookup_by=base.LookupBy.REFERENCE,
        receipts=base.ReceiptTrust.UNSIGNED,
        refuses_duplicates=False,
        tells_carrier=True,
        tells_units=True,
        validity=_VALIDITY,
        longest_reference=200,
        takes_sender=True,
    )
    passing = frozenset(f"{word}:{error}" for error, word in _WORDS.items() if word != "vacant")

    def send(self, account: SmsAccess, message: base.SmsMessage) -> Request:
        """Return the request that sends `message` once. Raises ValueError for a number that isn't Japanese."""
        if _NUMBER.fullmatch(message.to) is None:
            raise ValueError("not a Japanese mobile number in E.164 form")
        content: dict[str, object] = {
            "destinations": [{"to": message.to[1:], "messageId": message.reference}],
            "content": {"text": message.body},
        }
        if message.sender:
            content["sender"] = message.sender.removeprefix("+")  # as it writes `to`
        if message.valid_until is not None:
            left_s = _seconds_left(message.valid_until, account.timeout_s)
            content["options"] = {"validityPeriod": {"amount": left_s, "timeUnit": "SECONDS"}}
        if account.receipt_url:
            delivery = {"url": account.receipt_url, "intermediateReport": False}
            content["webhooks"] = {"delivery": delivery, "contentType": "application/json"}
        body = json.dumps({"messages": [content]}, ensure_ascii=False).encode()
        return Request("POST", f"{account.base_url}/sms/3/messages", _headers(account), body, account.timeout_s)

    def outcome(self, answer: Answer) -> Outcome:
        """Read the answer to `send`. Never raises."""
        response = let_in(answer)
        if isinstance(response, Outcome):
            return response
        if response.status == HTTPStatus.OK:
            return _taken(json_of(response.body))
        if response.status == HTTPStatus.BAD_REQUEST:
            return _refused(json_of(response.body))
        return Outcome(OutcomeKind.UNKNOWN, f"http_{response.status}")

    def lookup(self, account: SmsAccess, sought: Sought) -> Request:
        """Return the request that asks for an attempt's messages, by the id that we gave it."""
        return self.detail(account, sought.reference)

    def parse_lookup(self, response: Response, sought: Sought) -> Report | None:
        """Read the answer to `lookup`. Code `duplicate` says that the logs have the id more than once."""
        logs = _results(response)
        ours = [report for report in map(_report, logs) if report and base.names(report.references, sought.reference)]
        if ours:
            return base.first_of(ours)
        # another's message in it shows that the filter was not obeyed: ours may be one of those that aren't shown
        if logs:
            raise UnclearAnswer("incomplete")
        return None

    def sent_between(self, account: SmsAccess, start: datetime, end: datetime, page: int) -> Request:
        """Return the request for what was accepted in a time, all of it on one page: the logs have no others."""
        del page
        tick = timedelta(milliseconds=1)  # both ends are said to be left out
        return _logs(account, sentSince=_written(start - tick), sentUntil=_written(end + tick), limit=_MOST_LOGS)

    def parse_list(self, response: Response, start: datetime, end: datetime) -> base.Page:
        """Read that list. Raises UnclearAnswer where it may lack some: it is too old or of another time; TooMany."""
        logs = _results(response)
        if (now := date_of(response)) is None or now - start > _LOGS_KEPT:
            raise UnclearAnswer("incomplete")
        if len(logs) >= _MOST_LOGS:
            raise base.TooMany("incomplete")
        second = timedelta(seconds=1)
        told = [(report, log) for log in logs if (report := _report(log)) is not None]
        if any(one.accepted_at is None or not start - second < one.accepted_at < end + second for one, _ in told):
            raise UnclearAnswer("unfiltered")
        return base.Page([base.ListedMessage(one, _e164(log.get("destination"))) for one, log in told], more=False)

    def detail(self, account: SmsAccess, provider_id: str) -> Request:
        """Return the request that asks the logs for one message."""
        return _logs(account, messageId=provider_id, limit=100)

    def report(self, response: Response) -> Report:
        """Read the answer to `detail`. Raises UnclearAnswer, also where the logs don't go back so far."""
        reports = [report for report in map(_report, _results(response)) if report is not None]
        if not reports:
            raise UnclearAnswer("absent")
        if len({report.provider_id for report in reports}) > 1:
            raise UnclearAnswer("unfiltered")
        return base.first_of(reports)

    def receipt(self, pushed: Pushed) -> Sequence[Report]:
        """Read pushed reports, one or more, without those whose ids can't be ours. Raises UnclearAnswer."""
        return tuple(report for report in map(_report, _list(json_of(pushed.body))) if report is not None)

    def is_authentic(self, account: SmsAccess, pushed: Pushed) -> bool:
        """Return False: a receipt bears no signature."""
        del account, pushed
        return False


infobip = _Infobip()


def _headers(account: SmsAccess) -> dict[str, str]:
    return {
        "Authorization": f"App {account.credentials.get('api_key', '')}",
        "Content-Type": "application/json",
        "Accept": "application/json",  # it speaks XML too
    }


def _logs(account: SmsAccess, **query: object) -> Request:
    url = f"{account.base_url}/sms/3/logs?{urlencode(query)}"
    return Request("GET", url, _headers(account), timeout_s=account.timeout_s)


def _seconds_left(until: datetime, timeout_s: float) -> int:
    """Return a validity period that ends by `until` however late within its limit the request arrives; 1 at least."""
    return int(min(max((until - datetime.now(UTC)).total_seconds() - timeout_s, 1.0), _VALIDITY.most_s))


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")


def _e164(value: object) -> str | None:
    number = f"+{value.removeprefix('+')}" if isinstance(value, str) else ""
    return number if _NUMBER.fullmatch(number) else None


def _word(value: object) -> str:
    """Return a provider's word fit for a log, or "" for anything else: texts may hold a number or a message."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _taken(content: object) -> Outcome:
    """Read the answer to a request that was let in: it tells where its one message stands."""
    messages = content.get("messages") if isinstance(content, dict) else None
    message = messages[0] if isinstance(messages, list) and len(messages) == 1 else None
    group, word = _of(message, "status", "groupName"), _of(message, "status", "name")
    provider_id = message.get("messageId") if isinstance(message, dict) else None
    if not group or not isinstance(provider_id, str) or not _ID.fullmatch(provider_id):
        return Outcome(OutcomeKind.UNKNOWN, "unreadable")
    outcome = Outcome(OutcomeKind.UNKNOWN, f"unknown:{word}", references=(provider_id,))
    if group in {"ACCEPTED", "PENDING", "DELIVERED"}:
        return outcome._replace(kind=OutcomeKind.ACCEPTED, code=f"processing:{word}", provider_id=provider_id)
    if group not in _FAILED or word in _NO_END or word in {"", _DUPLICATE}:
        return outcome
    if word in _OF_ACCOUNT:
        return outcome._replace(kind=OutcomeKind.LATER, code=f"{_OF_ACCOUNT[word]}:{word}", account_fault=True)
    if word in _PASSING:
        return outcome._replace(kind=OutcomeKind.LATER, code=f"rejected:{word}")
    code = "validation_error:to" if word in _OF_NUMBER else f"rejected:{word}"
    return outcome._replace(kind=OutcomeKind.REFUSED, code=code)


def _refused(content: object) -> Outcome:
    """Read a documented refusal of a request, by the fields that it names; anything else proves nothing."""
    violations = content.get("violations") if isinstance(content, dict) and _word(content.get("errorCode")) else None
    if not isinstance(violations, list):
        return Outcome(OutcomeKind.UNKNOWN, "http_400")
    places = [one.get("property") for one in violations if isinstance(one, dict)]
    fields = {_word(place.rpartition(".")[2]) for place in places if isinstance(place, str)}
    if fields == {"sender"}:
        return Outcome(OutcomeKind.LATER, "sender_refused", account_fault=True)
    if fields and fields <= _OF_VALIDITY:  # its time was over when it came: no fault of the message
        return Outcome(OutcomeKind.LATER, "validation_error:validityPeriod")
    told = ",".join(sorted(filter(None, (_FIELDS.get(field, field) for field in fields))))
    return Outcome(OutcomeKind.REFUSED, f"validation_error:{told}" if told else "validation_error")


def _results(response: Response) -> list[Mapping[str, Any]]:
    """Read an answer of the logs. Raises UnclearAnswer for one that isn't whole."""
    if response.status != HTTPStatus.OK:
        raise UnclearAnswer(f"http_{response.status}")
    content = json_of(response.body)
    if isinstance(content, dict) and content.get("cursor"):  # of pages that were not asked for
        raise UnclearAnswer("incomplete")
    return _list(content)


def _list(content: object) -> list[Mapping[str, Any]]:
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, list) or not all(isinstance(one, dict) for one in results):
        raise UnclearAnswer("unreadable")
    return results


def _of(content: object, part: str, name: str) -> str:
    """Return a word of a part of a message, "" where there is none."""
    inner = content.get(part) if isinstance(content, dict) else None
    return _word(inner.get(name)) if isinstance(inner, dict) else ""


def _report(log: Mapping[str, Any]) -> Report | None:
    """Read a log or a pushed report; None where its id can't be ours. Raises UnclearAnswer for what is neither."""
    provider_id = log.get("messageId")
    if not isinstance(provider_id, str):
        raise UnclearAnswer("no_id")
    state, code = _state(log)
    if not _ID.fullmatch(provider_id):
        return None
    network, units = log.get("mccMnc"), log.get("messageCount")
    accepted_at = time_of(log.get("sentAt"))
    return Report(
        provider_id=provider_id,
        state=state,
        references=(provider_id,),
        code=code,
        carrier=_CARRIERS.get(network) if isinstance(network, str) else None,
        accepted_at=accepted_at,
        at=time_of(log.get("doneAt")) or accepted_at,
        units=units if type(units) is int and 0 <= units <= _MOST_UNITS else None,
    )


def _state(log: Mapping[str, Any]) -> tuple[ReportState, str]:
    """Read where a message stands, and why: the network's word where that says more. Raises UnclearAnswer."""
    group, word = _of(log, "status", "groupName"), _of(log, "status", "name")
    if not group:
        raise UnclearAnswer("unreadable")
    if group == "DELIVERED" and word == "DELIVERED_TO_HANDSET":
        return ReportState.DELIVERED, f"received:{word}"
    if group not in _FAILED or word in _NO_END:
        # under way; or a word that isn't documented yet, which proves no end
        return ReportState.PROCESSING, f"{_NO_END.get(word, 'processing')}:{word or group}"
    error = _of(log, "error", "name")
    passes = isinstance(log.get("error"), dict) and log["error"].get("permanent") is False
    if error in _WORDS and (passes or _WORDS[error] == "vacant"):
        return ReportState.UNDELIVERED, f"{_WORDS[error]}:{error}"
    return ReportState.UNDELIVERED, f"failed:{word if error in {'', 'NO_ERROR'} else error}"
