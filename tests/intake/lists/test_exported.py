"""Our exports can be uploaded again: the same people, numbers and own columns come out of the file."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from app import tenancy
from app.campaigns.rendering import open_fields, open_phone
from app.exports import status_file
from app.exports.selection import Selection
from app.exports.status_file import FORMATS
from app.extensions import db
from app.intake.columns.mapping import ColumnMapping
from app.intake.lists import import_run, imports, whole_look
from app.models import Import, ImportFault, Recipient
from tests import factories

REPORTED = Path(__file__).parents[3].parent / "shared" / "samples" / "reported" / "e01_export_roundtrip.csv"
OURS = (
    "管理番号,携帯電話番号,氏名,請求金額,支払期限,備考,SMS状態\r\n"
    "0012,090-7777-0000,髙橋,26000,2026-12-26,3/4,前回不達\r\n"
    "1-2,090-7777-0001,吉田,26000,2026-12-26,=1+1,\r\n"
    "3/4,090-7777-0002,葛,1,2026-12-27,'=1+1,\r\n"
    "12E3,090-7777-0003,〓子,26000,,-5,\r\n"
    '1234567890123456789,090-7777-0004,佐藤～,26000,,"二行\n目",\r\n'
    '@id,090-7777-0005,"佐藤 ""A""",26000,, 前と後 ,\r\n'
)

Person = tuple[str | None, str, int | None, object, dict[str, str]]


@pytest.fixture
def house(app: Flask) -> Iterator[tuple[int, int, int]]:
    """A tenant, a user, a payment account."""
    with app.app_context():
        tenant_id = factories.tenant()
        yield tenant_id, factories.user(tenant_id), factories.payment_account(tenant_id)


def take_in(house: tuple[int, int, int], content: bytes, name: str, *, torn: int = 0) -> int:
    tenant_id, user_id, payment_account_id = house
    campaign_id = factories.campaign(
        tenant_id, payment_account_id=payment_account_id, created_by=user_id, questions=(), page_text="{氏名}様 {備考}"
    )
    with tenancy.tenant(tenant_id):
        import_id = imports.store(campaign_id, name, io.BytesIO(content), user_id=user_id)
        whole_look.look_through(import_id)
        row = db.session.get_one(Import, import_id)
        imports.start(import_id, ColumnMapping.from_json(row.mapping or {}))
        import_run.run(import_id)
        db.session.expire_all()
        faults = db.session.scalars(select(ImportFault).where(ImportFault.import_id == import_id)).all()
        assert row.rows_rejected == torn, [
            (one.sheet_row, one.column_name, one.code) for one in faults if one.level == "error"
        ]
    return campaign_id


def people(house: tuple[int, int, int], campaign_id: int) -> list[Person]:
    with tenancy.tenant(house[0]):
        rows = db.session.scalars(select(Recipient).where(Recipient.campaign_id == campaign_id).order_by(Recipient.id))
        return [
            (
                row.reference,
                open_phone(row.tenant_id, row.id, row.phone_sealed),
                row.amount_yen,
                row.due_date,
                open_fields(row.tenant_id, row.id, row.fields_sealed),
            )
            for row in rows
        ]


def exported(house: tuple[int, int, int], campaign_id: int, form: str) -> bytes:
    with tenancy.tenant(house[0]):
        return b"".join(status_file.status_file(Selection(campaign_id), form))


@pytest.mark.parametrize("form", list(FORMATS))
@pytest.mark.parametrize("content", [OURS.encode("utf-8"), REPORTED], ids=["ours", "reported"])
def test_an_export_that_is_uploaded_again_brings_the_same_people(
    house: tuple[int, int, int], content: bytes | Path, form: str
) -> None:
    if isinstance(content, Path):
        if not content.exists():
            pytest.skip("shared/samples is not here")
        content = content.read_bytes()
    # two lines of it are one row that a line break tore
    first = take_in(house, content, "名簿.csv", torn=0 if content == OURS.encode() else 2)
    file = exported(house, first, form)
    again = take_in(house, file, "状況.xlsx" if form == "xlsx" else "状況.csv")
    before, after = people(house, first), people(house, again)
    assert [row[:4] for row in after] == [row[:4] for row in before]
    for (*_, sent), (*_, back) in zip(before, after, strict=True):
        # a column called like one of ours has its list's cells beside it
        brought = {name: back.get(f"{name}(名簿)", back[name]) for name in sent}
        if form == "cp932":  # what Shift_JIS has no letter for stands as 〓, and the export's note says so
            brought = {name: sent[name] if "〓" in value else value for name, value in brought.items()}
        alike = status_file._TO_CP932 if form == "cp932" else {}
        assert {name: value.translate(alike) for name, value in brought.items()} == {
            name: value.translate(alike) for name, value in sent.items()
        }
