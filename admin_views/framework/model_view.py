"""The view that shows all tables of the back office: Flask-Admin's, with every door to another company's rows shut.

Flask-Admin scopes nothing by itself (`get_query` and the count alone leave 16 of 24 ways open), answers bad addresses
with a server error, and tells statements with their values when a write fails. Features switched off here stay off: its
own filters (their options are made once, for everybody), its exports, its bulk delete.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NoReturn, TypeGuard

import structlog
from flask import abort, flash, g, has_request_context, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin.contrib.sqla import ModelView
from flask_admin.helpers import get_redirect_target
from flask_admin.model.base import ViewArgs
from markupsafe import Markup
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Query
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse
from wtforms.validators import ValidationError

from admin_views.framework import display, keyset_pagination, listing, scoping
from admin_views.framework.access import staff
from admin_views.framework.filters import Filter
from admin_views.framework.scoping import M
from admin_views.framework.secure_view import Form, Page, SecureView, expose
from admin_views.staff import reauthentication
from app import audit, tenancy
from app.extensions import db
from app.models import Tenant

UNSEARCHABLE = "検索する語に、検索できない文字（制御文字）が入っているため、検索していません。入力し直してください。"

_LONGEST_SEARCH = 100
_WRITES = frozenset({"create_view", "edit_view"})

_log = structlog.get_logger()


AskedFilter = tuple[int, str, Any]
"""A filter that an address asks for: its number in the view, its label, its value."""


class SecureModelView(SecureView, ModelView, Generic[M]):
    """A table. Read-only unless a view says otherwise."""

    list_template = "office/list.html"
    create_template = "office/form.html"
    edit_template = "office/form.html"

    model_form_converter = scoping.ScopedConverter
    inline_model_form_converter = scoping.ScopedInlineConverter
    form_base_class = Form

    can_create = False
    can_edit = False
    can_delete = False
    can_export = False
    can_view_details = False
    named_filter_urls = False
    action_disallowed_list: Sequence[str] = ("delete",)

    page_size = 20
    can_set_page_size = True
    page_size_options = (20, 50, 100)
    column_searchable_list: Sequence[str] | None
    column_filters: Sequence[Filter[Any]] | None
    column_sortable_list: Sequence[str] = ()  # only what an index on (company, column, id) serves
    column_default_sort: tuple[str, bool] = ("id", True)
    column_formatters: Mapping[str, Callable[[object, object, M, str], Markup | str]]
    column_type_formatters = dict(display.TYPES)
    column_type_formatters_detail = dict(display.TYPES)

    # its rows decide who may do what: whoever writes them proves first who he is
    asks_again = False

    # words of a list: at its top, and when it has nothing to show
    intro = ""
    empty_text = "まだ何もありません。"
    create_label = "新しく登録する"
    search_label = ""
    search_hint = ""  # how to search, for whom a search found nothing
    number_columns: Sequence[str] = ()
    # columns that are shown only to who asks for them
    walked_to = keyset_pagination.WALKED_TO
    columns_on_request: Sequence[str] = ()
    # related rows that the columns shown need
    read_beside: Sequence[str] = ()

    _filters: Sequence[Filter[Any]] | None

    def __init__(self, model: type[M], name: str, *, endpoint: str, url: str | None = None) -> None:
        self._columns: list[tuple[str, str]] = []
        super().__init__(model, db, name=name, endpoint=endpoint, url=url)

    @property
    def _list_columns(self) -> list[tuple[str, str]]:
        """A list's columns: those that the user chose; the company's name tells only operators anything."""
        if not has_request_context():
            return self._columns
        chosen = listing.chosen_columns(self.endpoint)
        offered = self.offered_columns()
        shown = [pair for pair in offered if pair[0] in (chosen or ())]
        return shown or [pair for pair in offered if pair[0] not in self.columns_on_request]

    @_list_columns.setter
    def _list_columns(self, columns: list[tuple[str, str]]) -> None:
        self._columns = columns

    def offered_columns(self) -> list[tuple[str, str]]:
        """Return the columns that a list can show to who is signed in."""
        within = tenancy.current().tenant_id is not None
        return [pair for pair in self._columns if not (within and pair[0] == "tenant")]

    def place_of(self, column: str) -> int:
        """Return a column's number in addresses, the same whichever columns are shown."""
        return [name for name, _ in self._columns].index(column)

    def _get_column_by_idx(self, idx: int | None) -> tuple[str, str] | None:
        return self._columns[idx] if idx is not None and 0 <= idx < len(self._columns) else None

    # --- what is seen ---

    def get_query(self) -> Query[M]:
        """Return the scope's rows."""
        return scoping.rows(self.model)

    def get_list(  # noqa: PLR0917 - Flask-Admin's hook
        self,
        page: int | None,
        sort_column: str | None,
        sort_desc: bool | None,  # noqa: FBT001 - Flask-Admin's hook
        search: str | None,
        filters: Sequence[AskedFilter] | None,
        execute: bool = True,  # noqa: FBT001, FBT002 - Flask-Admin's hook
        page_size: int | None = None,
    ) -> tuple[int, list[M]]:
        """Return how many rows there are, up to a cap, and those of the page that the address asks for."""
        del page, execute
        offered = self._filters or []
        asked = [(offered[index], value) for index, _label, value in filters or []]
        order = None
        if sort_column is not None:
            order = keyset_pagination.ListIndex(
                (getattr(self.model, sort_column), self.model.id), descending=bool(sort_desc)
            )
        search = search if self._search_supported else None
        ids = self.search_ids(search) if search else None
        index, checks = listing.plan(self.model.id, ids, order, self.usual_index(), asked)
        if search and ids is None:
            checks.append(listing.containing(self._search_fields_of_model(), search))
        beside = [pair[0] for pair in self._list_columns if pair[0] in inspect(self.model).relationships]
        reading = keyset_pagination.Reading(self.get_query(), self.model, index, checks, [*beside, *self.read_beside])
        found = listing.show(reading, page_size or keyset_pagination.COUNTED_TO)
        return found.count, found.rows

    def usual_index(self) -> keyset_pagination.ListIndex:
        """Return the order in which a list stands when nothing else is asked for: the newest rows first."""
        return keyset_pagination.ListIndex((self.model.id,))

    def search_ids(self, search: str) -> list[int] | None:
        """Return the rows that an index finds by a text, None where the columns themselves are to be looked through."""
        del search
        return None

    def _search_fields_of_model(self) -> list[keyset_pagination.Key]:
        return [keyset_pagination.column_of(self.model, name) for name in self.column_searchable_list or ()]

    def listing(self) -> keyset_pagination.Listing[M]:
        """Return the page that is being shown."""
        shown: keyset_pagination.Listing[M] = g.listing
        return shown

    def asked_for(self, search: str | None, filters: Mapping[str, str]) -> dict[str, str]:
        """Return what a list is narrowed by, as its address holds it."""
        return {**filters, **({"search": search} if search else {})}

    def page_url(self, url: str, **place: str) -> str:
        """Return the address of another page of a list."""
        return listing.at(url, **place)

    @expose("/columns", methods=["POST"])
    def columns(self) -> Page:
        """Keep which columns the user wants to see."""
        wanted = set(request.form.getlist("column"))
        columns = [name for name, _ in self.offered_columns() if name in wanted]
        if not columns and "reset" not in request.form:
            flash("表示する列を1つ以上選んでください。列は変えていません。", "warning")
        else:
            listing.choose_columns(self.endpoint, None if "reset" in request.form else columns)
        return redirect(get_redirect_target() or self.get_url(".index_view"), 303)

    def get_one(self, id: object) -> M:  # noqa: A002 - Flask-Admin's name
        """Return one of the scope's rows; 404 for all else."""
        number = scoping.as_id(id)
        if number is None:
            abort(404)
        return self.get_query().filter(self.model.id == number).one_or_none() or abort(404)

    def chosen(self, ids: list[str]) -> Query[M]:
        """Return the query of those of the ids that the scope has; for actions upon several rows."""
        return self.get_query().filter(self.model.id.in_([scoping.as_id(row) for row in ids]))

    def _create_ajax_loader(self, name: str, options: dict[str, Any]) -> scoping.ScopedLoader:
        return scoping.scoped_loader(self.model, name, name, options)

    # --- what is asked for ---

    def _handle_view(self, name: str, **kwargs: object) -> ResponseReturnValue | None:
        refused = super()._handle_view(name, **kwargs)
        if refused is None and not self._offers(name):
            abort(404)
        if refused is None and self.asks_again and name in _WRITES and request.method == "POST":
            return reauthentication.ask_password(self)
        return refused

    def _offers(self, name: str) -> bool:
        """Return whether a surface is in use: Flask-Admin leads astray, or lets read-only rows be changed."""
        return {
            "create_view": self.can_create,
            "edit_view": self.can_edit,
            "details_view": self.can_view_details,
            "delete_view": self.can_delete,
            "export": self.can_export,
            "ajax_update": self.can_edit and bool(self.column_editable_list),
            "ajax_lookup": bool(self._form_ajax_refs),
            "action_view": bool(self.get_actions_list()[0]),
        }.get(name, True)

    def _get_list_extra_args(self) -> ViewArgs:
        view_args = super()._get_list_extra_args()
        view_args.page = 0  # pages begin at a row, not at a number (`keyset_pagination`)
        view_args.search = self._search_of(view_args.search or "")
        column = self._get_column_by_idx(view_args.sort)
        if column is None or column[0] not in self._sortable_columns:
            view_args.sort = view_args.sort_desc = None
        # an address's other parts go into no other address
        view_args.extra_args = {}
        return view_args

    @staticmethod
    def _search_of(typed: str) -> str | None:
        """Return what is searched for; nothing where it can't be anything, which is told."""
        if len(typed) > 2 * _LONGEST_SEARCH or len(search := " ".join(typed.split())) > _LONGEST_SEARCH:
            flash(
                f"検索する語が長すぎるため、検索していません。{_LONGEST_SEARCH}文字以内で入力してください。", "warning"
            )
            return None
        if not listing.is_searchable(search):
            flash(UNSEARCHABLE, "warning")
            return None
        return search or None

    def is_valid_filter(self, filter: object) -> TypeGuard[Filter[Any]]:  # noqa: A002 - Flask-Admin's name
        """Take our own filters alone."""
        return isinstance(filter, Filter)

    def scaffold_filters(self, name: object) -> NoReturn:
        """Refuse Flask-Admin's filters, at start-up."""
        raise TypeError(f"{self.endpoint}: {name!r} is no Filter")

    def _get_list_filter_args(self) -> list[AskedFilter]:
        found: list[AskedFilter] = []
        for index, item in enumerate(self._filters or []):
            value = item.read(request.args)
            if value is not None:
                found.append((index, item.name, value))
        return found

    def _get_filters(self, filters: Sequence[AskedFilter] | None) -> dict[str, str]:
        offered = self._filters or []
        written: dict[str, str] = {}
        for index, _label, value in filters or []:
            written |= offered[index].written(value)
        return written

    def handle_action(self, return_view: str | None = None) -> BaseResponse:
        """Run an action upon rows; what is no id is refused first."""
        if any(scoping.as_id(row) is None for row in request.form.getlist("rowid")):
            abort(404)
        return super().handle_action(return_view)

    # --- what is written ---

    def on_model_change(self, form: Any, model: M, is_created: bool) -> None:  # noqa: FBT001 - Flask-Admin's hook
        """Stamp and check every row that is about to be written, inline ones too; record who did it."""
        with db.session.no_autoflush:
            scoping.assign_tenant({model, *db.session.new, *db.session.dirty})
        state = inspect(model)
        changed = sorted(column.key for column in state.mapper.column_attrs if state.attrs[column.key].history.added)
        db.session.flush()
        self.complete(form, model)
        audit.record(
            db.session,
            actor=staff().actor,
            act=f"{self.endpoint}.{'create' if is_created else 'update'}",
            target=f"{self.endpoint}:{self.get_pk_value(model)}",
            detail={"fields": changed},
            tenant_id=model.id if isinstance(model, Tenant) else getattr(model, "tenant_id", None),
        )

    def complete(self, form: Any, model: M) -> None:
        """Write what needs the row's id; for a view that has such columns."""

    def offers(self, model: M) -> list[tuple[str, str]]:
        """Return what else may be done from a row's form: words and address of each."""
        del model
        return []

    def notes(self, model: M) -> list[tuple[str, str, str]]:
        """Describe what belongs to a row but is no field of it: (title, value, explanation)."""
        del model
        return []

    def warnings(self, model: M) -> list[tuple[str, str, str]]:
        """Return what is wrong with a row at the moment, for above its form: (title, what is so, what to do)."""
        del model
        return []

    def may_edit(self, model: M) -> bool:
        """Return whether a list's row leads to its form."""
        del model
        return True

    def create_links(self) -> list[tuple[str, str]]:
        """Return the ways to a new row: (words, address)."""
        return [(self.create_label, self.get_url(".create_view"))] if self.can_create else []

    def handle_view_exception(self, exc: Exception) -> bool:
        """Return what to do; the statement and its values, which an exception's text tells, go nowhere."""
        if isinstance(exc, HTTPException):
            raise exc
        if isinstance(exc, ValidationError):
            flash(str(exc), "error")
        elif isinstance(exc, IntegrityError):
            _log.warning("write refused", view=self.endpoint, constraint=_constraint(exc))
            flash(
                "保存できませんでした。同じ内容がすでに登録されているか、ほかのデータと合わない値があります。"
                "内容を確かめて、もう一度保存してください。",
                "error",
            )
        else:
            _log.exception("write failed", view=self.endpoint)
            flash("保存できませんでした。時間をおいてもう一度保存してください。", "error")
        return True


def _constraint(exc: IntegrityError) -> str:
    return str(getattr(getattr(exc.orig, "diag", None), "constraint_name", None))
