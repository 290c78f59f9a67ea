"""空電プッシュ (NTT CPaaS "Karaden"), API 2024-03-01: one SMS to a Japanese mobile number over domestic direct routes.

Source of every rule here: the provider's OpenAPI document (karaden-prg/karaden-prg-php, mock/2024-03-01.yaml) and its
Python SDK, karaden-prg-python 1.2.1. There is no idempotency key: our reference travels as the message's only tag, and
the tag is looked up before anything is sent again. Receipts are not signed, so they only say "ask for the detail".
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from app.providers.http import AccountField, Answer, Failure, Reach, Request, Response, retry_after_s
from app.providers.sms.answers import json_of
from app.providers.sms.base import (
    Capabilities,
    ListedMessage,
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
    Validity,
    first_of,
    names,
)

VERSION: Final = "2024-03-01"

_JST: Final = timezone(timedelta(hours=9))
_DOMESTIC: Final = re.compile(r"\+81([1-9]\d{9})", re.ASCII)  # 11 digits once the 0 stands in front again
_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)  # a uuid by the specification
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.~ -]+", re.ASCII)
_WORD: Final = re.compile(r"[0-9A-Za-z_.\[\]-]{1,40}", re.ASCII)

# Documented refusals. They prove that the message did not get in; those of the account are no fault of the message.
_ACCOUNT_CODES: Final = frozenset({"unauthentication", "invalid_tenant", "invalid_version", "model_not_found"})

_LONGEST_NUMBER: Final = 20  # with its country and hyphens
_MOST_UNITS: Final = 99  # 660 characters come to 10; a larger figure is a mistake
_CARRIERS: Final = frozenset({"docomo", "softbank", "au", "rakuten"})


class _Karaden:
    """The adapter; see `SmsProvider` for each method."""

    name = "karaden"
    label = "空電プッシュ"
    fields: Sequence[AccountField] = (
        AccountField(
            "tenant_id",
            "テナントID",
            contract=True,
            pattern="[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
            expects="空電プッシュの管理画面に表示される、ハイフン入りの36文字",
        ),
        AccountField("service_id", "サービスID", contract=True, pattern="[0-9]{1,10}", expects="サービス設定の番号"),
        AccountField("token", "アクセストークン", secret=True, expects="管理画面で発行したAPIのトークン（空白なし）"),
    )
    api_base = "https://prg.karaden.jp/api"
    capabilities = Capabilities(
        lookup_by=LookupBy.REFERENCE,
        receipts=ReceiptTrust.UNSIGNED,
        refuses_duplicates=False,
        tells_carrier=True,
        tells_units=True,
        validity=Validity(),
        longest_text=660,
    )
    # switched off or out of range; "error" says nothing of a cause that passes (the specification names no more)
    passing = frozenset({"unconnected"})

    def send(self, account: SmsAccess, message: SmsMessage) -> Request:
        """Return the request that sends `message` once.

        Raises ValueError for a number that isn't Japanese.
        """
        form = (
            f"service_id={_escaped(account.settings.get('service_id', ''))}&to={_domestic(message.to)}"
            f"&body={_escaped(message.body)}&tags%5B%5D={_escaped(message.reference)}&is_shorten=false"
        )
        if message.valid_until is not None:
            form += _limited_at(message.valid_until)
        tenant_id, token = account.settings.get("tenant_id", ""), account.credentials.get("token", "")
        url, headers = _door(account.base_url, tenant_id, token)
        return Request("POST", url, headers, form.encode(), account.timeout_s)

    def outcome(self, answer: Answer) -> Outcome:
        """Read the answer to `send`. Never raises."""
        if isinstance(answer, Failure):
            kind = OutcomeKind.LATER if answer.reach is Reach.NEVER_LEFT else OutcomeKind.UNKNOWN
            return Outcome(kind, answer.reason)
        if answer.status == HTTPStatus.OK:
            return _accepted(answer)
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return Outcome(OutcomeKind.LATER, _code(answer), account_fault=True)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            return Outcome(OutcomeKind.LATER, "http_429", retry_after_s=retry_after_s(answer.headers))
        return _refused(answer)

    def lookup(self, account: SmsAccess, sought: Sought) -> Request:
        """Return the request that asks for an attempt's messages, by our reference."""
        query = urlencode(
            {"service_id": account.settings.get("service_id", ""), "tag": sought.reference, "per_page": 100}
        )
        return Request("GET", f"{_url(account, 'messages')}?{query}", _headers(account), timeout_s=account.timeout_s)

    def parse_lookup(self, response: Response, sought: Sought) -> Report | None:
        """Read the answer to `lookup`.

        Code `duplicate` says that the provider has the reference more than once.
        """
        content = _content(response)
        data, has_more = content.get("data"), content.get("has_more")
        if content.get("object") != "list" or not isinstance(data, list) or not isinstance(has_more, bool):
            raise UnclearAnswer("unreadable")
        reports = [_report(message) for message in data]
        ours = [report for report in reports if names(report.references, sought.reference)]
        if not ours:
            # Another's message in it shows that the filter was not obeyed: ours may stand on a page that isn't shown.
            if has_more or reports:
                raise UnclearAnswer("incomplete")
            return None
        return first_of(ours)

    def sent_between(self, account: SmsAccess, start: datetime, end: datetime, page: int) -> Request:
        """Return the request for a page of what was accepted in a time, whole seconds (specification: 受付日時)."""
        query = urlencode({
            "service_id": account.settings.get("service_id", ""),
            "start_at": start.astimezone(_JST).isoformat(timespec="seconds"),
            "end_at": end.astimezone(_JST).isoformat(timespec="seconds"),
            "page": page,
            "per_page": 100,
        })  # fmt: skip
        return Request("GET", f"{_url(account, 'messages')}?{query}", _headers(account), timeout_s=account.timeout_s)

    def parse_list(self, response: Response, start: datetime, end: datetime) -> Page:
        """Read a page of that list.

        Raises UnclearAnswer where its filter was not obeyed: it may lack others.
        """
        content = _content(response)
        data, has_more = content.get("data"), content.get("has_more")
        if content.get("object") != "list" or not isinstance(data, list) or not isinstance(has_more, bool):
            raise UnclearAnswer("unreadable")
        reports = [_report(message) for message in data]
        second = timedelta(seconds=1)
        if any(item.accepted_at is None or not start - second < item.accepted_at < end + second for item in reports):
            raise UnclearAnswer("unfiltered")
        numbers = [_e164(message.get("to")) for message in data]
        return Page([ListedMessage(report, to) for report, to in zip(reports, numbers, strict=True)], has_more)

    def detail(self, account: SmsAccess, provider_id: str) -> Request:
        """Return the request that asks for one message by the provider's id."""
        url = _url(account, "messages", provider_id)
        return Request("GET", url, _headers(account), timeout_s=account.timeout_s)

    def report(self, response: Response) -> Report:
        """Read the answer to `detail`. Raises UnclearAnswer."""
        return _report(_content(response))

    def receipt(self, pushed: Pushed) -> Sequence[Report]:
        """Read a pushed receipt: one message in the vocabulary of `detail`.

        Raises UnclearAnswer.
        """
        return (_report(json_of(pushed.body)),)

    def is_authentic(self, account: SmsAccess, pushed: Pushed) -> bool:
        """Return False: nothing in a receipt proves its origin."""
        del account, pushed
        return False


