"""Twilio Programmable Messaging, API 2010-04-01: one SMS from a number or a Messaging Service of the company's.

Source of every rule here: Twilio's OpenAPI document (twilio/twilio-oai, twilio_api_v2010.json), its Python SDK 9.13
(`request_validator.py`) and its dictionary of errors. A message takes neither key nor tag. Our reference stands in the
address to which its status is pushed, which the push's signature covers; a look-up asks for the recipient's messages
and finds ours by its link. It doesn't filter by `date_sent`, which is empty while a message waits in Twilio's queue.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

from app.providers.http import AccountField, Answer, Failure, Reach, Request, Response, retry_after_s
from app.providers.sms import base
from app.providers.sms.base import Outcome, OutcomeKind, Pushed, Report, ReportState, SmsAccess, Sought, UnclearAnswer

_JAPANESE: Final = re.compile(r"\+81[1-9]\d{9}", re.ASCII)
_HEX: Final = "[0-9a-fA-F]{32}"
_SENDER: Final = rf"\+81[1-9][0-9]{{8,9}}|MG{_HEX}"
_SERVICE, _ID = re.compile(f"MG{_HEX}", re.ASCII), re.compile(f"[SM]M{_HEX}", re.ASCII)
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.~ -]+", re.ASCII)
_DIGITS: Final = re.compile(r"\d{1,5}", re.ASCII)
_FORM: Final = "application/x-www-form-urlencoded"
_LINK: Final = re.compile(r"https?://[!-~]+")
_ALGORITHM: Final = re.compile(r"(?:^|,)\s*algorithm\s*=\s*(\w+)", re.ASCII)
_HASHES: Final = {"HMAC_SHA1": hashlib.sha1, "HMAC_SHA256": hashlib.sha256}
_CLOCKS: Final = timedelta(seconds=5)  # how far their clock and ours may be apart
_PAGE: Final = 400  # with the longest texts such a page is as large an answer as is read

# statuses, reasons of failures and of refusals, in words that screens know
_STATUSES: Final = {
    **dict.fromkeys(("accepted", "queued", "scheduled"), (ReportState.PROCESSING, "waiting")),
    **dict.fromkeys(("sending", "sent"), (ReportState.PROCESSING, "processing")),
    **dict.fromkeys(("delivered", "read"), (ReportState.DELIVERED, "received")),
    **dict.fromkeys(("undelivered", "failed"), (ReportState.UNDELIVERED, "failed")),
    "canceled": (ReportState.CANCELLED, "canceled"),
}
_CAUSES: Final = {30001: "congested", 30003: "unconnected", 30004: "handset_refused", 30005: "vacant", 30006: "vacant"}
# a refusal with another code is the account's, until it is told apart from one message's
_REFUSALS: Final = {
    **dict.fromkeys((21211, 21217, 21265, 21614, 21635), Outcome(OutcomeKind.REFUSED, "validation_error:to")),
    **dict.fromkeys((21602, 21617), Outcome(OutcomeKind.REFUSED, "validation_error:body")),
    21610: Outcome(OutcomeKind.REFUSED, "handset_refused:21610"),
    21611: Outcome(OutcomeKind.LATER, "congested:21611", retry_after_s=60.0),
    63038: Outcome(OutcomeKind.LATER, "quota:63038", account_fault=True),
}


class _Twilio:
    """The adapter; see `SmsProvider` for each method."""

    name = "twilio"
    label = "Twilio"
    api_base = "https://api.twilio.com"
    fields: Sequence[AccountField] = (
        AccountField("account_sid", "Account SID", contract=True, pattern=f"AC{_HEX}", expects="ACで始まる34文字"),
        AccountField("sender", "送信元", pattern=_SENDER, expects="+81から始まる電話番号か、MGで始まる34文字"),
        AccountField("auth_token", "Auth Token", secret=True, expects="主（Primary）のAuth Token（空白なし）"),
        AccountField("shared_key", "Shared Key", secret=True, optional=True, help="署名がSHA-256の場合だけ要ります。"),
    )
    capabilities = base.Capabilities(
        lookup_by=base.LookupBy.TEXT,
        receipts=base.ReceiptTrust.SIGNED,
        refuses_duplicates=False,
        tells_carrier=False,
        tells_units=False,  # no push names them
        validity=base.Validity(1, 36_000),  # the longest that it queues one
        longest_text=1600,
        most_requests_s=2000,  # error 63017 above it
        takes_sender=True,
    )
    # each says that the SMS did not arrive, and that it may at another time
    passing = frozenset({"congested:30001", "unconnected:30003", "failed:30036"})

    def send(self, account: SmsAccess, message: base.SmsMessage) -> Request:
        """Return the request that sends `message` once.

        Raises ValueError for a number that isn't Japanese.
        """
        if _JAPANESE.fullmatch(message.to) is None:
            raise ValueError("not a Japanese mobile number in E.164 form")
        sender = message.sender or account.settings.get("sender", "")
        form = (
            f"To=%2B{message.to[1:]}&{'MessagingServiceSid' if _SERVICE.fullmatch(sender) else 'From'}="
            f"{_escaped(sender)}&Body={_escaped(message.body)}&SmartEncoded=false"
        )
        if account.receipt_url:
            form += f"&StatusCallback={_escaped(f'{account.receipt_url}?reference={quote(message.reference)}')}"
        if message.valid_until is not None:
            left_s = int((message.valid_until - datetime.now(UTC)).total_seconds())
            form += f"&ValidityPeriod={max(1, min(left_s, 36_000))}"
        headers = _headers(account) | {"Content-Type": _FORM}
        return Request("POST", _url(account, "Messages"), headers, form.encode(), account.timeout_s)

    def outcome(self, answer: Answer) -> Outcome:
        """Read the answer to `send`. Never raises."""
        if isinstance(answer, Failure):
            kind = OutcomeKind.LATER if answer.reach is Reach.NEVER_LEFT else OutcomeKind.UNKNOWN
            return Outcome(kind, answer.reason)
        if answer.status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
            return _refused(answer)
        try:
            report = _report(_object(answer.body))
        except UnclearAnswer as unclear:
            return Outcome(OutcomeKind.UNKNOWN, str(unclear))
        over = report.state in {ReportState.UNDELIVERED, ReportState.CANCELLED}
        return Outcome(OutcomeKind.REFUSED if over else OutcomeKind.ACCEPTED, report.code, report.provider_id)

    def lookup(self, account: SmsAccess, sought: Sought) -> Request | None:
        """Return the request for the recipient's newest messages; None where the text isn't known any more."""
        if not (sought.to and sought.body and sought.sent_at):
            return None
        url = f"{_url(account, 'Messages')}?{urlencode({'To': sought.to, 'PageSize': _PAGE})}"
        return Request("GET", url, _headers(account), timeout_s=account.timeout_s)

    def parse_lookup(self, response: Response, sought: Sought) -> Report | None:
        """Read the answer to `lookup`: the message with our link, among those that are no other attempt's.

        One that might be ours proves that nothing is absent: from before the attempt, with its text withheld, or on a
        page that isn't shown.
        """
        content = _content(response)
        messages, more = content.get("messages"), content.get("next_page_uri", "")
        if not isinstance(messages, list) or not (more is None or (isinstance(more, str) and more)):
            raise UnclearAnswer("unreadable")
        ours, doubt = [], "incomplete" if more else ""
        for message in messages:
            report = _report(message, (sought.reference,))
            told, to, at = message.get("body"), message.get("to"), report.accepted_at
            if report.provider_id in sought.known:
                continue
            if to != sought.to or not isinstance(told, str) or not told or at is None:
                doubt = "unfiltered" if to != sought.to else doubt or "incomplete"
            elif _is_same(sought.body, told) and not (sought.until and at >= sought.until - _CLOCKS):
                if sought.sent_at is not None and at >= sought.sent_at - _CLOCKS:
                    ours.append(report)
                elif _LINK.search(told):
                    doubt = doubt or "mismatch"
        if not ours and doubt:
            raise UnclearAnswer(doubt)
        return base.first_of(ours) if ours else None

    def sent_between(self, account: SmsAccess, start: datetime, end: datetime, page: int) -> None:
        """Return None: the list can be filtered by `date_sent` alone, and its pages have addresses, not numbers."""
        del account, start, end, page

    def parse_list(self, response: Response, start: datetime, end: datetime) -> base.Page:
        """Raise UnclearAnswer: no such list is asked for."""
        del response, start, end
        raise UnclearAnswer("unreadable")

    def detail(self, account: SmsAccess, provider_id: str) -> Request:
        """Return the request that asks for one message by Twilio's id."""
        return Request("GET", _url(account, "Messages", provider_id), _headers(account), timeout_s=account.timeout_s)

    def report(self, response: Response) -> Report:
        """Read the answer to `detail`. Raises UnclearAnswer."""
        return _report(_content(response))

    def receipt(self, pushed: Pushed) -> Sequence[Report]:
        """Read a status callback: our reference stands in its address.

        Raises UnclearAnswer.
        """
        told = dict(parse_qsl(pushed.body.decode("utf-8", "replace"))) if _is_form(pushed) else _object(pushed.body)
        names = {"sid": "MessageSid", "status": "MessageStatus", "error_code": "ErrorCode"}
        message = {name: told.get(theirs) for name, theirs in names.items()}
        return (_report(message, tuple(parse_qs(pushed.query).get("reference", ()))),)

    def is_authentic(self, account: SmsAccess, pushed: Pushed) -> bool:
        """Return whether Twilio signed a push to the account's address, in any form that its SDK takes.

        HMAC-SHA1 with the Auth Token, or what the settings' header names with the Shared Key; over the address with its
        port or without, then a form's fields by name. Another body is covered by its digest in the address.
        """
        named = pushed.headers.get("x-twilio-webhooks-signature-settings", "")
        digest = _HASHES.get(match[1].upper()) if (match := _ALGORITHM.search(named)) else hashlib.sha1
        key = account.credentials.get("shared_key" if named else "auth_token", "").encode()
        covered = _covered(pushed)
        if digest is None or not key or covered is None:
            return False
        signature = pushed.headers.get("x-twilio-signature", "").encode()
        addresses = _addresses(f"{account.receipt_url}{pushed.query and '?'}{pushed.query}")
        macs = [base64.b64encode(hmac.digest(key, (one + covered).encode(), digest)) for one in addresses]
        return any(hmac.compare_digest(mac, signature) for mac in macs)


