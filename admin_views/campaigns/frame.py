"""Frame all pages of a campaign: the frame with its steps, and the way to the user's own campaign."""

from flask import abort, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response as BaseResponse

from admin_views.accounts import restore_words
from admin_views.campaigns import preview, standing_card, status
from admin_views.campaigns.steps import launched, next_action, steps_of
from admin_views.framework import display
from admin_views.framework.access import staff
from admin_views.framework.scoping import managers
from admin_views.framework.secure_view import SecureView
from app import audit
from app.accounts import abilities
from app.campaigns import lifecycle
from app.extensions import db
from app.models import Campaign, Import
from app.reports.campaign_totals import figures
from app.setback import missed_numbers
from app.states.vocabulary import CampaignState

Page = BaseResponse | str | tuple[str, int]

ONE = "/<int(max=9223372036854775807):campaign_id>"


class FlowView(SecureView):
    """A view of a campaign's pages, below /admin/campaign/<id>/."""

    def is_visible(self) -> bool:
        """Stay out of the menu: a campaign is reached from the list of campaigns."""
        return False

    def page(self, template: str, campaign: Campaign, current: str, **context: object) -> str:
        """Render a page of a campaign; `current` is the step it belongs to."""
        people = people_of(campaign)
        now = steps_of(campaign, people)
        word = standing_card.state_word(campaign)
        return self.render(
            template,
            campaign=campaign,
            current=current,
            steps=now,
            action=next_action(campaign, now, people),
            people=people,
            state_word=word,
            badge=display.badge,
            jst=display.jst,
            state_badge=display.badge(campaign.state, word),
            launched=launched(campaign),
            standing=standing_card.of(campaign) if campaign.standing and current == "status" else None,
            restore_waits=restore_words.waits(campaign) if campaign.state != CampaignState.CANCELLED else [],
            restore_people=missed_numbers.count(campaign),
            sms_in_test=campaign.sms_account is not None and abilities.is_test(campaign.sms_account),
            managers=managers(),
            can_cancel=lifecycle.can_cancel(campaign),
            locked=lifecycle.why_locked(campaign.state).message_ja if lifecycle.content_locked(campaign) else "",
            terms=preview.terms(campaign),
            sender=preview.sender_of(campaign.sms_account),
            standby_sender=preview.sender_of(campaign.standby_account),
            nav_url=url_for("campaign.index_view"),
            **context,
        )

    def confirm(self, campaign: Campaign, current: str, question: status.Confirmation) -> str:
        """Ask before an act that weighs."""
        return self.page("flow/confirm.html", campaign, current, question=question)


def people_of(campaign: Campaign) -> int:
    """Return how many people a campaign has; of a standing one that runs by its totals, for there may be a million."""
    if campaign.standing and campaign.launched_at is not None:
        return figures(campaign).people
    return lifecycle.people_of(campaign)


def ours(campaign_id: int) -> None:
    """Answer 404 unless the campaign is the user's own tenant's.

    It is not loaded: whoever locks it next must see it as it is then, not as it was before the wait for the lock.
    """
    mine = select(Campaign.id).where(Campaign.id == campaign_id, Campaign.tenant_id == staff().tenant_id)
    if db.session.scalar(mine) is None:
        abort(404)


def one_campaign(campaign_id: int) -> Campaign:
    """Return a campaign of the user's own tenant, else 404."""
    found = db.session.scalar(
        select(Campaign).where(Campaign.id == campaign_id, Campaign.tenant_id == staff().tenant_id)
    )
    if found is None:
        abort(404)
    return found


def one_import(campaign_id: int, import_id: int) -> tuple[Campaign, Import]:
    """Return an upload of this very campaign, else 404."""
    campaign = one_campaign(campaign_id)
    found = db.session.scalar(select(Import).where(Import.id == import_id, Import.campaign_id == campaign.id))
    if found is None:
        abort(404)
    return campaign, found


def on_record(act: str, campaign: Campaign, detail: dict[str, object]) -> None:
    """Record a download and commit: it counts from its first byte."""
    audit.record(db.session, actor=staff().actor, act=act, target=f"campaign:{campaign.id}", detail=detail)
    db.session.commit()
