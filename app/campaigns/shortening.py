"""A clerk's choice of a short form for names that are too long."""

from app import audit
from app.campaigns import lifecycle, ordered_checks, preflight_result, short_forms, template
from app.extensions import db
from app.problems import Kind, Refused
from app.states import locks

_NOT_OFFERED = Kind(
    "short_form_not_offered",
    "文面か名簿が変わったため、短い言い方にしていません。確認の結果を見直してください。",
)


def shorten(campaign_id: int, name: str, *, user_id: int) -> None:
    """Write the short form that the check offers for a name into the SMS.

    Raises Refused. Commits.
    """
    campaign = locks.locked_campaign(campaign_id)
    checked = preflight_result.current(campaign) if not lifecycle.content_locked(campaign) else None
    offers = checked.short_forms if checked else []
    offer = next((offer for offer in offers if offer.name == name), None)
    if offer is None:
        db.session.rollback()
        raise Refused(_NOT_OFFERED())
    campaign.sms_text = template.shorten(campaign.sms_text, name, offer.most, short_forms.WORDS)
    lifecycle.touch(campaign)
    tenant_id = campaign.tenant_id
    audit.record(
        db.session,
        actor=f"user:{user_id}",
        act="campaign.update",
        target=f"campaign:{campaign_id}",
        detail={"fields": ["sms_text"]},
    )
    db.session.flush()
    ordered_checks.order(db.session, campaign_id)
    db.session.commit()
    ordered_checks.enqueue(tenant_id, campaign_id)
