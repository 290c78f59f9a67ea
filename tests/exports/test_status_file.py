"""The status CSV: states, times and the list's own columns, in both encodings, harmless, of its tenant alone."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

import openpyxl
import pytest
from flask import Flask
from sqlalchemy import text

from app import tenancy
from app.campaigns.rendering import fields_place
from app.exports import status_file
from app.exports.selection import Selection
from app.extensions import db, vault
from app.models import Campaign, Import
from app.reports.campaign_totals import figures
from app.states.transitions import Step, move
from app.states.vocabulary import PAGE, PageState, SmsState
from tests import factories
from tests.plans import explained, touched


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
    content = b"".join(status_file.status_file(Selection(campaign_id), encoding))
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


def test_why_an_sms_did_not_arrive_is_said_in_words(launched: tuple[int, list[factories.Person]]) -> None:
    campaign_id, _ = launched
    db.session.execute(
        text("UPDATE recipient SET sms_code = 'gave_up:http_503' WHERE campaign_id = :id"), {"id": campaign_id}
    )
    db.session.commit()
    row = table(campaign_id, "utf-8-sig")[0]
    assert (row["SMS結果コード"], row["SMS結果の理由"]) == (
        "gave_up:http_503",
        "受け付けられず断念（送信サービスの障害、応答コード503）",
    )


def test_what_is_to_be_known_of_money_stands_beside_its_state(launched: tuple[int, list[factories.Person]]) -> None:
    """Money at the provider that nobody took reads 手続中, and a lost dispute 支払済: neither without a word."""
    campaign_id, people = launched
    payments = (
        (people[0], 1, "started", "mismatch: amount", "", 0),
        (people[1], 1, "paid", "", "lost", 0),
        (people[1], 2, "paid", "paid twice", "", 500),
    )
    for person, attempt, state, problem, dispute, back in payments:
        db.session.execute(
            text("""
                INSERT INTO payment (tenant_id, campaign_id, recipient_id, payment_account_id, attempt, reference,
                    state, amount_yen, problem, dispute, refunded_yen)
                SELECT r.tenant_id, r.campaign_id, r.id, c.payment_account_id, :attempt, r.id || '.' || :attempt,
                    :state, 12000, :problem, :dispute, :back
                FROM recipient r JOIN campaign c ON c.id = r.campaign_id WHERE r.id = :id
            """),
            {
                "id": person.id,
                "attempt": attempt,
                "state": state,
                "problem": problem,
                "dispute": dispute,
                "back": back,
            },
        )
    db.session.commit()
    remarks = [row["支払の注意"] for row in table(campaign_id, "utf-8-sig")]
    assert remarks[0] == "要確認"
    assert set(remarks[1].split("・")) == {"チャージバック成立", "一部返金", "要確認"}
    assert remarks[2] == ""


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
    utf8 = b"".join(status_file.status_file(Selection(campaign_id), "utf-8-sig"))
    assert utf8.startswith(b"\xef\xbb\xbf")
    assert utf8.count(b"\xef\xbb\xbf") == 1
    assert utf8.count(b"\r\n") == 4


def test_another_tenants_campaign_is_empty(app: Flask, launched: tuple[int, list[factories.Person]]) -> None:
    campaign_id, _ = launched
    del app
    other = tenancy.current()
    content = b"".join(status_file.status_file(Selection(campaign_id + 999), "utf-8-sig"))
    assert content.count(b"\r\n") == 1
    assert other == tenancy.current()


def test_figures_count_every_state_and_the_funnel(launched: tuple[int, list[factories.Person]]) -> None:
    campaign_id, people = launched
    move(db.session, PAGE, PageState.OPENED, [Step(people[0].id, datetime.now(UTC))], actor="person")
    found = figures(db.session.get_one(Campaign, campaign_id))
    assert found.people == 3
    assert found.sms[SmsState.QUEUED] == 3
    assert found.sms[SmsState.DELIVERED] == 0
    assert found.page["opened"] == 1
    assert dict(found.funnel)["開封"] == 1
    assert dict(found.funnel)["支払"] == 0


def test_the_excel_file_says_the_same(launched: tuple[int, list[factories.Person]]) -> None:
    campaign_id, people = launched
    rows = list(
        openpyxl.load_workbook(io.BytesIO(b"".join(status_file.status_file(Selection(campaign_id), "xlsx"))))[
            "状況"
        ].values
    )
    said = table(campaign_id, "utf-8-sig")
    assert rows[0] == tuple(said[0])
    amount = rows[0].index("金額（円）")
    assert [row[amount] for row in rows[1:]] == [12_000] * 3
    for row, cells in zip(rows[1:], said, strict=True):
        assert tuple("" if cell is None else str(cell) for cell in row) == tuple(cells.values())
    assert people[0].fields["氏名"] in rows[1]


def test_the_work_of_a_file_grows_with_its_people_and_no_faster(app: Flask) -> None:
    """A list just taken in has no statistics, and a planner may sort all that is left for each page of it."""
    people = 2000
    with app.app_context():
        tenant_id = factories.tenant()
        campaign_id = factories.campaign(tenant_id)
        factories.people(tenant_id, campaign_id, people)
        with tenancy.tenant(tenant_id), explained(instead=False) as plans:
            content = b"".join(status_file.status_file(Selection(campaign_id), "cp932", page_rows=100))
    assert content.count(b"\r\n") == people + 1
    assert people < sum(map(touched, plans)) < 6 * people


def test_a_file_can_be_narrowed_to_states(launched: tuple[int, list[factories.Person]]) -> None:
    campaign_id, people = launched
    move(db.session, PAGE, PageState.OPENED, [Step(people[1].id, datetime.now(UTC))], actor="person")
    db.session.commit()

    def references(**chosen: str) -> list[str]:
        content = b"".join(status_file.status_file(Selection(campaign_id, chosen), "utf-8-sig")).decode("utf-8-sig")
        return [row["管理番号"] for row in csv.DictReader(io.StringIO(content, newline=""))]

    assert references(page="opened") == [people[1].reference]
    assert references(page="unopened", sms="queued") == [people[0].reference, people[2].reference]
    assert references(page="opened", sms="delivered") == []


def test_columns_are_those_of_every_list(launched: tuple[int, list[factories.Person]]) -> None:
    campaign_id, _ = launched
    tenant_id = tenancy.current().tenant_id
    mapping = {"phone": "携帯", "reference": None, "amount": None, "due_date": None, "answers": ["誕生日"]}
    header = ["エラー内容", "携帯", "誕生日", "氏名", "担当"]
    db.session.add(
        Import(
            tenant_id=tenant_id,
            campaign_id=campaign_id,
            state="done",
            filename="二つ目.csv",
            content_digest=b"",
            header=header,
            mapping=mapping,
        )
    )
    db.session.commit()
    columns = list(table(campaign_id, "utf-8-sig")[0])
    assert columns[-1] == "担当"
    assert not {"エラー内容", "携帯", "誕生日"} & set(columns)
