"""名簿：列の確認: a file whose sheet or headline isn't found leads to the page where both are chosen."""

import io
import re

import openpyxl
import pytest
from flask import Flask
from sqlalchemy import select

from app.models import Import
from jobs.intake import run_import
from tests import factories
from tests.admin_views.conftest import House
from tests.admin_views.uploads import chosen, import_of, look_through, people_of, upload
from tests.admin_views.workbooks import BROAD_TITLES, COVER, OWN_NAMES, PEOPLE, book

TITLES = (["未入金者リスト（取扱注意）"], [None, None, "作成日：令和8年11月30日"], ["※赤字は要確認"])


@pytest.fixture
def campaign(app: Flask, ours: House) -> int:
    with app.app_context():
        return factories.campaign(
            ours.tenant,
            sms_account_id=ours.sms_account,
            sms_text="お知らせです {リンク}",
            page_text="ご案内",
            questions=[],
        )


def page_of(app, clerk, ours, url: str) -> str:
    """Return an upload's page, once a worker has looked through it as it is read now."""
    look_through(app, import_of(url))
    page: str = clerk.get(url).get_data(as_text=True)
    return page


def options(page: str, name: str) -> list[tuple[str, str]]:
    found = re.search(rf'<select id="{name}".*?</select>', page, re.DOTALL)
    return re.findall(r'<option value="([^"]*)"(?: selected)?>(.*?)</option>', found[0]) if found else []


def take_as_phone(app, clerk, ours, url: str, place: int) -> None:
    answer = clerk.post(url, chosen(page_of(app, clerk, ours, url)) | {f"column_{place}": "phone"})
    assert (answer.status_code, answer.location) == (303, url)
    with app.app_context():
        run_import(ours.tenant, int(url.rstrip("/").rsplit("/", 1)[1]))


@pytest.mark.parametrize("active", [0, 1])
def test_a_list_behind_a_cover_with_headings_of_its_own_leads_to_its_columns(app, clerk, ours, campaign, ask, active):
    made = openpyxl.load_workbook(io.BytesIO(book(表紙=COVER, 明細=[*TITLES, OWN_NAMES, *PEOPLE])))
    made.active = active
    stream = io.BytesIO()
    made.save(stream)
    url = upload(clerk, campaign, stream.getvalue(), "未入金.xlsx").location
    page = page_of(app, clerk, ours, url)
    assert "シート「明細」の4行目を見出しとして読みます" in page
    assert [value for value, _ in options(page, "sheet")] == ["表紙", "明細"]
    take_as_phone(app, clerk, ours, url, 2)
    assert ask(people_of(campaign)) == [(2,)]


def test_a_cover_with_a_mobile_number_and_a_list_of_one_person(app, clerk, ours, campaign):
    data = book(表紙=[["春", "090-9999-0001"], *COVER], 明細=[OWN_NAMES, PEOPLE[0]])
    page = page_of(app, clerk, ours, upload(clerk, campaign, data, "a.xlsx").location)
    assert "シート「明細」の1行目を見出しとして読みます" in page


def test_a_cover_that_cannot_be_read_hides_no_list(app, clerk, ours, campaign):
    data = book(表紙=[["長い説明" * 600]], 明細=[["氏名", "連絡先１"], ["佐藤", "090-1234-5678"]])
    page = page_of(app, clerk, ours, upload(clerk, campaign, data, "a.xlsx").location)
    assert "シート「明細」の1行目を見出しとして読みます" in page


