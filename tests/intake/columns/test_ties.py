"""A merge field takes its value from a column of another name; what the list calls it stays in its exports."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from app.campaigns import preflight
from app.campaigns.rendering import open_fields, own_columns, page_texts, sms_text
from app.exports import status_file
from app.extensions import db
from app.intake.columns import proposals
from app.intake.columns.mapping import ColumnMapping, Question, propose
from app.intake.lists import imports
from app.intake.rows import single_entry
from app.models import Campaign, Recipient
from app.problems import Refused
from app.values.answers import QuestionKind
from tests.intake.uploads import LIST, author, counts, stored, taken, upload


def person(reference: str = "K1") -> Recipient:
    return db.session.scalars(select(Recipient).where(Recipient.reference == reference)).one()


def texts(campaign: Campaign) -> tuple[str, ...]:
    who = person()
    fields = open_fields(campaign.tenant_id, who.id, who.fields_sealed)
    sms = sms_text(campaign.sms_text, "ある会社", fields, "https://x/y")
    return sms, *page_texts(campaign, "ある会社", fields)


def test_a_field_takes_its_value_from_the_column_it_was_tied_to(campaign: Campaign) -> None:
    row = stored(campaign, LIST.replace("氏名", "宛先", 1))
    guessed = proposals.guess(row)
    assert guessed.ties == {}
    with pytest.raises(Refused, match="差込項目「氏名」の列がありません"):
        imports.start(row.id, guessed)
    taken(row, replace(guessed, ties={"氏名": "宛先"}))
    assert counts(row)[:2] == ("done", 2)
    sms, _, page = texts(campaign)
    assert "山田 太郎" in sms
    assert "山田 太郎様" in page
    assert preflight.run(campaign.id).problems == []
    # the list's own name stays where it comes out again
    names = status_file.own_columns(campaign.id)
    assert "宛先" in names
    assert not any("氏名" in name for name in names)
    who = person()
    assert own_columns(open_fields(campaign.tenant_id, who.id, who.fields_sealed)) == [
        "管理番号", "宛先", "請求金額", "支払期限",
    ]  # fmt: skip
    assert row.longest is not None


def test_a_tie_goes_before_a_column_of_the_fields_own_name(campaign: Campaign) -> None:
    head, *rows = LIST.replace("氏名", "氏名,宛名", 1).strip().split("\r\n")
    wide = [",".join([*line.split(",")[:3], f"宛名{place}", *line.split(",")[3:]]) for place, line in enumerate(rows)]
    row = stored(campaign, "\r\n".join([head, *wide]))
    taken(row, replace(proposals.guess(row), ties={"氏名": "宛名"}))
    assert "宛名0" in texts(campaign)[0]


def test_a_name_written_otherwise_is_tied_by_itself_but_never_to_an_answer_or_the_phone() -> None:
    header = ["電話番号", "お名前", "生年月日"]
    assert propose(header, [], ["氏名"], payment_required=False).ties == {"氏名": "お名前"}
    assert propose(header, [], ["お名前"], payment_required=False).ties == {}
    # a column that is the due date as well
    found = propose(["電話番号", "払込期限"], [], ["支払期限"], payment_required=True)
    assert (found.due_date, found.ties) == ("払込期限", {"支払期限": "払込期限"})
    asked = Question("お名前", QuestionKind.TEXT)
    assert propose(header, [asked], ["氏名"], payment_required=False).ties == {}
    assert propose(header, [], ["お電話番号"], payment_required=False).ties == {}
    assert propose(["電話番号", "お名前", "会員名"], [], ["氏名"], payment_required=False).ties == {}


def test_the_same_row_with_another_tie_is_nobody_new(campaign: Campaign) -> None:
    """Without a reference too: the same person must not get two SMS."""
    head, *rows = LIST.replace("氏名", "宛先,別名", 1).strip().split("\r\n")
    wide = [",".join([*line.split(",")[:3], "別", *line.split(",")[3:]]) for line in rows]
    content = "\r\n".join([head, *wide])
    row = stored(campaign, content)
    guessed = replace(proposals.guess(row), reference=None)
    taken(row, replace(guessed, ties={"氏名": "宛先"}))
    again = taken(stored(campaign, content), replace(guessed, ties={"氏名": "別名"}))
    assert (again.rows_added, again.rows_rejected) == (0, 3)
    same = taken(stored(campaign, content), replace(guessed, ties={"氏名": "宛先"}))
    assert (same.rows_added, same.rows_known) == (0, 2)


def test_one_typed_in_by_hand_fills_the_tied_column(campaign: Campaign) -> None:
    row = stored(campaign, LIST.replace("氏名", "宛先", 1))
    taken(row, replace(proposals.guess(row), ties={"氏名": "宛先"}))
    form = single_entry.form_of(campaign)
    assert "氏名" not in form.header
    assert "宛先" in form.needed
    typed = {"管理番号": "K9", "電話番号": "090-9999-0001", "宛先": "高橋 次郎", "請求金額": "10", "支払期限": "",
             "生年月日": "1980/1/2", "契約番号下4桁": "0123"}  # fmt: skip
    single_entry.add(campaign.id, typed, user_id=author(campaign))
    who = person("K9")
    assert "高橋 次郎" in sms_text(
        campaign.sms_text, "社", open_fields(campaign.tenant_id, who.id, who.fields_sealed), "l"
    )


def test_a_mapping_of_before_this_release_is_read() -> None:
    old = {"phone": "電話番号", "reference": None, "amount": None, "due_date": None, "answers": ["生年月日"]}
    assert ColumnMapping.from_json(old) == ColumnMapping("電話番号", answers=("生年月日",))


def test_the_guess_is_made_anew_when_texts_or_questions_change(campaign: Campaign) -> None:
    row = stored(campaign, LIST.replace("氏名", "お名前", 1))
    assert proposals.guess(row).ties == {"氏名": "お名前"}
    campaign.sms_text = campaign.sms_text.replace("{氏名}", "{お名前}")
    campaign.page_text = campaign.page_text.replace("{氏名}", "{お名前}")
    campaign.questions[0].label, campaign.questions[0].column_name = "契約番号下4桁", ""
    campaign.questions[1].label, campaign.questions[1].column_name = "生年月日", ""
    db.session.commit()
    guessed = proposals.guess(row)
    assert guessed.ties == {}
    assert guessed.answers == ("契約番号下4桁", "生年月日")


def test_answers_chosen_for_other_questions_are_refused(campaign: Campaign) -> None:
    """The page was opened before the questions changed places."""
    row = stored(campaign, LIST)
    seen = replace(proposals.guess(row), asked=("date:生年月日", "last4:別の設問"))
    with pytest.raises(Refused, match="import_questions_changed"):
        imports.start(row.id, seen)


def test_an_upload_without_ties_is_as_before(campaign: Campaign) -> None:
    assert counts(upload(campaign, LIST.encode()))[:2] == ("done", 2)
    assert proposals.guess(stored(campaign, LIST)).ties == {}
