"""The status CSV: the list's own columns, the three states and the time of every step, streamed."""

import codecs
import csv
import io
from collections.abc import Iterator
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on

from app.campaigns.people import open_fields, open_phone
from app.extensions import db
from app.models import Recipient
from app.tracking.cells import neutralise
from app.tracking.clock import japan
from app.tracking.states import PAGE, PAYMENT, SMS

ENCODINGS = {"cp932": "Excel用（Shift_JIS）", "utf-8-sig": "UTF-8（BOM付き）"}

_PAGE_ROWS = 2_000

_TIMES: tuple[tuple[str, str], ...] = (
    ("送信待ち日時", "queued_at"),
    ("送信日時", "sent_at"),
    ("受付日時", "accepted_at"),
    ("到達日時", "delivered_at"),
    ("不達日時", "undelivered_at"),
    ("開封日時", "opened_at"),
    ("認証日時", "verified_at"),
    ("閲覧日時", "viewed_at"),
    ("ロック日時", "locked_at"),
    ("支払手続日時", "pay_started_at"),
    ("入金待ち日時", "pay_pending_at"),
    ("支払日時", "paid_at"),
    ("リンク有効期限", "link_expires_at"),
)
_STANDING = (
    "管理番号",
    "送信先電話番号",
    "SMS状態",
    "ページ状態",
    "支払状態",
    "金額（円）",
    "携帯会社",
    "SMS結果コード",
)

# CP932 has its own code points for these; without this a wave dash from a Mac would become 〓
_TO_CP932 = str.maketrans({"〜": "～", "−": "－", "‖": "∥", "—": "―", "¢": "￠", "£": "￡", "¬": "￢", "\u00a0": " "})


def _geta(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - registered for encoding alone
    return "〓" * (error.end - error.start), error.end


codecs.register_error("geta", _geta)


def status_csv(campaign_id: int, encoding: str) -> Iterator[bytes]:
    """Give the file piece by piece in one of `ENCODINGS`, CRLF, formulas neutralised, times in Asia/Tokyo.

    What CP932 can't hold stands as 〓. Memory doesn't grow with the list.
    """
    own = _own_columns(campaign_id)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([neutralise(cell) for cell in (*_STANDING, *(word for word, _ in _TIMES), *own)])
    yield _encoded(buffer, encoding, first=True)
    after = 0
    while page := _page(campaign_id, after):
        for row in page:
            writer.writerow([neutralise(cell) for cell in _cells(row, own)])
        yield _encoded(buffer, encoding)
        after = page[-1].id


def _page(campaign_id: int, after: int) -> list[Any]:
    columns = Recipient.__table__.columns
    wanted = [
        columns[name]
        for name in (
            *("id", "tenant_id", "reference", "phone_sealed", "fields_sealed", "amount_yen", "carrier", "sms_code"),
            *("sms_state", "page_state", "payment_state"),
            *(column for _, column in _TIMES),
        )
    ]
    statement = (
        select(*wanted)
        .where(Recipient.campaign_id == campaign_id, Recipient.id > after)
        .order_by(Recipient.id)
        .limit(_PAGE_ROWS)
    )
    return list(db.session.execute(statement).all())


def _own_columns(campaign_id: int) -> list[str]:
    """List the columns of the campaign's lists: all rows of one import have the same ones."""
    firsts = db.session.execute(
        select(Recipient.tenant_id, Recipient.id, Recipient.fields_sealed)
        .where(Recipient.campaign_id == campaign_id)
        .ext(distinct_on(Recipient.import_id))
        .order_by(Recipient.import_id, Recipient.id)
    )
    names: dict[str, None] = {}
    for row in firsts:
        names.update(dict.fromkeys(open_fields(row.tenant_id, row.id, row.fields_sealed)))
    return list(names)


def _cells(row: Any, own: list[str]) -> list[str]:  # noqa: ANN401 - a row of _page
    fields = open_fields(row.tenant_id, row.id, row.fields_sealed)
    return [
        row.reference,
        _hyphenated(open_phone(row.tenant_id, row.id, row.phone_sealed)),
        SMS.words[row.sms_state],
        PAGE.words[row.page_state],
        PAYMENT.words[row.payment_state],
        "" if row.amount_yen is None else str(row.amount_yen),
        row.carrier,
        row.sms_code,
        *(japan(getattr(row, column)) for _, column in _TIMES),
        *(fields.get(name, "") for name in own),
    ]


def _hyphenated(e164: str) -> str:
    """Give 090-1234-5678: without hyphens Excel would drop the zero."""
    digits = "0" + e164.removeprefix("+81")
    return f"{digits[:3]}-{digits[3:7]}-{digits[7:]}"


def _encoded(buffer: io.StringIO, encoding: str, *, first: bool = False) -> bytes:
    content = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    if encoding == "cp932":
        return content.translate(_TO_CP932).encode("cp932", errors="geta")
    return (b"\xef\xbb\xbf" if first else b"") + content.encode()
