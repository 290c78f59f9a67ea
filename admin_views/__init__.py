"""Door: the back office.

In: clicks of staff, each request in the scope of its user (`staff.sign_in`), each view open to the roles that
`framework.access` names. Out: pages in Japanese, and one call of the domain for each act. Can't happen here: another
company's row on any surface (`framework.scoping`), a state changed by a GET, a POST without its CSRF token, a phone
number shown in full unless it was asked for and recorded.
"""

from flask import Flask
from flask_admin import Admin
from flask_admin.theme import Bootstrap4Theme

from admin_views.accounts.payments import PaymentAccountView
from admin_views.accounts.restored import RestoredAccounts
from admin_views.accounts.sender_numbers import SenderNumberView
from admin_views.accounts.shared import SharedAccountView
from admin_views.accounts.sms import SmsAccountView
from admin_views.api_access.settings import ApiSettings
from admin_views.campaigns.after_launch import CampaignLife
from admin_views.campaigns.flow import CampaignFlow
from admin_views.campaigns.standing import StandingView
from admin_views.campaigns.table import CampaignView
from admin_views.framework import assets, catalogue
from admin_views.framework.access import ACCESS
from admin_views.lists.rows import CampaignRows
from admin_views.lists.table import ImportView
from admin_views.overview.guide import GuideView
from admin_views.overview.home import HomeView
from admin_views.payments.operations import PaymentActs
from admin_views.payments.table import PaymentDifferenceView, PaymentView
from admin_views.recipients.exports import ExportView, LayoutView
from admin_views.recipients.held_people import HeldPeople
from admin_views.recipients.send_log import SendLogView
from admin_views.recipients.suppression_files import SuppressionFiles
from admin_views.recipients.suppressions import SuppressionView
from admin_views.recipients.table import RecipientView
from admin_views.staff import sign_in
from admin_views.staff.audit import AuditView
from admin_views.staff.own_settings import MyselfView
from admin_views.staff.password import PasswordView
from admin_views.staff.users import UserView
from admin_views.tenants.branding import PageLookView
from admin_views.tenants.table import TenantView
from admin_views.webhooks.table import WebhookView

# settings used once in a while stand behind one entry of the menu: the day's work fits in one line
_SETTINGS = {
    "suppression",
    "export_layout",
    "tenant",
    "page_look",
    "user",
    "sms_account",
    "shared_account",
    "sender_number",
    "payment_account",
    "api_access",
    "webhook",
    "audit",
    "myself",
}


def register(app: Flask) -> None:
    """Add the door to the application."""
    # before Flask-Admin: our templates are found first
    app.register_blueprint(assets.bp)
    sign_in.register(app)
    catalogue.install(app)
    admin = Admin(app, name="Todoke", index_view=HomeView(), theme=Bootstrap4Theme())
    for view in (
        CampaignView(),
        CampaignFlow("配信の流れ", endpoint="flow", url="campaign"),
        CampaignLife("配信の操作", endpoint="life", url="campaign"),
        CampaignRows("名簿の行", endpoint="rows", url="campaign"),
        StandingView("常設配信", endpoint="standing", url="campaign"),
        HeldPeople("判断待ち", endpoint="held", url="campaign"),
        RecipientView(),
        SuppressionView(),
        SuppressionFiles("送信しない番号のファイル", endpoint="suppression_files", url="/admin/suppression-files"),
        ImportView(),
        SendLogView(),
        PaymentView(),
        PaymentDifferenceView(),
        PaymentActs(),
        ExportView(),
        LayoutView(),
        TenantView(),
        PageLookView(),
        UserView(),
        SmsAccountView(),
        SharedAccountView(),
        SenderNumberView(),
        PaymentAccountView(),
        ApiSettings(),
        WebhookView(),
        RestoredAccounts("復元の確認待ち", endpoint="restored"),
        AuditView(),
        MyselfView(),
        PasswordView(),
        GuideView(),
    ):
        if view.endpoint not in ACCESS:
            raise LookupError(f"access.ACCESS says nothing of {view.endpoint}")
        view.category = "設定" if view.endpoint in _SETTINGS else None
        admin.add_view(view)
