"""The columns page shows exactly what is taken; a form of columns known from before is taken without asking."""

import io
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from openpyxl import Workbook
from sqlalchemy import select

from app import tenancy
from app.extensions import db, vault
from app.identity import check
from app.intake.columns import proposals
from app.intake.columns.campaign_needs import questions_of
from app.intake.lists import first_look, import_run, imports
from app.intake.reading.reader import Choice
from app.models import Campaign, Import, ImportFault, Recipient
from app.problems import Refused
from app.values.answers import Kana, QuestionKind, forms, normalise
from app.values.kanji_variants import usual_forms, variants_in
from tests import factories
from tests.intake.uploads import LIST, counts, kept, stored, taken, upload


def cells(row: Import, mapping=None) -> dict[str, first_look.SeenCell]:
    rows = first_look.sample(row).rows
    seen = first_look.seen(row, rows, mapping or proposals.guess(row))
    return dict(zip(row.header, seen[0].cells, strict=True))


def words(cell: first_look.SeenCell) -> list[str]:
    return [use.text for use in cell.uses]


def test_the_first_rows_are_shown_as_they_will_be_used(campaign: Campaign) -> None:
    content = (
        "管理番号,電話番号,お名前,請求金額,支払期限,生年月日,契約番号下4桁\r\n"
        'K1,９０１２３４５６７８,山田 太郎 ,"26,000円",R8.12.26,昭和53年9月2日,00000489\r\n'
    )
    row = stored(campaign, content)
    found = cells(row)
    assert (words(found["電話番号"]), found["電話番号"].uses[0].exact) == (["090-1234-5678"], "+819012345678")
    assert "先頭の0がない" in found["電話番号"].remarks[0]
    assert words(found["請求金額"]) == ["26,000円"]
    assert words(found["支払期限"]) == ["2026年12月26日"]
    assert words(found["生年月日"]) == ["1978-09-02"]
    assert words(found["契約番号下4桁"]) == ["0489"]
    assert [(use.word, use.text) for use in found["お名前"].uses] == [("{氏名}", "山田 太郎")]
    taken(row, proposals.guess(row))
    who = db.session.scalars(select(Recipient)).one()
    assert (who.amount_yen, str(who.due_date)) == (26000, "2026-12-26")
    digest = vault.answer_digest(campaign.tenant_id, who.id, campaign.questions[0].id, "1978-09-02")
    assert who.answer_digests[0] == digest


def test_what_cannot_be_read_shows_its_refusal_in_that_cell(campaign: Campaign) -> None:
    row = stored(campaign, LIST.replace("090-1234-5678", "03-1234-5678").replace("1000", "126.000"))
    found = cells(row)
    assert "固定電話" in found["電話番号"].refusals[0]
    assert "桁区切り" in found["請求金額"].refusals[0]
    assert not found["氏名"].refusals
    # also before every column is decided
    lacking = cells(row, replace(proposals.guess(row), answers=(None, None)))
    assert "固定電話" in lacking["電話番号"].refusals[0]


def test_a_card_number_is_refused_in_its_cell_and_masked(campaign: Campaign) -> None:
    found = cells(stored(campaign, LIST.replace("山田 太郎", "4111-1111-1111-1111")))
    assert "クレジットカード番号" in found["氏名"].refusals[0]
    assert "4111" not in repr((found["氏名"].raw, words(found["氏名"])))


def test_how_the_file_is_read_is_named_and_can_be_chosen(campaign: Campaign) -> None:
    content = "ご案内,担当 田中\r\n" + LIST
    row = stored(campaign, content)
    sample = first_look.sample(row)
    assert (sample.header_row, sample.head[0], sample.encodings) == (2, (1, "ご案内、担当 田中"), ("utf-8",))
    with pytest.raises(Refused, match="reading_unfit"):
        imports.choose_reading(row.id, Choice(header_row=3))  # a person's number would become a column's name
    with pytest.raises(Refused, match="99行目は見出しにできません"):
        imports.choose_reading(row.id, Choice(header_row=99))
    imports.choose_reading(row.id, Choice(header_row=1))
    assert row.header == ["ご案内", "担当 田中"]
    assert first_look.sample(row).header_row == 1
    imports.choose_reading(row.id, Choice(header_row=2))
    taken(row, proposals.guess(row))
    assert counts(row)[:2] == ("done", 2)


def test_an_encoding_is_offered_only_where_it_is_in_doubt(campaign: Campaign) -> None:
    short = "電話,名前\r\n090-1234-5678,山田\r\n"
    row = db.session.get_one(Import, kept(campaign, short.encode("euc_jp")))
    assert row.encoding == "euc_jp"
    assert set(first_look.sample(row).encodings) >= {"euc_jp", "cp932"}
    imports.choose_reading(row.id, Choice(encoding="cp932"))
    assert row.encoding == "cp932"
    assert row.header != ["電話", "名前"]
    with pytest.raises(Refused):
        imports.choose_reading(row.id, Choice(encoding="latin-1"))
    imports.choose_reading(row.id, Choice(encoding="euc_jp"))
    assert row.header == ["電話", "名前"]
    assert first_look.sample(stored(campaign, LIST)).encodings == ("utf-8",)


