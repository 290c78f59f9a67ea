"""絶対リーチ!SMS (AI CROSS), CommonMT of specification 1.4.7: one SMS to a Japanese mobile number over direct routes.

Source of every rule here: the service's OpenAPI document, doc.aossms.com/zettai-reach/openapi.html. HTTP says 200
whatever became of a request: `responseCode` decides. Our reference travels as `clientTag`, and a tag that the service
had before is refused as a duplicate, so a message may be sent again under its own. Messages are known by that tag
alone: the service's own id stands in receipts, and can't be asked for. Answers hold the number and the text. Receipts
come in bundles and unsigned. Figures come as numbers or as texts.

No list by time: `status.json` by `date` tells when a carrier reported, never when a message was accepted. No check of
numbers: `numbercleaning.json` (名義人変更判定) tells whether a number has another holder since a day that it asks for.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote_plus, unquote_plus, urlencode

from app.providers.http import AccountField, Answer, Request, Response
from app.providers.sms.answers import json_of, let_in
from app.providers.sms.base import (
    Capabilities,
    LookupBy,
    Outcome,
    OutcomeKind,
    Page,
    Pushed,
    ReceiptTrust,
    Report,
    ReportState,
    SmsAccess,
    SmsMessage,
    Sought,
    UnclearAnswer,
    first_of,
    names,
)

_JST: Final = timezone(timedelta(hours=9))
_NUMBER: Final = re.compile(r"\+81[26789]0[1-9]\d{7}", re.ASCII)
_TAG: Final = re.compile(r"[0-9A-Za-z_.-]{1,203}", re.ASCII)  # ours are of these; the service writes up to 203
_FIGURE: Final = re.compile(r"\s*(\d{1,9})\s*", re.ASCII)
_TIMES: Final = ("%Y%m%d %H%M%S%f", "%Y/%m/%d %H:%M:%S")  # of `status.json`, of a receipt
_FORM: Final = MappingProxyType({"Content-Type": "application/x-www-form-urlencoded"})

_ACCEPTED, _QUOTA, _DUPLICATE = 0, 300, 400
_BAD_FIELD: Final = frozenset({100, 110, 120})  # missing, invalid, too long
_FIELD: Final = re.compile(r"(?:Required|Invalid) ([A-Za-z]+)\.?|([A-Za-z]+) too long\.?", re.ASCII)
# fields of the message itself, in the words that screens know; any other is the account's or ours
_OF_MESSAGE: Final = {"phonenumber": "to", "message": "body"}
_OF_ACCOUNT: Final = {"token": "token", "clientid": "clientId", "smscode": "smsCode"}

_SENDING, _DELIVERED, _FAILED = 1, 2, 3
_CARRIERS: Final = {101: "au", 103: "docomo", 105: "softbank", 106: "rakuten"}
_MOST_UNITS: Final = 99  # 660 characters come to 10; a larger figure is a mistake
# `detailedStatusId` of a failure: two digits of the carrier's module, three of the cause
_MODULES: Final = ("11", "12", "13", "14", "31", "32", "51", "52", "61", "62")
_CAUSES: Final = {
    "721": "congested",
    "732": "vacant",
    "821": "congested",
    "823": "unconnected",
    "824": "unconnected",
    "833": "unconnected",
    "834": "handset_refused",
}
_PASSING_CAUSES: Final = frozenset({"congested", "unconnected"})


class _ZettaiReach:
    """The adapter; see `SmsProvider` for each method."""

    name = "zettai_reach"
    label = "絶対リーチ!SMS"
    fields: Sequence[AccountField] = (
        AccountField("client_id", "クライアントID", contract=True, pattern="[0-9]+", expects="管理画面にある数字のID"),
        AccountField("sms_code", "SMSコード", pattern="[0-9]{5,6}", expects="「クライアント情報」にある5〜6桁の数字"),
        AccountField("token", "トークン", secret=True, pattern="[!-~]{32}", expects="「アカウント情報」にある32文字"),
    )
    api_base = "https://sms-api.aossms.com"
    capabilities = Capabilities(
        lookup_by=LookupBy.REFERENCE,
        receipts=ReceiptTrust.UNSIGNED,
        refuses_duplicates=True,
        tells_carrier=True,
        tells_units=True,
        validity=None,
        # the longest that is documented: KDDI tells of a failure after about 20 minutes
        retries_for_s=20 * 60.0,
        longest_reference=200,
        longest_text=660,
        most_requests_s=600,
    )
    # an id that the service adds without notice is none of these, and final
    passing = frozenset(
        f"{word}:{module}{cause}" for module in _MODULES for cause, word in _CAUSES.items() if word in _PASSING_CAUSES
    )

    def send(self, account: SmsAccess, message: SmsMessage) -> Request:
        """Return the request that sends `message` once.

        Raises ValueError for a number that isn't Japanese.
        """
        if _NUMBER.fullmatch(message.to) is None:
            raise ValueError("not a Japanese mobile number in E.164 form")
        form = (
            f"{_access(account)}&smsCode={quote_plus(account.settings.get('sms_code', ''))}"
            f"&phoneNumber=%2B{message.to[1:]}&message={quote_plus(message.body)}"
            f"&clientTag={quote_plus(message.reference)}"
        )
        return Request("POST", _url(account.base_url, "mt"), _FORM, form.encode(), account.timeout_s)

    def outcome(self, answer: Answer) -> Outcome:
        """Read the answer to `send`. Never raises."""
        response = let_in(
            answer
        )  # none of these is the service's own: a gateway's, or a firewall's that knows addresses
        if isinstance(response, Outcome):
            return response
        if response.status != HTTPStatus.OK:
            return Outcome(OutcomeKind.UNKNOWN, f"http_{response.status}")
        return _outcome(json_of(response.body))

    def lookup(self, account: SmsAccess, sought: Sought) -> Request:
        """Return the request that asks for an attempt's messages, by our reference."""
        return self.detail(account, sought.reference)

    def parse_lookup(self, response: Response, sought: Sought) -> Report | None:
        """Read the answer to `lookup`.

        Code `duplicate` says that the service has the reference more than once.
        """
        reports = [_report(message) for message in _messages(response)]
        ours = [report for report in reports if names(report.references, sought.reference)]
        if not ours:
            # another's message in it shows that the filter was not obeyed
            if reports:
                raise UnclearAnswer("incomplete")
            return None
        return first_of(ours)

    def sent_between(self, account: SmsAccess, start: datetime, end: datetime, page: int) -> None:
        """Return None: no list tells when a message was accepted."""
        del account, start, end, page

    def parse_list(self, response: Response, start: datetime, end: datetime) -> Page:
        """Raise UnclearAnswer: there is no such list."""
        del response, start, end
        raise UnclearAnswer("unreadable")

    def detail(self, account: SmsAccess, provider_id: str) -> Request:
        """Return the request that asks for one message by its tag."""
        url = f"{_url(account.base_url, 'status')}?{_access(account)}&{urlencode({'clientTag': provider_id})}"
        return Request("GET", url, timeout_s=account.timeout_s)

    def report(self, response: Response) -> Report:
        """Read the answer to `detail`. Raises UnclearAnswer."""
        reports = [_report(message) for message in _messages(response)]
        if len({report.provider_id for report in reports}) != 1:
            raise UnclearAnswer("incomplete" if reports else "absent")
        return first_of(reports)

    def receipt(self, pushed: Pushed) -> Sequence[Report]:
        """Read a pushed bundle: those of its messages that can be read.

        Raises UnclearAnswer where none can.
        """
        # the document calls it JSON in one line and a form with one field in the next
        text = unquote_plus(pushed.body[5:].decode("utf-8", "replace")) if pushed.body[:5] == b"json=" else pushed.body
        content = json_of(text)
        events = content.get("eventNotifications") if isinstance(content, dict) else None
        if not isinstance(events, list) or not events:
            raise UnclearAnswer("unreadable")
        reports, unclear = [], UnclearAnswer("unreadable")
        for event in events:
            try:
                reports.append(_report(event))
            except UnclearAnswer as fault:
                unclear = fault
        if not reports:
            raise unclear
        return reports

    def is_authentic(self, account: SmsAccess, pushed: Pushed) -> bool:
        """Return False: nothing in a receipt proves its origin."""
        del account, pushed
        return False


