"""Lists of made-up people, and the campaign they are for."""

import csv
import io
import itertools
import os
import random
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from sqlalchemy import select

from app import tenancy
from app.accounts import seal_credentials
from app.campaigns import lifecycle
from app.extensions import db
from app.models import Campaign, PaymentAccount, Question, SmsAccount, Tenant, User

HEADER = "管理番号,携帯電話番号,氏名,フリガナ,住所,請求金額,支払期限,生年月日,契約番号下4桁"
# one row in so many has a number that no SMS can be sent to
FAULTY_EVERY = 1_000

_FAMILY = (("佐藤", "サトウ"), ("鈴木", "スズキ"), ("高橋", "タカハシ"), ("田中", "タナカ"), ("伊藤", "イトウ"))
_GIVEN = (("太郎", "タロウ"), ("花子", "ハナコ"), ("翼", "ツバサ"), ("陽子", "ヨウコ"), ("健一", "ケンイチ"))
_TOWNS = ("東京都千代田区丸の内", "大阪府大阪市北区梅田", "北海道札幌市中央区大通西", "福岡県福岡市博多区")

_NS = "http://schemas.openxmlformats.org"
_BOOK_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_NS}/package/2006/content-types"><Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
    'ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/'
    'vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_NS}/package/2006/relationships"><Relationship Id="rId1" '
    f'Type="{_NS}/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_NS}/spreadsheetml/2006/main" xmlns:r="{_NS}/officeDocument/2006/'
    'relationships"><sheets><sheet name="名簿" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_NS}/package/2006/relationships"><Relationship Id="rId1" '
    f'Type="{_NS}/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}


def company() -> int:
    """Return the company that BENCH_COMPANY counts to (from 0, the default) among those that were seeded."""
    with tenancy.platform():
        ids = db.session.scalars(select(Tenant.id).order_by(Tenant.id)).all()
    return ids[int(os.environ.get("BENCH_COMPANY", "0"))]


def write_list(path: Path, rows: int) -> None:
    """Write a CP932 list as Excel saves it; the same `rows` give the same list."""
    with path.open("w", encoding="cp932", newline="") as file:
        file.write(f"{HEADER}\r\n")
        file.writelines(_lines(rows))


def write_workbook(path: Path, rows: int) -> None:
    """Write the same list as an Excel book, its texts shared between cells as Excel does it."""
    shared = _Shared()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as book:
        for name, content in _BOOK_PARTS.items():
            book.writestr(name, content)
        with book.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(f'<worksheet xmlns="{_NS}/spreadsheetml/2006/main"><sheetData>'.encode())
            for number, line in enumerate(csv.reader(itertools.chain([HEADER], _lines(rows))), 1):
                cells = "".join(shared.cell(place, number, text) for place, text in enumerate(line))
                sheet.write(f'<row r="{number}" spans="1:{len(line)}">{cells}</row>'.encode())
            sheet.write(b"</sheetData></worksheet>")
        with book.open("xl/sharedStrings.xml", "w", force_zip64=True) as texts:
            texts.write(f'<sst xmlns="{_NS}/spreadsheetml/2006/main">'.encode())
            texts.writelines(f"<si><t>{escape(text)}</t></si>".encode() for text in shared.texts())
            texts.write(b"</sst>")


class _Shared:
    """The book's texts.

    Only what comes again is looked up: every reference and phone number is a text of its own.
    """

    _AMOUNT = 5

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._packed = bytearray()
        self._count = 0

    def cell(self, place: int, number: int, text: str) -> str:
        where = f'r="{chr(ord("A") + place)}{number}"'
        if place == self._AMOUNT and number > 1:
            return f"<c {where}><v>{text.replace(',', '')}</v></c>"
        known = self._known.get(text)
        if known is None:
            known, self._count = self._count, self._count + 1
            self._packed += text.encode() + b"\n"
            if place > 1:
                self._known[text] = known
        return f'<c {where} t="s"><v>{known}</v></c>'

    def texts(self) -> Iterator[str]:
        return (line.rstrip("\n") for line in io.TextIOWrapper(io.BytesIO(self._packed), encoding="utf-8"))


