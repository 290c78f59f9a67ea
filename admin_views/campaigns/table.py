"""配信: the list of campaigns, and the form in which one is written.

Its pages from there are in `flow`.
"""

from datetime import UTC, datetime
from typing import Any

from flask import Response, abort, flash, g, redirect, request, url_for
from flask_admin.helpers import get_form_data
from markupsafe import Markup
from sqlalchemy import Select, func, literal, select, union_all
from wtforms.validators import ValidationError

from admin_views.campaigns import standing_card, start
from admin_views.campaigns.form import CampaignForm, least_units
from admin_views.framework import display
from admin_views.framework.access import staff
from admin_views.framework.filters import Choice, Days, states_of
from admin_views.framework.keyset_pagination import COUNTED_TO
from admin_views.framework.model_view import SecureModelView
from admin_views.framework.secure_view import expose
from app import links
from app.campaigns import letters, lifecycle, preflight, preflight_result, schedule
from app.campaigns.presets import STARTERS
from app.campaigns.send_windows import DAYTIME, Policy, Window, describe
from app.campaigns.sms_length import LIMIT, units
from app.extensions import db
from app.intake.columns.sample_list import FORMS
from app.models import Campaign, Recipient, Tenant
from app.states.vocabulary import CAMPAIGN, CampaignState
from app.values.answers import QUESTION_KIND_LABELS


def _page_link(_view: object, _context: object, campaign: Campaign, _name: str) -> Markup:
    address = url_for("flow.overview", campaign_id=campaign.id)
    return Markup('<a href="{}">{}</a>').format(address, campaign.name)


def _people(_view: object, _context: object, campaign: Campaign, _name: str) -> str:
    people = g.people[campaign.id]
    return f"{people:,}" if people <= COUNTED_TO else f"{COUNTED_TO:,}以上"


def _people_of(campaigns: list[Campaign]) -> dict[int, int]:
    """Return how many people each has: as checked for what was launched, else counted up to a cap."""
    known = {
        row.id: checked.people
        for row in campaigns
        if row.launched_at and not row.standing and (checked := preflight_result.last(row))
    }
    counts = [_counted(campaign.id) for campaign in campaigns if campaign.id not in known]
    counted = db.session.execute(union_all(*counts)).all() if counts else []
    return known | {row[0]: row[1] for row in counted}


def _counted(campaign_id: int) -> Select[int, int]:
    # the id stands in the statement: one plan for all campaigns would read the whole table for an empty one
    number = literal(campaign_id, literal_execute=True)
    people = select(literal(1)).where(Recipient.campaign_id == number).limit(COUNTED_TO + 1).subquery()
    return select(number, func.count()).select_from(people)


def _state(_view: object, _context: object, campaign: Campaign, _name: str) -> Markup:
    """Show the state; of one that is being sent also from when on, while no SMS may leave."""
    shown = display.badge(campaign.state, standing_card.state_word(campaign))
    if campaign.standing:
        return Markup("{}<br><small>常設配信</small>").format(shown)
    now = datetime.now(UTC)
    if campaign.state != CampaignState.SENDING or (opens := schedule.leaves_at(campaign, now, now)) in (None, now):
        return shown
    return Markup("{}<br><small>いまは時間帯の外（{}から）</small>").format(shown, display.jst(opens))