zettai_reach = _ZettaiReach()


def _url(base_url: str, call: str) -> str:
    return f"{base_url.rstrip('/')}/p5/api/{call}.json"


def _access(account: SmsAccess) -> str:
    return urlencode({"token": account.credentials.get("token", ""), "clientId": account.settings.get("client_id", "")})


def _figure(value: object) -> int | None:
    """Read a whole number that was written as one, or as a text; None for anything else."""
    if type(value) is int:
        return value if 0 <= value < 10**9 else None
    match = _FIGURE.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) if match else None


def _outcome(content: object) -> Outcome:
    code = _figure(content.get("responseCode")) if isinstance(content, dict) else None
    if not isinstance(content, dict) or code is None:
        return Outcome(OutcomeKind.UNKNOWN, "unreadable")
    if code == _ACCEPTED:
        whole = all(isinstance(content.get(name), str) for name in ("responseMessage", "phoneNumber", "smsMessage"))
        return Outcome(OutcomeKind.ACCEPTED, "waiting") if whole else Outcome(OutcomeKind.UNKNOWN, "unreadable")
    if code == _DUPLICATE:
        return Outcome(OutcomeKind.ACCEPTED, "duplicate_refused")
    if code == _QUOTA:
        return Outcome(OutcomeKind.LATER, "quota", account_fault=True)
    if code in _BAD_FIELD:
        return _refused(content.get("responseMessage"))
    return Outcome(OutcomeKind.UNKNOWN, f"code_{code}")


