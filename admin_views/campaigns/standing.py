"""常設配信: send to one person in four presses; its other words, its lists, its end.

In: clicks of the tenant's managers and clerks. Out: one call of the domain each. A form bears a word of its own
(`once`), so that a double click or a reload sends to nobody twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import token_urlsafe

from flask import flash, redirect, request, url_for

from admin_views.campaigns import preview, standing_card, status
from admin_views.campaigns.frame import ONE, FlowView, Page, one_campaign, ours
from admin_views.framework import fields
from admin_views.framework.access import staff
from admin_views.framework.secure_view import expose
from admin_views.lists import single_entry as single_entry_page
from app.campaigns import standing, standing_line
from app.extensions import db
from app.intake.rows import single_entry
from app.models import Campaign
from app.problems import Problem, Refused, messages_ja
from app.standing import adding, sends_at
from app.standing.adding import Added
from app.values.japan_time import japan_minutes

_MOST_ONCE = 64
_RECENT = "standing_number_recent"


@dataclass(frozen=True, slots=True)
class _Press:
    """The content of a form of one person: columns, its own word, and whether the number may get another SMS today."""

    row: Mapping[str, str]
    once: str
    despite: bool


class StandingView(FlowView):
    """The pages of a standing campaign beyond those of any."""

    @expose("/standing/")
    def choose(self) -> Page:
        """Lead to the one standing campaign that runs, or offer those that do."""
        running = standing_card.running()
        if len(running) == 1:
            return redirect(url_for("standing.one", campaign_id=running[0].id), 303)
        return self.render("office/standing.html", running=running, create=url_for("campaign.start"))

    @expose(f"{ONE}/one/", methods=["GET", "POST"])
    def one(self, campaign_id: int) -> Page:
        """Show the form of one person, what they will see, and send it."""
        campaign = one_campaign(campaign_id)
        current = standing_line.current(campaign_id)
        problems = standing_line.closed(current)
        if current is None or problems:
            for words in messages_ja(problems):
                flash(words, "warning")
            return redirect(url_for("flow.overview", campaign_id=campaign_id), 303)
        if request.method == "POST":
            return self._pressed(campaign)
        if current.id != campaign_id:
            return redirect(url_for("standing.one", campaign_id=current.id), 303)
        return self._form(campaign, _Press({}, token_urlsafe(16), despite=False), [])

    def _pressed(self, campaign: Campaign) -> Page:
        """Do what was pressed; a campaign that bears a list alone has no form."""
        if not campaign.standing:
            return redirect(url_for("standing.one", campaign_id=standing_line.line_of(campaign)), 303)
        once = fields.typed("once", _MOST_ONCE) or token_urlsafe(16)
        try:
            row = single_entry_page.read(single_entry.form_of(campaign), request.form)
        except Refused as refused:
            return self._form(campaign, _Press({}, once, despite=False), list(refused.problems))
        press = _Press(row, once, "despite" in request.form)
        if "send" in request.form:
            return self._send(campaign, press)
        return self._form(campaign, press, []) if "back" in request.form else self._look(campaign, press)

    def _send(self, campaign: Campaign, press: _Press) -> Page:
        """Send to whom the page before has shown; a second press finds them sent to."""
        added = adding.add(
            campaign.id,
            press.row,
            actor=staff().actor,
            once=press.once,
            only_this_version=True,
            ask_if_recent=not press.despite,
        )
        if not isinstance(added, Added):
            db.session.rollback()
            current = standing_line.current(campaign.id)
            return self._form(one_campaign(current.id if current else campaign.id), press, added)
        db.session.commit()
        adding.wake(added)
        flash(_sent_words(added), "success")
        for words in added.warnings:
            flash(words, "warning")
        return redirect(url_for("flow.status", campaign_id=added.campaign_id), 303)

    def _look(self, campaign: Campaign, press: _Press) -> Page:
        found = adding.look(campaign.id, press.row, ask_if_recent=not press.despite)
        if isinstance(found, list):
            return self._form(campaign, press, found)
        at = sends_at.of_waiting(campaign)
        return self.page(
            "flow/one_person_look.html",
            campaign,
            "status",
            press=press,
            cells=[(f"cell_{place}", press.row.get(name, "")) for place, name in enumerate(found.form.header)],
            preview=preview.of_checked(campaign, found),
            warnings=found.warnings,
            leaves=japan_minutes(at) if at is not None else "",
        )

    def _form(self, campaign: Campaign, press: _Press, problems: Sequence[Problem]) -> Page:
        context = single_entry_page.to_standing(campaign, press.row, problems)
        page = self.page(
            "flow/one_person.html",
            campaign,
            "status",
            press=press,
            ask=press.despite or any(problem.code == _RECENT for problem in problems),
            **context,
        )
        return (page, 422) if problems else page

    @expose(f"{ONE}/new-version", methods=["POST"])
    def new_version(self, campaign_id: int) -> Page:
        """Lead to the draft in which the words are changed."""
        ours(campaign_id)
        try:
            draft_id = standing.new_version(campaign_id, user_id=staff().id)
        except Refused as refused:
            return _refused(campaign_id, refused)
        flash("新しい文面の下書きです。保存して確認し、開始するまで、いまの文面で送り続けます。", "success")
        overview = url_for("flow.overview", campaign_id=draft_id)
        return redirect(url_for("campaign.edit_view", id=draft_id, url=overview), 303)

    @expose(f"{ONE}/list-draft", methods=["POST"])
    def list_draft(self, campaign_id: int) -> Page:
        """Lead to a draft with the words of now that takes a list."""
        ours(campaign_id)
        try:
            draft_id = standing.list_draft(campaign_id, user_id=staff().id)
        except Refused as refused:
            return _refused(campaign_id, refused)
        flash("いまの文面で名簿に送る下書きです。名簿を取り込み、全員分を確かめてから送信します。", "success")
        return redirect(url_for("flow.lists", campaign_id=draft_id), 303)

    @expose(f"{ONE}/end", methods=["GET", "POST"])
    def end(self, campaign_id: int) -> Page:
        """End it, once confirmed."""
        if request.method == "GET":
            campaign = one_campaign(campaign_id)
            if not campaign.standing or campaign.launched_at is None:
                return redirect(url_for("flow.overview", campaign_id=campaign_id), 303)
            return self.confirm(campaign, "status", _end_question(campaign))
        ours(campaign_id)
        try:
            standing.end(campaign_id, user_id=staff().id)
        except Refused as refused:
            return _refused(campaign_id, refused)
        flash("常設配信を終了しました。新しい送信先は受け付けません。待っている人には送ります。", "success")
        return redirect(url_for("flow.status", campaign_id=campaign_id), 303)


def _sent_words(added: Added) -> str:
    if added.sends_at is None:
        return "受け付けました。復元の確認などのため、管理者が許可するまで送られません。"
    if added.again:
        return "この送信は、すでに受け付けています。二重には送られません。"
    return f"受け付けました。{japan_minutes(added.sends_at)}から送ります。結果はこの画面で確かめられます。"


def _refused(campaign_id: int, refused: Refused) -> Page:
    for words in refused.messages_ja:
        flash(words, "warning")
    return redirect(url_for("flow.overview", campaign_id=campaign_id), 303)


def _end_question(campaign: Campaign) -> status.Confirmation:
    return status.Confirmation(
        title="この常設配信を終了しますか",
        words=(
            "終了すると、画面からもプログラムからも、新しい送信先を受け付けません。終了は取り消せません。",
            "すでに受け付けた人には送ります。届いたSMSのページは、有効期限まで開けます。",
        ),
        button="常設配信を終了する",
        url=url_for("standing.end", campaign_id=campaign.id),
        back=url_for("flow.status", campaign_id=campaign.id),
    )


# Flask-Admin wants to know; the root of these addresses is the list of campaigns, another view's.
StandingView._default_view = "choose"  # noqa: SLF001 - Flask-Admin's own place
