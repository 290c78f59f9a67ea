"""ファイル: what people's status is taken away as; files made by a job, to be fetched; saved layouts."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import abort, flash, redirect, request, url_for
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup
from wtforms import Field, SelectField
from wtforms.validators import ValidationError

from admin_views.campaigns import status
from admin_views.campaigns.live import FILTERS
from admin_views.framework import display
from admin_views.framework.access import staff
from admin_views.framework.fields import line, required, select_options, text
from admin_views.framework.filters import Choice, Filter, states_of
from admin_views.framework.listing import at, is_searchable
from admin_views.framework.model_view import SecureModelView
from admin_views.framework.scoping import as_id, rows
from admin_views.framework.secure_view import Form, Page, Sent, expose
from admin_views.recipients.table import RecipientView, campaign_name, search_people
from admin_views.staff.reauthentication import require_reauthentication, require_reauthentication_for_file
from app import audit
from app.exports import columns, export_jobs, status_file
from app.exports.selection import Selection
from app.extensions import db
from app.models import Export, ExportLayout, Import
from app.states.vocabulary import CARRIERS, EXPORT, ExportState

_ONE = "/<int(max=9223372036854775807):export_id>"
_MOST_COLUMNS = 300
_LISTS_LOOKED_AT = 200
_DAYS = export_jobs.KEPT.days


def asked() -> tuple[Selection, list[tuple[str, str]]]:
    """Read the filters of the list of people from the address: whom a file is about, and the same in words. 404."""
    arguments = request.args
    values = {item.param: (item, item.read(arguments)) for item in RecipientView.column_filters}
    given = {param: value for param, (_, value) in values.items() if value is not None}
    search = " ".join(arguments.get("search", "").split())
    since, until = given.get("days", ("", ""))
    selection = Selection(
        campaign_id=as_id(given.get("campaign")),
        states={track: given[param] for track, param in FILTERS.items() if param in given},
        carrier=given.get("carrier", ""),
        since=display.day_of(since),
        until=display.day_of(until),
        # people of a text that can't be searched for are nobody, never everybody
        ids=tuple(search_people(search) if is_searchable(search) else ()) if search else None,
    )
    told = [(item.name, _said(item, value)) for item, value in values.values() if value is not None]
    if not is_searchable(search):
        search = "（検索できない文字が入っています）"
    return selection, told + ([("検索", search)] if search else [])


def _said(item: Filter[Any], value: Any) -> str:
    if isinstance(item, Choice):
        return dict(item.choices()).get(value, "")
    first, last = value
    return f"{first}から{last}まで" if first and last else f"{first}から" if first else f"{last}まで"


def _state(_view: object, _context: object, row: Export, _name: str) -> Markup:
    badge = display.badge(row.state, display.word(EXPORT, row.state))
    if row.state == ExportState.RUNNING and row.rows_total:
        return badge + Markup(" {}%").format(100 * row.rows_done // row.rows_total)
    return badge


def _act(_view: object, _context: object, row: Export, _name: str) -> Markup | str:
    give = _press("export.file", row, "ダウンロード", "btn-primary")
    stop = _press(
        "export.cancel", row, "消す" if row.state == ExportState.DONE else "取り消す", "btn-outline-secondary"
    )
    acts: dict[str, Markup] = {ExportState.QUEUED: stop, ExportState.RUNNING: stop, ExportState.DONE: give + stop}
    return acts.get(row.state, display.NOTHING)


def _press(endpoint: str, row: Export | ExportLayout, words: str, look: str, confirm: str = "") -> Markup:
    asks = Markup(' data-confirm="{}"').format(confirm) if confirm else ""
    return Markup(
        '<form method="post" action="{}" class="row-form"{}><input type="hidden" name="csrf_token" value="{}">'
        '<button type="submit" class="btn btn-sm {} text-nowrap">{}<span class="sr-only">：{}</span></button></form>'
    ).format(url_for(endpoint, export_id=row.id), asks, generate_csrf(), look, words, row)


def _note(_view: object, _context: object, row: Export, _name: str) -> str:
    if row.state == ExportState.DONE and row.replaced:
        replaced = f"Shift_JISで書けない{row.replaced:,}文字を〓にしました。"
        return f"{replaced}元の文字が必要なときはUTF-8かExcelブックを選んでください。"
    if row.state == ExportState.DONE and row.finished_at:
        return f"{display.jst(row.finished_at + export_jobs.KEPT)}まで受け取れます。"
    why: dict[str, str] = {
        ExportState.FAILED: "作成できませんでした。もう一度作成してください。",
        ExportState.EXPIRED: "保管の期限が過ぎました。",
    }
    return why.get(row.state, display.NOTHING)


class ExportView(SecureModelView[Export]):
    """ファイル."""

    column_list = ("created_at", "filename", "daily", "state", "rows_done", "note", "act")
    column_labels = {
        "created_at": "依頼の日時",
        "filename": "ファイル",
        "daily": "種類",
        "state": "状態",
        "rows_done": "件数",
        "note": "お知らせ",
        "act": "操作",
    }
    column_formatters = {
        "daily": lambda _v, _c, row, _n: "毎日" if row.daily else "1回",
        "state": _state,
        "rows_done": lambda _v, _c, row, _n: f"{row.rows_done:,}",
        "note": _note,
        "act": _act,
    }
    column_filters = [Choice(Export.state, "状態", "state", states_of(EXPORT))]
    number_columns = ("rows_done",)
    intro = (
        "時間のかかるファイルをここで作り、できあがったら受け取ります。"
        f"中身は暗号化して保管し、{_DAYS}日で消えます。受け取った人と日時は証跡に残ります。"
    )
    empty_text = "作ったファイルがありません。送信先の一覧か、配信の「結果」から作れます。"

    def __init__(self) -> None:
        super().__init__(Export, "ファイル", endpoint="export")

    @expose("/new")
    def new(self) -> Page:
        """Show whom a file would be about, and offer its forms."""
        selection, told = asked()
        return self.render(
            "office/export.html",
            told=told,
            count=status_file.count_up_to(selection, export_jobs.LARGE),
            large=export_jobs.LARGE,
            formats=status_file.FORMATS,
            csv_in_excel=status_file.CSV_IN_EXCEL,
            layouts=rows(ExportLayout).order_by(ExportLayout.name).all(),
            campaign=selection.campaign_id,
            plan=export_jobs.plan_of(selection.campaign_id) if selection.campaign_id else None,
            back=at(url_for("recipient.index_view"), **request.args.to_dict()),
            arguments=request.args.to_dict(),
        )

    @expose("/now", methods=["POST"])
    @require_reauthentication_for_file
    def now(self) -> Page:
        """Stream a file; that somebody took it is recorded first."""
        selection, _ = asked()
        form, keys = _wanted(request.form)
        audit.record(
            db.session,
            actor=staff().actor,
            act="export_status",
            target=f"campaign:{selection.campaign_id}" if selection.campaign_id else "",
            detail={"encoding": form, **selection.states},
        )
        title = _title(selection)
        db.session.commit()
        return status.download(
            lambda: status_file.status_file(selection, form, keys),
            export_jobs.filename(title, form, datetime.now(UTC)),
            f"status.{export_jobs.ending(form)}",
        )

    @expose("/make", methods=["POST"])
    @require_reauthentication
    def make(self) -> Page:
        """Order a file."""
        selection, _ = asked()
        form, keys = _wanted(request.form)
        name = export_jobs.filename(_title(selection), form, datetime.now(UTC))
        export_jobs.order(selection, form, keys, name, user_id=staff().id)
        flash("ファイルの作成を始めました。できあがると、この一覧とホームでお知らせします。", "success")
        return redirect(url_for("export.index_view"), 303)

    @expose("/daily", methods=["POST"])
    @require_reauthentication
    def daily(self) -> Page:
        """Have a campaign's file made each morning, or no more."""
        selection, _ = asked()
        if selection.campaign_id is None:
            abort(404)
        if "stop" in request.form:
            export_jobs.stop_daily(selection.campaign_id)
            flash("毎日の作成をやめました。", "success")
        else:
            form, keys = _wanted(request.form)
            export_jobs.plan_daily(selection.campaign_id, form, keys, user_id=staff().id)
            flash("毎朝6時すぎにファイルを作ります。できあがると、ホームでお知らせします。", "success")
        return redirect(url_for("export.new", campaign=selection.campaign_id), 303)

    @expose(f"{_ONE}/file", methods=["POST"])
    @require_reauthentication_for_file
    def file(self, export_id: int) -> Page:
        """Hand over a file that is there."""
        row = self.get_one(export_id)
        if row.state != ExportState.DONE:
            flash("このファイルはまだできていないか、期限が過ぎています。", "warning")
            return redirect(url_for("export.index_view"), 303)
        name, ending = row.filename, export_jobs.ending(row.form)
        export_jobs.taken(row, user_id=staff().id)
        return status.download(lambda: export_jobs.pieces(export_id), name, f"status-{export_id}.{ending}")

    @expose(f"{_ONE}/cancel", methods=["POST"])
    def cancel(self, export_id: int) -> Page:
        """Abandon a file, or throw it away."""
        self.get_one(export_id)
        if export_jobs.cancel(export_id):
            flash("ファイルを取り消しました。", "success")
        else:
            flash("このファイルは、すでに取り消されているか期限が過ぎています。", "warning")
        return redirect(url_for("export.index_view"), 303)