def _refused(message: object) -> Outcome:
    """Read which field was refused.

    A message's own is refused for good; of any other no message would pass.
    """
    match = _FIELD.fullmatch(message.strip()) if isinstance(message, str) else None
    name = (match[1] or match[2]).lower() if match else ""
    if name in _OF_MESSAGE:
        return Outcome(OutcomeKind.REFUSED, f"validation_error:{_OF_MESSAGE[name]}")
    code = f"unauthentication:{_OF_ACCOUNT[name]}" if name in _OF_ACCOUNT else "validation_error"
    return Outcome(OutcomeKind.LATER, code, account_fault=True)


def _messages(response: Response) -> list[Any]:
    """Return the messages of an answer of `status.json`. Raises UnclearAnswer."""
    if response.status != HTTPStatus.OK:
        raise UnclearAnswer(f"http_{response.status}")
    content = json_of(response.body)
    code = _figure(content.get("responseCode")) if isinstance(content, dict) else None
    if code is None:
        raise UnclearAnswer("unreadable")
    if code != _ACCEPTED:
        refused = code in _BAD_FIELD and _refused(content.get("responseMessage")).code
        raise UnclearAnswer(refused or f"code_{code}")
    messages = content.get("status")
    if not isinstance(messages, list):
        raise UnclearAnswer("unreadable")
    return messages


def _report(message: object) -> Report:
    """Read a message of `status.json` or of a receipt.

    Raises UnclearAnswer for anything that isn't one.
    """
    if not isinstance(message, Mapping) or message.get("type", "DLR") != "DLR":
        raise UnclearAnswer("unreadable")
    tag, status = message.get("clientTag"), _figure(message.get("statusId"))
    if not isinstance(tag, str) or not _TAG.fullmatch(tag.strip()):
        raise UnclearAnswer("no_id")
    if status is None:
        raise UnclearAnswer("unreadable")
    state, code = _state(status, message.get("detailedStatusId"))
    over = state is not ReportState.PROCESSING  # before that the document calls the other fields indefinite
    units = _figure(message.get("separatedSuccessCount")) if over else None
    return Report(
        # ours are written in lower case, and asked for as they are written
        provider_id=tag.strip().lower(),
        state=state,
        references=(tag,),
        code=code,
        carrier=_CARRIERS.get(_figure(message.get("carrierId")) or 0) if over else None,
        at=_time(message.get("dateTime")),
        units=units if units is not None and units <= _MOST_UNITS else None,
    )


def _state(status: int, detail: object) -> tuple[ReportState, str]:
    """Read where a message stands: 0 is unknown to the service, and so is to us any figure it has no word for."""
    if status == _DELIVERED:
        return ReportState.DELIVERED, "received"
    if status == _FAILED:
        figure = _figure(detail)
        if figure is None:
            return ReportState.UNDELIVERED, "failed"
        return ReportState.UNDELIVERED, f"{_CAUSES.get(str(figure)[2:], 'failed')}:{figure}"
    return ReportState.PROCESSING, "processing" if status == _SENDING else "unknown"


def _time(value: object) -> datetime | None:
    """Read a time of Japan's clock; None for anything else."""
    for form in _TIMES if isinstance(value, str) else ():
        try:
            return datetime.strptime(str(value).strip(), form).replace(tzinfo=_JST).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    return None
