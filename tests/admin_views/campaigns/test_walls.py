"""A campaign's pages: shut to other companies by every address, and free of anything the policy forbids."""

import re

import pytest
from flask import Flask
from sqlalchemy import select

from app import tenancy
from app.extensions import db
from app.models import AuditEntry, Campaign, Import, Recipient
from tests import factories
from tests.admin_views.conftest import House

BY_HAND = re.compile(r"""\son\w+\s*=|\sstyle\s*=|javascript:|<style|<script(?![^>]*\ssrc=)""", re.IGNORECASE)


def listed(app: Flask, house: House, campaign: int, state: str = "done") -> int:
    """Make an import in some state."""
    with app.app_context(), tenancy.tenant(house.tenant):
        row = Import(
            tenant_id=house.tenant,
            campaign_id=campaign,
            filename="他社名簿.csv",
            content_digest=b"x",
            state=state,
            header=["管理番号", "電話番号"],
            rows_added=3,
            rows_rejected=1,
        )
        db.session.add(row)
        db.session.commit()
        return row.id


def flow_urls(app: Flask, campaign: int, upload: int) -> list[tuple[str, str]]:
    """List every address of a campaign's pages with its method."""
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith(("flow.", "life.", "rows."))]
    values = {
        "campaign_id": campaign,
        "import_id": upload,
        "which": "unopened",
        "sheet_row": 2,
        "row_id": 1,
        "by": "number",
        "form": "xlsx",
    }
    made: list[tuple[str, str]] = []
    for rule in rules:
        built = rule.build({name: values[name] for name in rule.arguments})
        assert built is not None
        made += [(method, built[1]) for method in sorted((rule.methods or set()) & {"GET", "POST"})]
    assert len(made) >= 30
    return made


@pytest.mark.parametrize("state", ["mapping", "running", "done"])
def test_another_companys_campaign_is_nowhere(app, clerk, ours, theirs, state):
    upload = listed(app, theirs, theirs.campaign, state)
    for method, url in flow_urls(app, theirs.campaign, upload):
        answer = clerk.post(url, {"digest": "x", "encoding": "cp932"}) if method == "POST" else clerk.get(url)
        assert answer.status_code == 404, (method, url)
        assert "あおば" not in answer.get_data(as_text=True)
        assert "他社名簿" not in answer.get_data(as_text=True)
    with app.app_context(), tenancy.tenant(theirs.tenant):
        assert db.session.scalars(select(Campaign.state)).all() == ["draft"]
        assert db.session.scalars(select(Import.state)).all() == [state]
        assert set(db.session.scalars(select(Recipient.sms_state))) == {"draft"}
        assert db.session.scalars(select(AuditEntry.act)).all() == []


def test_an_upload_is_reached_through_its_own_campaign_alone(app, clerk, ours):
    with app.app_context():
        other = factories.campaign(ours.tenant)
    upload = listed(app, ours, other)
    for method, url in flow_urls(app, ours.campaign, upload):
        if f"/list/{upload}" in url:
            assert (clerk.post(url) if method == "POST" else clerk.get(url)).status_code == 404, url


@pytest.mark.parametrize(
    "number", ["0", "-1", "9223372036854775807", "9223372036854775808", "1e3", "%00", "９９９９９９９９"]
)
def test_numbers_that_are_no_campaign_are_told_as_nothing(clerk, number):
    assert clerk.get(f"/admin/campaign/{number}/").status_code == 404


def test_an_act_is_never_a_get(app, clerk, ours):
    """Every address that takes a POST and isn't a page of its own refuses GET, or only asks."""
    for name in ("pause", "status.csv"):
        assert clerk.get(f"/admin/campaign/{ours.campaign}/{name}").status_code in {404, 405}
    upload = listed(app, ours, ours.campaign, "mapping")
    for name in ("cancel", "rejects.csv"):
        assert clerk.get(f"/admin/campaign/{ours.campaign}/list/{upload}/{name}").status_code in {404, 405}
    with app.app_context(), tenancy.tenant(ours.tenant):
        assert db.session.scalars(select(Import.state)).all() == ["mapping"]


def test_the_pages_hold_no_script_style_or_handler_of_their_own(app, clerk, ours):
    upload = listed(app, ours, ours.campaign)
    clerk.post(f"/admin/campaign/{ours.campaign}/check/")
    pages = [url for method, url in flow_urls(app, ours.campaign, upload) if method == "GET" and "." not in url]
    with app.app_context():
        factories.launch(ours.tenant, ours.campaign)
    seen = 0
    for url in [*pages, f"/admin/campaign/{ours.campaign}/status/", "/admin/login"]:
        answer = clerk.get(url)
        if answer.status_code != 200:
            continue
        seen += 1
        found = BY_HAND.search(answer.get_data(as_text=True))
        assert not found, (url, found)
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'; script-src 'self';")
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
    assert seen >= 8


def test_every_page_has_its_language_one_heading_a_main_part_and_a_way_to_it(app, clerk, ours):
    upload = listed(app, ours, ours.campaign)
    for name in ("", "list/", f"list/{upload}/", f"list/{upload}/discard", "check/", "send/", "result/", "cancel"):
        page = clerk.get(f"/admin/campaign/{ours.campaign}/{name}").get_data(as_text=True)
        assert '<html lang="ja">' in page
        assert len(re.findall(r"<h1\b", page)) == 1, name
        assert len(re.findall(r"<main\b[^>]*id=\"main\"", page)) == 1
        assert '<a class="skip-link" href="#main">' in page
        ids = re.findall(r'\sid="([^"]+)"', page)
        assert len(ids) == len(set(ids)), name
        for wanted in re.findall(r'aria-(?:labelledby|describedby)="([^"]+)"', page):
            assert set(wanted.split()) <= set(ids), (name, wanted)


def test_the_files_of_the_look_are_kept_by_browsers(client):
    page = client.get("/admin/login").get_data(as_text=True)
    sheet = re.search(r'href="(/admin/look/office\.css\?v=\w+)"', page)
    assert sheet
    answer = client.get(sheet[1])
    assert answer.status_code == 200
    assert "immutable" in answer.headers["Cache-Control"]
    answer.close()
