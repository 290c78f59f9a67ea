"""列の確認: a clerk sees what will be taken, ties columns to the texts, and is asked once for each form."""

import io
import re

import openpyxl
import pytest
from flask import Flask
from sqlalchemy import select

from app.models import Import, Question, Recipient
from app.values.answers import QuestionKind
from jobs.intake import run_import
from tests import factories
from tests.admin_views.conftest import House
from tests.admin_views.uploads import BAD, GOOD, HEAD, chosen, import_of, look_through, people_of, take, upload, work

NAMED = HEAD.replace("氏名", "宛先")
LATER = GOOD.replace("K1", "K7").replace("K2", "K8")


@pytest.fixture
def campaign(app: Flask, ours: House) -> int:
    with app.app_context():
        return factories.campaign(ours.tenant, sms_account_id=ours.sms_account, name="訪問のご案内")


def page_of(clerk, url):
    return clerk.get(url).get_data(as_text=True)


def whole_form(page: str) -> dict[str, str]:
    """Return the form as a browser would send it, with its hidden fields and ticked boxes."""
    asked = re.search(r'name="asked" value="([^"]*)"', page)
    told = re.search(r'name="told" value="([^"]*)"', page)
    assert asked
    assert told
    ticked = dict.fromkeys(re.findall(r'<input type="checkbox" name="(\w+)" value="1" checked>', page), "1")
    return {**chosen(page), **ticked, "asked": asked[1], "told": told[1]}


def test_a_column_is_tied_to_a_field_of_the_texts_by_hand(app, clerk, ours, campaign, ask):
    url = upload(clerk, campaign, NAMED + GOOD).location
    page = page_of(clerk, url)
    assert "差込項目「氏名」の列がありません" in page
    assert '<option value="氏名">{氏名}</option>' in page
    form = whole_form(page) | {"merge_2": "氏名"}
    looked = clerk.post(url, form | {"look": "1"})
    assert looked.status_code == 200
    shown = looked.get_data(as_text=True)
    assert '<option value="氏名" selected>{氏名}</option>' in shown
    assert '<small class="seen-word">{氏名}</small>' in shown or "佐藤 花子" in shown
    assert ask(select(Import.state)) == [("mapping",)]
    assert clerk.post(url, form).status_code == 303
    with app.app_context():
        run_import(ours.tenant, int(url.rstrip("/").rsplit("/", 1)[1]))
    assert ask(people_of(campaign)) == [(2,)]
    assert "佐藤 花子" in page_of(clerk, url)  # the longest SMS shows the name


def test_one_field_has_one_column(clerk, campaign):
    url = upload(clerk, campaign, NAMED + GOOD).location
    form = whole_form(page_of(clerk, url)) | {"merge_0": "氏名", "merge_2": "氏名"}
    answer = clerk.post(url, form)
    assert answer.status_code == 422
    assert "「文面の差込項目 {氏名}」が「管理番号」と「宛先」の2つの列に選ばれています" in answer.get_data(as_text=True)


def test_the_first_rows_stand_as_they_will_be_used_and_refused(clerk, campaign):
    page = page_of(clerk, upload(clerk, campaign, HEAD + GOOD + BAD).location)
    assert '<div title="+819012345678">' in page
    assert "1980-01-02" in page  # 昭和55年1月2日, as it will be compared
    assert re.search(r'<td>\s*<div class="seen-refusal">固定電話', page)
    assert "文字コードShift_JISで、1行目を見出しとして読みます" in page


def test_half_a_letter_in_a_book_is_shown_as_what_it_is(app, clerk, ours, campaign):
    book = openpyxl.Workbook()
    for line in ("担当：_xD800_", *(HEAD + GOOD.replace("佐藤", "_xD800_藤")).splitlines()):
        book.worksheets[0].append(line.split(","))
    stream = io.BytesIO()
    book.save(stream)
    url = upload(clerk, campaign, stream.getvalue(), "名簿.xlsx").location
    page = page_of(clerk, url)
    assert "担当：\N{REPLACEMENT CHARACTER}" in page
    assert "表示できない文字" in page
    assert "シート「Sheet」の2行目を見出しとして読みます" in page


