"""From the check over every row to launch, pause, cancel and completion, on the real database."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select, text

from app import config, queues, tenancy
from app.campaigns import bulk_operations, lifecycle, preflight, preflight_result, readiness
from app.extensions import db
from app.models import AuditEntry, Campaign, Event, PaymentAccount, Recipient, Slice
from app.problems import Refused
from tests import factories, steps


@pytest.fixture
def campaign(app: Flask) -> Iterator[Campaign]:
    with app.app_context():
        tenant_id = factories.tenant()
        user_id = factories.user(tenant_id)
        made = factories.campaign(tenant_id, sms_account_id=factories.sms_account(tenant_id), created_by=user_id)
        factories.people(tenant_id, made, 7)
        with tenancy.tenant(tenant_id):
            yield db.session.get_one(Campaign, made)


def launch(campaign: Campaign, digest: str = "") -> None:
    assert campaign.created_by is not None
    lifecycle.launch(campaign.id, user_id=campaign.created_by, digest=digest or preflight_result.digest(campaign))
    db.session.expire_all()


def states() -> list[str]:
    return sorted(db.session.scalars(select(Recipient.sms_state)))


def test_the_check_measures_every_row(campaign: Campaign) -> None:
    found = preflight.run(campaign.id)
    assert found.people == 7
    assert found.problems == []
    assert 0 < found.longest_units <= 70
    assert preflight_result.current(campaign) is not None


def test_one_row_too_long_stops_the_launch(campaign: Campaign) -> None:
    campaign.sms_text = "あ" * 60 + "{リンク}"
    lifecycle.touch(campaign)
    db.session.commit()
    found = preflight.run(campaign.id)
    assert found.too_long == 7
    assert found.problems[0].code == "sms_too_long"
    assert "70文字を超える" in found.problems[0].message_ja
    with pytest.raises(Refused, match="70文字を超える"):
        launch(campaign)
    assert states() == ["draft"] * 7


@pytest.mark.parametrize(
    ("methods", "amount", "says"),
    [
        ("konbini", 300_001, "120円から300,000円まで"),
        ("konbini", 119, "120円から300,000円まで"),
        ("konbini", 300_000, ""),
        ("card,konbini", 300_001, ""),
        ("card", 49, "50円から99,999,999円まで"),
    ],
)
def test_an_amount_that_the_payment_site_refuses_stops_the_launch(
    app: Flask, methods: str, amount: int, says: str
) -> None:
    """Else the person would read that they can't pay, and the company would hear of it from them."""
    with app.app_context():
        tenant_id = factories.tenant()
        account_id = factories.payment_account(tenant_id)
        made = factories.campaign(
            tenant_id, sms_account_id=factories.sms_account(tenant_id), payment_account_id=account_id
        )
        people = factories.people(tenant_id, made, 2)
        with tenancy.tenant(tenant_id):
            db.session.get_one(PaymentAccount, account_id).settings = {"methods": methods}
            db.session.get_one(Recipient, people[0].id).amount_yen = amount
            db.session.commit()
            problems = preflight.run(made).problems
        assert len(problems) == bool(says)
        if says:
            assert says in problems[0].message_ja
            assert "1件あります" in problems[0].message_ja
            assert f"（{amount:,}円）" in problems[0].message_ja


def test_a_field_no_column_has_stops_the_launch(campaign: Campaign) -> None:
    campaign.page_text = "{担当者}より"
    lifecycle.touch(campaign)
    db.session.commit()
    (problem,) = preflight.run(campaign.id).problems
    assert (problem.code, problem.facts) == ("merge_field_missing", {"field": "担当者", "people": 7})
    assert "差込項目 {担当者} が名簿にない" in problem.message_ja


def test_launch_queues_everyone_in_slices(campaign: Campaign) -> None:
    config.install(replace(config.settings(), slice_rows=3))
    preflight.run(campaign.id)
    launch(campaign)
    assert states() == ["queued"] * 7
    assert campaign.state == "sending"
    slices = db.session.scalars(select(Slice).order_by(Slice.id)).all()
    people = db.session.scalars(select(Recipient.id).order_by(Recipient.id)).all()
    assert [(row.first_id, row.last_id) for row in slices] == [
        (people[0], people[2]),
        (people[3], people[5]),
        (people[6], people[6]),
    ]
    assert queues.waiting("jobs.delivery.send") == {()}
    assert len(db.session.scalars(select(Event).where(Event.state == "queued")).all()) == 7
    assert [row.act for row in db.session.scalars(select(AuditEntry))] == ["launch"]


def test_a_second_press_sends_nothing_twice(campaign: Campaign) -> None:
    preflight.run(campaign.id)
    launch(campaign)
    with pytest.raises(Refused, match="already_launched"):
        launch(campaign)
    assert len(db.session.scalars(select(Slice)).all()) == 1


def test_only_what_was_checked_is_sent(campaign: Campaign) -> None:
    with pytest.raises(Refused, match="check_missing"):
        launch(campaign)
    digest = preflight.run(campaign.id).digest
    campaign.page_text = "変更しました"
    db.session.commit()
    with pytest.raises(Refused, match="check_void"):
        launch(campaign, digest)
    preflight.run(campaign.id)
    with pytest.raises(Refused, match="check_outdated"):
        launch(campaign, digest)
    launch(campaign)


def test_a_changed_list_voids_the_check(campaign: Campaign) -> None:
    preflight.run(campaign.id)
    lifecycle.touch(campaign)
    db.session.commit()
    assert preflight_result.current(campaign) is None


def test_a_suspended_tenant_sends_nothing(campaign: Campaign) -> None:
    preflight.run(campaign.id)
    steps.suspend(campaign.tenant_id)
    with pytest.raises(Refused, match="contract_not_active"):
        launch(campaign)


