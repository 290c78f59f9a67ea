"""送信しない番号 as files: a company's own list taken in, with each row that was not; the entries taken out."""

from datetime import UTC, datetime
from typing import BinaryIO, cast

from flask import abort, flash, request
from flask_admin.helpers import get_form_data
from wtforms import FileField

from admin_views.campaigns import status
from admin_views.framework.access import staff
from admin_views.framework.fields import typed
from admin_views.framework.secure_view import Page, SecureView, expose
from admin_views.recipients.suppressions import TermsForm, terms_in
from admin_views.staff.reauthentication import require_reauthentication_for_file
from app.intake.lists import suppression_file
from app.intake.reading.list_rows import Limits
from app.problems import Refused
from app.suppression import export
from app.values.suppression_reasons import REASON_WORDS

# the most of one request; a longer list comes in by the command `flask import-suppressions`
_LIMITS = Limits(rows=20_000, columns=50)
_SHOWN = 2_000


class FileForm(TermsForm):
    """A file, and the terms of rows that say none."""

    file = FileField("ファイル")


class SuppressionFiles(SecureView):
    """Files of numbers that get nothing."""

    def is_visible(self) -> bool:
        """Stay out of the menu: the list leads here."""
        return False

    @expose("/", methods=["GET", "POST"])
    def index(self) -> Page | tuple[str, int]:
        """Offer both ways; take a file in."""
        form = FileForm(get_form_data())
        problems: list[str] = []
        taken = None
        if request.method == "POST":
            file = request.files.get("file")
            if file is None or not file.filename:
                problems = ["ファイルが選ばれていません。ファイルを選んでから「登録する」を押してください。"]
            elif form.validate() and (terms := terms_in(form)) is not None:
                try:
                    stream = cast("BinaryIO", file.stream)
                    taken = suppression_file.take(stream, terms, actor=staff().actor, limits=_LIMITS)
                except Refused as refused:
                    problems = [f"{words}1件も登録していません。" for words in refused.messages_ja]
                else:
                    flash(f"{taken.added:,}件の番号を「送信しない番号」に登録しました。", "success")
        page = self.render(
            "office/suppression_files.html",
            form=form,
            problems=problems,
            taken=taken,
            shown=_SHOWN,
            most_rows=_LIMITS.rows,
            forms=export.FORMS,
            header=export.HEADER,
            reasons="・".join(REASON_WORDS.values()),
        )
        return (page, 422) if problems or form.errors else page

    @expose("/export", methods=["POST"])
    @require_reauthentication_for_file
    def download(self) -> Page:
        """Return the list as a file."""
        form = typed("form")
        if form not in export.FORMS:
            abort(404)
        export.order(form, actor=staff().actor)
        stamp = status.file_timestamp(datetime.now(UTC))
        return status.download(
            lambda: export.export(form), f"送信しない番号_{stamp}.{form}", f"suppressions-{stamp}.{form}"
        )
