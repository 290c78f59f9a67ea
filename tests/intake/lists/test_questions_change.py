"""Questions that are changed while a list comes in: no answer is digested for a question that isn't asked any more."""

import threading

import psycopg
import pytest
from flask import Flask
from sqlalchemy import func, select

from app import tenancy
from app.config import Settings
from app.extensions import db
from app.intake.columns.mapping import ColumnMapping
from app.intake.lists import imports
from app.intake.rows import single_entry
from app.models import Campaign, Import, Recipient
from app.problems import Refused
from tests.intake.uploads import LIST, author, kept

TYPED = {
    "管理番号": "K1", "電話番号": "090-1234-5678", "氏名": "山田 太郎", "請求金額": "1000", "支払期限": "2026-12-26",
    "生年月日": "1978/09/02", "契約番号下4桁": "0489",
}  # fmt: skip


def stored(campaign: Campaign) -> tuple[int, ColumnMapping]:
    import_id = kept(campaign, LIST.encode())
    return import_id, ColumnMapping.from_json(db.session.get_one(Import, import_id).mapping or {})


def people() -> int:
    return db.session.scalar(select(func.count()).select_from(Recipient)) or 0


def test_a_list_starts_with_the_questions_as_they_stand(campaign: Campaign, database: psycopg.Connection) -> None:
    """Not with those that the session read before."""
    import_id, mapping = stored(campaign)
    assert len(campaign.questions) == 2
    database.execute("DELETE FROM question WHERE position = 2 AND campaign_id = %s", [campaign.id])
    with pytest.raises(Refused, match="import_questions_changed"):
        imports.start(import_id, mapping)


def test_a_list_waits_for_whoever_changes_the_questions(
    campaign: Campaign, app: Flask, settings: Settings, database: psycopg.Connection
) -> None:
    import_id, mapping = stored(campaign)
    tenant_id, campaign_id = campaign.tenant_id, campaign.id
    db.session.rollback()
    told: list[str] = []

    def start() -> None:
        with app.app_context(), tenancy.tenant(tenant_id):
            try:
                imports.start(import_id, mapping)
            except Refused as refused:
                told.append(refused.message_ja)

    with psycopg.connect(settings.database_url.replace("+psycopg", "", 1)) as form:
        form.execute("SELECT set_config('app.platform', 'on', true)")
        form.execute("SELECT id FROM campaign WHERE id = %s FOR NO KEY UPDATE", [campaign_id])
        thread = threading.Thread(target=start)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        form.execute("DELETE FROM question WHERE position = 2 AND campaign_id = %s", [campaign_id])
        form.commit()
        thread.join(10)
    assert len(told) == 1
    assert "設問が変わりました" in told[0]
    state = database.execute("SELECT state FROM import WHERE id = %s", [import_id]).fetchone()
    assert state == ("mapping",)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE question SET kind = 'text' WHERE position = 2 AND campaign_id = %s",
        "DELETE FROM question WHERE position = 2 AND campaign_id = %s",
        "UPDATE campaign SET payment_required = false WHERE id = %s",
    ],
)
def test_one_who_is_typed_in_answers_the_questions_as_they_stand(
    campaign: Campaign, database: psycopg.Connection, change: str
) -> None:
    assert [len(campaign.questions), campaign.payment_required] == [2, True]
    database.execute(change, [campaign.id])
    with pytest.raises(Refused, match="entry_questions_changed"):
        single_entry.add(campaign.id, TYPED, user_id=author(campaign))
    db.session.rollback()
    assert people() == 0
    assert single_entry.add(campaign.id, TYPED, user_id=author(campaign)).import_id
    assert people() == 1