def _wanted(form: Mapping[str, str]) -> tuple[str, list[str] | None]:
    """Read a form and the columns: those of a layout, which has a form of its own, or all. 404."""
    chosen = form.get("layout", "")
    if chosen:
        layout = rows(ExportLayout).filter(ExportLayout.id == as_id(chosen)).one_or_none() or abort(404)
        return layout.form, layout.columns
    wanted = form.get("form", "")
    return (wanted, None) if wanted in status_file.FORMATS else abort(404)


def _title(selection: Selection) -> str:
    """Name a file by whose it is and what narrows it, but for a search: that may be a number."""
    name = campaign_name(selection.campaign_id) if selection.campaign_id else None
    narrowed = status.chosen_words(selection.states)
    if selection.carrier:
        narrowed.append(CARRIERS[selection.carrier])
    if selection.since or selection.until:
        narrowed.append(f"送信日{selection.since or ''}から{selection.until or ''}")
    if selection.ids is not None:
        narrowed.append("検索")
    return "_".join([name or "送信先", "状況", *narrowed])


class LayoutForm(Form):
    """A layout's fields."""

    name = line("レイアウト名", required("レイアウト名を入力してください。"))
    form = SelectField("ファイルの形", choices=select_options(status_file.FORMATS.items()))
    words = text(
        "列（上から順に、1行に1つ）",
        required("列を1つ以上入力してください。"),
        most=20_000,
        help=(
            "いらない列の行を消し、並べたい順に入れ替えてください。名簿の列は、名簿にある列名のまま書きます。"
            f"{columns.REST_WORDS} と書いた所には、名簿のほかの列がすべて入ります。使える列："
            + "、".join(column.word for column in columns.COLUMNS)
        ),
        render_kw={"rows": 20},
    )

    def __init__(self, formdata: Sent | None, obj: ExportLayout | None) -> None:
        super().__init__(formdata, obj)
        self._obj = obj
        if formdata is None:
            keys = obj.columns if obj else columns.USUAL
            self.words.data = "\n".join(columns.word_of(key) for key in keys)

    def validate_name(self, field: Field) -> None:
        """Refuse a name that another layout has."""
        found = rows(ExportLayout).filter(ExportLayout.name == field.data)
        if self._obj is not None:
            found = found.filter(ExportLayout.id != self._obj.id)
        if found.first():
            raise ValidationError("この名前のレイアウトはすでにあります。別の名前にしてください。")

    def validate_words(self, field: Field) -> None:
        """Refuse doubles, and more than a sheet is read for."""
        words = self.listed(field.data)
        doubles = sorted({word for word in words if words.count(word) > 1})
        if doubles:
            raise ValidationError(f"同じ列が2回あります：{'、'.join(doubles[:5])}。1つにしてください。")
        if len(words) > _MOST_COLUMNS:
            raise ValidationError(f"列は{_MOST_COLUMNS}個までにしてください。")

    @staticmethod
    def listed(written: str | None) -> list[str]:
        """Return the words, a line each."""
        return [word for line_ in (written or "").splitlines() if (word := line_.strip())]

    def populate_obj(self, obj: Any) -> None:
        """Write the form into the layout."""
        obj.name, obj.form = self.name.data, self.form.data
        obj.columns = [columns.key_of(word) for word in self.listed(self.words.data)]


