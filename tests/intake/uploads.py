"""A list, and the steps that bring it in."""

import io

from app.extensions import db
from app.intake.columns.mapping import ColumnMapping
from app.intake.lists import import_run, imports, whole_look
from app.models import Campaign, Import
from app.states.vocabulary import ImportState

LIST = (
    "管理番号,電話番号,氏名,請求金額,支払期限,生年月日,契約番号下4桁\r\n"
    "K1,090-1234-5678,山田 太郎,1000,2026-12-26,1978/09/02,0489\r\n"
    "K2,080-1234-5678,佐藤 花子,2000,2026-12-26,昭和53年9月2日,0490\r\n"
    "K3,03-1234-5678,鈴木 一,3000,2026-12-26,1978/09/02,0491\r\n"
)


def author(campaign: Campaign) -> int:
    assert campaign.created_by is not None
    return campaign.created_by


def kept(campaign: Campaign, content: bytes, name: str = "名簿.csv") -> int:
    """Keep a file as a clerk uploads it, and have a worker look it through."""
    import_id = imports.store(campaign.id, name, io.BytesIO(content), user_id=author(campaign))
    whole_look.look_through(import_id)
    db.session.expire_all()
    return import_id


def upload(campaign: Campaign, content: bytes, name: str = "名簿.csv") -> Import:
    import_id = kept(campaign, content, name)
    row = db.session.get_one(Import, import_id)
    if row.state != ImportState.MAPPING:
        return row
    imports.start(import_id, ColumnMapping.from_json(row.mapping or {}))
    import_run.run(import_id)
    db.session.expire_all()
    return row


def counts(row: Import) -> tuple[str, int, int, int, int]:
    return row.state, row.rows_added, row.rows_known, row.rows_rejected, row.rows_ignored


def stored(campaign: Campaign, content: str, name: str = "名簿.csv") -> Import:
    return db.session.get_one(Import, kept(campaign, content.encode(), name))


def taken(row: Import, mapping: ColumnMapping) -> Import:
    whole_look.look_through(row.id)  # once more where it was read otherwise since
    imports.start(row.id, mapping)
    import_run.run(row.id)
    db.session.expire_all()
    return row