def test_where_no_headline_is_found_sheet_and_row_are_chosen(app, clerk, ours, campaign, ask):
    data = book(表紙=COVER, 明細=[*BROAD_TITLES, OWN_NAMES, *PEOPLE])
    url = upload(clerk, campaign, data, "未入金.xlsx").location
    page = page_of(app, clerk, ours, url)
    assert "シート「明細」：A列の見出し（1行目）が空です" in page
    assert "「読み方を変える」で、名簿のシートか見出しの行を選び直してください" in page
    assert "この列で取り込む" not in page
    assert ("3", "3行目：№、保険契約者様（漢字）、お手元の番号（ハイフン不要）、お生まれ、証券№") in options(
        page, "header_row"
    )
    assert ask(select(Import.state, Import.header)) == [("mapping", [])]  # nobody's cells stand in plain

    # the wrong sheet, and back: each shows its own rows
    clerk.post(f"{url}sheet", {"sheet": "表紙", "header_row": "3"})
    page = page_of(app, clerk, ours, url)
    assert "シート「表紙」：" in page
    assert ("5", "5行目：取扱注意") not in options(page, "header_row")
    assert ("4", "4行目：取扱注意") in options(page, "header_row")
    clerk.post(f"{url}sheet", {"sheet": "明細"})
    clerk.post(f"{url}sheet", {"sheet": "明細", "header_row": "5"})  # a person
    assert "シート「明細」：5行目に電話番号が入っています" in page_of(app, clerk, ours, url)
    refused = clerk.post(url, {"column_0": "phone"})
    assert refused.status_code == 422
    assert "シートか見出しの行を選び直してください" in refused.get_data(as_text=True)

    clerk.post(f"{url}sheet", {"sheet": "明細", "header_row": "3"})
    take_as_phone(app, clerk, ours, url, 2)
    assert ask(people_of(campaign)) == [(2,)]
    assert ask(select(Import.problem)) == [("",)]
    # the page of the outcome counts by the rows that were read
    page = clerk.get(url).get_data(as_text=True)
    assert "見つかった行" not in page or "（シート「明細」の3行目が見出し）" in page


def test_a_csv_file_with_a_broad_title_waits_for_its_headline_too(app, clerk, ours, campaign, ask):
    lines = [",未入金者リスト,作成日：11月30日", ",".join(OWN_NAMES), "1,佐藤　花子,090-1234-5678,S55.1.2,K1"]
    url = upload(clerk, campaign, "\r\n".join(lines).encode()).location
    page = page_of(app, clerk, ours, url)
    assert "A列の見出し（1行目）が空です" in page
    clerk.post(f"{url}sheet", {"header_row": "2"})
    take_as_phone(app, clerk, ours, url, 2)
    assert ask(people_of(campaign)) == [(1,)]


def test_no_persons_cell_is_kept_in_the_words_of_why_it_is_unread(clerk, campaign, ask):
    headless = [["佐藤", "佐藤", "090-1234-5678"], ["鈴木", "鈴木", "080-1234-5678"]]
    url = upload(clerk, campaign, book(表紙=COVER, 名簿=headless), "a.xlsx").location
    clerk.post(f"{url}sheet", {"sheet": "名簿"})
    ((problem,),) = ask(select(Import.problem))
    assert "1行目に電話番号が入っています" in problem
    assert "佐藤" not in problem


def test_a_reading_that_was_fine_stays_where_another_row_cannot_be_the_headline(app, clerk, ours, campaign):
    data = book(表紙=COVER, 明細=[OWN_NAMES, *PEOPLE])
    url = upload(clerk, campaign, data, "a.xlsx").location
    clerk.post(f"{url}sheet", {"sheet": "明細", "header_row": "2"})
    page = page_of(app, clerk, ours, url)
    assert "シート「明細」：2行目に電話番号が入っています" in page
    assert "読み方は元のままです" in page
    assert "シート「明細」の1行目を見出しとして読みます" in page


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["氏名", None, "電話番号"], ["佐藤", "x", "090-1234-5678"]], "シート「名簿」：B列の見出し（1行目）が空です"),
        ([["氏名", "氏名", "電話番号"], ["佐藤", "x", "090-1234-5678"]], "シート「名簿」：見出し（1行目）の「氏名」が"),
        ([["佐藤", "090-1234-5678"], ["鈴木", "080-1234-5678"]], "シート「名簿」：1行目に電話番号が入っています"),
        ([["ご案内"], ["氏名", "電話番号"]], "シート「名簿」：2行目の見出しだけで、データの行がありません"),
        ([], "シート「名簿」：1行目に見出しがありません"),
    ],
)
def test_what_stays_refused_names_sheet_and_row_and_what_to_do(clerk, campaign, ask, rows, words):
    answer = upload(clerk, campaign, book(名簿=rows), "名簿.xlsx")
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    assert words in page
    assert re.search(rf"{words}.*?ください。", page, re.DOTALL)
    assert ask(select(Import.id)) == []


def test_an_upload_without_a_file_names_the_button_as_it_is(clerk, campaign):
    page = clerk.post(f"/admin/campaign/{campaign}/list/", {}).get_data(as_text=True)
    named = re.search(r"名簿のファイルを選んでから「(.*?)」を押してください", page)
    assert named
    assert re.search(rf'<button type="submit"[^>]*>{named[1]}</button>', page)


