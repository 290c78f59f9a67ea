"""名簿: from a file to people, by the clerk's own clicks."""

import csv
import dataclasses
import html
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from app import config, tenancy
from app.extensions import db
from app.intake import single
from app.models import AuditEntry, Campaign, Import, ImportChunk, Recipient
from jobs.intake import run_import
from tests import factories
from tests.admin_views.conftest import Browser, House

HEAD = "管理番号,電話番号,氏名,生年月日,契約番号下4桁\r\n"
GOOD = "K1,090-1234-5678,佐藤 花子,1980/1/2,0123\r\nK2,080-1234-5678,鈴木 一郎,昭和55年1月2日,0456\r\n"
BAD = "K3,03-1234-5678,高橋 次郎,1980/1/2,0789\r\n"
MENDED = "K3,070-1234-5678,高橋 次郎,1980/1/2,0789\r\n"


@pytest.fixture
def clerk(browser_of: Callable[[int], Browser], ours: House) -> Browser:
    return browser_of(ours.clerk)


@pytest.fixture
def campaign(app: Flask, ours: House) -> int:
    with app.app_context():
        return factories.campaign(ours.tenant, sms_account_id=ours.sms_account, name="訪問のご案内")


@pytest.fixture
def ask(app: Flask, ours: House) -> Callable[[Any], list[Any]]:
    """Give what the database answers; open for the question alone, so that no request shares the test's session."""

    def ask(statement: Any) -> list[Any]:
        with app.app_context(), tenancy.tenant(ours.tenant):
            return [tuple(row) for row in db.session.execute(statement)]

    return ask


def upload(browser: Browser, campaign_id: int, content: str | bytes, name: str = "名簿.csv") -> TestResponse:
    data = content.encode("cp932") if isinstance(content, str) else content
    # made here: the client's own way leaves the temporary file of a large body open
    boundary, body = encode_multipart({"csrf_token": browser.token(), "file": FileStorage(io.BytesIO(data), name)})
    return browser.client.post(
        f"/admin/campaign/{campaign_id}/list/", data=body, content_type=f"multipart/form-data; boundary={boundary}"
    )


def one(pattern: str, page: str) -> str:
    """Give what a page says at one place."""
    found = re.search(pattern, page, re.DOTALL)
    assert found, pattern
    return found[1]


def chosen(page: str) -> dict[str, str]:
    """Give the form of the columns as a browser would send it."""
    found = re.findall(r'<select id="\w+" name="(\w+)".*?>(.*?)</select>', page, re.DOTALL)
    return {
        field: selected[1] if (selected := re.search(r'value="(\w+)" selected', options)) else ""
        for field, options in found
    }


def take(app: Flask, browser: Browser, tenant: int, url: str) -> str:
    """Take the columns as proposed, run the job, give the page of the outcome."""
    answer = browser.post(url, chosen(browser.get(url).get_data(as_text=True)))
    assert (answer.status_code, answer.location) == (303, url)
    with app.app_context():
        run_import(tenant, int(url.rstrip("/").rsplit("/", 1)[1]))
    return browser.get(url).get_data(as_text=True)


def people_of(campaign_id: int) -> Any:
    return select(func.count()).where(Recipient.campaign_id == campaign_id)


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
    }
    assert "佐藤 花子" in mapping
    outcome = take(app, clerk, ours.tenant, answer.location)
    assert "<strong>2件</strong>を送信先に加えました" in outcome
    assert "確認へ進む" in outcome
    assert ask(people_of(campaign)) == [(2,)]
    assert ask(select(ImportChunk.id)) == []


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
    url = upload(clerk, campaign, stream.getvalue(), "名簿.xlsx").location
    page = clerk.get(url).get_data(as_text=True)
    assert "最初のシート「名簿」" in page
    assert "佐藤 花子" in page
    clerk.post(url, chosen(page))
    with app.app_context():
        run_import(ours.tenant, int(url.rstrip("/").rsplit("/", 1)[1]))
    assert ask(people_of(campaign)) == [(2,)]
    page = clerk.get(url).get_data(as_text=True)
    assert "高橋" not in page
    assert "固定電話" in page


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


SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples"


def imported(app: Flask, ours: House, clerk: Browser, campaign: int, content: str | bytes) -> str:
    """Upload a list, take its columns as proposed, run it; give the result's page."""
    url = upload(clerk, campaign, content).location
    clerk.post(url, chosen(clerk.get(url).get_data(as_text=True)))
    with app.app_context():
        run_import(ours.tenant, int(url.rstrip("/").rsplit("/", 1)[1]))
    return clerk.get(url).get_data(as_text=True)


