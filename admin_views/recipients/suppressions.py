"""送信しない番号: numbers that a company sends nothing to, put on the list and taken off it, one by one.

In: a number as typed, or a person whose number it is; why, until when. Out: an entry of the list. Can't happen here: a
number shown, for none is kept: it is found by typing it.
"""

from typing import Any

from flask import abort, flash, redirect, request, url_for
from flask_admin.helpers import get_form_data
from markupsafe import Markup
from wtforms import SelectField

from admin_views.framework import display
from admin_views.framework.access import staff
from admin_views.framework.fields import line, required, select_options, typed
from admin_views.framework.filters import Choice
from admin_views.framework.model_view import SecureModelView
from admin_views.framework.scoping import as_id, rows
from admin_views.framework.secure_view import Form, Page, expose
from admin_views.recipients.table import open_phone
from admin_views.staff.audit import actor_name
from app.models import Recipient, Suppression, SuppressionProposal
from app.problems import Refused
from app.suppression import numbers, proposals
from app.suppression.numbers import LONGEST_NOTE, Added, Terms
from app.values.phones import mask
from app.values.suppression_reasons import REASON_WORDS, SuppressionReason

_ID = "int(max=9223372036854775807)"
_PROPOSALS_SHOWN = 100


def _options() -> list[tuple[str, str]]:
    return [(str(reason), words) for reason, words in REASON_WORDS.items()]


class TermsForm(Form):
    """Why and until when a number gets nothing."""

    reason = SelectField(
        "理由",
        [required("理由を選んでください。")],
        choices=lambda: select_options([("", "（選んでください）"), *_options()]),
    )
    until = line(
        "期限",
        most=40,
        help="この日まで送りません（例：2027/3/31、令和9年3月31日）。空のときは、期限なしで送りません。",
    )
    note = line(
        "備考",
        most=LONGEST_NOTE,
        help=f"管理番号や経緯など、{LONGEST_NOTE}文字まで。電話番号は書かないでください。暗号化して保存します。",
    )


class NumberForm(TermsForm):
    """A number, and why and until when it gets nothing."""

    phone = line(
        "電話番号",
        required("電話番号を入力してください。"),
        most=40,
        help="携帯電話番号（例：090-1234-5678）。番号そのものは保存せず、照合用の符号だけを残します。",
    )


def terms_in(form: Any) -> Terms | None:
    """Return the terms that were typed; what is refused stands at its field, and the answer is None."""
    found: dict[str, Any] = {}
    for name, read in (
        ("reason", numbers.read_reason),
        ("until", numbers.read_last_day),
        ("note", numbers.read_note),
    ):
        field = form[name]
        try:
            found[name] = read(field.data or "")
        except Refused as refused:
            field.errors = [*field.errors, *(one for one in refused.messages_ja if one not in field.errors)]
    return None if form.errors else Terms(found["reason"], found["until"], found["note"])


def tell(added: Added) -> None:
    """Flash what an entry does from now on."""
    flash("「送信しない番号」に登録しました。この番号へは、どの配信からも送りません。", "success")
    if added.waiting:
        flash(f"送信待ちのSMS{added.waiting:,}件は送りません（「取消」になります）。", "info")
    if added.leaving:
        flash(
            f"いま送信中のSMSが{added.leaving:,}件あります。まだ出ていなければ止めますが、届くことがあります。",
            "warning",
        )


def _id(_view: object, _context: object, entry: Suppression, _name: str) -> Markup:
    return Markup('<a href="{}">{}</a>').format(url_for("suppression.one", entry_id=entry.id), f"登録{entry.id}")


def _until(_view: object, _context: object, entry: Suppression, _name: str) -> Markup | str:
    if numbers.is_over(entry):
        return display.badge("expired", f"終了（{display.jst(entry.until)}）")
    return display.day(numbers.last_day_of(entry)) if entry.until else "期限なし"