def test_the_headlines_row_can_be_chosen(clerk, campaign, ask):
    url = upload(clerk, campaign, "訪問のご案内\r\n" + HEAD + GOOD).location
    page = page_of(clerk, url)
    assert "2行目を見出しとして読みます" in page
    assert '<option value="1">1行目：訪問のご案内</option>' in page
    clerk.post(f"{url}sheet", {"header_row": "1"})
    assert ask(select(Import.header_row)) == [(1,)]
    clerk.post(f"{url}sheet", {"header_row": "９" * 4_000})
    clerk.post(f"{url}sheet", {"header_row": "2"})
    look_through(clerk.client.application, import_of(url))
    assert chosen(page_of(clerk, url))["column_1"] == "phone"


def test_a_known_form_takes_three_presses_and_the_columns_page_none(app, clerk, ours, campaign, ask):
    take(app, clerk, ours.tenant, upload(clerk, campaign, HEAD + GOOD).location)
    with app.app_context():
        later = factories.campaign(ours.tenant, sms_account_id=ours.sms_account, name="次のご案内")
    url = upload(clerk, later, HEAD + LATER).location  # the file and 取り込む: two presses
    assert "この列で取り込む" not in page_of(clerk, url)
    work(app, ours.tenant, url)
    assert "確認へ進む" in page_of(clerk, url)  # the third
    assert ask(people_of(later)) == [(2,)]


def test_an_upload_that_waits_for_its_columns_is_the_one_next_step(app, clerk, ours, campaign):
    overview = f"/admin/campaign/{campaign}/"
    url = upload(clerk, campaign, HEAD + GOOD, "十二月.csv").location
    action = re.search(r'id="next">.*?</section>', page_of(clerk, overview), re.DOTALL)
    assert action
    assert "名簿「十二月.csv」は、列の確認待ちです。" in action[0]
    assert f'href="{url}"' in action[0]
    home = page_of(clerk, "/admin/")
    assert home.count("列の確認待ちです") == 1
    # a later one that was taken makes it forgotten
    take(app, clerk, ours.tenant, upload(clerk, campaign, HEAD + LATER, "別.csv").location)
    assert "列の確認待ち" not in page_of(clerk, overview)
    assert "列の確認待ち" not in page_of(clerk, "/admin/")


def test_the_guess_follows_the_texts_while_an_upload_waits(clerk, campaign, database):
    url = upload(clerk, campaign, HEAD.replace("氏名", "お名前") + GOOD).location
    assert '<option value="氏名" selected>' in page_of(clerk, url)
    database.execute(
        "UPDATE campaign SET sms_text = replace(sms_text, '{氏名}', '{お名前}'),"
        " page_text = replace(page_text, '{氏名}', '{お名前}') WHERE id = %s",
        [campaign],
    )
    page = page_of(clerk, url)
    assert "氏名" not in page
    assert "差込項目「" not in page


def test_variants_are_told_with_the_choice_to_treat_them_alike(app, clerk, ours, ask):
    with app.app_context():
        asking = factories.campaign(
            ours.tenant, sms_account_id=ours.sms_account, questions=[("氏名", QuestionKind.TEXT)]
        )
    url = upload(clerk, asking, "電話番号,氏名\r\n090-1234-5678,髙﨑 花子\r\n".encode()).location
    page = page_of(clerk, url)
    assert "答えの列に異体字があります：髙（高）、﨑（崎）" in page
    assert "</small> 高崎花子" in page  # as it will be compared
    apart = clerk.post(url, {**chosen(page), "look": "1"}).get_data(as_text=True)
    assert "</small> 髙﨑花子" in apart
    form = whole_form(page)
    assert form["alike_0"] == "1"
    clerk.post(url, form)
    with app.app_context():
        run_import(ours.tenant, int(url.rstrip("/").rsplit("/", 1)[1]))
    assert ask(select(Question.variants_alike).where(Question.campaign_id == asking)) == [(True,)]
    assert ask(select(Recipient.id).where(Recipient.campaign_id == asking)) != []
    assert "異体字（髙・﨑・德など）があります" not in page_of(clerk, url)