def test_the_page_of_a_dirty_list_names_every_cell_and_its_file_comes_back_corrected(app, clerk, ours, ask):
    if not SAMPLES.is_dir():
        pytest.skip("no folder of samples beside the project")
    truth = json.loads((SAMPLES / "dirty.truth.json").read_text("utf-8"))
    with app.app_context():
        campaign = factories.campaign(
            ours.tenant, sms_account_id=ours.sms_account, payment_account_id=ours.payment_account
        )
    page = imported(app, ours, clerk, campaign, (SAMPLES / "dirty.csv").read_bytes())
    columns = ["管理番号", "電話番号", "氏名", "請求金額", "支払期限", "生年月日", "契約番号下4桁"]
    words = {"error": "エラー", "warning": "注意", "ignored": "対象外"}
    told = re.findall(
        r'<th scope="rowgroup"[^>]*>(\d+)</th>\s*<td><span[^>]*>(.*?)</span></td><td>(.*?)</td>'
        r'<td class="no-wrap">(.*?)</td>',
        page,
    )
    expected = {
        (row, words[said["level"]], f"{chr(65 + columns.index(said['column']))}{row}", said["column"])
        if said["column"]
        else (row, words[said["level"]], "―", "行全体")
        for row, said in truth.items()
    }
    assert set(told) == expected
    assert "03-1234-5678" in page  # what stands in the cell
    assert "4111 1111 1111 1111" not in page
    errors = sum(said["level"] == "error" for said in truth.values())
    assert f"<strong>{errors}行</strong>はエラーがあり" in page

    url = one(r'action="([^"]*rejects\.csv)"', page)
    content = clerk.post(url, {"encoding": "cp932"}).get_data().decode("cp932")
    rows = list(csv.reader(io.StringIO(content)))
    assert len(rows) == errors + 1
    good = ["", "", "山田 花子", "5000", "2026/12/31", "1980/1/2", "0123"]
    mended = [[row[0], row[1], f"0901234{number:04d}", *good[2:]] for number, row in enumerate(rows[1:], 1)]
    lines = "".join(",".join(cells) + "\r\n" for cells in [rows[0], *mended])
    page = imported(app, ours, clerk, campaign, lines)
    assert f"<strong>{errors}件</strong>を送信先に加えました" in page
    assert ask(people_of(campaign)) == [(60 - 1,)]  # every row but the empty one


def test_a_column_that_most_rows_fail_is_told_first(app, clerk, ours, campaign):
    bad = "".join(f"K{number},03-1234-5678,高橋 次郎,1980/1/2,0789\r\n" for number in range(3))
    page = imported(app, ours, clerk, campaign, HEAD + GOOD + bad)
    assert "半分を超える行で「電話番号」を読み取れません" in page
    assert "「電話番号」の<strong>3行</strong>：固定電話の番号です" in page
    assert "最初は4行目" in page


def test_people_of_a_campaign_under_way_are_told_with_the_list(app, clerk, ours, campaign):
    with app.app_context():
        other = factories.campaign(ours.tenant, sms_account_id=ours.sms_account, name="先の配信")
        factories.people(ours.tenant, other, 1, phones=["+819012345678"])
        factories.launch(ours.tenant, other)
    page = imported(app, ours, clerk, campaign, HEAD + GOOD)
    assert "この名簿の1件は、配信「先の配信」（送信中）の送信先と同じ電話番号です" in page
    again = imported(app, ours, clerk, campaign, HEAD + GOOD)
    assert "<strong>2行</strong>はすでに取り込み済みの行でした" in again


def test_the_outcome_shows_the_longest_sms_of_the_list(app, clerk, ours, campaign):
    long = GOOD.replace("鈴木 一郎", f"鈴木{'一' * 5}😀郎")
    page = take(app, clerk, ours.tenant, upload(clerk, campaign, (HEAD + long).encode()).location)
    sms = html.unescape(one(r'<p class="bubble">(.*?)</p>', page))
    assert f"鈴木{'一' * 5}😀郎様" in sms
    assert re.search(r"https://\S+/\*+", sms), "the link is that person's secret"
    length = len(sms) + 1  # the emoji is two
    assert length <= 70
    assert f"3行目の人のSMSが最も長く、<strong>{length}文字</strong>です。70文字に収まっています" in page
    assert "絵文字など1文字は、1文字を2文字と数えます" in page


def test_the_longest_sms_follows_the_text_and_is_left_to_the_check_once_other_fields_are_merged(
    app, clerk, ours, campaign
):
    url = upload(clerk, campaign, HEAD + GOOD.replace("鈴木 一郎", "鈴木 一太郎")).location
    take(app, clerk, ours.tenant, url)

    def rewrite(sms_text: str) -> str:
        with app.app_context(), tenancy.tenant(ours.tenant):
            db.session.get_one(Campaign, campaign).sms_text = sms_text
            db.session.commit()
        page: str = clerk.get(url).get_data(as_text=True)
        return page

    page = rewrite(f"{{氏名}}様{'、' * 70}{{リンク}}")
    assert "3行目の人のSMSが最も長く" in page
    over = one(r"70文字を(\d+)文字超えているため、このままでは送れません", page)
    assert int(over) == len(html.unescape(one(r'<p class="bubble">(.*?)</p>', page))) - 70 > 0
    for text in ("{管理番号} {氏名}様 {リンク}", "お知らせです {リンク}", "{住所} {氏名}様 {リンク}"):
        page = rewrite(text)
        assert "「確認」で全員のSMSを組み立てて調べます" in page
        assert 'class="bubble"' not in page


def test_a_recipient_typed_in_shows_the_sms_that_makes(app, clerk, ours, campaign, ask):
    data = dict(zip(HEAD.strip().split(","), GOOD.splitlines()[0].split(","), strict=True))
    with app.app_context(), tenancy.tenant(ours.tenant):
        made = single.add(campaign, data, user_id=ours.clerk)
    page = clerk.get(f"/admin/campaign/{campaign}/list/{made.import_id}/").get_data(as_text=True)
    assert "この人のSMSは<strong>" in page
    assert "佐藤 花子様" in page
