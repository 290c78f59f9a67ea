"""The status of a campaign's people as a file: three states, the time of every step, their lists' own columns.

In: a campaign, and states to narrow it to. Out: pieces of a CSV or xlsx file. What can't happen here: memory that grows
with the list, a transaction that stays open while somebody downloads slowly, a cell that a spreadsheet runs, an answer.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select, text

from app import tenancy
from app.campaigns.people import open_fields, open_phone
from app.intake.mapping import REASON_COLUMN
from app.models import Import, Recipient
from app.tracking.cells import neutralise
from app.tracking.states import PAGE, PAYMENT, SMS
from app.tracking.xlsx import workbook

ENCODINGS = {"cp932": "Excel用（Shift_JIS）", "utf-8-sig": "UTF-8（BOM付き）"}
FORMATS = {**ENCODINGS, "xlsx": "Excelブック（.xlsx）"}

Chosen = Mapping[str, str]
"""The state that people must stand in, by track: sms, page, payment. A track that isn't named narrows nothing."""

_PAGE_ROWS = 1_000
_AMOUNT = "金額（円）"
_TRACKS = (SMS, PAGE, PAYMENT)

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
    _AMOUNT,
    "携帯会社",
    "SMS結果コード",
)

# CP932 has its own code points for these; without this a wave dash from a Mac would become 〓
_TO_CP932 = str.maketrans({"〜": "～", "−": "－", "‖": "∥", "—": "―", "¢": "￠", "£": "￡", "¬": "￢", "\u00a0": " "})


def _geta(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - registered for encoding alone
    return "〓" * (error.end - error.start), error.end


codecs.register_error("geta", _geta)


def status_file(campaign_id: int, form: str, chosen: Chosen | None = None) -> Iterator[bytes]:
    """Give the file piece by piece in one of `FORMATS`, times in Asia/Tokyo.

    CSV has CRLF and formulas neutralised; what CP932 can't hold stands as 〓.
    """
    own = _own_columns(campaign_id)
    header = [*_STANDING, *(word for word, _ in _TIMES), *own]
    pages = _pages(campaign_id, own, chosen or {})
    return workbook("状況", header, pages, numbers={_AMOUNT}) if form == "xlsx" else _csv(header, pages, form)


def _csv(header: list[str], pages: Iterator[list[list[str]]], encoding: str) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    if encoding == "utf-8-sig":
        yield codecs.BOM_UTF8
    writer.writerow(map(neutralise, header))
    yield _encoded(buffer, encoding)
    for page in pages:
        writer.writerows(map(neutralise, cells) for cells in page)
        yield _encoded(buffer, encoding)


def _encoded(buffer: io.StringIO, encoding: str) -> bytes:
    content = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    if encoding == "cp932":
        return content.translate(_TO_CP932).encode("cp932", errors="geta")
    return content.encode()


def _pages(campaign_id: int, own: list[str], chosen: Chosen) -> Iterator[list[list[str]]]:
    states = {f"{track.name}_state": chosen[track.name] for track in _TRACKS if track.name in chosen}
    narrowed = "".join(f" AND {column} = :{column}" for column in states)
    times = ", ".join(
        f"coalesce(to_char({column} AT TIME ZONE 'Asia/Tokyo', 'YYYY-MM-DD HH24:MI:SS'), '')" for _, column in _TIMES
    )
    statement = text(
        "SELECT id, tenant_id, phone_sealed, fields_sealed, reference, sms_state, page_state, payment_state,"  # noqa: S608
        f" coalesce(amount_yen::text, ''), carrier, sms_code, {times} FROM recipient"  # names from above
        f" WHERE campaign_id = :campaign_id AND id > :after{narrowed} ORDER BY id LIMIT {_PAGE_ROWS}"
    )
    after = 0
    while True:
        with tenancy.transaction() as connection:
            page = connection.execute(statement, {"campaign_id": campaign_id, "after": after, **states}).all()
        if not page:
            return
        yield [_cells(row, own) for row in page]
        after = page[-1][0]


def _cells(row: Any, own: list[str]) -> list[str]:  # noqa: ANN401 - a row of _pages
    recipient_id, tenant_id, phone, sealed, reference, sms, page, payment, *rest = row
    fields = open_fields(tenant_id, recipient_id, sealed)
    return [
        reference,
        _hyphenated(open_phone(tenant_id, recipient_id, phone)),
        SMS.words[sms],
        PAGE.words[page],
        PAYMENT.words[payment],
        *rest,
        *[fields.get(name, "") for name in own],
    ]


def _own_columns(campaign_id: int) -> list[str]:
    """List the columns that the campaign's lists brought and that are kept: those of its uploads, and its first row's.

    No row but the first is read: a million of them must not delay the first byte.
    """
    with tenancy.transaction() as connection:
        uploads = connection.execute(
            select(Import.header, Import.mapping)
            .where(Import.campaign_id == campaign_id, Import.state == "done")
            .order_by(Import.id)
        ).all()
        first = connection.execute(
            select(Recipient.tenant_id, Recipient.id, Recipient.fields_sealed)
            .where(Recipient.campaign_id == campaign_id)
            .order_by(Recipient.id)
            .limit(1)
        ).one_or_none()
    kept = open_fields(*first) if first else {}
    names = dict.fromkeys(kept)
    for header, mapping in uploads:
        answers = set(mapping["answers"]) - kept.keys()
        names |= dict.fromkeys(name for name in header if name not in {mapping["phone"], REASON_COLUMN, *answers})
    return list(names)


def _hyphenated(e164: str) -> str:
    """Give 090-1234-5678: without hyphens Excel would drop the zero."""
    digits = "0" + e164.removeprefix("+81")
    return f"{digits[:3]}-{digits[3:7]}-{digits[7:]}"
