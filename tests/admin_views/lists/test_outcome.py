"""名簿: what the page of an import says of its rows, and of the SMS that they make."""

import csv
import html
import io
import json
import re
from pathlib import Path

import pytest
from flask import Flask

from app import tenancy
from app.extensions import db
from app.intake.rows import single_entry
from app.models import Campaign
from tests import factories
from tests.admin_views.conftest import House
from tests.admin_views.uploads import GOOD, HEAD, imported, one, people_of, take, upload

SAMPLES = Path(__file__).parents[3].parent / "shared" / "samples"


@pytest.fixture
def campaign(app: Flask, ours: House) -> int:
    with app.app_context():
        return factories.campaign(ours.tenant, sms_account_id=ours.sms_account, name="訪問のご案内")


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
        made = single_entry.add(campaign, data, user_id=ours.clerk)
    page = clerk.get(f"/admin/campaign/{campaign}/list/{made.import_id}/").get_data(as_text=True)
    assert "この人のSMSは<strong>" in page
    assert "佐藤 花子様" in page
