"""ホーム: what needs doing now, the day and the month in numbers, the latest campaigns."""

from datetime import UTC, datetime

from flask import url_for
from flask_admin import AdminIndexView
from sqlalchemy import func, select

from admin_views.campaigns import standing_card
from admin_views.framework import display
from admin_views.framework.access import staff
from admin_views.framework.scoping import rows
from admin_views.framework.secure_view import SecureView, expose
from admin_views.overview import todos
from app.extensions import db
from app.models import Campaign, Tenant
from app.reports.tenant_totals import Period, day_and_month
from app.states.vocabulary import TENANT

_LATEST = 8


class HomeView(SecureView, AdminIndexView):
    """ホーム."""

    def __init__(self) -> None:
        super().__init__(name="ホーム", endpoint="admin", url="/admin")

    @expose("/")
    def index(self) -> str:
        """Show what needs doing, and the latest."""
        tenant_id = staff().tenant_id
        if tenant_id is None:
            return self.render("office/home_operator.html", todos=todos.for_operator(), companies=_companies())
        periods = _periods(tenant_id)
        return self.render(
            "office/home.html",
            todos=todos.for_company(),
            campaigns=_latest(),
            periods=periods,
            one_by_one=bool(standing_card.running()),
        )


def _latest() -> list[dict[str, object]]:
    found = rows(Campaign).order_by(Campaign.created_at.desc()).limit(_LATEST)
    return [
        {
            "name": row.name,
            "url": url_for("flow.overview", campaign_id=row.id),
            "state": display.badge(row.state, standing_card.state_word(row)),
            "created": display.jst(row.created_at),
            "launched": display.jst(row.launched_at),
        }
        for row in found
    ]


def _periods(tenant_id: int) -> list[dict[str, object]]:
    """Return the company's day and month; each number leads to the list it counts."""
    found = zip(("今日", "今月"), day_and_month(tenant_id, datetime.now(UTC)), strict=True)
    return [
        {
            "word": word,
            "period": period,
            "sent": _sent_since(period),
            "delivered": f"{_sent_since(period)}&state=delivered",
            "undelivered": f"{_sent_since(period)}&state=undelivered",
            "paid": url_for("payment.index_view", state="paid"),
        }
        for word, period in found
    ]


def _sent_since(period: Period) -> str:
    return f"{url_for('send_log.index_view')}?from={period.since}"


def _companies() -> list[tuple[str, int]]:
    counted = dict(db.session.execute(select(Tenant.state, func.count()).group_by(Tenant.state)).all())
    return [(word, counted.get(str(state), 0)) for state, word in TENANT.words.items()]