def _lines(rows: int) -> Iterator[str]:
    chance = random.Random(rows)
    for number in range(rows):
        family, given, town = chance.choice(_FAMILY), chance.choice(_GIVEN), chance.choice(_TOWNS)
        digits = f"{chance.choice('789')}0{1_000_0000 + number * 89 % 90_000_000:08d}"
        phone = "03-1234-5678" if number % FAULTY_EVERY == 0 else f"0{digits[:2]}-{digits[2:6]}-{digits[6:]}"
        born = f"{chance.randrange(1940, 2006)}/{chance.randrange(1, 13)}/{chance.randrange(1, 29)}"
        yield (
            f"K{number:07d},{phone},{family[0]} {given[0]},{family[1]} {given[1]},"
            f"{town}{chance.randrange(1, 9)}-{chance.randrange(1, 30)},"
            f'"{chance.randrange(1, 90)},{chance.randrange(1000):03d}",2026/12/{chance.randrange(1, 29):02d},'
            f"{born},{chance.randrange(10_000):04d}\r\n"
        )


class Contract(NamedTuple):
    """A contract as the sandbox takes it. `account` is its name among `sms_accounts`, "" where the demo tells of it."""

    settings: Mapping[str, str]
    credentials: Mapping[str, str]
    account: str = ""


_SECRET = "0123456789abcdef" * 2
_SID = f"AC{'0' * 32}"
CONTRACTS: Mapping[str, Contract] = {
    "karaden": Contract(
        {"tenant_id": "00000000-0000-0000-0000-00000000beef", "service_id": "1"}, {"token": "karaden-token"}
    ),
    "zettai_reach": Contract({"client_id": "9000", "sms_code": "90001"}, {"token": _SECRET}, "9000"),
    "infobip": Contract({}, {"api_key": "infobip-key"}, "bench"),
    "twilio": Contract({"account_sid": _SID, "sender": "+815000000001"}, {"auth_token": _SECRET}, _SID),
}


def accounts(tenant_id: int) -> list[SmsAccount]:
    """Return the company's contracts, the one to be used first: its first, or one with the service BENCH_SERVICE.

    That one is made where it is missing; the caller commits.
    """
    found = list(db.session.scalars(select(SmsAccount).order_by(SmsAccount.id)))
    service = os.environ.get("BENCH_SERVICE") or found[0].provider
    if not (chosen := [one for one in found if one.provider == service]):
        held = CONTRACTS[service]
        chosen = [SmsAccount(tenant_id=tenant_id, name=service, provider=service, settings=dict(held.settings))]
        db.session.add(chosen[0])
        db.session.flush()
        seal_credentials(chosen[0], held.credentials)
    return [*chosen, *(one for one in found if one.provider != service)]


def draft(tenant_id: int, name: str) -> Campaign:
    """Make a draft that asks two questions and for payment, in the tenant's scope; commits.

    It goes by the company's first contract, or by one with the service that BENCH_SERVICE names, and by another one
    where one may take over.
    """
    own, *others = accounts(tenant_id)
    campaign = Campaign(
        tenant_id=tenant_id,
        key=lifecycle.new_key(),
        name=name,
        sms_account=own,
        may_switch=any(one.takeover_order is not None for one in others),
        payment_account=db.session.scalars(select(PaymentAccount)).first(),
        payment_required=True,
        sms_text="【{会社名}】{氏名}様 大切なお知らせです {リンク}",
        page_title="お支払いのご案内",
        page_text="{氏名} 様\n\n{請求金額}円を{支払期限}までにお支払いください。",
        author=db.session.scalars(select(User).where(User.tenant_id == tenant_id)).first(),
        questions=[
            Question(tenant_id=tenant_id, position=1, label="生年月日", kind="date"),
            Question(tenant_id=tenant_id, position=2, label="契約番号下4桁", kind="last4"),
        ],
    )
    db.session.add(campaign)
    db.session.commit()
    return campaign
