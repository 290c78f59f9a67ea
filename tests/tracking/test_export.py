"""The status CSV: states, times and the list's own columns, in both encodings, harmless, of its tenant alone."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import text

from app import tenancy
from app.campaigns.people import fields_place
from app.extensions import db, vault
from app.tracking.export import status_csv
from app.tracking.figures import figures
from app.tracking.moves import Step, move
from app.tracking.states import PAGE, PageState, SmsState
from tests import factories


@pytest.fixture
def launched(app: Flask) -> Iterator[tuple[int, list[factories.Person]]]:
    with app.app_context():
        tenant_id = factories.tenant()
        campaign_id = factories.campaign(
            tenant_id,
            sms_account_id=factories.sms_account(tenant_id),
            payment_account_id=factories.payment_account(tenant_id),
        )
        people = factories.people(tenant_id, campaign_id, 3)
        factories.launch(tenant_id, campaign_id)
        with tenancy.tenant(tenant_id):
            yield campaign_id, people


def table(campaign_id: int, encoding: str) -> list[dict[str, str]]:
    content = b"".join(status_csv(campaign_id, encoding))
    return list(csv.DictReader(io.StringIO(content.decode(encoding), newline="")))


@pytest.mark.parametrize("encoding", ["cp932", "utf-8-sig"])
def test_each_person_is_a_row_with_states_times_and_columns(
    launched: tuple[int, list[factories.Person]], encoding: str
) -> None:
    campaign_id, people = launched
    at = datetime(2026, 11, 23, 15, 0, 1, tzinfo=UTC)
    move(db.session, PAGE, PageState.OPENED, [Step(people[0].id, at)], actor="person")
    db.session.commit()
    rows = table(campaign_id, encoding)
    assert [row["管理番号"] for row in rows] == [person.reference for person in people]
    phone = "0" + people[0].phone.removeprefix("+81")
    assert rows[0]["送信先電話番号"].replace("-", "") == phone
    assert (rows[0]["SMS状態"], rows[0]["ページ状態"], rows[0]["支払状態"]) == ("送信待ち", "開封", "未払い")
    assert rows[0]["開封日時"] == "2026-11-24 00:00:01"
    assert rows[1]["開封日時"] == ""
    assert rows[0]["金額（円）"] == "12000"
    assert rows[0]["氏名"] == people[0].fields["氏名"]


def test_cells_are_harmless_and_letters_of_other_lands_are_told(
    launched: tuple[int, list[factories.Person]],
) -> None:
    campaign_id, people = launched
    tenant_id = tenancy.current().tenant_id
    assert tenant_id is not None
    sealed = vault.seal('{"氏名": "=1+1", "備考": "〜𠮷"}', fields_place(tenant_id, people[0].id))
    db.session.execute(
        text("UPDATE recipient SET fields_sealed = :s WHERE id = :id"), {"s": sealed, "id": people[0].id}
    )
    db.session.commit()
    row = table(campaign_id, "cp932")[0]
    assert row["氏名"] == "'=1+1"
    assert row["備考"] == "～〓"
    assert table(campaign_id, "utf-8-sig")[0]["備考"] == "〜𠮷"


def test_the_file_is_windows_text(launched: tuple[int, list[factories.Person]]) -> None:
    campaign_id, _ = launched
    utf8 = b"".join(status_csv(campaign_id, "utf-8-sig"))
    assert utf8.startswith(b"\xef\xbb\xbf")
    assert utf8.count(b"\xef\xbb\xbf") == 1
    assert utf8.count(b"\r\n") == 4


def test_another_tenants_campaign_is_empty(app: Flask, launched: tuple[int, list[factories.Person]]) -> None:
    campaign_id, _ = launched
    del app
    other = tenancy.current()
    content = b"".join(status_csv(campaign_id + 999, "utf-8-sig"))
    assert content.count(b"\r\n") == 1
    assert other == tenancy.current()


def test_figures_count_every_state_and_the_funnel(launched: tuple[int, list[factories.Person]]) -> None:
    campaign_id, people = launched
    move(db.session, PAGE, PageState.OPENED, [Step(people[0].id, datetime.now(UTC))], actor="person")
    found = figures(campaign_id)
    assert found.people == 3
    assert found.sms[SmsState.QUEUED] == 3
    assert found.sms[SmsState.DELIVERED] == 0
    assert found.page["opened"] == 1
    assert dict(found.funnel)["開封"] == 1
    assert dict(found.funnel)["支払"] == 0
