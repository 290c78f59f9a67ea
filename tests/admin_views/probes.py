"""Views that use every surface that a view can switch on, in an application of their own."""

from types import MappingProxyType

import pytest
from flask_admin.actions import action

from admin_views.framework import access
from admin_views.framework.filters import RowChoice
from admin_views.framework.model_view import SecureModelView
from admin_views.recipients.table import campaign_name, latest_campaigns
from app import create_app
from app.auth.staff import Role
from app.extensions import db
from app.models import Campaign, Question
from tests.admin_views.conftest import signed_in


class CampaignProbe(SecureModelView):
    can_create = can_edit = can_delete = can_export = can_view_details = True
    list_template = "admin/model/list.html"
    create_template = "admin/model/create.html"
    edit_template = "admin/model/edit.html"
    details_template = "admin/model/details.html"
    action_disallowed_list = ()
    column_list = ("name", "state")
    column_details_list = ("name", "sms_text")
    column_editable_list = ("name",)
    column_searchable_list = ("name",)
    column_sortable_list = ("name",)
    column_filters = (RowChoice(Campaign.id, "配信", "campaign", latest_campaigns, campaign_name),)
    form_columns = ("name", "key", "max_failures", "sms_account", "payment_account")
    form_ajax_refs = MappingProxyType({"payment_account": {"fields": ("name",)}})
    inline_models = (
        (
            Question,
            {
                "form_columns": ["id", "position", "label", "kind"],
                "form_ajax_refs": {"campaign": {"fields": ("name",)}},
            },
        ),
    )

    @action("rename", "名前を変える")
    def rename(self, ids):
        for row in self.chosen(ids):
            row.name = "変えられた名前"
        db.session.commit()


class ReadOnlyProbe(SecureModelView):
    column_list = ("name",)
    column_editable_list = ("name",)
    list_template = "admin/model/list.html"


@pytest.fixture(scope="module")
def probes(product, settings):
    made = create_app(settings)
    made.testing = True
    admin = made.extensions["admin"][0]
    admin.add_view(CampaignProbe(Campaign, "試", endpoint="probe"))
    admin.add_view(ReadOnlyProbe(Campaign, "読", endpoint="read_only"))
    yield made
    with made.app_context():
        db.engine.dispose()


@pytest.fixture
def prober(app, probes, ours, monkeypatch):
    """A manager's browser, to whom the probes are open."""
    monkeypatch.setattr(
        access, "ACCESS", {**access.ACCESS, "probe": frozenset({Role.MANAGER}), "read_only": frozenset({Role.MANAGER})}
    )
    return signed_in(probes, ours.manager)


def text_of(answer):
    assert answer.status_code == 200, answer.status
    return answer.get_data(as_text=True)
