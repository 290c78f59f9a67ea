"""Lists of recipients as a clerk uploads them, and the clicks that bring them in."""

import io
import re
from typing import Any

from flask import Flask
from sqlalchemy import func, select
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from app import tenancy
from app.extensions import db
from app.models import Import, Recipient
from jobs import intake
from jobs.campaigns import preflight
from jobs.intake import run_import
from tests.admin_views.conftest import Browser, House

HEAD = "管理番号,電話番号,氏名,生年月日,契約番号下4桁\r\n"
GOOD = "K1,090-1234-5678,佐藤 花子,1980/1/2,0123\r\nK2,080-1234-5678,鈴木 一郎,昭和55年1月2日,0456\r\n"
BAD = "K3,03-1234-5678,高橋 次郎,1980/1/2,0789\r\n"
MENDED = "K3,070-1234-5678,高橋 次郎,1980/1/2,0789\r\n"


def upload(
    browser: Browser, campaign_id: int, content: str | bytes, name: str = "名簿.csv", *, looks: bool = True
) -> TestResponse:
    """Upload a list; a worker `looks` it through."""
    data = content.encode("cp932") if isinstance(content, str) else content
    # made here: the client's own way leaves the temporary file of a large body open
    boundary, body = encode_multipart({"csrf_token": browser.token(), "file": FileStorage(io.BytesIO(data), name)})
    answer = browser.client.post(
        f"/admin/campaign/{campaign_id}/list/", data=body, content_type=f"multipart/form-data; boundary={boundary}"
    )
    if looks and answer.status_code == 303:
        look_through(browser.client.application, import_of(answer.location))
    return answer


def import_of(url: str) -> int:
    return int(url.rstrip("/").rsplit("/", 1)[1])


def look_through(app: Flask, import_id: int) -> None:
    """Do what a worker does with an upload before it is shown."""
    with app.app_context():
        with tenancy.platform():
            tenant_id = db.session.scalars(select(Import.tenant_id).where(Import.id == import_id)).one()
        intake.look_through(tenant_id, import_id)


def one(pattern: str, page: str) -> str:
    """Return what a page says at one place."""
    found = re.search(pattern, page, re.DOTALL)
    assert found, pattern
    return found[1]


def chosen(page: str) -> dict[str, str]:
    """Return the form of the columns as a browser would send it, with what it says that it showed."""
    found = re.findall(r'<select id="\w+" name="((?:column|merge)_\w+)".*?>(.*?)</select>', page, re.DOTALL)
    told = re.search(r'name="told" value="([^"]+)"', page)
    return ({"told": told[1]} if told else {}) | {
        field: selected[1] if (selected := re.search(r'value="(\w+)" selected', options)) else ""
        for field, options in found
    }


def take(app: Flask, browser: Browser, tenant: int, url: str) -> str:
    """Take the columns as proposed, run the job, give the page of the outcome."""
    answer = browser.post(url, chosen(browser.get(url).get_data(as_text=True)))
    assert (answer.status_code, answer.location) == (303, url)
    work(app, tenant, url)
    return browser.get(url).get_data(as_text=True)


def work(app: Flask, tenant: int, url: str) -> None:
    """Do what a worker does with a list that was started: take it in, then check its campaign."""
    campaign_id, import_id = map(int, re.findall(r"/(\d+)/", url.replace("/list", "/")))
    with app.app_context():
        run_import(tenant, import_id)
        preflight(tenant, campaign_id)


def people_of(campaign_id: int) -> Any:
    return select(func.count()).where(Recipient.campaign_id == campaign_id)


def imported(app: Flask, ours: House, clerk: Browser, campaign: int, content: str | bytes) -> str:
    """Upload a list, take its columns as proposed, run it; return the result's page."""
    return take(app, clerk, ours.tenant, upload(clerk, campaign, content).location)
