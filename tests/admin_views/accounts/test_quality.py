"""到達の状況: on the account's page as a picture and tables, as a file, and at home where it fell."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from app.values.japan_time import TOKYO
from tests.attempted import attempted

TODAY = datetime.now(UTC).astimezone(TOKYO).date()


@pytest.fixture
def week(ours, database):
    """Seven days of 200 SMS each, nine of ten of which arrived."""
    for ago in range(1, 8):
        day = TODAY - timedelta(days=ago)
        attempted(database, ours.sms_account, 180, day, seconds=8)
        attempted(database, ours.sms_account, 20, day, "undelivered", carrier="au", code="unconnected")


def page(browser, account):
    return browser.get(f"/admin/sms_account/edit/?id={account}").get_data(as_text=True)


def test_before_the_first_sms_the_page_says_so(manager, ours):
    found = page(manager, ours.sms_account)
    assert "この30日間に、このアカウントで送ったSMSはありません" in found
    assert "quality-chart" not in found


@pytest.mark.usefixtures("week")
def test_the_page_shows_days_carriers_causes_and_times(manager, ours):
    found = page(manager, ours.sms_account)
    rows = [" ".join(re.sub("<[^>]+>", " ", row).split()) for row in re.findall(r"<tr>(.*?)</tr>", found, re.DOTALL)]
    assert f"{TODAY - timedelta(days=1):%Y/%m/%d} 200 180 20 90.0% 10秒以内 10秒以内" in rows
    assert "au 120 0 120 0.0% ― ―" in rows, "the seven days are today and the six before"
    assert "ドコモ 1,080 1,080 0 100.0% 10秒以内 10秒以内" in rows
    assert any(row.endswith("120 100.0%") and "電源" in row for row in rows), rows
    assert found.count('class="quality-point"') == 7
    assert 'role="img" aria-label="日ごとの到達率の折れ線" aria-describedby="quality-days"' in found


@pytest.mark.usefixtures("week")
def test_the_file_has_a_line_for_each_day_and_carrier(manager, ours):
    answer = manager.get(f"/admin/sms_account/quality?id={ours.sms_account}")
    assert answer.mimetype == "text/csv"
    assert f"{TODAY:%Y%m%d}.csv" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"))))
    assert len(rows) == 14
    first, second = rows[:2]
    assert (first["日付"], first["携帯会社"]) == ((TODAY - timedelta(days=7)).isoformat(), "au")
    assert (first["送信"], first["到達"], first["不達"], first["到達率（%）"]) == ("20", "0", "20", "0.0")
    [cause] = [name for name in first if name.startswith("不達：")]
    assert (first[cause], second[cause]) == ("20", "0")
    assert (second["携帯会社"], second["到達までの秒数（半数が以内）"], second["同（95%が以内）"]) == (
        "ドコモ",
        "10",
        "10",
    )


def test_another_companys_account_is_not_there(manager, theirs, database):
    attempted(database, theirs.sms_account, 5, TODAY)
    assert manager.get(f"/admin/sms_account/quality?id={theirs.sms_account}").status_code == 404
    assert manager.get("/admin/sms_account/quality?id=x").status_code == 404
    assert manager.get("/admin/sms_account/quality").status_code == 404


def test_the_operator_sees_a_companys_account(browser_of, operator, ours, database):
    attempted(database, ours.sms_account, 5, TODAY)
    assert "quality-chart" in page(browser_of(operator), ours.sms_account)
    assert browser_of(operator).get(f"/admin/sms_account/quality?id={ours.sms_account}").status_code == 200


@pytest.mark.usefixtures("week")
def test_a_fall_is_named_at_home_to_managers_with_the_way_and_to_clerks_without(manager, clerk, ours, database):
    said = "の到達率が、今日は80.0%に下がっています（その前の7日間は90.0%）。"
    assert said not in manager.get("/admin/").get_data(as_text=True)
    attempted(database, ours.sms_account, 80, TODAY)
    attempted(database, ours.sms_account, 20, TODAY, "undelivered")
    home = manager.get("/admin/").get_data(as_text=True)
    assert said in home
    assert f'href="/admin/sms_account/edit/?id={ours.sms_account}#quality"' in home
    home = clerk.get("/admin/").get_data(as_text=True)
    assert said in home
    assert "自社の管理者にお知らせください。" in home
    assert "sms_account" not in home


def test_sms_of_an_account_for_tests_count_as_sent_nowhere(manager, ours, database: psycopg.Connection):
    attempted(database, ours.sms_account, 1234, TODAY)
    assert "1,234" in manager.get("/admin/").get_data(as_text=True)
    database.execute("UPDATE sms_account SET test_mode = true")
    assert "1,234" not in manager.get("/admin/").get_data(as_text=True)
