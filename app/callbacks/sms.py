"""SMS services' receipts: kept as they come and answered at once; a job makes something of them."""

import psycopg
from flask import Blueprint, Response, request
from sqlalchemy.exc import SQLAlchemyError

from app import tenancy
from app.accounts import is_receipt_key
from app.delivery import outage, receipts
from app.extensions import limiter

bp = Blueprint("sms_callbacks", __name__)


@bp.post("/callbacks/sms/<int(max=9223372036854775807):account_id>/<key>")
@limiter.exempt
def receipt(account_id: int, key: str) -> Response:
    """Take one receipt: 200 once it is kept, also when it was kept before; 404 unless the secret address is right."""
    request.max_content_length = receipts.BODY_LIMIT
    try:
        if not is_receipt_key(account_id, key):
            return Response(status=404)
        body = request.get_data(cache=False)
        with tenancy.platform():
            kept = receipts.keep(account_id, body)
    except (SQLAlchemyError, psycopg.Error):
        outage.refused()  # it may never come again
        raise
    return Response(status=200 if kept else 404)
