"""A refused press leads to a screen with the sentence of its problem, never with the code."""

import io

import pytest
from flask import Flask

from app import problems
from tests import factories
from tests.admin_views.conftest import Browser, House


@pytest.fixture
def campaign(app: Flask, ours: House) -> int:
    with app.app_context():
        return factories.campaign(ours.tenant, sms_account_id=ours.sms_account)


@pytest.mark.parametrize(
    ("press", "form", "code"),
    [
        ("list/", {"file": (io.BytesIO(b""), "")}, "upload_file_missing"),
        ("list/", {"file": (io.BytesIO(b"%PDF-1.7\n"), "a.pdf")}, "file_is_pdf"),
        ("send/", {"digest": "x"}, "list_missing"),
        ("check/shorten", {"name": "氏名"}, "short_form_not_offered"),
        ("list/one", {"cell_0": "+1 202 555 0123"}, "phone_foreign"),
        ("resend", {}, "resend_not_launched"),
        ("take-back", {}, "approval_not_waiting"),
        ("exclude/1", {}, "exclude_gone"),
    ],
)
def test_a_refused_press_shows_a_sentence_and_no_code(
    clerk: Browser, campaign: int, press: str, form: dict[str, object], code: str
) -> None:
    answer = clerk.post(f"/admin/campaign/{campaign}/{press}", form)
    while answer.status_code in {302, 303}:
        answer = clerk.get(answer.location)
    page = answer.get_data(as_text=True)
    (kind,) = (kind for kind in problems.declared() if kind.code == code)
    assert kind.template_ja in page
    assert code not in page
