"""名簿：1件を入力: the same checks and digests as a file's, without one."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import tenancy
from app.campaigns.rendering import open_fields, open_phone
from app.extensions import db, vault
from app.models import Campaign, Import, Question, Recipient
from tests import factories
from tests.admin_views.conftest import House
from tests.admin_views.uploads import GOOD, HEAD, imported

TYPED = ("090-1234-5678", "K1", "1980/1/2", "0123", "佐藤 花子")


@pytest.fixture
def campaign(app: Flask, ours: House) -> int:
    with app.app_context():
        return factories.campaign(ours.tenant, sms_account_id=ours.sms_account, name="訪問のご案内")


def address(campaign: int) -> str:
    return f"/admin/campaign/{campaign}/list/one"


def typed(*cells: str) -> dict[str, str]:
    return {f"cell_{place}": cell for place, cell in enumerate(cells)}


def people(app: Flask, ours: House, campaign: int) -> list[dict[str, Any]]:
    with app.app_context(), tenancy.tenant(ours.tenant):
        rows = db.session.scalars(
            select(Recipient).where(Recipient.campaign_id == campaign).order_by(Recipient.id)
        ).all()
        questions = db.session.scalars(
            select(Question.id).where(Question.campaign_id == campaign).order_by(Question.position)
        ).all()
        return [
            {
                "phone": open_phone(ours.tenant, row.id, row.phone_sealed),
                "fields": open_fields(ours.tenant, row.id, row.fields_sealed),
                "reference": row.reference,
                "answers": row.answer_digests
                == [
                    vault.answer_digest(ours.tenant, row.id, question, answer)
                    for question, answer in zip(questions, ("1980-01-02", "0123"), strict=True)
                ],
                "token": row.token_digest == vault.token_digest(vault.link_token(row.id, 1, row.link_secret)),
            }
            for row in rows
        ]


def test_one_is_added_as_a_files_row_would_be(app, clerk, ours, campaign):
    page = clerk.get(address(campaign)).get_data(as_text=True)
    assert [label in page for label in ("電話番号", "管理番号", "生年月日", "契約番号下4桁", "氏名")] == [True] * 5
    assert clerk.post(address(campaign), typed(*TYPED)).status_code == 303
    assert people(app, ours, campaign) == [
        {
            "phone": "+819012345678",
            "fields": {"管理番号": "K1", "氏名": "佐藤 花子"},
            "reference": "K1",
            "answers": True,
            "token": True,
        }
    ]
    # a file that holds the same person with other words: told, not guessed
    page = imported(app, ours, clerk, campaign, HEAD + GOOD.replace("佐藤 花子", "佐藤 はな"))
    assert "別の内容ですでに取り込まれています" in page
    again = clerk.post(address(campaign), typed(*TYPED))
    assert again.status_code == 422
    assert len(people(app, ours, campaign)) == 2


def test_it_is_an_import_that_can_be_taken_back_and_makes_a_check_void(app, clerk, ours, campaign):
    clerk.post(address(campaign), typed(*TYPED))
    clerk.post(f"/admin/campaign/{campaign}/check/")
    with app.app_context(), tenancy.tenant(ours.tenant):
        before = db.session.get_one(Campaign, campaign).revision
        row = db.session.scalars(select(Import)).one()
        assert (row.state, row.rows_added, row.created_by) == ("done", 1, ours.clerk)
        import_id = row.id
    clerk.post(address(campaign), typed("080-1234-5678", "K2", "1980/1/2", "0123", "鈴木"))
    page = clerk.get(f"/admin/campaign/{campaign}/check/").get_data(as_text=True)
    assert "2件の文面を確かめています" in page  # anew, by itself
    clerk.post(f"/admin/campaign/{campaign}/list/{import_id}/discard")
    assert [person["reference"] for person in people(app, ours, campaign)] == ["K2"]
    with app.app_context(), tenancy.tenant(ours.tenant):
        assert db.session.get_one(Campaign, campaign).revision > before


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (("03-1234-5678", *TYPED[1:]), "電話番号：固定電話の番号です"),
        (("090-1234-5678", "K1", "1980/1/2", "", "佐藤"), "契約番号下4桁："),
        (("090-1234-5678", "K1", "2099/1/2", "0123", "佐藤"), "これから先の日付"),
        (("090-1234-5678", "K1", "1980/1/2", "0123", "4111 1111 1111 1111"), "クレジットカード番号"),
        (("",) * 5, "送信先の情報を入力してください"),
    ],
)
def test_what_is_typed_wrong_is_told_at_its_field_and_kept(app, clerk, ours, campaign, cells, told):
    answer = clerk.post(address(campaign), typed(*cells))
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert told in page
    if cells[1]:
        assert f'value="{cells[1]}"' in page
    assert people(app, ours, campaign) == []
    with app.app_context(), tenancy.tenant(ours.tenant):
        assert db.session.scalars(select(Import)).all() == []


def test_the_lists_columns_are_asked_for_and_a_second_sms_is_warned_of(app, clerk, ours, campaign):
    imported(
        app,
        ours,
        clerk,
        campaign,
        HEAD.replace("電話番号", "携帯電話", 1).replace("氏名", "氏名,担当")
        + "K1,090-1234-5678,佐藤,山,1980/1/2,0123\r\n",
    )
    page = clerk.get(address(campaign)).get_data(as_text=True)
    assert "携帯電話" in page
    assert "担当" in page
    with app.app_context():
        other = factories.campaign(ours.tenant, sms_account_id=ours.sms_account, name="先の配信")
        factories.people(ours.tenant, other, 1, phones=["+819012345678"])
        factories.launch(ours.tenant, other)
    cells = typed("K9", "090-1234-5678", "鈴木", "川", "1980/1/2", "0123")
    page = clerk.post(address(campaign), cells, follow_redirects=True).get_data(as_text=True)
    assert "送信先を1件加えました" in page
    assert "このままだと同じ人に2通届きます" in page
    assert "配信「先の配信」（送信中）の送信先でもあります" in page
    answer = clerk.post(address(campaign), {**cells, "cell_2": "ほか"})
    assert "別の内容ですでに取り込まれています" in answer.get_data(as_text=True)
    assert clerk.post(address(campaign), {**cells, "cell_0": ""}).status_code == 422
    assert len(people(app, ours, campaign)) == 2


def test_who_has_no_number_takes_it_from_nobody_who_comes_later(app, clerk, ours, campaign):
    assert clerk.post(address(campaign), typed("080-1234-5678", "", *TYPED[2:])).status_code == 303
    assert clerk.post(address(campaign), typed(*TYPED)).status_code == 303
    assert [person["reference"] for person in people(app, ours, campaign)] == ["", "K1"]
    assert clerk.post(address(campaign), typed("070-1234-5678", "", *TYPED[2:])).status_code == 303


def test_nobody_is_added_once_sending_has_begun_nor_to_another_companys_campaign(app, clerk, ours, theirs, campaign):
    with app.app_context():
        factories.launch(ours.tenant, ours.campaign)
    assert clerk.post(address(ours.campaign), typed(*TYPED)).status_code == 303
    assert len(people(app, ours, ours.campaign)) == 3
    assert clerk.get(address(theirs.campaign)).status_code == 404
    assert clerk.post(address(theirs.campaign), typed(*TYPED)).status_code == 404