class SuppressionView(SecureModelView[Suppression]):
    """送信しない番号."""

    form = NumberForm
    can_create = True
    column_list = ("id", "reason", "since", "until", "note", "added_by")
    column_filters = [Choice(Suppression.reason, "理由", "reason", _options)]
    column_labels = {
        "id": "登録番号",
        "reason": "理由",
        "since": "登録日時",
        "until": "期限",
        "note": "備考",
        "added_by": "登録した人",
    }
    column_formatters = {
        "id": _id,
        "reason": display.words_of(REASON_WORDS),
        "until": _until,
        "note": lambda _v, _c, entry, _n: numbers.open_note(entry) or display.NOTHING,
        "added_by": lambda _v, _c, entry, _n: actor_name(entry.added_by),
    }
    intro = (
        "ここに登録した番号へは、どの配信からもSMSを送りません（再送、リマインド、テスト送信も）。"
        "番号そのものは保存していないため、一覧には出ません。登録されているかは、番号を入力して探してください。"
    )
    empty_text = "登録されている番号はありません。本人からの申出などがあったら、番号を登録してください。"
    create_label = "番号を登録する"
    search_label = "電話番号（全桁）"
    search_hint = "この番号は登録されていません。番号は全桁を入力してください（例：090-1234-5678）。"

    def __init__(self) -> None:
        super().__init__(Suppression, "送信しない番号", endpoint="suppression")

    def init_search(self) -> bool:
        """Offer a search."""
        return True

    def search_ids(self, search: str) -> list[int]:
        """Find the entry of a number; what is no number is told."""
        try:
            entry = numbers.find(search)
        except Refused as refused:
            flash(refused.message_ja, "warning")
            return []
        return [entry.id] if entry else []

    def create_links(self) -> list[tuple[str, str]]:
        """Offer a new entry, files, and what is proposed."""
        links = [*super().create_links(), ("ファイルで登録・ダウンロード", url_for("suppression_files.index"))]
        if waiting := open_proposals().limit(_PROPOSALS_SHOWN + 1).count():
            words = f"{_PROPOSALS_SHOWN}件以上" if waiting > _PROPOSALS_SHOWN else f"{waiting}件"
            links.append((f"候補を確かめる（{words}）", url_for("suppression.proposed")))
        return links

    def create_form(self, obj: Suppression | None = None) -> NumberForm:
        """Make the form of a number."""
        return NumberForm(get_form_data(), obj)

    def create_model(self, form: Any) -> Suppression | bool:
        """Put a number on the list; what is refused stands at its field."""
        terms = terms_in(form)
        if terms is None:
            return False
        try:
            added = numbers.add(form.phone.data or "", terms, actor=staff().actor)
        except Refused as refused:
            form.phone.errors = [*form.phone.errors, *refused.messages_ja]
            return False
        tell(added)
        return self.get_one(added.id)

    @expose(f"/<{_ID}:entry_id>/", methods=["GET", "POST"])
    def one(self, entry_id: int) -> Page | tuple[str, int]:
        """Show an entry; change its terms or end it."""
        entry = self.get_one(entry_id)
        day = numbers.last_day_of(entry)
        shown = {"reason": entry.reason, "until": display.day(day) if day else "", "note": numbers.open_note(entry)}
        form = TermsForm(get_form_data(), data=shown)
        problems: list[str] = []
        if request.method == "POST":
            try:
                if typed("act") == "end":
                    numbers.end(entry_id, actor=staff().actor)
                    flash("登録を終えました。この番号へは、これからの配信で送られます。", "success")
                    return redirect(self.get_url(".index_view"), 303)
                if typed("act") != "change":
                    problems = ["変更するか、登録を終えるかを、ボタンで選んでください。"]
                elif form.validate() and (terms := terms_in(form)) is not None:
                    numbers.change(entry_id, terms, actor=staff().actor)
                    flash("変更しました。", "success")
                    return redirect(self.get_url(".index_view"), 303)
            except Refused as refused:
                problems = refused.messages_ja
            entry = self.get_one(entry_id)
        page = self.render(
            "office/suppression.html",
            entry=entry,
            form=form,
            problems=problems,
            over=numbers.is_over(entry),
            facts=[
                ("登録日時", display.jst(entry.since)),
                ("登録した人", actor_name(entry.added_by)),
                ("期限", _until(None, None, entry, "until")),
            ],
        )
        return (page, 422) if problems or form.errors else page

    @expose(f"/person/<{_ID}:recipient_id>/", methods=["GET", "POST"])
    def person(self, recipient_id: int) -> Page | tuple[str, int]:
        """Ask why and until when a person's number gets nothing; put it on the list."""
        person = rows(Recipient).filter(Recipient.id == recipient_id).one_or_none() or abort(404)
        back = url_for("recipient.details_view", id=recipient_id)
        form = TermsForm(get_form_data())
        problems: list[str] = []
        if request.method == "POST" and form.validate() and (terms := terms_in(form)) is not None:
            try:
                added = numbers.add_index(
                    person.phone_index, terms, actor=staff().actor, detail={"recipient": recipient_id}
                )
            except Refused as refused:
                problems = refused.messages_ja
            else:
                tell(added)
                return redirect(back, 303)
        page = self.render(
            "office/suppression_person.html",
            person=person,
            phone=mask(open_phone(person)),
            form=form,
            problems=problems,
            back=back,
        )
        return (page, 422) if problems or form.errors else page

    @expose("/proposals/", methods=["GET", "POST"])
    def proposed(self) -> Page:
        """Show the numbers that are proposed; take a clerk's word for those that are ticked."""
        if request.method == "POST":
            self._settle({number for raw in request.form.getlist("proposal") if (number := as_id(raw))}, typed("act"))
            return redirect(self.get_url(".proposed"), 303)
        found = open_proposals().order_by(SuppressionProposal.id).limit(_PROPOSALS_SHOWN).all()
        return self.render(
            "office/suppression_proposals.html",
            proposals=[
                {
                    "id": one.id,
                    "at": display.jst(one.created_at),
                    "person": one.recipient,
                    "phone": mask(open_phone(one.recipient)),
                    "campaign": one.recipient.campaign,
                    "source": proposals.SOURCE_WORDS[one.source],
                    "reason": REASON_WORDS[SuppressionReason(one.reason)],
                }
                for one in found
            ],
            most=_PROPOSALS_SHOWN,
        )

    @staticmethod
    def _settle(ids: set[int], act: str) -> None:
        if act not in {"confirm", "dismiss"}:
            flash("登録するかしないかを、ボタンで選んでください。何も記録していません。", "warning")
            return
        if not ids:
            flash("番号を1件以上選んでください。", "warning")
            return
        done = 0
        for proposal_id in sorted(ids):
            if open_proposals().filter(SuppressionProposal.id == proposal_id).first() is None:
                continue  # another clerk was faster
            try:
                if act == "confirm":
                    proposals.confirm(proposal_id, actor=staff().actor)
                else:
                    proposals.dismiss(proposal_id, actor=staff().actor)
            except Refused:
                continue
            done += 1
        words = "「送信しない番号」に登録しました。" if act == "confirm" else "登録しないことにしました。"
        flash(f"{done:,}件を{words}", "success" if done else "warning")
        if done < len(ids):
            flash(f"{len(ids) - done:,}件は、ほかの方がすでに判断しています。", "info")


def open_proposals() -> Any:
    """Return the query of the scope's proposals that wait for a clerk."""
    return rows(SuppressionProposal).filter(SuppressionProposal.settled_at.is_(None))
