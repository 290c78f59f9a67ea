"""SMS services' receipts: kept as they come and answered at once; a job makes something of them."""

from collections.abc import Callable, Mapping

import psycopg
from flask import Blueprint, Response, request

from app.outcomes import receipts, refused_receipts, shared_receipts
from app.outcomes.receipts import Kept
from app.providers.sms.base import Pushed

bp = Blueprint("sms_callbacks", __name__)

_STATUSES: Mapping[Kept, int] = {
    Kept.KEPT: 200,
    Kept.OF_NOBODY: 202,
    Kept.UNREADABLE: 400,
    Kept.FORGED: 401,
    Kept.ASTRAY: 404,
}


@bp.post("/callbacks/sms/<int(max=9223372036854775807):account_id>/<key>")
def receipt(account_id: int, key: str) -> Response:
    """Take one receipt: 200 once it is kept, also when it was kept before; 404 unless the secret address is right.

    Of a service that signs: 401 with a wrong signature, 400 where it can't be read, 202 for no message of ours.
    """
    return _take(receipts.keep, account_id, key)


@bp.post("/callbacks/sms/shared/<int(max=9223372036854775807):account_id>/<key>")
def shared_receipt(account_id: int, key: str) -> Response:
    """Take one receipt of a shared account, as above; 202 where it names no message of ours, whatever the service."""
    return _take(shared_receipts.keep, account_id, key)


def _take(keep: Callable[[int, str, Pushed], Kept], account_id: int, key: str) -> Response:
    request.max_content_length = receipts.BODY_LIMIT
    headers = {name.lower(): value for name, value in request.headers}
    pushed = Pushed(request.get_data(cache=False), headers, request.query_string.decode("latin-1"))
    try:
        kept = keep(account_id, key, pushed)
    except psycopg.Error:
        refused_receipts.refused()  # it may never come again
        raise
    return Response(status=_STATUSES[kept])
