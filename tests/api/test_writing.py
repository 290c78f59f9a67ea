"""From a starter to a launch without a screen: the same checks, words, limits and approvals as a clerk's."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app import config, tenancy
from app.api_access import idempotency, ids, test_numbers
from app.api_access.ids import Of
from app.campaigns import lifecycle, preflight
from app.extensions import db
from app.models import Campaign, TestNumber
from tests import factories
from tests.api.systems import V1, system

VISIT = {
    "電話番号": "090-1234-5678", "管理番号": "A-1", "氏名": "佐藤 花子", "訪問日": "12月10日", "訪問時間": "10時",
    "担当者": "山田", "用件": "点検", "郵便番号": "123-4567", "受付番号": "0489",
}  # fmt: skip


def _rows(count):
    return [{**VISIT, "電話番号": f"090{1000 + n:04d}{5678:04d}", "管理番号": f"A-{n}"} for n in range(count)]


@pytest.fixture
def draft(ours):
    """A draft made from a starter, by its address."""
    answer = ours.post(f"{V1}/campaigns", json={"name": "12月の点検", "starter": "visit"})
    assert answer.status_code == 201, answer.json
    assert answer.json["state"] == "draft"
    return f"{V1}/campaigns/{answer.json['id']}"


@pytest.fixture
def checked(ours, draft):
    """The same with three recipients, checked; its address, and what a launch names."""
    assert ours.post(f"{draft}/recipients/batch", json={"rows": _rows(3)}).status_code == 201
    found = ours.post(f"{draft}/check").json
    assert (found["state"], found["people"], found["problems"]) == ("done", 3, [])
    return draft, {"digest": found["digest"], "people": found["people"]}


def test_a_campaign_goes_from_starter_to_launch(ours, checked):
    draft, named = checked
    answer = ours.post(f"{draft}/launch", json=named)
    assert (answer.status_code, answer.json["outcome"], answer.json["state"]) == (200, "sending", "sending")
    people = ours.get(f"{draft}/recipients").json["recipients"]
    assert [(one["reference"], one["sms_state"]) for one in people] == [(f"A-{n}", "queued") for n in range(3)]
    assert ours.post(f"{draft}/launch", json=named).json["code"] == "already_launched"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"digest": "0" * 64}, "check_outdated"),
        ({"people": 4}, "launch_people_differ"),
        ({"people": 0}, "launch_people_differ"),
    ],
)
def test_a_launch_of_something_else_is_refused(ours, checked, change, code):
    draft, named = checked
    answer = ours.post(f"{draft}/launch", json={**named, **change})
    assert (answer.status_code, answer.json["code"]) == (409, code)
    assert ours.get(draft).json["state"] == "draft"


def test_what_changed_after_the_check_is_not_launched(ours, checked):
    draft, named = checked
    ours.post(f"{draft}/recipients/batch", json={"rows": [{**VISIT, "管理番号": "B-1"}]})
    answer = ours.post(f"{draft}/launch", json=named)
    assert (answer.status_code, answer.json["code"]) == (409, "check_void")


def test_above_the_limit_a_launch_waits_for_approval(app, ours, checked):
    with app.app_context(), tenancy.platform():
        db.session.execute(db.text("UPDATE tenant SET approval_above = 2"))
        db.session.commit()
    draft, named = checked
    answer = ours.post(f"{draft}/launch", json=named)
    assert (answer.status_code, answer.json["outcome"], answer.json["state"]) == (
        200,
        "waiting_for_approval",
        "approval",
    )


def test_a_booked_campaign_is_told(ours):
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    made = ours.post(f"{V1}/campaigns", json={"name": "明日", "starter": "visit", "starts_at": later}).json
    draft = f"{V1}/campaigns/{made['id']}"
    ours.post(f"{draft}/recipients/batch", json={"rows": _rows(1)})
    found = ours.post(f"{draft}/check").json
    answer = ours.post(f"{draft}/launch", json={"digest": found["digest"], "people": 1})
    assert answer.json["outcome"] == "scheduled"


def test_a_copy_has_the_words_and_no_people(app, ours, draft):
    ours.post(f"{draft}/recipients/batch", json={"rows": _rows(2)})
    made = ours.post(f"{V1}/campaigns", json={"name": "写し", "copy_of": draft.rpartition("/")[2]}).json
    copy = ours.get(f"{V1}/campaigns/{made['id']}").json
    assert (copy["name"], copy["people"], copy["state"]) == ("写し", 0, "draft")
    with app.app_context(), tenancy.tenant(ours.tenant):
        old, new = db.session.query(Campaign).order_by(Campaign.id.desc()).limit(2).all()[::-1]
        assert (old.sms_text, old.link_minutes, len(old.questions)) == (
            new.sms_text,
            new.link_minutes,
            len(new.questions),
        )
        assert old.key != new.key


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({}, 422, "api_body_invalid"),
        ({"name": "x"}, 422, "campaign_source_missing"),
        ({"name": "x", "starter": "visit", "copy_of": "cmp_x"}, 422, "campaign_source_missing"),
        ({"name": "x", "starter": "nothing"}, 422, "campaign_starter_unknown"),
        ({"name": " ", "starter": "visit"}, 422, "campaign_name_missing"),
        ({"name": "x" * 101, "starter": "visit"}, 422, "campaign_name_too_long"),
        ({"name": "4111 1111 1111 1111", "starter": "visit"}, 422, "campaign_name_card_number"),
        ({"name": "x", "starter": "visit", "starts_at": "2020-01-01T00:00:00Z"}, 422, "campaign_start_not_ahead"),
        ({"name": "x", "starter": "visit", "deadline_at": "2020-01-01T00:00:00Z"}, 422, "campaign_deadline_not_ahead"),
        ({"name": "x", "copy_of": "cmp_none"}, 404, "api_not_found"),
        ({"name": "x", "starter": "visit", "sms_account": "sac_none"}, 404, "api_not_found"),
        ({"name": "x", "starter": "visit", "more": 1}, 422, "api_body_invalid"),
    ],
)
def test_a_campaign_that_cannot_be_is_refused(ours, given, status, code):
    answer = ours.post(f"{V1}/campaigns", json=given)
    assert (answer.status_code, answer.json["code"]) == (status, code)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null", b'"x"', b'{"name": 1}', b"[" * 5_000])
def test_a_body_that_is_none_is_told(ours, body):
    answer = ours.post(f"{V1}/campaigns", data=body)
    assert answer.status_code in {400, 422}
    assert answer.json["code"] in {"api_body_not_json", "api_body_invalid"}


# --- recipients ---


def test_fields_are_told_before_rows_are_sent(ours, draft):
    told = ours.get(f"{draft}/fields").json
    assert set(VISIT) == set(told["fields"])
    assert "管理番号" not in told["required"]
    assert "電話番号" in told["required"]


def test_faults_name_row_and_field_and_never_a_value(ours, draft):
    rows = [
        {**VISIT, "管理番号": "A-1"},
        {**VISIT, "管理番号": "A-1", "電話番号": "03-1234-9876"},
        {**VISIT, "管理番号": "A-3", "受付番号": "12"},
        {**VISIT, "管理番号": "A-1"},
        {**VISIT, "管理番号": "A-5", "0312349876": "x"},
        {},
    ]
    answer = ours.post(f"{draft}/recipients/batch", json={"rows": rows})
    assert (answer.status_code, answer.json["code"]) == (422, "batch_rows_refused")
    found = {(one.get("row"), one.get("field"), one["code"]) for one in answer.json["errors"]}
    assert {
        (2, "電話番号", "phone_landline"),
        (3, "受付番号", "answer_last4_too_short"),
        (4, "管理番号", "reference_twice"),
        (5, None, "batch_field_unknown"),
        (6, None, "empty_row"),
    } <= found
    said = answer.get_data(as_text=True)
    assert [value for value in ("03-1234-9876", "0312349876", "090-1234-5678", "佐藤") if value in said] == []
    assert ours.get(draft).json["people"] == 0


def test_faults_are_told_in_english_too(ours, draft):
    answer = ours.post(
        f"{draft}/recipients/batch", json={"rows": [{**VISIT, "電話番号": ""}]}, headers={"Accept-Language": "en"}
    )
    assert [one["detail"] for one in answer.json["errors"]] == ["The phone number is empty."]


def test_rows_that_stand_there_are_known_and_those_that_say_otherwise_refused(ours, draft):
    assert ours.post(f"{draft}/recipients/batch", json={"rows": _rows(2)}).json["added"] == 2
    again = ours.post(f"{draft}/recipients/batch", json={"rows": _rows(3)}).json
    assert (again["added"], again["known"]) == (1, 2)
    other = ours.post(f"{draft}/recipients/batch", json={"rows": [{**_rows(1)[0], "氏名": "別人"}]})
    assert [one["code"] for one in other.json["errors"]] == ["contradicts"]
    assert ours.get(draft).json["people"] == 3


def test_numbers_may_be_numbers(ours, draft):
    row = {**VISIT, "受付番号": 4891}
    assert ours.post(f"{draft}/recipients/batch", json={"rows": [row]}).json["added"] == 1
    for value in (None, 1.5, True, ["x"], {"x": "y"}):
        answer = ours.post(f"{draft}/recipients/batch", json={"rows": [{**VISIT, "受付番号": value}]})
        assert (answer.status_code, answer.json["code"]) == (422, "api_body_invalid")


@pytest.mark.parametrize("count", [0, 10_001])
def test_a_batch_has_bounds(ours, draft, count):
    answer = ours.post(f"{draft}/recipients/batch", json={"rows": [{}] * count})
    assert (answer.status_code, answer.json["code"]) == (422, "api_body_invalid")


def test_a_batch_is_taken_once(ours, draft, database):
    once = str(uuid.uuid4())
    first = ours.post(f"{draft}/recipients/batch", once, json={"rows": _rows(5)})
    again = ours.post(f"{draft}/recipients/batch", once, json={"rows": _rows(5)})
    assert first.data == again.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert database.execute("SELECT count(*) FROM import WHERE filename = 'APIから登録'").fetchone() == (1,)


def test_a_batch_cut_off_before_its_commit_leaves_nothing(ours, draft, database, monkeypatch):
    once = str(uuid.uuid4())

    def die(*_given):
        raise ConnectionAbortedError

    with monkeypatch.context() as broken:
        broken.setattr(idempotency, "keep", die)
        with pytest.raises(ConnectionAbortedError):
            ours.post(f"{draft}/recipients/batch", once, json={"rows": _rows(5)})
    assert ours.get(draft).json["people"] == 0
    assert ours.post(f"{draft}/recipients/batch", once, json={"rows": _rows(5)}).json["added"] == 5


def test_a_batch_costs_by_its_rows(app, ours, draft, settings):

    config.install(replace(settings, api_key_per_minute=60, api_company_per_minute=10_000))
    answer = ours.post(f"{draft}/recipients/batch", json={"rows": _rows(6_100)})
    assert (answer.status_code, answer.json["code"]) == (429, "api_rate_limited")
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_launched_campaign_takes_nobody_in(ours, checked):
    draft, named = checked
    ours.post(f"{draft}/launch", json=named)
    answer = ours.post(f"{draft}/recipients/batch", json={"rows": _rows(1)})
    assert (answer.status_code, answer.json["code"]) == (409, "locked_launched")
    assert ours.post(f"{draft}/check").json["code"] == "locked_launched"


# --- a test key ---


def test_a_test_key_sends_to_confirmed_numbers_alone(app):
    tester = system(app, mode="test")
    made = tester.post(f"{V1}/campaigns", json={"name": "試し", "starter": "visit"}).json
    draft = f"{V1}/campaigns/{made['id']}"
    tester.post(f"{draft}/recipients/batch", json={"rows": [VISIT]})
    found = tester.post(f"{draft}/check").json
    named = {"digest": found["digest"], "people": found["people"]}
    refused = tester.post(f"{draft}/launch", json=named)
    assert (refused.status_code, refused.json["code"]) == (422, "test_key_other_numbers")
    with app.app_context(), tenancy.tenant(tester.tenant):
        number = test_numbers.add("090-1234-5678", "山田", user_id=tester.manager)
    assert tester.post(f"{draft}/launch", json=named).json["code"] == "test_key_other_numbers", "not confirmed yet"
    with app.app_context(), tenancy.tenant(tester.tenant):
        db.session.get_one(TestNumber, number).confirmed_at = datetime.now(UTC)
        db.session.commit()
    assert tester.post(f"{draft}/launch", json=named).json["outcome"] == "sending"


# --- again ---


def test_a_reminder_goes_once_for_its_number(app, ours, take, database):
    with app.app_context():
        factories.launch(ours.tenant, ours.campaign)
        with tenancy.tenant(ours.tenant):
            db.session.execute(db.text("UPDATE recipient SET link_expires_at = now() + interval '1 day'"))
            db.session.commit()
    told = ours.get(f"{ours.of_campaign}/reminders").json
    assert (told["next_reminder"], told["unpaid"]) == (1, 0)
    answer = ours.post(f"{ours.of_campaign}/remind", json={"which": "unopened", "number": 2})
    assert (answer.status_code, answer.json["code"]) == (409, "reminder_already_sent")
    nobody = ours.post(f"{ours.of_campaign}/remind", json={"which": "unopened", "number": 1})
    assert (nobody.status_code, nobody.json["code"]) == (409, "resend_nobody")
    other = ours.post(f"{ours.of_campaign}/remind", json={"which": "unpaid", "number": 1})
    assert (other.status_code, other.json["code"]) == (422, "reminder_kind_unknown")
    assert ours.post(f"{ours.of_campaign}/resend").json["code"] == "resend_nobody"


# --- one by one ---


@pytest.fixture
def standing(app, ours):
    """A standing campaign that takes people in, by its address."""
    with app.app_context():
        columns = {"standing": True, "day_limit": 1000, "created_by": ours.manager}
        made = factories.campaign(ours.tenant, sms_account_id=ours.sms_account, **columns)
        with tenancy.tenant(ours.tenant):
            checked = preflight.run(made)
            assert checked.problems == []
            lifecycle.launch(made, user_id=ours.manager, digest=checked.digest)
    return f"{V1}/campaigns/{ids.make(Of.CAMPAIGN, made)}"


ONE = {
    "電話番号": "090-1234-5678",
    "管理番号": "K-1",
    "氏名": "佐藤 花子",
    "生年月日": "1980/1/2",
    "契約番号下4桁": "0123",
}


def test_one_person_comes_to_a_standing_campaign_once(ours, standing, database):
    once = str(uuid.uuid4())
    first, again = (ours.post(f"{standing}/recipients", once, json={"fields": ONE}) for _ in range(2))
    assert first.status_code == 201, first.json
    assert first.data == again.data
    assert first.json["sends_at"] is not None
    assert database.execute("SELECT count(*) FROM recipient WHERE reference = 'K-1'").fetchone() == (1,)
    told = ours.get(f"{standing}/recipients/{first.json['id']}").json
    assert (told["reference"], told["sms_state"]) == ("K-1", "queued")
    other = ours.post(f"{standing}/recipients", json={"fields": ONE})
    assert (other.status_code, [one["field"] for one in other.json["errors"]]) == (422, ["管理番号"])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"電話番号": "03-1234-9876"}, "電話番号"),
        ({"氏名": ""}, "氏名"),
        ({"氏名": "あ" * 80}, "氏名"),
        ({"0312349876": "x"}, None),
    ],
)
def test_a_person_who_does_not_fit_is_named_by_field(ours, standing, change, field):
    answer = ours.post(f"{standing}/recipients", json={"fields": {**ONE, **change}})
    assert answer.status_code == 422
    assert field in [one.get("field") for one in answer.json["errors"]]
    assert "12349876" not in answer.get_data(as_text=True).replace("-", "")


def test_a_draft_takes_nobody_in_one_by_one(ours):
    answer = ours.post(f"{ours.of_campaign}/recipients", json={"fields": ONE})
    assert answer.status_code in {409, 422}


def test_a_company_with_two_accounts_is_told_at_the_first_step_to_name_one(app, ours):
    before = len(ours.get(f"{V1}/campaigns").json["campaigns"])
    with app.app_context():
        factories.sms_account(ours.tenant)
    answer = ours.post(f"{V1}/campaigns", json={"name": "12月の点検", "starter": "visit"})
    assert (answer.status_code, answer.json["code"]) == (422, "sms_account_not_chosen")
    assert len(ours.get(f"{V1}/campaigns").json["campaigns"]) == before
    one = ours.get(f"{V1}/accounts").json["sms"][0]["id"]
    named = {"name": "12月の点検", "starter": "visit", "sms_account": one}
    assert ours.post(f"{V1}/campaigns", json=named).status_code == 201
