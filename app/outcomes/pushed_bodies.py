"""Receipts as they are sealed: the body, and of address and headers what it takes to read it later.

In: a push. Out: bytes, and the same push again. Can't happen here: a signature or a credential that is kept (it was
verified at the door).
"""

import json

from app.providers.sms.base import Pushed

# begins what is packed: no body of JSON or of a form begins so
_PACKED = b"\x01"
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
