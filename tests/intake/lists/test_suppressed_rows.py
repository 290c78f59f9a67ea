"""A list's rows whose number the company sends nothing to are taken and told, in a file and typed in."""

from sqlalchemy import select

from app.extensions import db
from app.intake.rows import single_entry
from app.models import Campaign, ImportFault
from app.suppression import numbers
from app.suppression.numbers import Terms
from app.values.suppression_reasons import SuppressionReason
from tests.intake.uploads import LIST, author, counts, upload


def test_each_such_row_is_told_and_taken(campaign: Campaign) -> None:
    numbers.add("090-1234-5678", Terms(SuppressionReason.LAWYER), actor="user:1")
    ended = numbers.add("080-1234-5678", Terms(SuppressionReason.WISH), actor="user:1").id
    numbers.end(ended, actor="user:1")
    row = upload(campaign, LIST.encode())
    assert counts(row) == ("done", 2, 0, 1, 0)
    (fault,) = db.session.scalars(select(ImportFault).where(ImportFault.code == "row_suppressed"))
    assert (fault.sheet_row, fault.column_name, fault.level) == (2, "電話番号", "warning")
    assert "弁護士介入" in fault.message
    assert fault.recipient_id is not None
    assert row.warnings == 1


def test_one_who_is_typed_in_is_told_too(campaign: Campaign) -> None:
    upload(campaign, LIST.encode())
    numbers.add("070-1234-5678", Terms(SuppressionReason.WISH), actor="user:1")
    typed = {
        "管理番号": "K9",
        "電話番号": "070-1234-5678",
        "氏名": "田中 一",
        "請求金額": "1000",
        "支払期限": "2026-12-26",
        "生年月日": "1978/09/02",
        "契約番号下4桁": "0489",
    }
    added = single_entry.add(campaign.id, typed, user_id=author(campaign))
    assert [words for words in added.warnings if "送信しない番号" in words and "本人の申出" in words]