def test_what_is_missing_is_told_step_by_step(app: Flask) -> None:
    with app.app_context():
        tenant_id = factories.tenant()
        made = factories.campaign(tenant_id, sms_text="", payment_required=True)
        with tenancy.tenant(tenant_id):
            found = readiness.missing(db.session.get_one(Campaign, made))
    said = [(item.step, item.problem.code) for item in found]
    assert {step for step, _ in said} == {"write", "list", "check"}
    assert {"payment_account_not_registered", "sms_account_not_registered"} <= {code for _, code in said}


def test_pause_resume_and_cancel(campaign: Campaign) -> None:
    user_id = campaign.created_by
    assert user_id is not None
    assert not lifecycle.pause(campaign.id, user_id=user_id)
    preflight.run(campaign.id)
    launch(campaign)
    assert lifecycle.pause(campaign.id, user_id=user_id)
    assert not lifecycle.pause(campaign.id, user_id=user_id)
    assert lifecycle.resume(campaign.id, user_id=user_id)
    assert lifecycle.cancel(campaign.id, user_id=user_id)
    assert states() == ["cancelled"] * 7
    assert not lifecycle.resume(campaign.id, user_id=user_id)


def test_completed_only_when_nothing_is_left(campaign: Campaign) -> None:
    preflight.run(campaign.id)
    launch(campaign)
    assert not bulk_operations.complete_if_done(db.session, campaign.id)
    db.session.execute(text("UPDATE slice SET due_at = NULL"))
    assert not bulk_operations.complete_if_done(db.session, campaign.id)
    db.session.commit()
    steps.accept(*steps.everybody())
    assert bulk_operations.complete_if_done(db.session, campaign.id)
    assert not bulk_operations.complete_if_done(db.session, campaign.id)


# --- a check beside other acts ---


def test_a_late_check_does_not_rename_the_sender_of_a_campaign_under_way(
    campaign: Campaign, database: psycopg.Connection
) -> None:
    """A check that waited on the queue until the campaign had left."""
    preflight.run(campaign.id)
    launch(campaign)
    before = dict(campaign.preflight or {})
    name = campaign.tenant.name
    database.execute("UPDATE tenant SET name = 'みどりフィナンシャルサービス' WHERE id = %s", [campaign.tenant_id])
    late = preflight.run(campaign.id)
    db.session.expire_all()
    assert campaign.preflight == before
    assert preflight_result.company(campaign) == name
    assert late.problems, "whoever asked is told"


@pytest.mark.parametrize("change", ["launch", "text", "question", "list"])
def test_what_changes_during_a_check_is_not_blessed_by_it(
    campaign: Campaign, database: psycopg.Connection, change: str
) -> None:
    """The change is committed by somebody else once the rows were read."""
    changes = {
        "text": "UPDATE campaign SET sms_text = sms_text || '。', revision = revision + 1 WHERE id = %s",
        "question": "UPDATE question SET label = '電話番号下4桁' WHERE position = 2 AND campaign_id = %s",
        "list": "UPDATE campaign SET revision = revision + 1 WHERE id = %s",
    }
    newer = '{"digest": "newer", "problems": []}'
    database.execute("UPDATE campaign SET preflight = %s WHERE id = %s", [newer, campaign.id])
    campaign_id = campaign.id

    def meanwhile() -> None:
        if change == "launch":
            steps.resume(campaign_id)
        else:
            database.execute(changes[change], [campaign_id])

    found = preflight.run(campaign_id, meanwhile)
    db.session.expire_all()
    assert (campaign.preflight or {})["digest"] == "newer", "nor does it undo what a later check found"
    assert preflight_result.current(campaign) is None
    assert found.problems
    with pytest.raises(Refused):
        launch(campaign)


def test_a_check_looks_at_the_texts_as_they_stand_under_the_lock(
    campaign: Campaign, database: psycopg.Connection
) -> None:
    """The session's earlier reading is old by then, questions too."""
    assert [question.label for question in campaign.questions] == ["生年月日", "契約番号下4桁"]
    database.execute(
        "UPDATE question SET label = '電話番号下4桁' WHERE position = 2 AND campaign_id = %s", [campaign.id]
    )
    database.execute("UPDATE campaign SET sms_text = '【みどり】{リンク}' WHERE id = %s", [campaign.id])
    found = preflight.run(campaign.id)
    assert found.longest_units < 70
    db.session.expire_all()
    assert preflight_result.current(campaign) is not None


@pytest.mark.parametrize(
    ("change", "void"),
    [
        ("""UPDATE sms_account SET settings = settings || '{"service_id": "9"}'""", True),
        ("""UPDATE sms_account SET settings = settings || '{"tenant_id": "other"}'""", True),
        (
            "UPDATE sms_account SET credentials_sealed = 'renewed', name = 'renamed', price_yen = 9, rate_per_s = 5",
            False,
        ),
    ],
)
def test_a_check_covers_the_contract_and_no_token(campaign: Campaign, change: str, *, void: bool) -> None:
    preflight.run(campaign.id)
    assert preflight_result.current(campaign) is not None
    db.session.execute(text(change))
    db.session.commit()
    db.session.expire_all()
    assert (preflight_result.current(campaign) is None) == void


def test_a_check_is_read_as_it_was_stored(campaign: Campaign) -> None:
    found = preflight.run(campaign.id)
    db.session.expire_all()
    assert preflight_result.last(campaign) == found


def test_a_check_from_before_an_upgrade_can_be_read() -> None:
    """It may lack what is stored now, and hold what no longer is."""
    read = preflight_result.Preflight.from_json({"people": 3, "rows_seen": 3})
    assert (read.people, read.numbers, read.rows, read.problems) == (3, 0, [], [])
