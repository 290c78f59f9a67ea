"""Files from the list of people: as narrowed as the list, made beside one's work, one's own company's alone."""

import csv
import io
import re
from urllib.parse import unquote

import pytest
from psycopg.types.json import Jsonb

from app import tenancy
from app.exports import export_jobs
from app.exports.selection import Selection
from app.extensions import db
from app.models import Export, ExportLayout
from jobs import exports
from tests import factories


def references(answer):
    assert answer.status_code == 200
    table = csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"), newline=""))
    return [row["管理番号"] for row in table]


@pytest.fixture
def made(app, ours):
    with app.app_context(), tenancy.tenant(ours.tenant):
        export_id = export_jobs.order(Selection(ours.campaign), "utf-8-sig", None, "状況 一.csv", user_id=ours.clerk)
    with app.app_context():
        exports.make_export(ours.tenant, export_id)
    return export_id


def test_a_file_is_as_narrow_as_the_list(app, clerk, ours, database):
    with app.app_context():
        other = factories.campaign(ours.tenant)
        more = factories.people(ours.tenant, other, 1, phones=["+819077770888"])
    people = [person.reference for person in ours.people]
    database.execute("UPDATE recipient SET carrier = 'au' WHERE reference = %s", [people[1]])
    for query, wanted in (
        ("", [*people, more[0].reference]),
        (f"campaign={ours.campaign}", people),
        ("carrier=au", [people[1]]),
        ("sms=delivered", []),
        ("page_state=unopened&payment=unpaid", people),
        ("search=0888", [more[0].reference]),
        ("search=0999&carrier=au", []),
        ("from=2026-01-01", []),
    ):
        page = clerk.get(f"/admin/recipient/?{query}").get_data(as_text=True)
        listed = re.findall(r">(K\d{6})</a>", page)
        assert sorted(listed) == sorted(wanted), query
        assert references(clerk.post(f"/admin/export/now?{query}", {"form": "utf-8-sig"})) == wanted, query


def test_the_page_before_tells_who_and_how_many(clerk, ours):
    page = clerk.get(f"/admin/export/new?campaign={ours.campaign}&sms=draft").get_data(as_text=True)
    assert "みどり信販の配信" in page
    assert "未送信" in page
    assert "3件" in page
    link = re.search(
        r'href="(/admin/export/new[^"]*)"', clerk.get("/admin/recipient/?sms=draft").get_data(as_text=True)
    )
    assert link
    assert "sms=draft" in link[1]


def test_a_file_is_ordered_told_of_at_home_fetched_and_told_no_more(app, clerk, ours):
    answer = clerk.post(f"/admin/export/make?campaign={ours.campaign}", {"form": "utf-8-sig"})
    assert answer.status_code == 303
    assert "作っています" in clerk.get("/admin/").get_data(as_text=True)
    with app.app_context(), tenancy.tenant(ours.tenant):
        export_id = db.session.query(Export.id).scalar()
    with app.app_context():
        exports.make_export(ours.tenant, export_id)
    assert "ができました" in clerk.get("/admin/").get_data(as_text=True)
    answer = clerk.post(f"/admin/export/{export_id}/file")
    assert references(answer) == [person.reference for person in ours.people]
    assert "filename*=UTF-8''%E3%81%BF" in answer.headers["Content-Disposition"]
    assert "ができました" not in clerk.get("/admin/").get_data(as_text=True)


def test_a_narrowed_files_name_says_by_what_and_never_a_number(clerk):
    query = "sms=draft&carrier=au&from=2026-01-01&search=09012345678"
    told = clerk.post(f"/admin/export/now?{query}", {"form": "xlsx"}).headers["Content-Disposition"]
    name = unquote(told.split("UTF-8''")[1])
    assert name.startswith("送信先_状況_SMS未送信_au_送信日2026-01-01から_検索_"), name


def test_a_file_thrown_away_is_gone(clerk, made):
    clerk.post(f"/admin/export/{made}/cancel")
    answer = clerk.post(f"/admin/export/{made}/file", follow_redirects=True)
    assert "まだできていないか、期限が過ぎています" in answer.get_data(as_text=True)


def test_a_layout_is_saved_changed_and_used(app, clerk, ours):
    page = clerk.post("/admin/export-layout/new/", {"name": "経理", "form": "utf-8-sig", "words": "氏名\n氏名"})
    assert "同じ列が2回あります：氏名" in page.get_data(as_text=True)
    clerk.post("/admin/export-layout/new/", {"name": "経理", "form": "utf-8-sig", "words": "氏名\r\n管理番号\r\n\r\n"})
    with app.app_context(), tenancy.tenant(ours.tenant):
        layout = db.session.query(ExportLayout).one()
        assert layout.columns == ["+氏名", "reference"]
        layout_id = layout.id
    assert "すでにあります" in clerk.post(
        "/admin/export-layout/new/", {"name": "経理", "form": "cp932", "words": "氏名"}
    ).get_data(as_text=True)
    answer = clerk.post(f"/admin/export/now?campaign={ours.campaign}", {"layout": str(layout_id), "form": "xlsx"})
    assert answer.get_data().decode("utf-8-sig").splitlines()[0] == "氏名,管理番号"
    assert "氏名、管理番号" in clerk.get("/admin/export-layout/").get_data(as_text=True)


