"""The list of numbers that get nothing as a file: what is known of each entry, which is not its number."""

import codecs
import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import select

from app import audit, tenancy
from app.extensions import db
from app.models import Suppression
from app.suppression.numbers import last_day_of, open_note
from app.values.csv_injection import neutralise
from app.values.japan_time import japan
from app.values.suppression_reasons import REASON_WORDS, SuppressionReason
from app.values.xlsx_writer import workbook

FORMS = {"xlsx": "Excel（.xlsx）", "csv": "CSV（UTF-8）"}
HEADER = ["登録番号", "理由", "登録日時", "期限", "状態", "備考"]

_PAGE_ROWS = 2_000


def order(form: str, *, actor: str) -> None:
    """Enter into the audit that the list is taken as a file. Commits."""
    audit.record(db.session, actor=actor, act="export_suppressions", detail={"form": form})
    db.session.commit()


def export(form: str) -> Iterator[bytes]:
    """Return the list piece by piece, in one of FORMS, the oldest entry first. The tenant's scope must be open."""
    if form == "xlsx":
        yield from workbook("送信しない番号", HEADER, _pages())
        return
    yield codecs.BOM_UTF8 + _lines([HEADER])
    for page in _pages():
        yield _lines(page)


def _lines(rows: list[list[str]]) -> bytes:
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\r\n").writerows([neutralise(cell) for cell in row] for row in rows)
    return lines.getvalue().encode()


def _pages() -> Iterator[list[list[str]]]:
    """Read by pages of ids: memory doesn't grow with the list, and no transaction stays open."""
    after, mine = 0, Suppression.tenant_id == tenancy.current().tenant_id
    while True:
        found = select(Suppression).where(mine, Suppression.id > after).order_by(Suppression.id).limit(_PAGE_ROWS)
        entries = db.session.scalars(found).all()
        if not entries:
            db.session.rollback()
            return
        after, page = entries[-1].id, [_row(entry) for entry in entries]
        db.session.rollback()
        db.session.expunge_all()
        yield page


def _row(entry: Suppression) -> list[str]:
    day = last_day_of(entry)
    over = entry.until is not None and entry.until <= datetime.now(UTC)
    return [
        str(entry.id),
        REASON_WORDS[SuppressionReason(entry.reason)],
        japan(entry.since),
        str(day) if day else "",
        "終了" if over else "送信しない",
        open_note(entry),
    ]
