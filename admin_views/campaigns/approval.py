"""承認: what a second person sees before they let a campaign go, and what the one who asked sees meanwhile."""

from sqlalchemy import select

from admin_views.campaigns import preview
from admin_views.framework import display
from admin_views.framework.access import staff
from app.auth.staff import Role
from app.campaigns import approval, preflight_result
from app.extensions import db
from app.models import Campaign, User
from app.problems import messages_ja


def page(campaign: Campaign, typed: str = "") -> dict[str, object]:
    """Return what the page shows."""
    checked = preflight_result.current(campaign)
    when = preview.when(campaign)
    refusals = approval.refusals(campaign, staff().id, staff().role)
    return {
        "checked": checked,
        "how_many": preview.how_many(checked, when.suppressed) if checked else "",
        "previews": preview.previews(campaign, checked) if checked else [],
        "when": when,
        "when_terms": [(name, words.replace("送信のボタンを押した", "承認した")) for name, words in when.terms],
        "asked": f"{name_of(campaign.asked_by)}（{display.jst(campaign.asked_at)}）",
        "refusals": messages_ja(refusals),
        "mine": campaign.asked_by == staff().id,
        "may_send_back": staff().role == Role.MANAGER,
        "most_reason": approval.MOST_REASON,
        "typed": typed,
    }


def name_of(user_id: int | None) -> str:
    """Return a user's name."""
    return db.session.scalar(select(User.name).where(User.id == user_id)) or "―"


def returned(campaign: Campaign) -> tuple[str, str] | None:
    """Return who sent the draft back, and why; None where nobody did."""
    if campaign.state != "draft" or not campaign.returned_reason:
        return None
    if campaign.returned_by is None:
        return "承認されませんでした", campaign.returned_reason
    return f"{name_of(campaign.returned_by)}さんが差し戻しました", campaign.returned_reason
