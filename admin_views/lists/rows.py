"""名簿の1行ずつ: what was kept out is corrected, what was taken left out or taken back, earlier rows are replaced.

In: clicks of the tenant's managers and clerks, before the launch. Out: one call of the domain each, on record.
"""

from collections.abc import Callable

from flask import abort, flash, redirect, request, url_for

from admin_views.campaigns.frame import ONE, FlowView, Page, one_campaign, one_import, ours
from admin_views.framework.access import staff
from admin_views.framework.secure_view import expose
from admin_views.lists import row_actions, single_entry
from app import queues
from app.campaigns import lifecycle
from app.config import settings
from app.extensions import db
from app.intake.rows import amending, correction, entry, excluded, replacing
from app.problems import Refused

_LIST = f"{ONE}/list/<int(max=9223372036854775807):import_id>"
# so many people are looked through at once; more are a job


class CampaignRows(FlowView):
    """Acts upon single rows of a campaign's lists."""

    @expose(f"{_LIST}/row/<int(max=2147483647):sheet_row>", methods=["GET", "POST"])
    def correct(self, campaign_id: int, import_id: int, sheet_row: int) -> Page:
        """Show a row that was kept out as it was read, and add it as it is typed then."""
        campaign, upload = one_import(campaign_id, import_id)
        result = url_for("flow.one_list", campaign_id=campaign_id, import_id=import_id)
        try:
            if lifecycle.content_locked(campaign):
                raise Refused(lifecycle.why_locked(campaign.state))
            if request.method == "GET":
                return self.page("flow/list_one.html", campaign, "list", **single_entry.corrected(upload, sheet_row))
            typed = single_entry.read(correction.kept(import_id, sheet_row).form, request.form)
            replace = "replace" in request.form
            told = correction.correct(import_id, sheet_row, typed, user_id=staff().id, replace=replace)
        except entry.BadRow as bad:
            db.session.rollback()
            campaign, upload = one_import(campaign_id, import_id)
            context = single_entry.corrected(upload, sheet_row, typed, bad.faults)
            return self.page("flow/list_one.html", campaign, "list", **context), 422
        except Refused as refused:
            db.session.rollback()
            flash(refused.message_ja, "error")
            return redirect(result, 303)
        flash(f"{sheet_row:,}行目を直して、送信先に加えました。", "success")
        for words in told:
            flash(words, "warning")
        return redirect(result, 303)

    @expose(f"{ONE}/exclude/<int(max=9223372036854775807):row_id>", methods=["POST"])
    def exclude(self, campaign_id: int, row_id: int) -> Page:
        """Leave a recipient out, at once: it can be taken back."""
        done = "対象外にしました。この送信先には送りません。送信を始めるまでは、戻せます。"
        return self._act(campaign_id, excluded.exclude, row_id, done)

    @expose(f"{ONE}/include/<int(max=9223372036854775807):row_id>", methods=["POST"])
    def include(self, campaign_id: int, row_id: int) -> Page:
        """Take one back that was left out."""
        return self._act(campaign_id, excluded.include, row_id, "送信先に戻しました。")

    def _act(self, campaign_id: int, act: Callable[..., None], row_id: int, done: str) -> Page:
        ours(campaign_id)
        try:
            act(campaign_id, row_id, user_id=staff().id)
        except Refused as refused:
            flash(refused.message_ja, "error")
        else:
            flash(done, "success")
        return redirect(row_actions.back_url(campaign_id, request.form), 303)

    @expose(f"{ONE}/row/<int(max=9223372036854775807):row_id>", methods=["GET", "POST"])
    def amend(self, campaign_id: int, row_id: int) -> Page:
        """Show a row that was taken, but for what no screen shows, and change it as it is typed then."""
        campaign = one_campaign(campaign_id)
        back = row_actions.back_url(campaign_id, request.values)
        try:
            if lifecycle.content_locked(campaign):
                raise Refused(lifecycle.why_locked(campaign.state))
            if request.method == "GET":
                return self.page("flow/list_one.html", campaign, "list", **single_entry.amended(campaign, row_id, back))
            typed = single_entry.read(amending.kept(campaign, row_id).form, request.form)
            told = amending.amend(campaign_id, row_id, typed, user_id=staff().id)
        except entry.BadRow as bad:
            db.session.rollback()
            campaign = one_campaign(campaign_id)
            context = single_entry.amended(campaign, row_id, back, typed, bad.faults)
            return self.page("flow/list_one.html", campaign, "list", **context), 422
        except Refused as refused:
            db.session.rollback()
            flash(refused.message_ja, "error")
            return redirect(back, 303)
        flash("送信先を直しました。", "success")
        for words in told:
            flash(words, "warning")
        return redirect(back, 303)

    @expose(f"{_LIST}/replace/<by>", methods=["GET", "POST"])
    def replace(self, campaign_id: int, import_id: int, by: str) -> Page:
        """Put a list's rows in the place of earlier ones, once the clerk has confirmed it."""
        campaign, upload = one_import(campaign_id, import_id)
        if by not in set(replacing.By):
            abort(404)
        if request.method == "GET":
            return self.confirm(campaign, "list", row_actions.replace_question(upload, replacing.By(by)))
        result = url_for("flow.one_list", campaign_id=campaign_id, import_id=import_id)
        if lifecycle.people_count(campaign_id) > settings().at_once_people:
            self._replace_later(campaign.tenant_id, import_id, replacing.By(by))
            return redirect(result, 303)
        db.session.rollback()
        try:
            replaced = replacing.replace(import_id, replacing.By(by), user_id=staff().id)
        except Refused as refused:
            db.session.rollback()
            flash(refused.message_ja, "error")
        else:
            flash(*row_actions.replaced_words(replaced))
        return redirect(result, 303)

    def _replace_later(self, tenant_id: int, import_id: int, by: replacing.By) -> None:
        by_number = int(by == replacing.By.NUMBER)
        if queues.enqueue("jobs.intake.replace_rows", tenant_id, import_id, staff().id, by_number):
            flash("置き換えを始めました。1分ほどしてからこの画面を開き直し、件数を確かめてください。", "success")
        else:
            flash("いまは置き換えを始められません。1分ほど待ってから、もう一度押してください。", "error")


CampaignRows._default_view = "correct"  # noqa: SLF001 - Flask-Admin's own place