def test_a_layout_is_deleted_after_a_question(app, browser_of, clerk, ours, theirs):
    clerk.post("/admin/export-layout/new/", {"name": "経理", "form": "cp932", "words": "氏名"})
    with app.app_context(), tenancy.tenant(ours.tenant):
        url = f"/admin/export-layout/{db.session.query(ExportLayout).one().id}/remove"
    page = clerk.get("/admin/export-layout/").get_data(as_text=True)
    assert "レイアウト「経理」を削除します" in page
    assert url in page
    assert browser_of(theirs.clerk).post(url).status_code == 404
    assert clerk.get(url).status_code == 404
    assert "レイアウト「経理」を削除しました" in clerk.post(url, follow_redirects=True).get_data(as_text=True)
    assert clerk.post(url).status_code == 404
    assert "レイアウトの削除" in browser_of(ours.manager).get("/admin/audit/").get_data(as_text=True)


def test_a_file_each_morning_is_planned_and_stopped(app, clerk, ours):
    url = f"/admin/export/daily?campaign={ours.campaign}"
    clerk.post(url, {"form": "cp932"})
    assert "毎朝6時すぎに" in clerk.get(f"/admin/export/new?campaign={ours.campaign}").get_data(as_text=True)
    clerk.post(url, {"stop": "1"})
    with app.app_context(), tenancy.tenant(ours.tenant):
        assert export_jobs.plan_of(ours.campaign) is None
    assert clerk.post("/admin/export/daily", {"form": "cp932"}).status_code == 404


@pytest.mark.parametrize("form", ["", "html", "cp932\0", "../x"])
def test_what_is_no_form_gives_no_file(clerk, form):
    assert clerk.post("/admin/export/now", {"form": form}).status_code == 404
    assert clerk.post("/admin/export/make", {"form": form}).status_code == 404


def test_a_column_that_no_list_has_brought_is_told_of(clerk, ours, database):
    database.execute(
        "INSERT INTO import (tenant_id, campaign_id, state, filename, content_digest, header)"
        " VALUES (%s, %s, 'done', 'a.csv', '', %s)",
        [ours.tenant, ours.campaign, Jsonb(["電話番号", "氏名"])],
    )
    data = {"name": "経理", "form": "cp932", "words": "氏名\r\nSMS状態\r\n（名簿のほかの列）\r\nSMS状況"}
    page = clerk.post("/admin/export-layout/new/", data, follow_redirects=True).get_data(as_text=True)
    assert "「SMS状況」という列は、最近の名簿にありません" in page
    page = clerk.post(
        "/admin/export-layout/new/", {**data, "name": "別", "words": "氏名"}, follow_redirects=True
    ).get_data(as_text=True)
    assert "最近の名簿にありません" not in page


def test_another_companys_files_layouts_and_people_are_nowhere(app, browser_of, ours, theirs, made, database):
    stranger = browser_of(theirs.manager)
    with app.app_context(), tenancy.tenant(ours.tenant):
        layout = ExportLayout(tenant_id=ours.tenant, name="経理", form="cp932", columns=["reference"])
        db.session.add(layout)
        db.session.commit()
        layout_id = layout.id
    for url in (f"/admin/export/{made}/file", f"/admin/export/{made}/cancel"):
        assert stranger.post(url).status_code == 404
        assert stranger.get(url).status_code in {404, 405}
    for act in ("now", "make", "daily"):
        data = {"form": "cp932"}
        assert stranger.post(f"/admin/export/{act}?campaign={ours.campaign}", data).status_code == 404
    assert stranger.get(f"/admin/export/new?campaign={ours.campaign}").status_code == 404
    assert stranger.post("/admin/export/now", {"layout": str(layout_id), "form": "cp932"}).status_code == 404
    assert stranger.get(f"/admin/export-layout/edit/?id={layout_id}").status_code == 404
    assert "状況 一.csv" not in stranger.get("/admin/export/").get_data(as_text=True)
    content = stranger.post("/admin/export/now", {"form": "utf-8-sig"}).get_data(as_text=True)
    assert not any(person.reference in content for person in ours.people)
    assert database.execute("SELECT state FROM export WHERE id = %s", [made]).fetchone() == ("done",)


@pytest.mark.parametrize("number", ["0", "-1", "9223372036854775807", "9223372036854775808", "abc", "%00"])
def test_what_is_no_file_is_nowhere(clerk, number):
    assert clerk.post(f"/admin/export/{number}/file").status_code in {404, 405}
    assert clerk.post(f"/admin/export/{number}/cancel").status_code in {404, 405}
    assert clerk.post("/admin/export/now", {"layout": number, "form": "cp932"}).status_code == 404