class CampaignView(SecureModelView[Campaign]):
    """配信."""

    form = CampaignForm
    create_template = edit_template = "office/campaign_form.html"
    can_create = True
    can_edit = True
    column_list = ("name", "state", "people", "author", "created_at", "launched_at", "completed_at")
    column_searchable_list = ("name",)
    column_sortable_list = ("created_at",)
    column_filters = [
        Choice(Campaign.state, "状態", "state", states_of(CAMPAIGN)),
        Days(Campaign.created_at, "作成日"),
    ]
    column_labels = {
        "name": "配信名",
        "state": "状態",
        "people": "送信先",
        "author": "作成者",
        "created_at": "作成日時",
        "launched_at": "送信開始",
        "completed_at": "送信完了",
    }
    column_formatters = {
        "name": _page_link,
        "state": _state,
        "people": _people,
        "author": lambda _v, _c, campaign, _n: campaign.author.name if campaign.author else display.NOTHING,
    }
    number_columns = ("people",)
    kinds = QUESTION_KIND_LABELS
    intro = "SMSを送るまとまりです。配信名を押すと、文面から結果までの流れに進みます。"
    empty_text = "配信がまだありません。「新しい配信をつくる」から始めてください。"
    create_label = "新しい配信をつくる"
    search_label = "配信名"

    def __init__(self) -> None:
        super().__init__(Campaign, "配信", endpoint="campaign")

    @expose("/start/")
    def start(self) -> str:
        """Offer what a new campaign may start from."""
        return self.render("office/campaign_start.html", **start.page())

    @expose("/start/<string:key>/sample.<string:form>")
    def starter_sample(self, key: str, form: str) -> Response:
        """Return a sample list of a starter's columns."""
        if key not in STARTERS or form not in FORMS:
            abort(404)
        return start.sample_of(STARTERS[key], form)

    def create_links(self) -> list[tuple[str, str]]:
        """Lead to what a new campaign may start from."""
        return [(self.create_label, url_for("campaign.start"))]

    def get_list(self, *args: Any, **kwargs: Any) -> tuple[int, list[Campaign]]:
        """Return a page of campaigns with the number of people of each."""
        count, campaigns = super().get_list(*args, **kwargs)
        g.people = _people_of(campaigns)
        return count, campaigns

    def may_edit(self, model: Campaign) -> bool:
        """Lead to the form while the words may change."""
        return not lifecycle.content_locked(model)

    def create_form(self, obj: Campaign | None = None) -> CampaignForm:
        """Make the form of a new campaign, with what its address says that it starts with."""
        return CampaignForm(get_form_data(), obj, _company(), start.asked_for())

    def edit_form(self, obj: Any = None) -> CampaignForm:
        """Make the form of a draft; what is sent already can only be looked at."""
        if lifecycle.content_locked(obj):
            flash(lifecycle.why_locked(obj.state).message_ja, "warning")
            abort(redirect(url_for("flow.overview", campaign_id=obj.id), 303))
        return CampaignForm(get_form_data(), obj, _company())

    def counter(self, form: CampaignForm) -> dict[str, object]:
        """Return what the page needs to count an SMS's length as the server does."""
        return {
            "limit": LIMIT,
            "link_units": links.length(),
            "company_units": units(form.company),
            "now": least_units(form.sms_text.data or "", form.company),
        }

    def letters_of(self, form: CampaignForm) -> letters.Offer:
        """Return which letters of the SMS some carriers can't show, and what they may be replaced with."""
        return letters.offer(form.sms_text.data or "")

    def letter(self, sign: str) -> str:
        """Name a letter of which nothing is seen; others are what they are."""
        return sign if sign.isprintable() and not sign.isspace() else "（見えない文字）"

    def validate_form(self, form: Any) -> bool:
        """Save nothing where a press asked about letters alone: it shows or makes the replacement in the form."""
        pressed = request.form.get("letters", "")
        if not pressed:
            return bool(super().validate_form(form))
        offer = self.letters_of(form)
        if pressed == "replace" and offer.pairs:
            form.sms_text.data = offer.text
            flash("SMS本文の文字を置き換えました。まだ保存していません。内容を確かめて、保存してください。", "warning")
        elif not offer.hard:
            flash("SMS本文に、表示されない文字はありません。まだ保存していません。", "warning")
        else:
            flash("SMS本文の下に、表示されない文字と置き換えの案を表示しました。まだ保存していません。", "warning")
        return False

    def usual_hours(self) -> str:
        """Describe at which hours the company sends."""
        window = db.session.scalar(select(Tenant.send_window).where(Tenant.id == staff().tenant_id))
        return describe(Policy(DAYTIME if window is None else Window.from_json(window)))

    def on_model_change(self, form: CampaignForm, model: Campaign, is_created: bool) -> None:  # noqa: FBT001 - Flask-Admin's hook
        """Refuse to write over a launch or over somebody else's words; void the last check."""
        if is_created:
            model.key = lifecycle.new_key()
            model.created_by = staff().id
        else:
            with db.session.no_autoflush:
                _check_still_open(form, model)
            lifecycle.touch(model)
        super().on_model_change(form, model, is_created)

    def after_model_change(self, form: CampaignForm, model: Campaign, is_created: bool) -> None:  # noqa: FBT001 - Flask-Admin's hook
        """Warn of questions that could be guessed, while they can still be changed."""
        super().after_model_change(form, model, is_created)
        if not form.questions_locked:
            for warning in preflight.weak_questions(model):
                flash(warning, "warning")

    def get_save_return_url(self, model: Campaign, is_created: bool = False) -> str:  # noqa: FBT001, FBT002 - Flask-Admin's hook
        """Go on to the campaign's page."""
        del is_created
        return url_for("flow.overview", campaign_id=model.id)


def _check_still_open(form: CampaignForm, campaign: Campaign) -> None:
    stored = db.session.execute(
        select(Campaign.state, Campaign.revision)
        .where(Campaign.id == campaign.id)
        .with_for_update(key_share=True)  # not the key: rows that refer to it may be written meanwhile
    ).one()
    if stored.state != CampaignState.DRAFT or str(stored.revision) != form.revision.data:
        raise ValidationError(
            "ほかの人が先にこの配信を変更しました。保存していません。"
            "別のタブで最新の内容を確かめ、必要な変更を入れ直してください。"
        )
    if not form.questions_locked and lifecycle.questions_locked(campaign):
        raise ValidationError(
            "名簿の取り込みが始まったため、設問を変えられなくなりました。保存していません。"
            "別のタブで開き直し、設問以外の変更を入れ直してください。"
        )


def _company() -> str:
    company = staff().tenant
    return company.name if company else ""