class LayoutView(SecureModelView[ExportLayout]):
    """レイアウト."""

    form = LayoutForm
    can_create = True
    can_edit = True
    column_list = ("name", "form", "columns", "created_at", "act")
    column_labels = {
        "name": "レイアウト名",
        "form": "ファイルの形",
        "columns": "列",
        "created_at": "登録日時",
        "act": "操作",
    }
    column_formatters = {
        "form": display.words_of(status_file.FORMATS),
        "columns": lambda _v, _c, row, _n: "、".join(columns.word_of(key) for key in row.columns),
        "act": lambda _v, _c, row, _n: _press(
            "export_layout.remove",
            row,
            "削除",
            "btn-outline-secondary",
            f"レイアウト「{row.name}」を削除します。これまでに作ったファイルは残ります。よろしいですか。",
        ),
    }
    intro = "ダウンロードするファイルの列と並び順を、名前をつけて保存できます。"
    empty_text = "レイアウトがまだありません。「レイアウトをつくる」から始めてください。"
    create_label = "レイアウトをつくる"

    def __init__(self) -> None:
        super().__init__(ExportLayout, "レイアウト", endpoint="export_layout", url="export-layout")

    def create_form(self, obj: ExportLayout | None = None) -> LayoutForm:
        """Make an empty form."""
        return LayoutForm(request.form if request.method == "POST" else None, obj)

    def edit_form(self, obj: ExportLayout | None = None) -> LayoutForm:
        """Make the form of a layout."""
        return LayoutForm(request.form if request.method == "POST" else None, obj)

    def after_model_change(self, form: LayoutForm, model: ExportLayout, is_created: bool) -> None:  # noqa: FBT001 - Flask-Admin's hook
        """Warn of columns that no list has brought: a name written wrongly would be an empty column, without a word."""
        super().after_model_change(form, model, is_created)
        latest = rows(Import).order_by(Import.id.desc()).limit(_LISTS_LOOKED_AT).with_entities(Import.header)
        brought = {name for (header,) in latest for name in header}
        own = [columns.word_of(key) for key in model.columns if columns.is_own(key)]
        if unknown := [name for name in own if name not in brought]:
            told = "、".join(f"「{name}」" for name in unknown[:5])
            flash(f"{told}という列は、最近の名簿にありません。名簿にない列は空になります。", "warning")

    @expose(f"{_ONE}/remove", methods=["POST"])
    def remove(self, export_id: int) -> Page:
        """Delete a layout; files and daily plans that were made by it keep its columns."""
        layout = self.get_one(export_id)
        name, target = layout.name, f"export_layout:{layout.id}"
        audit.record(db.session, actor=staff().actor, act="export_layout.delete", target=target)
        db.session.delete(layout)
        db.session.commit()
        flash(f"レイアウト「{name}」を削除しました。", "success")
        return redirect(url_for("export_layout.index_view"), 303)
