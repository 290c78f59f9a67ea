"""A fifth SMS service, made up for `test_fifth_providers`: one file, as a real one would be."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from app.providers.http import AccountField, Answer, Request, Response
from app.providers.sms import base
from app.providers.sms.answers import json_of, let_in, time_of
from app.providers.sms.base import Outcome, OutcomeKind, Pushed, Report, ReportState, SmsAccess, Sought, UnclearAnswer

_STATES: Mapping[object, ReportState] = {
    "taken": ReportState.PROCESSING,
    "arrived": ReportState.DELIVERED,
    "lost": ReportState.UNDELIVERED,
}


class _Toy:
    name = "toy"
    label = "トイSMS"
    api_base = "https://sms.toy.example"
    fields: Sequence[AccountField] = (
        AccountField("shop", "店舗コード", contract=True),
        AccountField("key", "キー", secret=True),
    )
    passing = frozenset[str]()
    capabilities = base.Capabilities(
        lookup_by=base.LookupBy.REFERENCE,
        receipts=base.ReceiptTrust.UNSIGNED,
        refuses_duplicates=False,
        tells_carrier=False,
        tells_units=False,
        validity=base.Validity(),
    )

    def send(self, account: SmsAccess, message: base.SmsMessage) -> Request:
        if not message.to.startswith("+81"):
            raise ValueError("not a Japanese number")
        told = {"name": message.reference, "to": message.to, "text": message.body}
        if message.valid_until is not None:
            told["until"] = message.valid_until.isoformat()
        url = f"{account.base_url}/{account.settings['shop']}/send"
        return Request("POST", url, _headers(account), json.dumps(told).encode(), account.timeout_s)

    def outcome(self, answer: Answer) -> Outcome:
        response = let_in(answer)
        if isinstance(response, Outcome):
            return response
        told = json_of(response.body)
        if isinstance(told, dict) and response.status == 422 and told.get("refused") in {"to", "text"}:
            return Outcome(OutcomeKind.REFUSED, "validation_error")
        if response.status != 200 or not isinstance(told, dict) or told.get("state") != "taken":
            return Outcome(OutcomeKind.UNKNOWN, f"http_{response.status}")
        name = str(told.get("name"))
        return Outcome(OutcomeKind.ACCEPTED, "waiting", name, references=(name,))

    def lookup(self, account: SmsAccess, sought: Sought) -> Request:
        return self.detail(account, sought.reference)

    def parse_lookup(self, response: Response, sought: Sought) -> Report | None:
        found = _found(response.status, response.body)
        if any(not base.names(report.references, sought.reference) for report in found):
            raise UnclearAnswer("incomplete")
        return base.first_of(found) if found else None

    def sent_between(self, _account: SmsAccess, _start: datetime, _end: datetime, _page: int) -> Request | None:
        return None

    def parse_list(self, _response: Response, _start: datetime, _end: datetime) -> base.Page:
        raise UnclearAnswer("unreadable")

    def detail(self, account: SmsAccess, provider_id: str) -> Request:
        url = f"{account.base_url}/{account.settings['shop']}/find?{urlencode({'name': provider_id})}"
        return Request("GET", url, _headers(account), timeout_s=account.timeout_s)

    def report(self, response: Response) -> Report:
        found = _found(response.status, response.body)
        if not found:
            raise UnclearAnswer("absent")
        return base.first_of(found)

    def receipt(self, pushed: Pushed) -> Sequence[Report]:
        return _found(200, pushed.body)

    def is_authentic(self, _account: SmsAccess, _pushed: Pushed) -> bool:
        return False


toy = _Toy()


def _headers(account: SmsAccess) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.credentials['key']}", "Content-Type": "application/json"}


def _found(status: int, body: bytes) -> list[Report]:
    told: Any = json_of(body)
    if status != 200 or not isinstance(told, dict) or not isinstance(told.get("found"), list):
        raise UnclearAnswer("unreadable")
    return [_report(one) for one in told["found"]]


def _report(one: Any) -> Report:
    if not isinstance(one, dict) or not isinstance(one.get("name"), str) or one.get("state") not in _STATES:
        raise UnclearAnswer("unreadable")
    at, state = time_of(one.get("at")), _STATES[one["state"]]
    return Report(one["name"], state, (one["name"],), str(one["state"]), accepted_at=at, at=at)
