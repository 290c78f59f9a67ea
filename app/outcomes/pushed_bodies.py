"""Receipts as they are sealed: the body, and of address and headers what it takes to read it later.

In: a push, or of a shared account's the reports of one company. Out: bytes, and what they tell again. Can't happen
here: a signature or a credential that is kept (it was verified at the door), or of a bundle another company's part.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from app.providers.sms.base import Pushed, Report, ReportState, SmsProvider

# begins what is packed: no body of JSON or of a form begins so
_PACKED = b"\x01"
# begins reports that were read at the door
_READ = b"\x02"
_HEADERS = frozenset({"content-type"})


def pack(pushed: Pushed) -> bytes:
    """Return a push in one piece."""
    headers = {name: value for name, value in pushed.headers.items() if name in _HEADERS}
    return _PACKED + json.dumps({"query": pushed.query, "headers": headers}).encode() + b"\n" + pushed.body


def unpack(whole: bytes) -> Pushed:
    """Return the push again; what was kept before there were queries and headers is a body alone."""
    if not whole.startswith(_PACKED):
        return Pushed(whole)
    head, _, body = whole[1:].partition(b"\n")
    told = json.loads(head)
    return Pushed(body, told["headers"], told["query"])


def pack_reports(reports: Sequence[Report]) -> bytes:
    """Return reports, read at the door, in one piece."""
    return _READ + json.dumps([asdict(report) for report in reports], default=datetime.isoformat).encode()


def reports(provider: SmsProvider, whole: bytes) -> Sequence[Report]:
    """Return what a receipt tells. Raises UnclearAnswer."""
    if not whole.startswith(_READ):
        return provider.receipt(unpack(whole))
    return [
        Report(
            **one
            | {
                "state": ReportState(one["state"]),
                "references": tuple(one["references"]),
                "accepted_at": _time(one["accepted_at"]),
                "at": _time(one["at"]),
            }
        )
        for one in json.loads(whole[1:])
    ]


def _time(written: str | None) -> datetime | None:
    return None if written is None else datetime.fromisoformat(written)