karaden = _Karaden()


def _url(account: SmsAccess, *path: str) -> str:
    parts = (account.settings.get("tenant_id", ""), *path)
    return "/".join((account.base_url.rstrip("/"), *(quote(part, safe="") for part in parts)))


@lru_cache(64)
def _door(base_url: str, tenant_id: str, token: str) -> tuple[str, Mapping[str, str]]:
    """Return a send request's address and headers: those of all messages of an account."""
    account = SmsAccess(base_url, {"tenant_id": tenant_id}, {"token": token})
    headers = _headers(account) | {"Content-Type": "application/x-www-form-urlencoded"}
    return _url(account, "messages"), MappingProxyType(headers)


@lru_cache(64)
def _limited_at(until: datetime) -> str:
    """Write until when a message may arrive: the same for all that are claimed together."""
    return f"&limited_at={_escaped(until.astimezone(_JST).isoformat(timespec='seconds'))}"


def _escaped(value: str) -> str:
    """Write a form's value as `urllib.parse.quote_plus` does: in a tenth of its time where the text is Japanese."""
    return _UNSAFE.sub(lambda run: f"%{run[0].encode().hex('%').upper()}", value).replace(" ", "+")


def _headers(account: SmsAccess) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.credentials.get('token', '')}", "Karaden-Version": VERSION}


def _domestic(e164: str) -> str:
    """Return a number as Karaden takes it, `^[0-9]{11}$`.

    Another country's digits would ring up a stranger.
    """
    match = _DOMESTIC.fullmatch(e164)
    if match is None:
        raise ValueError("not a Japanese mobile number in E.164 form")
    return "0" + match[1]


def _e164(number: object) -> str | None:
    """Return a number as Karaden writes it, or might, in E.164 form; None for anything else."""
    digits = re.sub(r"[\s().-]", "", number) if isinstance(number, str) and len(number) <= _LONGEST_NUMBER else ""
    match = re.fullmatch(r"(?:0|\+?81)([1-9]\d{9})", digits, re.ASCII)
    return "+81" + match[1] if match else None


