"""名簿: from a file to people, by the clerk's own clicks."""

import dataclasses
import io
import re

import openpyxl
import pytest
from flask import Flask
from sqlalchemy import select

from app import config
from app.models import AuditEntry, Import, ImportChunk
from jobs.intake import run_import
from tests import factories
from tests.admin_views.conftest import House
from tests.admin_views.uploads import (
    BAD,
    GOOD,
    HEAD,
    MENDED,
    chosen,
    import_of,
    look_through,
    one,
    people_of,
    take,
    upload,
)


@pytest.fixture
def campaign(app: Flask, ours: House) -> int:
    with app.app_context():
        return factories.campaign(ours.tenant, sms_account_id=ours.sms_account, name="訪問のご案内")


def test_a_file_becomes_people(app, clerk, ours, campaign, ask):
    empty = clerk.get(f"/admin/campaign/{campaign}/").get_data(as_text=True)
    assert "名簿を取り込む" in empty
    answer = upload(clerk, campaign, HEAD + GOOD)
    assert answer.status_code == 303
    mapping = clerk.get(answer.location).get_data(as_text=True)
    assert chosen(mapping) == {
        "column_0": "reference",
        "column_1": "phone",
        "column_2": "",
        "column_3": "answer_0",
        "column_4": "answer_1",
        **{f"merge_{place}": "" for place in range(5) if place != 2},
    }
    assert "佐藤 花子" in mapping
    outcome = take(app, clerk, ours.tenant, answer.location)
    assert "<strong>2件</strong>を送信先に加えました" in outcome
    assert "確認へ進む" in outcome
    assert ask(people_of(campaign)) == [(2,)]
    assert ask(select(ImportChunk.id)) == []


def test_a_column_that_the_texts_lack_is_told_at_once_with_the_ways_out(clerk, campaign):
    url = upload(clerk, campaign, HEAD.replace("氏名", "宛先") + GOOD).location
    page = clerk.get(url).get_data(as_text=True)
    assert "差込項目「氏名」の列がありません" in page
    assert "文面の差込項目を直す" in page
    fine = clerk.get(upload(clerk, campaign, HEAD + GOOD).location).get_data(as_text=True)
    assert "文面の差込項目を直す" not in fine


def test_while_it_runs_the_page_says_how_far_it_is(app, clerk, ours, campaign):
    url = upload(clerk, campaign, HEAD + GOOD).location
    clerk.post(url, chosen(clerk.get(url).get_data(as_text=True)))
    page = clerk.get(url).get_data(as_text=True)
    assert f'data-live="{url}progress.json"' in page
    assert '<noscript><meta http-equiv="refresh"' in page
    assert clerk.get(f"{url}progress.json").get_json() == {
        "done": False,
        "texts": {"progress": "順番を待っています。"},
        "values": {"progress": 0},
    }
    again = clerk.post(url, chosen(""))
    assert (again.status_code, again.location) == (303, url)
    with app.app_context():
        run_import(ours.tenant, int(url.rstrip("/").rsplit("/", 1)[1]))
    assert clerk.get(f"{url}progress.json").get_json()["done"] is True


def test_a_book_of_excel_is_taken_as_it_is(app, clerk, ours, campaign, ask):
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "名簿"
    for line in (HEAD + GOOD + BAD).splitlines():
        sheet.append(line.split(","))
    book.create_sheet("控え")
    stream = io.BytesIO()
    book.save(stream)
    url = upload(clerk, campaign, stream.getvalue(), "名簿.xlsx", looks=False).location
    assert "ファイル全体を調べています" in clerk.get(url).get_data(as_text=True)
    assert clerk.get(f"{url}progress.json").get_json()["done"] is False
    look_through(app, import_of(url))
    page = clerk.get(url).get_data(as_text=True)
    assert '<option value="名簿" selected>' in page
    assert '<option value="控え">' in page
    assert "佐藤 花子" in page
    clerk.post(url, chosen(page))
    with app.app_context():
        run_import(ours.tenant, int(url.rstrip("/").rsplit("/", 1)[1]))
    assert ask(people_of(campaign)) == [(2,)]
    page = clerk.get(url).get_data(as_text=True)
    assert "高橋" not in page
    assert "固定電話" in page


def hiding_book() -> bytes:
    """A summary in front, and a list of three with one row hidden by a filter and one by hand."""
    book = openpyxl.Workbook()
    book.worksheets[0].title = "集計"
    book.worksheets[0].append(["区分", "件数"])
    book.worksheets[0].append(["請求", 3])
    sheet = book.create_sheet("名簿")
    for line in (HEAD + GOOD).splitlines():
        sheet.append(line.split(","))
    sheet.append([GOOD.split(",")[0] + "x", "090-7777-0001", *GOOD.splitlines()[0].split(",")[2:]])
    sheet.row_dimensions[3].hidden = True
    sheet.row_dimensions[4].hidden = True
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize("take", [False, True])
def test_hidden_rows_are_told_before_anything_is_taken(app, clerk, ours, campaign, ask, take):
    url = upload(clerk, campaign, hiding_book(), "名簿.xlsx").location
    page = clerk.get(url).get_data(as_text=True)
    assert "非表示の行が2行あります" in page
    clerk.post(url, chosen(page) | ({"take_hidden": "1"} if take else {}))
    with app.app_context():
        run_import(ours.tenant, int(url.rstrip("/").rsplit("/", 1)[1]))
    assert ask(people_of(campaign)) == [(3 if take else 1,)]


