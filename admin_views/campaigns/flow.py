"""The page of a campaign through its life: 文面 → 名簿 → 確認 → 送信 → 状況 → 結果.

In: clicks and files of the tenant's managers and clerks. Out: one call of the domain each, and the page that says what
to do next. Works without JavaScript; live figures and file checks are on top. A POST changes things once: a second
press finds them done.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from flask import abort, flash, jsonify, redirect, request, url_for

from admin_views.campaigns import approval, live, preview, status
from admin_views.campaigns.frame import ONE, FlowView, Page, on_record, one_campaign, one_import, ours
from admin_views.campaigns.steps import launched
from admin_views.framework import fields
from admin_views.framework.access import staff
from admin_views.framework.secure_view import expose
from admin_views.lists import columns, uploads
from admin_views.lists import single_entry as single_entry_page
from admin_views.staff.reauthentication import require_reauthentication, require_reauthentication_for_file
from app.campaigns import lifecycle, ordered_checks, preflight, preflight_result, readiness, shortening
from app.config import settings
from app.exports import export_jobs, status_file
from app.exports.selection import Selection
from app.extensions import csrf, db
from app.intake.columns.sample_list import FORMS
from app.intake.lists import imports
from app.intake.reading.reader import Choice
from app.intake.rows import entry, single_entry
from app.models import Campaign, Import
from app.problems import Refused, messages_ja
from app.states.vocabulary import CAMPAIGN, CampaignState, ImportState

# a check of so many people takes about a second: longer ones are a job
_LIST = f"{ONE}/list/<int(max=9223372036854775807):import_id>"


class CampaignFlow(FlowView):
    """A campaign's pages from the texts to the result."""

    # --- overview ---

    @expose(f"{ONE}/")
    def overview(self, campaign_id: int) -> Page:
        """Show the steps, what each lacks, and the one thing to do next."""
        campaign = one_campaign(campaign_id)
        scheduled = preview.when(campaign) if campaign.state == CampaignState.SCHEDULED else None
        returned = preview.came_back(campaign)
        sent_back = approval.returned(campaign)
        return self.page(
            "flow/overview.html", campaign, "", scheduled=scheduled, returned=returned, sent_back=sent_back
        )

    # --- 名簿 ---

    @expose(f"{ONE}/list/")
    def lists(self, campaign_id: int) -> Page:
        """Show the uploads and take another one."""
        campaign = one_campaign(campaign_id)
        return self.page("flow/lists.html", campaign, "list", **uploads.overview(campaign))

    @expose(f"{ONE}/list/", methods=["POST"])
    def upload(self, campaign_id: int) -> Page:
        """Keep a file, streamed, and lead on to its columns."""
        campaign = one_campaign(campaign_id)
        try:
            import_id = uploads.take_upload(campaign, staff().id)
        except Refused as refused:
            return self._refused_upload(campaign_id, refused.message_ja)
        return redirect(url_for("flow.one_list", campaign_id=campaign_id, import_id=import_id), 303)

    def _refused_upload(self, campaign_id: int, problem: str) -> Page:
        campaign = one_campaign(campaign_id)
        return self.page("flow/lists.html", campaign, "list", **uploads.overview(campaign), problem=problem), 422

    @expose(f"{ONE}/list/sample.<string:form>")
    def sample_list(self, campaign_id: int, form: str) -> Page:
        """Return a sample list of the campaign's own columns."""
        campaign = one_campaign(campaign_id)
        return uploads.sample_of(campaign, form) if form in FORMS else abort(404)

    @expose(f"{ONE}/list/one", methods=["GET", "POST"])
    def add_one(self, campaign_id: int) -> Page:
        """Add one recipient without a file; then the form waits for the next."""
        campaign = one_campaign(campaign_id)
        if lifecycle.content_locked(campaign) or campaign.standing:
            return redirect(url_for("flow.lists", campaign_id=campaign_id), 303)
        try:
            if request.method == "GET":
                return self.page("flow/list_one.html", campaign, "list", **single_entry_page.new(campaign, {}))
            typed = single_entry_page.read(single_entry.form_of(campaign), request.form)
            added = single_entry.add(campaign_id, typed, user_id=staff().id, replace="replace" in request.form)
        except entry.BadRow as bad:
            db.session.rollback()
            campaign = one_campaign(campaign_id)
            return self.page(
                "flow/list_one.html", campaign, "list", **single_entry_page.new(campaign, typed, bad.faults)
            ), 422
        except Refused as refused:
            db.session.rollback()
            return self._refused_upload(campaign_id, refused.message_ja)
        flash("送信先を1件加えました。", "success")
        for words in added.warnings:
            flash(words, "warning")
        return redirect(url_for("flow.lists", campaign_id=campaign_id), 303)

    @expose(f"{_LIST}/")
    def one_list(self, campaign_id: int, import_id: int) -> Page:
        """Show one upload: its columns to be mapped, its progress, or what came of it."""
        campaign, row = one_import(campaign_id, import_id)
        if uploads.is_busy(row):
            return self.page("flow/list_progress.html", campaign, "list", upload=row, **uploads.progress(row))
        if row.state == ImportState.MAPPING:
            return self._mapping_page(campaign, row)
        return self.page("flow/list_result.html", campaign, "list", upload=row, **uploads.outcome(row))

    def _mapping_page(self, campaign: Campaign, row: Import, problems: list[str] | None = None) -> Page:
        typed = request.form if request.method == "POST" else None
        context = columns.mapping_form(campaign, row, typed)
        page = self.page("flow/list_mapping.html", campaign, "list", upload=row, problems=problems or [], **context)
        return (page, 422) if problems else page

    @expose(f"{_LIST}/", methods=["POST"])
    def start(self, campaign_id: int, import_id: int) -> Page:
        """Start an import with the columns as mapped, or show once more how they would be used."""
        campaign, row = one_import(campaign_id, import_id)
        if row.state == ImportState.MAPPING:
            try:
                mapping = columns.read_mapping(campaign, row, request.form)
                if columns.is_to_be_shown(row, mapping, request.form):
                    return self._mapping_page(campaign, row)
                imports.start(
                    import_id,
                    mapping,
                    take_hidden="take_hidden" in request.form,
                    variants_alike=columns.read_variants(campaign, request.form),
                )
            except Refused as refused:
                db.session.rollback()
                return self._mapping_page(*one_import(campaign_id, import_id), refused.messages_ja)
        return redirect(url_for("flow.one_list", campaign_id=campaign_id, import_id=import_id), 303)

    @expose(f"{_LIST}/sheet", methods=["POST"])
    def choose_reading(self, campaign_id: int, import_id: int) -> Page:
        """Read an upload otherwise: another sheet, headline or encoding."""
        one_import(campaign_id, import_id)
        choice = Choice(
            request.form.get("sheet", ""),
            header_row=request.form.get("header_row", 0, type=int),
            encoding=request.form.get("encoding", ""),
        )
        try:
            imports.choose_reading(import_id, choice)
        except Refused as refused:
            db.session.rollback()
            flash(refused.message_ja, "error")
        return redirect(url_for("flow.one_list", campaign_id=campaign_id, import_id=import_id), 303)

    @expose(f"{_LIST}/progress.json")
    def list_progress(self, campaign_id: int, import_id: int) -> Page:
        """Return how far an import is."""
        _, row = one_import(campaign_id, import_id)
        return jsonify(uploads.live(row))

    @expose(f"{_LIST}/cancel", methods=["POST"])
    def stop_list(self, campaign_id: int, import_id: int) -> Page:
        """Abandon an import that is not over."""
        one_import(campaign_id, import_id)
        if imports.cancel(import_id):
            flash("取り込みを中止しました。送信先は加えられていません。", "success")
        else:
            flash("この取り込みはすでに終わっていたため、中止できませんでした。", "warning")
        return redirect(url_for("flow.lists", campaign_id=campaign_id), 303)

    @expose(f"{_LIST}/discard", methods=["GET", "POST"])
    def discard_list(self, campaign_id: int, import_id: int) -> Page:
        """Take an import's people back, once the clerk has confirmed it."""
        campaign, row = one_import(campaign_id, import_id)
        if request.method == "GET":
            return self.confirm(campaign, "list", uploads.discard_question(campaign, row))
        try:
            removed = imports.discard(import_id, user_id=staff().id)
        except Refused as refused:
            flash(refused.message_ja, "error")
        else:
            flash(f"「{row.filename}」から取り込んだ{removed:,}件を取り消しました。", "success")
        return redirect(url_for("flow.lists", campaign_id=campaign_id), 303)

    @expose(f"{_LIST}/rejects.csv", methods=["POST"])
    @require_reauthentication_for_file
    def rejects(self, campaign_id: int, import_id: int) -> Page:
        """Return the rejected rows as a file to correct and upload again."""
        campaign, row = one_import(campaign_id, import_id)
        encoding = request.form.get("encoding", "")
        if encoding not in status_file.FORMATS or not row.rows_rejected:
            abort(404)
        on_record("export_rejects", campaign, {"import": import_id, "rows": row.rows_rejected, "encoding": encoding})
        form = "utf-8" if encoding == "utf-8-sig" else encoding
        ending = "xlsx" if form == "xlsx" else "csv"
        name, plain_name = f"{campaign.name}_エラー行.{ending}", f"rejects-{import_id}.{ending}"
        return status.download(lambda: imports.rejects(import_id, form), name, plain_name)

    # --- 確認 ---

    @expose(f"{ONE}/check/")
    def check(self, campaign_id: int) -> Page:
        """Show what the check over every row found, with previews."""
        campaign = one_campaign(campaign_id)
        context = preview.check_page(
            campaign,
            wanted=request.args.get("row", "").replace("\0", "").strip(),
        )
        return self.page("flow/check.html", campaign, "check", **context)

    @expose(f"{ONE}/check/", methods=["POST"])
    def start_check(self, campaign_id: int) -> Page:
        """Check every row: at once, or as a job where there are many."""
        campaign = one_campaign(campaign_id)
        if lifecycle.content_locked(campaign):
            return redirect(url_for("flow.status", campaign_id=campaign_id), 303)
        return self._check(campaign)

    def _check(self, campaign: Campaign) -> Page:
        campaign_id = campaign.id
        if lifecycle.people_count(campaign_id) <= settings().at_once_people:
            checked = preflight.run(campaign_id)
            if preflight_result.current(one_campaign(campaign_id)) is None:
                flash("".join(messages_ja(checked.problems)), "warning")
        else:
            tenant_id = campaign.tenant_id
            ordered_checks.order(db.session, campaign_id)
            db.session.commit()
            ordered_checks.enqueue(tenant_id, campaign_id)
        return redirect(url_for("flow.check", campaign_id=campaign_id), 303)

    @expose(f"{ONE}/check/shorten", methods=["POST"])
    def shorten(self, campaign_id: int) -> Page:
        """Write the offered short form of a name into the SMS, and check every row anew."""
        ours(campaign_id)
        try:
            shortening.shorten(campaign_id, fields.typed("name", 300), user_id=staff().id)
        except Refused as refused:
            flash("".join(refused.messages_ja), "warning")
            return redirect(url_for("flow.check", campaign_id=campaign_id), 303)
        flash("SMS本文に短い言い方を加えました。", "success")
        return self._check(one_campaign(campaign_id))

    @expose(f"{ONE}/check.json")
    def check_progress(self, campaign_id: int) -> Page:
        """Return whether the check is done, or nobody is at it."""
        return jsonify(done=not preview.is_checking(one_campaign(campaign_id)))

    # --- 送信 ---

    @expose(f"{ONE}/send/")
    def send(self, campaign_id: int) -> Page:
        """Show once more what will be sent, to how many, by whom; the button sends it."""
        return self._send_page(one_campaign(campaign_id), [])

    def _send_page(self, campaign: Campaign, problems: list[str]) -> Page:
        if campaign.state == CampaignState.APPROVAL:
            return redirect(url_for("life.approval", campaign_id=campaign.id), 303)
        if lifecycle.content_locked(campaign):
            return redirect(url_for("flow.status", campaign_id=campaign.id), 303)
        checked = preflight_result.current(campaign)
        problems = problems or [item.problem.message_ja for item in readiness.missing(campaign)]
        when = preview.when(campaign)
        page = self.page(
            "flow/send.html",
            campaign,
            "send",
            checked=checked,
            how_many=preview.how_many(checked, when.suppressed) if checked else "",
            previews=preview.previews(campaign, checked)[:1] if checked else [],
            problems=problems,
            when=when,
            needs_approval=lifecycle.needs_approval(campaign),
        )
        return (page, 409) if request.method == "POST" else page

    @expose(f"{ONE}/send/", methods=["POST"])
    @require_reauthentication
    def launch(self, campaign_id: int) -> Page:
        """Send what was checked. A second press finds it under way and leads to the figures."""
        ours(campaign_id)
        try:
            lifecycle.launch(campaign_id, user_id=staff().id, digest=fields.typed("digest"))
        except Refused as refused:
            campaign = one_campaign(campaign_id)
            if not lifecycle.content_locked(campaign):
                return self._send_page(campaign, refused.messages_ja)
            for words in refused.messages_ja:
                flash(words, "warning")
        else:
            campaign = one_campaign(campaign_id)
            if campaign.state == CampaignState.APPROVAL:
                flash("承認を依頼しました。管理者が承認すると送信されます。", "success")
                return redirect(url_for("life.approval", campaign_id=campaign_id), 303)
            flash(preview.launched_words(campaign), "success")
        return redirect(url_for("flow.status", campaign_id=campaign_id), 303)

    # --- 状況 ---

    @expose(f"{ONE}/status/")
    def status(self, campaign_id: int) -> Page:
        """Show how many stand where."""
        campaign = one_campaign(campaign_id)
        if not launched(campaign):
            return redirect(url_for("flow.overview", campaign_id=campaign_id), 303)
        return self.page("flow/status.html", campaign, "status", **live.overview(campaign))

    @expose(f"{ONE}/status.json")
    def status_figures(self, campaign_id: int) -> Page:
        """Return how many stand where; done when the page is to be loaded anew."""
        campaign = one_campaign(campaign_id)
        return jsonify(live.live(campaign, shown=request.args.get("shown", "")))

    @expose(f"{ONE}/pause", methods=["POST"])
    def pause(self, campaign_id: int) -> Page:
        """Stop sending, at once: whoever presses this is in a hurry, and it can be taken back."""
        return self._turn(campaign_id, lifecycle.pause, "送信を一時停止しました。まだ送っていない分は待っています。")

    @expose(f"{ONE}/resume", methods=["GET", "POST"])
    @require_reauthentication
    def resume(self, campaign_id: int) -> Page:
        """Go on sending, once confirmed."""
        if request.method == "GET":
            campaign = one_campaign(campaign_id)
            if campaign.checks_stopped_at is not None:
                return self.confirm(*status.resume_checks_question(campaign))
            fits = campaign.state == CampaignState.PAUSED
            return self.confirm(*status.resume_question(campaign)) if fits else self._needless(campaign)
        return self._turn(campaign_id, lifecycle.resume, "送信を再開しました。")

    @expose(f"{ONE}/cancel", methods=["GET", "POST"])
    def cancel(self, campaign_id: int) -> Page:
        """Cancel the campaign, once confirmed."""
        if request.method == "GET":
            campaign = one_campaign(campaign_id)
            fits = lifecycle.can_cancel(campaign)
            return self.confirm(*status.cancel_question(campaign)) if fits else self._needless(campaign)
        return self._turn(campaign_id, lifecycle.cancel, "配信を取り消しました。まだ送っていなかった分は送られません。")

    def _turn(self, campaign_id: int, act: Callable[..., bool], done: str) -> Page:
        ours(campaign_id)
        if not act(campaign_id, user_id=staff().id):
            return self._needless(one_campaign(campaign_id))
        flash(done, "success")
        return _back(one_campaign(campaign_id))

    def _needless(self, campaign: Campaign) -> Page:
        word = CAMPAIGN.words[CampaignState(campaign.state)]
        flash(f"この配信は今「{word}」のため、その操作は必要ないか、できません。", "warning")
        return _back(campaign)

    # --- 結果 ---

    @expose(f"{ONE}/result/")
    def result(self, campaign_id: int) -> Page:
        """Show what came of it and offer it as a file."""
        campaign = one_campaign(campaign_id)
        return self.page(
            "flow/result.html",
            campaign,
            "result",
            formats=status_file.FORMATS,
            csv_in_excel=status_file.CSV_IN_EXCEL,
            choices=status.state_choices(campaign),
        )

    @expose(f"{ONE}/status.csv", methods=["POST"])
    @require_reauthentication_for_file
    def status_csv(self, campaign_id: int) -> Page:
        """Return the status as CSV or xlsx, streamed; that somebody took it is recorded first."""
        campaign = one_campaign(campaign_id)
        form = request.form.get("encoding", "")
        if form not in status_file.FORMATS:
            abort(404)
        chosen = status.chosen_states(request.form)
        on_record("export_status", campaign, {"encoding": form, **chosen})
        title = "_".join([campaign.name, "状況", *status.chosen_words(chosen)])
        return status.download(
            lambda: status_file.status_file(Selection(campaign_id, chosen), form),
            export_jobs.filename(title, form, datetime.now(UTC)),
            f"status-{campaign_id}.{export_jobs.ending(form)}",
        )


def _back(campaign: Campaign) -> Page:
    return redirect(url_for("flow.status" if launched(campaign) else "flow.overview", campaign_id=campaign.id), 303)


# Flask-Admin wants to know; the root of these addresses is the list of campaigns, another view's.
CampaignFlow._default_view = "overview"  # noqa: SLF001 - Flask-Admin's own place

# The token of an upload is looked at in the view, after the sign-in and with the limit raised: reading the form any
# earlier would take a stranger's 200 MB.
csrf.exempt(f"{__name__}.upload")