def test_groups_above_the_headline_are_no_headline(app, clerk, ours, campaign, ask):
    groups = ["契約者", None, "連絡先", None, "請求"]
    names = ["番号", "氏名", "電話", "郵便", "2026年12月の金額"]
    url = upload(
        clerk, campaign, book(一覧=[groups, names, ["K1", "佐藤", "090-1234-5678", "100-0001", 1000]]), "a.xlsx"
    ).location
    assert "シート「一覧」の2行目を見出しとして読みます" in page_of(app, clerk, ours, url)
    take_as_phone(app, clerk, ours, url, 2)
    assert ask(people_of(campaign)) == [(1,)]


def hiding(*hidden: int) -> bytes:
    """Make a book of five people below one title, some of their rows hidden, and an empty row among them."""
    made = openpyxl.Workbook()
    sheet = made.worksheets[0]
    sheet.append(["未入金者リスト"])
    sheet.append(["番号", "氏名", "電話番号"])
    for number in range(1, 6):
        sheet.append([f"K{number}", "佐藤", f"090-1234-000{number}"])
        if number == 1:
            sheet.append([])
    for row in hidden:
        sheet.row_dimensions[row].hidden = True
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def test_hidden_columns_are_told_before_anything_is_taken(app, clerk, ours, campaign):
    made = openpyxl.load_workbook(io.BytesIO(hiding()))
    made.worksheets[0].column_dimensions["B"].hidden = True
    stream = io.BytesIO()
    made.save(stream)
    url = upload(clerk, campaign, stream.getvalue(), "名簿.xlsx").location
    assert "非表示の列があります：氏名。" in page_of(app, clerk, ours, url)
    url = upload(clerk, campaign, hiding(), "名簿2.xlsx").location
    assert "非表示の列" not in page_of(app, clerk, ours, url)


@pytest.mark.parametrize("hidden", [(5, 6), (3,), (8,), (7, 8)])
def test_hidden_rows_left_out_are_told_as_such_and_never_as_empty(app, clerk, ours, campaign, ask, hidden):
    url = upload(clerk, campaign, hiding(*hidden), "名簿.xlsx").location
    assert f"非表示の行が{len(hidden)}行あります" in page_of(app, clerk, ours, url)
    take_as_phone(app, clerk, ours, url, 2)
    page = clerk.get(url).get_data(as_text=True)
    named = f"{hidden[0]}行目" if len(hidden) == 1 else f"{hidden[0]}〜{hidden[-1]}行目"
    assert f"非表示の<strong>{len(hidden)}行</strong>（{named}）は、選んだとおり取り込んでいません" in page
    assert "<strong>1行</strong>は空の行なので読み飛ばしました" in page
    told = re.findall(r'<th scope="rowgroup"[^>]*>(\d+)</th>(.*?)</tr>', page, re.DOTALL)
    assert {int(row) for row, why in told if "非表示の行なので" in why} == set(hidden)
    assert {int(row) for row, why in told if "空の行なので" in why} == {4}
    assert ask(people_of(campaign)) == [(5 - len(hidden),)]

    # the way on: the same file, with them; nobody comes twice
    url = upload(clerk, campaign, hiding(*hidden), "名簿.xlsx").location
    form = chosen(page_of(app, clerk, ours, url)) | {"take_hidden": "1"}
    assert clerk.post(url, form).status_code == 303
    with app.app_context():
        run_import(ours.tenant, int(url.rstrip("/").rsplit("/", 1)[1]))
    assert ask(people_of(campaign)) == [(5,)]
    assert "選んだとおり取り込んでいません" not in clerk.get(url).get_data(as_text=True)


def test_hidden_rows_are_neither_sample_nor_headline(app, clerk, ours, campaign):
    page = page_of(app, clerk, ours, upload(clerk, campaign, hiding(1, 3), "名簿.xlsx").location)
    assert "シート「Sheet」の2行目を見出しとして読みます" in page
    assert [value for value, _ in options(page, "header_row")] == ["2", "5", "6", "7", "8"]
    assert '<th scope="col">3行目' not in page
    assert "\ufdd0" not in page


def test_a_list_whose_every_row_is_hidden_says_so(app, clerk, ours, campaign, ask):
    url = upload(clerk, campaign, hiding(3, 5, 6, 7, 8), "名簿.xlsx").location
    page = page_of(app, clerk, ours, url)
    assert "非表示の行が5行あります" in page
    clerk.post(url, chosen(page) | {"take_hidden": "1"})
    with app.app_context():
        run_import(ours.tenant, int(url.rstrip("/").rsplit("/", 1)[1]))
    assert ask(people_of(campaign)) == [(5,)]
