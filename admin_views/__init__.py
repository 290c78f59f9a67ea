"""Door: the back office.

In: clicks of staff, each request in the scope of its user (`auth`), each view open to the roles that `access` names.
Out: pages in Japanese, and one call of the domain for each act. What can't happen here: another company's row on any
surface (`base`), a state changed by a GET, a POST without its CSRF token, a phone number shown in full unless it was
asked for and recorded.
"""

from flask import Flask
from flask_admin import Admin
from flask_admin.theme import Bootstrap4Theme

from admin_views import auth, look, words
from admin_views.access import ACCESS
from admin_views.audit import AuditView
from admin_views.campaign_flow import CampaignFlow
from admin_views.campaign_life import CampaignLife
from admin_views.campaign_rows import CampaignRows
from admin_views.campaigns import CampaignView
from admin_views.exports import ExportView, LayoutView
from admin_views.guide import GuideView
from admin_views.held_people import HeldPeople
from admin_views.home import HomeView
from admin_views.imports import ImportView
from admin_views.myself import MyselfView
from admin_views.page_look import PageLookView
from admin_views.password import PasswordView
from admin_views.payment_accounts import PaymentAccountView
from admin_views.payment_acts import PaymentActs
from admin_views.payments import PaymentDifferenceView, PaymentView
from admin_views.recipients import RecipientView
from admin_views.restored import RestoredAccounts
from admin_views.send_log import SendLogView
from admin_views.sms_accounts import SmsAccountView
from admin_views.tenants import TenantView
from admin_views.users import UserView

# what is set once in a while stands behind one entry of the menu: the day's work fits in one line
_SETTINGS = {"export_layout", "tenant", "page_look", "user", "sms_account", "payment_account", "audit", "myself"}


def register(app: Flask) -> None:
    """Add the door to the application."""
    # before Flask-Admin: our templates are found first
    app.register_blueprint(look.bp)
    auth.register(app)
    words.install(app)
    admin = Admin(app, name="Todoke", index_view=HomeView(), theme=Bootstrap4Theme())
    for view in (
        CampaignView(),
        CampaignFlow("配信の流れ", endpoint="flow", url="campaign"),
        CampaignLife("配信の操作", endpoint="life", url="campaign"),
        CampaignRows("名簿の行", endpoint="rows", url="campaign"),
        HeldPeople("判断待ち", endpoint="held", url="campaign"),
        RecipientView(),
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
        PaymentAccountView(),
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
