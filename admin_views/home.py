"""ホーム: what needs doing now, per role."""

from dataclasses import dataclass

from flask import url_for
from flask_admin import AdminIndexView
from sqlalchemy import func, select

from admin_views import flow_preview, show
from admin_views.access import may_open, staff
from admin_views.base import SecureView, expose
from admin_views.keyset import COUNTED_TO
from admin_views.scoping import rows
from app.extensions import db
from app.models import Campaign, Event, Import, Payment, PaymentAccount, PaymentDifference, SmsAccount, Tenant, User
from app.tenancy.staff import Role
from app.tracking.states import CAMPAIGN, TENANT, CampaignState, TenantState

_LATEST = 8
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Todo:
    """One thing to do: why, and where."""

    text: str
    button: str
    url: str


class HomeView(SecureView, AdminIndexView):  # type: ignore[misc]
    """ホーム."""

    def __init__(self) -> None:
        super().__init__(name="ホーム", endpoint="admin", url="/admin")

    @expose("/")
    def index(self) -> str:
        """Show what needs doing, and the latest."""
        if staff().role == Role.OPERATOR:
            return self.render("office/home_operator.html", todos=_for_operator(), companies=_companies())
        return self.render("office/home.html", todos=_for_company(), campaigns=_latest())


def _latest() -> list[dict[str, object]]:
    found = rows(Campaign).order_by(Campaign.created_at.desc()).limit(_LATEST)
    return [
        {
            "name": row.name,
            "url": url_for("flow.overview", campaign_id=row.id),
            "state": show.badge(row.state, show.word(CAMPAIGN, row.state)),
            "created": show.jst(row.created_at),
            "launched": show.jst(row.launched_at),
        }
        for row in found
    ]


def _count(query: object) -> int:
    limited = query.limit(COUNTED_TO).subquery()  # type: ignore[attr-defined]
    return db.session.scalar(select(func.count()).select_from(limited)) or 0


def _for_company() -> list[Todo]:
    todos = _sms_accounts()
    if rows(Campaign).filter(Campaign.payment_required).first() and not rows(PaymentAccount).first():
        todos.append(
            _missing_account("payment_account", "支払いを案内する配信がありますが、決済アカウントがありません。")
        )
    for upload in rows(Import).filter(Import.state == "mapping").order_by(Import.id.desc()).limit(3):
        url = url_for("flow.one_list", campaign_id=upload.campaign_id, import_id=upload.id)
        todos.append(Todo(f"名簿「{upload.filename}」は、列の確認待ちです。", "列を確認する", url))
    for campaign in rows(Campaign).filter(Campaign.state == CampaignState.PAUSED).limit(3):
        url = url_for("flow.overview", campaign_id=campaign.id)
        todos.append(Todo(f"配信「{campaign.name}」は一時停止中です。", "状況を見る", url))
    for campaign in _came_back():
        url = url_for("flow.overview", campaign_id=campaign.id)
        todos.append(Todo(f"予約していた配信「{campaign.name}」は始まりませんでした。", "わけを見る", url))
    problems = rows(Payment).filter(Payment.problem != "")
    if (count := _count(problems)) and (first := problems.order_by(Payment.id).first()):
        url = url_for("payment.index_view", look="1")
        if count == 1:
            url = url_for("recipient.details_view", id=first.recipient_id)
        todos.append(Todo(f"確認の必要な支払いが{count:,}件あります。", "確認する", url))
    if may_open("payment_difference"):
        differences = rows(PaymentDifference).filter(PaymentDifference.settled_at.is_(None))
        if count := _count(differences):
            url = url_for("payment_difference.index_view", open="1")
            todos.append(Todo(f"決済サイトの記録と合わない支払いが{count:,}件あります。", "差異を見る", url))
    return todos


def _sms_accounts() -> list[Todo]:
    if not rows(SmsAccount).filter(SmsAccount.active).first():
        return [_missing_account("sms_account", "SMSを送るためのアカウントがまだ登録されていません。")]
    todos = []
    for account in rows(SmsAccount).filter(SmsAccount.active, SmsAccount.trips > 0).limit(_NAMED):
        text = f"SMSアカウント「{account.name}」は、送信サービスがSMSを受け付けないため、送信を見合わせています。"
        if may_open("sms_account"):
            todos.append(Todo(text, "わけを見る", url_for("sms_account.edit_view", id=account.id)))
        else:
            todos.append(Todo(f"{text}続くときは、自社の管理者にお知らせください。", "", ""))
    return todos


def _came_back() -> list[Campaign]:
    """Give the drafts that were scheduled and could not start."""
    returned = (
        rows(Event)
        .filter(Event.recipient_id.is_(None), Event.track == "campaign", Event.detail["reason"].astext == "changed")
        .with_entities(Event.campaign_id)
    )
    drafts = rows(Campaign).filter(Campaign.state == CampaignState.DRAFT, Campaign.id.in_(returned))
    return [campaign for campaign in drafts.order_by(Campaign.id).limit(_NAMED) if flow_preview.came_back(campaign)]


def _missing_account(endpoint: str, text: str) -> Todo:
    if may_open(endpoint):
        return Todo(text, "登録する", url_for(f"{endpoint}.index_view"))
    return Todo(f"{text}自社の管理者に登録を依頼してください。", "", "")


def _for_operator() -> list[Todo]:
    todos = []
    waiting = rows(Tenant).filter(Tenant.state == TenantState.REVIEW)
    if count := _count(waiting):
        url = url_for("tenant.index_view", state=str(TenantState.REVIEW))
        todos.append(Todo(f"審査中の企業が{count:,}社あります。", "審査する企業を見る", url))
    staffed = select(User.tenant_id).where(User.role == Role.MANAGER, User.active, User.tenant_id.is_not(None))
    todos += [
        Todo(f"企業「{company.name}」に管理者がいません。", "利用者を登録する", url_for("user.create_view"))
        for company in rows(Tenant).filter(Tenant.id.not_in(staffed)).order_by(Tenant.id).limit(3)
    ]
    if not rows(Tenant).first():
        todos.append(Todo("企業がまだ登録されていません。", "企業を登録する", url_for("tenant.create_view")))
    return todos


def _companies() -> list[tuple[str, int]]:
    counted = dict(db.session.execute(select(Tenant.state, func.count()).group_by(Tenant.state)).all())
    return [(word, counted.get(str(state), 0)) for state, word in TENANT.words.items()]