# --- what the whole file shows ---

_ASKED = "電話番号,顧客番号,メモ番号,氏名\r\n"


@pytest.fixture
def numbered(app: Flask, ours: House) -> int:
    with app.app_context():
        return factories.campaign(
            ours.tenant, sms_account_id=ours.sms_account, questions=[("顧客番号", QuestionKind.DIGITS)]
        )


def many(**odd: str) -> str:
    """Return a list of thirty whose numbers have eight digits, but for the last row's."""
    rows = [
        {
            "phone": f"090-1234-{1000 + n}",
            "number": f"{10_000_000 + n}",
            "memo": f"{20_000_000 + n}",
            "name": "佐藤 花子",
        }
        for n in range(30)
    ]
    rows[-1] |= odd
    return _ASKED + "".join(",".join(row.values()) + "\r\n" for row in rows)


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({"number": "0001234"}, "「顧客番号」の列：ほとんどの行は8桁ですが、桁数の違う番号が1行あります（31行目）"),
        (
            {"phone": "090-1234-567"},
            "「電話番号」の列：ほとんどの行は11桁ですが、桁数の違う番号が1行あります（31行目）",
        ),
        (
            {"name": "??橋 太郎"},
            "「氏名」の列：前のシステムで失われた文字（「?」や「〓」）とみられるセルが1行あります（31行目）",
        ),
    ],
    ids=["answer", "phone", "letters"],
)
def test_what_the_whole_file_shows_is_told_before_it_can_be_taken(clerk, numbered, ask, odd, words):
    url = upload(clerk, numbered, many(**odd)).location
    page = page_of(clerk, url)
    assert words in page
    assert page.index(words) < page.index("この列で取り込む</button>")
    assert ask(people_of(numbered)) == [(0,)]
    assert clerk.post(url, whole_form(page)).status_code == 303
    assert ask(select(Import.state)) == [("queued",)]


def test_a_list_without_oddities_says_nothing_of_them(clerk, numbered):
    assert "ファイル全体を調べました" not in page_of(clerk, upload(clerk, numbered, many()).location)
    odd_memo = page_of(clerk, upload(clerk, numbered, many(memo="1")).location)
    assert "ファイル全体を調べました" not in odd_memo  # nobody types it


def test_a_column_chosen_afterwards_is_told_of_before_anything_is_taken(clerk, numbered, ask):
    url = upload(clerk, numbered, many(memo="1234567")).location
    form = whole_form(page_of(clerk, url)) | {"column_1": "", "column_2": "answer_0"}
    answer = clerk.post(url, form)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert "まだ取り込んでいません" in page
    assert "「メモ番号」の列：ほとんどの行は8桁ですが" in page
    assert ask(select(Import.state)) == [("mapping",)]
    assert clerk.post(url, whole_form(page)).status_code == 303
    assert ask(select(Import.state)) == [("queued",)]


def test_a_known_form_with_an_odd_number_waits_for_the_clerk(app, clerk, ours, numbered):
    take(app, clerk, ours.tenant, upload(clerk, numbered, many()).location)
    with app.app_context():
        later = factories.campaign(
            ours.tenant, sms_account_id=ours.sms_account, questions=[("顧客番号", QuestionKind.DIGITS)]
        )
    page = page_of(clerk, upload(clerk, later, many(number="0001234")).location)
    assert "桁数の違う番号が1行あります" in page
    assert "この列で取り込む</button>" in page


def test_a_file_broken_at_its_end_is_told_before_its_columns_are_asked_for(clerk, numbered, ask):
    page = page_of(clerk, upload(clerk, numbered, many() + '"open').location)
    assert "引用符" in page
    assert "この列で取り込む" not in page
    assert ask(select(Import.state)) == [("failed",)]
