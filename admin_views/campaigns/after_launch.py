"""Act on a campaign beyond its straight way: withdraw, test, resend, remind.

In: clicks of the tenant's managers and clerks. Out: one call of the domain each. Each act that sends shows first to how
many, with which words and when; what a second press would do twice is refused by the domain.
"""

from flask import abort, flash, redirect, request, url_for

from admin_views.campaigns import approval as approval_page
from admin_views.campaigns import preview, status
from admin_views.campaigns import resend as resend_page
from admin_views.campaigns.frame import ONE, FlowView, Page, one_campaign, ours
from admin_views.framework import fields
from admin_views.framework.access import staff
from admin_views.framework.secure_view import expose
from admin_views.staff.reauthentication import require_reauthentication
from app.auth.staff import Role
from app.campaigns import approval, lifecycle
from app.delivery import clerk_test_sms, resend
from app.extensions import db
from app.identity import guard
from app.models import Campaign
from app.problems import Refused, messages_ja
from app.restore import missed_recipients
from app.setback import account_holds, missed_numbers
from app.states.vocabulary import CampaignState

_WHICH = f"{ONE}/remind/<which>"
_MOST_TEXT = 300  # characters of an SMS, as in a campaign's form


class CampaignLife(FlowView):
    """Acts upon a campaign."""

    @expose(f"{ONE}/withdraw", methods=["POST"])
    def withdraw(self, campaign_id: int) -> Page:
        """Take a scheduled campaign back, at once: nothing has left yet."""
        ours(campaign_id)
        if lifecycle.withdraw(campaign_id, user_id=staff().id):
            flash("予約を取りやめ、下書きに戻しました。内容を直して、もう一度送信できます。", "success")
        else:
            flash("この配信は予約されていないか、すでに送信が始まっています。", "warning")
        return redirect(url_for("flow.overview", campaign_id=campaign_id), 303)

    @expose(f"{ONE}/approval/")
    def approval(self, campaign_id: int) -> Page:
        """Show a second person exactly what was checked."""
        campaign = one_campaign(campaign_id)
        if campaign.state != CampaignState.APPROVAL:
            return redirect(url_for("flow.overview", campaign_id=campaign_id), 303)
        return self.page("flow/approve.html", campaign, "send", **approval_page.page(campaign))

    @expose(f"{ONE}/approve", methods=["POST"])
    @require_reauthentication
    def approve(self, campaign_id: int) -> Page:
        """Let it go as it was checked; a second press finds it gone."""
        ours(campaign_id)
        digest = fields.typed("digest")
        try:
            approval.approve(campaign_id, user_id=staff().id, role=staff().role, digest=digest)
        except Refused as refused:
            return self._approval_refused(campaign_id, refused.messages_ja)
        flash(f"承認しました。{preview.launched_words(one_campaign(campaign_id))}", "success")
        return redirect(url_for("flow.status", campaign_id=campaign_id), 303)

    @expose(f"{ONE}/send-back", methods=["POST"])
    def send_back(self, campaign_id: int) -> Page:
        """Make it a draft again, with a reason for whoever asked."""
        ours(campaign_id)
        reason = fields.typed("reason", 20 * approval.MOST_REASON)
        try:
            approval.send_back(campaign_id, user_id=staff().id, role=staff().role, reason=reason)
        except Refused as refused:
            return self._approval_refused(campaign_id, refused.messages_ja, reason)
        flash("差し戻しました。依頼した人の画面に理由が表示されます。", "success")
        return redirect(url_for("flow.overview", campaign_id=campaign_id), 303)

    @expose(f"{ONE}/take-back", methods=["POST"])
    def take_back(self, campaign_id: int) -> Page:
        """Take one's own request back."""
        ours(campaign_id)
        try:
            approval.take_back(campaign_id, user_id=staff().id)
        except Refused as refused:
            return self._approval_refused(campaign_id, refused.messages_ja)
        flash("承認の依頼を取り下げ、下書きに戻しました。", "success")
        return redirect(url_for("flow.overview", campaign_id=campaign_id), 303)

    def _approval_refused(self, campaign_id: int, problems: list[str], typed: str = "") -> Page:
        campaign = one_campaign(campaign_id)
        if campaign.state != CampaignState.APPROVAL:
            for problem in problems:
                flash(problem, "warning")
            return redirect(url_for("flow.overview", campaign_id=campaign_id), 303)
        context = approval_page.page(campaign, typed)
        return self.page("flow/approve.html", campaign, "send", problems=problems, **context), 409

    @expose(f"{ONE}/resume-checks", methods=["GET", "POST"])
    def resume_checks(self, campaign_id: int) -> Page:
        """Take people's answers again, once confirmed, after far too many were wrong."""
        if request.method == "GET":
            campaign = one_campaign(campaign_id)
            if campaign.checks_stopped_at is not None:
                return self.confirm(*status.resume_checks_question(campaign))
            flash("回答の受け付けは止まっていません。", "warning")
            return redirect(url_for("flow.overview", campaign_id=campaign_id), 303)
        ours(campaign_id)
        tenant_id = staff().tenant_id
        if tenant_id is not None and guard.resume(tenant_id, campaign_id, user_id=staff().id):
            flash(
                "質問への回答の受け付けを再開しました。送信は止まったままなので、必要なら再開してください。", "success"
            )
        else:
            flash("回答の受け付けは止まっていません。", "warning")
        return redirect(url_for("flow.status", campaign_id=campaign_id), 303)

    @expose(f"{ONE}/release-restored", methods=["GET", "POST"])
    @require_reauthentication
    def release_restored(self, campaign_id: int) -> Page:
        """Let a manager end what waits after a restore, once confirmed."""
        ours(campaign_id)
        if staff().role != Role.MANAGER:
            abort(403)
        reason = fields.typed("reason", 20 * account_holds.MOST_REASON).replace("\0", "").strip()
        problems = tuple(messages_ja(account_holds.reason_problems(reason))) if request.method == "POST" else ()
        if request.method == "GET" or problems:
            campaign = one_campaign(campaign_id)
            if (campaign.restore_hold and campaign.launched_at is not None) or missed_numbers.count(campaign):
                question = status.release_restored_question(campaign, reason, problems)
                return (self.confirm(*question), 422) if problems else self.confirm(*question)
        elif missed_recipients.release(campaign_id, user_id=staff().id, reason=reason):
            flash("復元の確認待ちを解きました。送信待ちの方に送ります。", "success")
            return redirect(url_for("flow.status", campaign_id=campaign_id), 303)
        flash("この配信に、いま許可できる復元の確認待ちはありません。", "warning")
        return redirect(url_for("flow.overview", campaign_id=campaign_id), 303)

    @expose(f"{ONE}/trial", methods=["POST"])
    @require_reauthentication
    def trial(self, campaign_id: int) -> Page:
        """Send one SMS to the number typed, once."""
        ours(campaign_id)
        typed = fields.typed("phone").strip()
        try:
            state = clerk_test_sms.send_test_sms(campaign_id, typed, user_id=staff().id)
        except Refused as refused:
            campaign = one_campaign(campaign_id)
            context = preview.check_page(campaign, trial_typed=typed, trial_problems=refused.messages_ja)
            return self.page("flow/check.html", campaign, "check", **context), 422
        flash(*resend_page.TRIAL_FLASHES[state])
        return redirect(f"{url_for('flow.check', campaign_id=campaign_id)}#trial", 303)

    @expose(f"{ONE}/resend", methods=["GET", "POST"])
    @require_reauthentication
    def resend(self, campaign_id: int) -> Page:
        """Send again to those it didn't reach, once confirmed."""
        if request.method == "GET":
            campaign = one_campaign(campaign_id)
            problems = messages_ja(resend.problems(campaign))
            question = None if problems else resend_page.resend_question(campaign, resend.to_resend(campaign))
            if question is None:
                return self._nobody(campaign, problems)
            return self.confirm(campaign, "status", question)
        ours(campaign_id)
        try:
            count = resend.resend(campaign_id, user_id=staff().id)
        except Refused as refused:
            return self._nobody(one_campaign(campaign_id), refused.messages_ja)
        flash(f"{count:,}件の再送を始めました。", "success")
        return redirect(url_for("flow.status", campaign_id=campaign_id), 303)

    @expose(_WHICH)
    def remind(self, campaign_id: int, which: str) -> Page:
        """Show to how many a reminder goes, and with which words."""
        campaign = _asked(campaign_id, which)
        return self._remind_page(campaign, which, campaign.sms_text, messages_ja(resend.problems(campaign)))

    @expose(_WHICH, methods=["POST"])
    @require_reauthentication
    def send_reminder(self, campaign_id: int, which: str) -> Page:
        """Send a reminder; a second press finds it sent."""
        _asked(campaign_id, which)
        db.session.rollback()
        typed = fields.typed("sms_text", 20 * _MOST_TEXT).replace("\r\n", "\n").replace("\0", "")
        number = fields.typed("number")
        if len(typed) > _MOST_TEXT:
            problem = f"SMS本文が長すぎます。{_MOST_TEXT}文字以内で入力してください。"
            return self._remind_page(one_campaign(campaign_id), which, typed, [problem]), 422
        try:
            count = resend.remind(
                campaign_id,
                which,
                user_id=staff().id,
                number=int(number) if number.isascii() and number.isdigit() and len(number) < 9 else 0,  # noqa: PLR2004
                sms_text=typed,
                manager=staff().role == Role.MANAGER,
            )
        except Refused as refused:
            return self._remind_page(one_campaign(campaign_id), which, typed, refused.messages_ja), 422
        flash(f"{count:,}件のリマインドの送信を始めました。", "success")
        return redirect(url_for("flow.status", campaign_id=campaign_id), 303)

    def _remind_page(self, campaign: Campaign, which: str, typed: str, problems: list[str]) -> str:
        context = resend_page.remind_page(campaign, which, typed)
        return self.page("flow/remind.html", campaign, "status", problems=problems, **context)

    def _nobody(self, campaign: Campaign, problems: list[str]) -> Page:
        for problem in problems or [resend_page.NOBODY_TO_RESEND]:
            flash(problem, "warning")
        db.session.rollback()
        return redirect(url_for("flow.status", campaign_id=campaign.id), 303)


def _asked(campaign_id: int, which: str) -> Campaign:
    """Return the campaign, if there can be a reminder of that kind; else 404."""
    campaign = one_campaign(campaign_id)
    if which not in resend.WHICH or (which == "unpaid" and not campaign.payment_required):
        abort(404)
    return campaign


# Flask-Admin wants to know; these addresses have no root.
CampaignLife._default_view = "remind"  # noqa: SLF001 - Flask-Admin's own place