# --- forms known from before ---


def another(campaign: Campaign, **columns) -> Campaign:
    made = factories.campaign(
        campaign.tenant_id, payment_account_id=campaign.payment_account_id, created_by=campaign.created_by, **columns
    )
    return db.session.get_one(Campaign, made)


def known(campaign: Campaign, content: str) -> bool:
    return first_look.start_if_known(stored(campaign, content).id)


OTHER = LIST.replace("K1", "K7").replace("03-1234-5678", "080-3333-0001")


def test_a_form_taken_by_another_campaign_is_taken_without_asking(campaign: Campaign) -> None:
    tied = LIST.replace("氏名", "宛先", 1)
    assert not known(campaign, tied)
    row = stored(campaign, tied)
    taken(row, replace(proposals.guess(row), ties={"氏名": "宛先"}))
    later = another(campaign)
    again = stored(later, OTHER.replace("氏名", "宛先", 1))
    assert first_look.start_if_known(again.id)
    import_run.run(again.id)
    db.session.expire_all()
    assert counts(again)[:2] == ("done", 3)


def test_what_is_to_be_told_keeps_a_known_form_waiting(campaign: Campaign) -> None:
    upload(campaign, LIST.encode())
    assert not known(campaign, LIST)  # this very file was taken
    assert not known(another(campaign), LIST)  # by another campaign
    assert not known(campaign, LIST.replace("K1", "K7"))  # a refusal stands in the first rows
    assert not known(another(campaign, sms_text="{会社名} {担当者}様 {リンク}"), OTHER)  # the texts ask for more
    assert not known(another(campaign, questions=[("別の設問", QuestionKind.TEXT)]), OTHER)
    assert not known(campaign, OTHER.replace("氏名", "名前", 1))
    assert known(campaign, OTHER)


def test_questions_in_another_order_get_their_own_columns(campaign: Campaign) -> None:
    upload(campaign, LIST.encode())
    turned = [(question.label, QuestionKind(question.kind)) for question in reversed(campaign.questions)]
    row = stored(another(campaign, questions=turned), OTHER)
    assert proposals.guess(row).answers == ("契約番号下4桁", "生年月日")


def test_a_form_of_another_company_is_not_known(app: Flask, campaign: Campaign) -> None:
    upload(campaign, LIST.encode())
    told: list[bool] = []

    def elsewhere() -> None:
        with app.app_context():
            company = factories.tenant()
            account, user = factories.payment_account(company), factories.user(company)
            made = factories.campaign(company, payment_account_id=account, created_by=user)
            with tenancy.tenant(company):
                told.append(known(db.session.get_one(Campaign, made), OTHER))

    thread = threading.Thread(target=elsewhere)  # a scope of its own
    thread.start()
    thread.join()
    assert told == [False]
    assert known(campaign, OTHER)


def test_a_book_of_a_known_form_waits_only_for_what_it_hides(campaign: Campaign) -> None:
    upload(campaign, LIST.encode())

    def book(first: str, *, hide: bool = False, column: bool = False) -> Import:
        made = Workbook()
        sheet = made.active
        assert sheet is not None
        for line in OTHER.replace("K7", first).strip().split("\r\n"):
            sheet.append(line.split(","))
        sheet.row_dimensions[2].hidden = hide
        sheet.column_dimensions["C"].hidden = column
        stream = io.BytesIO()
        made.save(stream)
        import_id = kept(campaign, stream.getvalue(), "名簿.xlsx")
        return db.session.get_one(Import, import_id)

    assert not first_look.start_if_known(book("K8", hide=True).id)
    assert not first_look.start_if_known(book("K8", column=True).id)
    assert first_look.start_if_known(book("K9").id)


# --- variants of letters ---


def test_variants_have_one_usual_form() -> None:
    assert usual_forms("髙﨑德 濵邊 𠮷澤") == "高崎徳 浜辺 吉沢"
    assert usual_forms("斉藤 斎藤") == "斉藤 斎藤"
    assert variants_in("髙橋と髙﨑") == [("髙", "高"), ("﨑", "崎")]
    assert normalise(QuestionKind.TEXT, "髙﨑", variants_alike=True) == "高崎"
    assert normalise(QuestionKind.TEXT, "髙﨑") == "髙﨑"
    assert forms(QuestionKind.TEXT, "髙﨑", kana=Kana.AS_WRITTEN, variants_alike=True) == ["高崎", "髙﨑"]