twilio = _Twilio()


def _url(account: SmsAccess, *path: str) -> str:
    parts = "/".join(quote(part, safe="") for part in (account.settings.get("account_sid", ""), *path))
    return f"{account.base_url.rstrip('/')}/2010-04-01/Accounts/{parts}.json"


def _headers(account: SmsAccess) -> dict[str, str]:
    pair = f"{account.settings.get('account_sid', '')}:{account.credentials.get('auth_token', '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _escaped(value: str) -> str:
    """Write a form's value as `urllib.parse.quote_plus` does: in a tenth of its time where the text is Japanese."""
    return _UNSAFE.sub(lambda run: f"%{run[0].encode().hex('%').upper()}", value).replace(" ", "+")


def _addresses(url: str) -> tuple[str, str]:
    """Return an address without a port and with one: which of them Twilio signs differs."""
    parts = urlsplit(url)
    host, port = parts.netloc.removesuffix(f":{parts.port}"), parts.port or (443 if parts.scheme == "https" else 80)
    return parts._replace(netloc=host).geturl(), parts._replace(netloc=f"{host}:{port}").geturl()


def _object(body: bytes) -> dict[str, Any]:
    """Return what a JSON body says; nothing where it is none, or no object."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):  # bad JSON, bad UTF-8, a number of 5,000 digits; brackets without end
        return {}
    return content if isinstance(content, dict) else {}


def _is_form(pushed: Pushed) -> bool:
    return pushed.headers.get("content-type", "").startswith(_FORM)


def _covered(pushed: Pushed) -> str | None:
    """Return what a signature covers beside the address; None for a body that the address has no right digest of."""
    if _is_form(pushed):
        fields = parse_qsl(pushed.body.decode("utf-8", "replace"), keep_blank_values=True)
        return "".join(name + value for name, value in sorted(set(fields)))
    told = parse_qs(pushed.query).get("bodySHA256", [""])[0]
    return "" if hmac.compare_digest(told.encode(), hashlib.sha256(pushed.body).hexdigest().encode()) else None


def _refused(response: Response) -> Outcome:
    """Read an answer that is no acceptance.

    An error in Twilio's form proves that the message did not get in.
    """
    content, status = _object(response.body), response.status
    code = _number(content.get("code")) if content.get("status") == status else 0
    if status == HTTPStatus.TOO_MANY_REQUESTS and code not in _REFUSALS:
        return Outcome(OutcomeKind.LATER, "http_429", retry_after_s=retry_after_s(response.headers))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Outcome(OutcomeKind.LATER, f"unauthentication:{code or status}", account_fault=True)
    if not code or status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS}:
        return Outcome(OutcomeKind.UNKNOWN, f"http_{status}")
    return _REFUSALS.get(code) or Outcome(OutcomeKind.LATER, f"validation_error:{code}", account_fault=True)


def _number(value: object) -> int:
    """Read a whole number of up to five digits, written as one or as a text; 0 for anything else."""
    return int(value) if isinstance(value, int | str) and _DIGITS.fullmatch(str(value)) else 0


def _content(response: Response) -> dict[str, Any]:
    if response.status != HTTPStatus.OK:
        raise UnclearAnswer(f"http_{response.status}")
    return _object(response.body)


def _report(message: object, references: Sequence[str] = ()) -> Report:
    """Read a message. Raises UnclearAnswer for anything that isn't one."""
    if not isinstance(message, dict) or not isinstance(status := message.get("status"), str):
        raise UnclearAnswer("unreadable")
    provider_id, error = message.get("sid"), _number(message.get("error_code"))
    if not isinstance(provider_id, str) or not _ID.fullmatch(provider_id):
        raise UnclearAnswer("no_id")
    state, code = _STATUSES.get(status, (ReportState.PROCESSING, "unknown"))
    if state is ReportState.UNDELIVERED and error:
        code = f"{_CAUSES.get(error, code)}:{error}"
    accepted_at = _time(message.get("date_created"))
    at = _time(message.get("date_updated")) or accepted_at
    return Report(provider_id, state, references, code, accepted_at=accepted_at, at=at)


def _time(value: object) -> datetime | None:
    """Read a time as mail writes it; None for anything else."""
    try:
        time = parsedate_to_datetime(value) if isinstance(value, str) else None
        return time.astimezone(UTC) if time is not None and time.tzinfo is not None else None
    except (ValueError, TypeError, OverflowError):
        return None


def _is_same(ours: str, theirs: str) -> bool:
    """Return whether a text has all links of ours, one of which is its person's alone; without any, whether it is ours.

    Of a link the last part counts, and no other word: the product may have got another address or name since.
    """
    found, wanted = ({link.rstrip("/").rpartition("/")[2] for link in _LINK.findall(text)} for text in (theirs, ours))
    return wanted <= found if wanted else ours.split() == theirs.split()
