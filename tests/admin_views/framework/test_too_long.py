"""Input that is too long is refused in words, shown as it was typed, and saved nowhere; nothing of it is cut."""

import io
import time

import pytest

from admin_views.campaigns.preview import one_preview
from app.models import Campaign
from tests.admin_views.campaign_pages import campaign_form
from tests.admin_views.conftest import only

KINDS = ["1", "１", "\u0315\u0300", "\u200b", "（", "ー", "\ufdfa"]


@pytest.mark.parametrize(
    ("field", "most"),
    [
        ("name", 100),
        ("sms_text", 300),
        ("page_text", 5_000),
        ("link_amount", 300),
        ("questions-0-label", 60),
        ("questions-1-choices", 1_000),
    ],
)
def test_a_campaigns_form_refuses_each_field_by_length(app, clerk, ours, ask, field, most):
    before = ask(Campaign.__table__.select())
    for sign in KINDS:
        typed = (sign * 12_000)[:12_000]
        began = time.process_time()
        page = clerk.post("/admin/campaign/new/", data=campaign_form(**{field: typed}))
        took = time.process_time() - began
        assert page.status_code in {200, 422}
        text = page.get_data(as_text=True)
        assert f"長すぎます。{most:,}文字以内で入力してください。" in text
        assert typed[:2_000] in text
        assert took < 1
    assert ask(Campaign.__table__.select()) == before
    del app, ours


def test_a_search_that_is_too_long_is_not_made_and_said(clerk):
    for sign in KINDS:
        page = clerk.get("/admin/recipient/", query_string={"search": (sign * 150)[:150]}).get_data(as_text=True)
        assert "検索する語が長すぎるため、検索していません" in page
    assert "検索する語が長すぎる" not in clerk.get("/admin/recipient/?search=" + "1" * 100).get_data(as_text=True)


def test_a_file_name_that_is_too_long_is_refused(app, clerk, campaign):
    data = {"file": (io.BytesIO("電話番号\n09012345678\n".encode()), "名" * 300 + ".csv")}
    page = clerk.post(f"/admin/campaign/{campaign}/list/", data=data, content_type="multipart/form-data")
    assert page.status_code == 422
    assert "ファイル名が長すぎます。255文字以内" in page.get_data(as_text=True)
    del app


def test_a_reference_that_is_too_long_is_looked_for_by_nobody():
    for sign in KINDS:
        shown, said = one_preview(Campaign(id=1, tenant_id=1), (sign * 101)[:101])
        assert (shown, said) == ([], "管理番号が長すぎます。100文字以内で入力してください。")


def test_a_reason_or_a_phone_without_end_is_refused(app, clerk, campaign):
    assert clerk.post(f"/admin/campaign/{campaign}/trial", data={"phone": "0" * 301}).status_code == 413
    assert only(app, Campaign, id=campaign).state == "draft"