NAMES = "電話番号,お名前\r\n090-1234-5678,髙﨑 德子\r\n080-1234-5678,佐藤 花子\r\n"


@pytest.fixture
def naming(campaign: Campaign) -> Campaign:
    return db.session.get_one(
        Campaign,
        factories.campaign(
            campaign.tenant_id,
            created_by=campaign.created_by,
            sms_text="{会社名} {リンク}",
            page_text="お知らせです。",
            questions=[("お名前", QuestionKind.TEXT)],
        ),
    )


def digest_of(campaign: Campaign, sheet_row: int, answer: str) -> bool:
    who = db.session.scalars(
        select(Recipient).where(Recipient.campaign_id == campaign.id, Recipient.sheet_row == sheet_row)
    ).one()
    right = vault.answer_digest(campaign.tenant_id, who.id, campaign.questions[0].id, answer)
    return bool(who.answer_digests[0] == right)


@pytest.mark.parametrize("alike", [True, False])
def test_variants_are_told_and_taken_for_alike_where_that_was_chosen(naming: Campaign, *, alike: bool) -> None:
    row = stored(naming, NAMES)
    mapping = proposals.guess(row)
    found = first_look.variants(row.header, first_look.sample(row).rows, mapping, questions_of(naming))
    assert found == {0: [("髙", "高"), ("﨑", "崎"), ("德", "徳")]}
    imports.start(row.id, mapping, variants_alike={0} if alike else set())
    import_run.run(row.id)
    db.session.expire_all()
    assert naming.questions[0].variants_alike is alike
    assert digest_of(naming, 2, "高崎徳子" if alike else "髙﨑德子")
    told = db.session.scalars(select(ImportFault.code).where(ImportFault.import_id == row.id)).all()
    assert ("answer_with_variants" in told) is not alike


@pytest.mark.parametrize(("alike", "answers"), [(True, ["髙﨑徳子", "高崎 德子"]), (False, ["髙﨑 德子"])])
def test_the_persons_page_obeys_the_choice(naming: Campaign, alike: bool, answers: list[str]) -> None:  # noqa: FBT001
    row = stored(naming, NAMES)
    imports.start(row.id, proposals.guess(row), variants_alike={0} if alike else set())
    import_run.run(row.id)
    db.session.expire_all()
    who = db.session.scalars(select(Recipient).where(Recipient.sheet_row == 2)).one()
    who.page_state, who.link_expires_at = "opened", datetime.now(UTC) + timedelta(hours=1)
    db.session.commit()
    tenant_id, recipient_id, asked = naming.tenant_id, who.id, check.questions(naming.id)
    for answer in answers:
        assert check.check(tenant_id, recipient_id, 1, asked, [(answer,)]).kind is check.VerdictKind.RIGHT
    wrong = "高橋徳子" if alike else "高崎徳子"
    assert check.check(tenant_id, recipient_id, 1, asked, [(wrong,)]).kind is check.VerdictKind.WRONG


def test_people_of_before_the_choice_still_answer_as_their_list_wrote(naming: Campaign) -> None:
    taken(stored(naming, NAMES), proposals.guess(stored(naming, NAMES)))
    who = db.session.scalars(select(Recipient).where(Recipient.sheet_row == 2)).one()
    who.page_state, who.link_expires_at = "opened", datetime.now(UTC) + timedelta(hours=1)
    naming.questions[0].variants_alike = True
    db.session.commit()
    asked = check.questions(naming.id)
    assert check.check(naming.tenant_id, who.id, 1, asked, [("髙﨑德子",)]).kind is check.VerdictKind.RIGHT


def test_an_empty_row_is_told_and_is_no_refusal(campaign: Campaign) -> None:
    row = stored(campaign, LIST.replace("K1,", ",,,,,,\r\nK1,", 1))
    first = first_look.seen(row, first_look.sample(row).rows, proposals.guess(row))[0]
    assert (first.sheet_row, first.refused, len(first.remarks)) == (2, False, 1)


def test_what_people_were_digested_by_is_not_taken_back(naming: Campaign) -> None:
    row = stored(naming, NAMES)
    imports.start(row.id, proposals.guess(row), variants_alike={0})
    import_run.run(row.id)
    db.session.expire_all()
    more = stored(naming, NAMES.replace("髙﨑", "濵田"))
    imports.start(more.id, proposals.guess(more), variants_alike=set())
    assert naming.questions[0].variants_alike


def test_a_known_form_with_undecided_variants_waits(naming: Campaign) -> None:
    plain = NAMES.replace("髙﨑 德子", "高崎 徳子")
    taken(stored(naming, plain), proposals.guess(stored(naming, plain)))
    assert not known(naming, NAMES)
    naming.questions[0].variants_alike = True
    db.session.commit()
    assert known(naming, NAMES)
