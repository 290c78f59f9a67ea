"""SMS services' receipts: kept as they come and answered at once; a job makes something of them."""

import psycopg
from flask import Blueprint, Response, request

from app.outcomes import receipts, refused_receipts

bp = Blueprint("sms_callbacks", __name__)


@bp.post("/callbacks/sms/<int(max=9223372036854775807):account_id>/<key>")
def receipt(account_id: int, key: str) -> Response:
    """Take one receipt: 200 once it is kept, also when it was kept before; 404 unless the secret address is right."""
    request.max_content_length = receipts.BODY_LIMIT
    try:
        kept = receipts.keep(account_id, key, request.get_data(cache=False))
    except psycopg.Error:
        refused_receipts.refused()  # it may never come again
        raise
    return Response(status=200 if kept else 404)
