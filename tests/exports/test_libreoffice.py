"""Our files in an office program: opened by LibreOffice, said again as UTF-8."""

import csv
import io
import shutil
import subprocess
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from app import tenancy
from app.campaigns.rendering import fields_place
from app.exports.selection import Selection
from app.exports.status_file import status_file
from app.extensions import db, vault
from tests import factories

_OFFICE = shutil.which("soffice")
# comma, quote, character set (64 Shift_JIS, 76 UTF-8), first line, then: every column as text
_FILTER = "Text - txt - csv (StarCalc):44,34,{},1,,0,false,false"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_OFFICE is None, reason="LibreOffice is missing: apt-get install libreoffice-calc"),
]


@pytest.mark.parametrize(
    ("form", "ending", "charset"), [("xlsx", "xlsx", ""), ("cp932", "csv", "64"), ("utf-8-sig", "csv", "76")]
)
def test_the_file_opens_with_its_japanese_intact(
    app: Flask, tmp_path: Path, form: str, ending: str, charset: str
) -> None:
    with app.app_context():
        tenant = factories.tenant()
        campaign = factories.campaign(tenant, payment_account_id=factories.payment_account(tenant))
        people = factories.people(tenant, campaign, 3)
        with tenancy.tenant(tenant):
            cells = '{"氏名": "髙橋 ①㈱～", "式": "=1+1", "改行": "一\\n二", "番号": "0012"}'
            sealed = vault.seal(cells, fields_place(tenant, people[0].id))
            db.session.execute(
                text("UPDATE recipient SET fields_sealed = :s WHERE id = :id"), {"s": sealed, "id": people[0].id}
            )
            db.session.commit()
            ours = list(status_file(Selection(campaign), "utf-8-sig"))
            (tmp_path / f"状況.{ending}").write_bytes(b"".join(status_file(Selection(campaign), form)))
    assert _OFFICE is not None
    opened = [f"--infilter={_FILTER.format(charset)}"] if charset else []
    subprocess.run(
        [
            _OFFICE, "--headless", f"-env:UserInstallation=file://{tmp_path}/profile", *opened, "--convert-to",
            f"csv:{_FILTER.format(76)}", "--outdir", str(tmp_path / "said"), str(tmp_path / f"状況.{ending}"),
        ],
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    said = list(csv.reader(io.StringIO((tmp_path / "said" / "状況.csv").read_text("utf-8-sig"), newline="")))
    wanted = list(csv.reader(io.StringIO(b"".join(ours).decode("utf-8-sig"), newline="")))
    assert said[0] == wanted[0]
    assert len(said) == 4
    row = dict(zip(said[0], said[1], strict=True))
    assert row["管理番号"] == people[0].reference
    assert row["SMS状態"] == "未送信"
    assert row["送信先電話番号"] == "0{}-{}-{}".format(*_parts(people[0].phone))
    assert row["氏名"] == "髙橋 ①㈱～"
    # harmless: a text that still says what it said, no result of a formula
    assert row["式"].removeprefix("'") == "=1+1"
    assert row["改行"] == "一\n二"
    if form == "xlsx":
        assert row["番号"] == "0012"
        assert row["金額（円）"].replace(",", "") == "12000"


def _parts(e164: str) -> tuple[str, str, str]:
    digits = e164.removeprefix("+81")
    return digits[:2], digits[2:6], digits[6:]