def test_another_sheet_can_be_chosen(app, clerk, ours, campaign):
    url = upload(clerk, campaign, hiding_book(), "名簿.xlsx").location
    assert '<option value="名簿" selected>' in clerk.get(url).get_data(as_text=True)
    clerk.post(f"{url}sheet", {"sheet": "集計"})
    look_through(app, import_of(url))
    page = clerk.get(url).get_data(as_text=True)
    assert '<option value="集計" selected>' in page
    assert "件数" in page
    assert "非表示の行が" not in page
    answer = clerk.post(f"{url}sheet", {"sheet": "ない"}, follow_redirects=True)
    assert "シートを選び直してください" in answer.get_data(as_text=True)


@pytest.mark.parametrize(("content", "name"), [(hiding_book(), "名簿.xlsx"), (HEAD + GOOD, "名簿.csv")])
def test_a_list_is_not_taken_before_it_was_read_through(clerk, campaign, ask, content, name):
    url = upload(clerk, campaign, content, name, looks=False).location
    answer = clerk.post(url, {})
    assert answer.status_code == 422
    assert "ファイル全体を調べています" in answer.get_data(as_text=True)
    assert ask(people_of(campaign)) == [(0,)]


def test_an_import_that_waits_can_be_given_up(app, clerk, ours, campaign, ask):
    url = upload(clerk, campaign, HEAD + GOOD).location
    clerk.post(url, chosen(clerk.get(url).get_data(as_text=True)))
    assert clerk.post(f"{url}cancel").status_code == 303
    with app.app_context():
        run_import(ours.tenant, int(url.rstrip("/").rsplit("/", 1)[1]))
    assert "取り消されました" in clerk.get(url).get_data(as_text=True)
    assert ask(people_of(campaign)) == [(0,)]
    assert "中止できませんでした" in clerk.post(f"{url}cancel", follow_redirects=True).get_data(as_text=True)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"PK\x03\x04" + b"\0" * 200, "壊れている"),
        (b"", "空"),
        (HEAD.encode("cp932"), "見出し"),
        (b"\x81\xff\x00\x01" * 50, "文字を読めません"),
    ],
    ids=["excel", "empty", "header only", "noise"],
)
def test_a_file_of_the_wrong_kind_is_told_and_leaves_nothing(clerk, campaign, ask, content, told):
    answer = upload(clerk, campaign, content)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "取り込めませんでした" in page
    assert told in one(r"取り込めませんでした</strong>\s*<ul>(.*?)</ul>", page)
    assert 'id="file"' in page
    assert ask(select(Import.id)) == []
    assert ask(select(ImportChunk.id)) == []


def test_no_file_at_all_is_told(clerk, campaign):
    answer = clerk.post(f"/admin/campaign/{campaign}/list/", {"file": (io.BytesIO(b""), "")})
    assert answer.status_code == 422
    assert "ファイルが選ばれていません" in answer.get_data(as_text=True)


def test_a_file_beyond_the_limit_is_told(clerk, campaign, settings, ask):
    config.install(dataclasses.replace(settings, upload_max_bytes=1_000_000))
    answer = upload(clerk, campaign, HEAD.encode("cp932") + b"a" * 1_000_000)
    assert answer.status_code == 422
    assert "1MBまでに分けて" in answer.get_data(as_text=True)
    more = upload(clerk, campaign, b"a" * 1_200_000)
    assert more.status_code == 422
    assert "1MBまでに分けて" in more.get_data(as_text=True)
    assert ask(select(Import.id)) == []


def test_a_file_larger_than_other_requests_may_be_is_taken(clerk, campaign):
    rows = "".join(f"K{n},090-1234-{n:04d},{'あ' * 60},1980/1/2,0123\r\n" for n in range(8_000))
    assert len(rows.encode("cp932")) > 1_000_000
    assert upload(clerk, campaign, HEAD + rows).status_code == 303


def test_columns_mapped_wrongly_are_told_and_kept_as_typed(clerk, campaign, ask):
    url = upload(clerk, campaign, HEAD + GOOD).location
    form = chosen(clerk.get(url).get_data(as_text=True))
    doubled = clerk.post(url, {**form, "column_2": "phone"})
    page = doubled.get_data(as_text=True)
    assert doubled.status_code == 422
    assert "「電話番号（携帯）」が「電話番号」と「氏名」の2つの列に選ばれています" in page
    assert chosen(page)["column_2"] == "phone"
    without = clerk.post(url, {**form, "column_1": ""})
    assert without.status_code == 422
    assert "電話番号の列が決まっていません" in without.get_data(as_text=True)
    unanswered = clerk.post(url, {**form, "column_3": ""})
    assert "設問「生年月日」の答えの列が決まっていません" in unanswered.get_data(as_text=True)
    assert ask(select(Import.state)) == [("mapping",)]