def _word(value: object) -> str:
    """Return a provider's word fit for a log, or "" for anything else: texts may hold a number or a message."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _error_code(response: Response) -> str:
    """Return the code of a documented error, or ""."""
    content = json_of(response.body)
    if not isinstance(content, dict) or content.get("object") != "error":
        return ""
    return _word(content.get("code"))


def _code(response: Response) -> str:
    return _error_code(response) or f"http_{response.status}"


def _accepted(response: Response) -> Outcome:
    message = json_of(response.body)
    try:
        provider_id, references = _names(message)
        state, code = _state(message)
    except UnclearAnswer as unclear:
        return Outcome(OutcomeKind.UNKNOWN, str(unclear))
    over = state in {ReportState.UNDELIVERED, ReportState.CANCELLED}
    return Outcome(OutcomeKind.REFUSED if over else OutcomeKind.ACCEPTED, code, provider_id, references=references)


def _refused(response: Response) -> Outcome:
    """Read what is neither accepted nor about access.

    Only what is documented proves anything.
    """
    code = _error_code(response)
    if response.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND} and code in _ACCOUNT_CODES:
        return Outcome(OutcomeKind.LATER, code, account_fault=True)
    if response.status == HTTPStatus.UNPROCESSABLE_ENTITY and code == "validation_error":
        errors = json_of(response.body).get("errors")
        names = sorted(filter(None, map(_word, errors))) if isinstance(errors, dict) else []
        told = ":".join((code, ",".join(names))) if names else code
        if names == ["limited_at"]:
            # its clock is ahead of ours and the time was over when it came: no fault of the message
            return Outcome(OutcomeKind.LATER, told)
        if names == ["service_id"]:
            return Outcome(OutcomeKind.LATER, told, account_fault=True)
        return Outcome(OutcomeKind.REFUSED, told)
    return Outcome(OutcomeKind.UNKNOWN, f"http_{response.status}")


def _content(response: Response) -> dict[str, Any]:
    if response.status != HTTPStatus.OK:
        raise UnclearAnswer(_code(response))
    content = json_of(response.body)
    if not isinstance(content, dict):
        raise UnclearAnswer("unreadable")
    return content


def _report(message: object) -> Report:
    """Read a message object. Raises UnclearAnswer for anything that isn't one."""
    provider_id, references = _names(message)
    assert isinstance(message, dict)  # noqa: S101 - it has names
    carrier, units = message.get("carrier"), message.get("charged_count_per_sent")
    state, code = _state(message)
    accepted_at = _time(message.get("created_at"))
    return Report(
        provider_id=provider_id,
        state=state,
        references=references,
        code=code,
        carrier=carrier if isinstance(carrier, str) and carrier in _CARRIERS else None,
        accepted_at=accepted_at,
        at=(_time(message.get("received_at")) if state is ReportState.DELIVERED else None)
        or _time(message.get("updated_at"))
        or accepted_at,
        units=units if type(units) is int and 0 <= units <= _MOST_UNITS else None,
    )


def _names(message: object) -> tuple[str, tuple[str, ...]]:
    """Read by what a message is known: the provider's id and our references.

    Raises UnclearAnswer.
    """
    if not isinstance(message, dict) or message.get("object") != "message":
        raise UnclearAnswer("unreadable")
    provider_id, tags = message.get("id"), message.get("tags")
    if not isinstance(provider_id, str) or not _ID.fullmatch(provider_id):
        raise UnclearAnswer("no_id")
    return provider_id, tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()


def _state(message: Mapping[str, object]) -> tuple[ReportState, str]:
    """Read where a message stands, and the provider's word for it.

    `sent_result` is the carrier's result, final once `result` is done: before that "unconnected" means "still trying".
    Done without a result (none, unknown) is not known to have arrived and not known to have failed: it goes on as
    processing with the word kept, and so does any word the specification doesn't have yet.
    """
    status, sent_result = message.get("status"), message.get("sent_result")
    if not isinstance(status, str) or not isinstance(sent_result, str):
        raise UnclearAnswer("unreadable")
    if sent_result == "received":
        return ReportState.DELIVERED, sent_result
    if status == "canceled":
        return ReportState.CANCELLED, status
    if status in {"error", "processing_error"}:
        error = message.get("error")
        return ReportState.UNDELIVERED, (isinstance(error, dict) and _word(error.get("code"))) or status
    if sent_result in {"unconnected", "error"} and message.get("result") == "done":
        return ReportState.UNDELIVERED, sent_result
    return ReportState.PROCESSING, _word(status if sent_result == "none" else sent_result)


def _time(value: object) -> datetime | None:
    """Read ISO 8601 with an offset; None for anything else."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
        return time.astimezone(UTC) if time is not None and time.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