def test_faults_are_told_by_row_and_only_the_mended_rows_are_added(app, clerk, ours, campaign, ask):
    url = upload(clerk, campaign, HEAD + GOOD + BAD).location
    outcome = take(app, clerk, ours.tenant, url)
    assert "<strong>1行</strong>はエラーがあり" in outcome
    assert re.search(r'class="number" rowspan="1">4</th>.*?<td>B4</td>.*?<td>03-1234-5678</td>', outcome, re.DOTALL)
    rejected = clerk.post(f"{url}rejects.csv", {"encoding": "cp932"})
    lines = rejected.get_data().decode("cp932").splitlines()
    assert rejected.headers["Content-Disposition"].startswith(
        f'attachment; filename="rejects-{url.split("/")[-2]}.csv"'
    )
    assert lines[0] == "エラー内容," + HEAD.strip()
    assert lines[1].endswith(BAD.strip())
    assert "固定電話" in lines[1]
    recorded = select(AuditEntry.actor).where(AuditEntry.act == "export_rejects")
    assert ask(recorded) == [(f"user:{ours.clerk}",)]
    mended = "\r\n".join([lines[0], lines[1].replace("03-1234-5678", "070-1234-5678")]) + "\r\n"
    second = take(app, clerk, ours.tenant, upload(clerk, campaign, mended, "修正.csv").location)
    assert "<strong>1件</strong>を送信先に加えました" in second
    assert ask(people_of(campaign)) == [(3,)]
    third = take(app, clerk, ours.tenant, upload(clerk, campaign, HEAD + GOOD + MENDED).location)
    assert "<strong>3行</strong>はすでに取り込み済み" in third
    assert ask(people_of(campaign)) == [(3,)]


def test_the_same_fault_in_many_rows_is_told_once_with_its_number(app, clerk, ours, campaign):
    rows = "".join(f"K{n},03-1234-{n:04d},佐藤 花子,1980/1/2,0123\r\n" for n in range(60))
    outcome = take(app, clerk, ours.tenant, upload(clerk, campaign, HEAD + rows).location)
    assert re.findall(r"<li>「電話番号」の<strong>60行</strong>：固定電話.*?（最初は2行目）</li>", outcome)
    assert "最初の50行" in outcome
    assert len(re.findall(r'<th scope="rowgroup" class="number"', outcome)) == 50


def test_the_same_file_again_is_told_before_it_is_taken(app, clerk, ours, campaign):
    take(app, clerk, ours.tenant, upload(clerk, campaign, HEAD + GOOD).location)
    again = upload(clerk, campaign, HEAD + GOOD, "別名.csv").location
    assert "同じ内容のファイル「名簿.csv」" in clerk.get(again).get_data(as_text=True)


def test_a_list_is_taken_back_once_that_is_confirmed(app, clerk, ours, campaign, ask):
    url = upload(clerk, campaign, HEAD + GOOD).location
    take(app, clerk, ours.tenant, url)
    question = clerk.get(f"{url}discard").get_data(as_text=True)
    assert "2件" in question
    assert ask(people_of(campaign)) == [(2,)]
    done = clerk.post(f"{url}discard", follow_redirects=True).get_data(as_text=True)
    assert "2件を取り消しました" in done
    assert ask(people_of(campaign)) == [(0,)]
    assert "取り込みが完了した名簿だけ" in clerk.post(f"{url}discard", follow_redirects=True).get_data(as_text=True)


def test_after_the_launch_no_list_is_taken(app, clerk, ours, campaign, ask):
    url = upload(clerk, campaign, HEAD + GOOD).location
    waiting = upload(clerk, campaign, HEAD + MENDED).location
    take(app, clerk, ours.tenant, url)
    with app.app_context():
        factories.launch(ours.tenant, campaign)
    assert 'id="file"' not in clerk.get(f"/admin/campaign/{campaign}/list/").get_data(as_text=True)
    refused = upload(clerk, campaign, HEAD + MENDED)
    assert refused.status_code == 422
    assert "送信を開始した配信の内容と名簿は変えられません" in refused.get_data(as_text=True)
    form = chosen(clerk.get(waiting).get_data(as_text=True))
    assert "送信を開始した配信の内容と名簿は変えられません" in clerk.post(waiting, form).get_data(as_text=True)
    assert ask(people_of(campaign)) == [(2,)]


def test_an_upload_wants_its_token_and_a_sign_in(app, clerk, campaign, ask):
    url = f"/admin/campaign/{campaign}/list/"
    for data in ({}, {"csrf_token": "forged"}):
        answer = clerk.client.post(url, data={**data, "file": (io.BytesIO(b"a"), "a.csv")})
        assert answer.status_code == 400
    stranger = app.test_client().post(url, data={"file": (io.BytesIO(b"a"), "a.csv")})
    assert stranger.location.startswith("/admin/login")
    assert ask(select(Import.id)) == []


def test_the_limit_is_raised_for_uploads_alone(clerk, campaign):
    huge = {"name": "a" * 3_100_000}
    assert clerk.post(f"/admin/campaign/{campaign}/pause", huge).status_code == 413
