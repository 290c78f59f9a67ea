# Rows are of any class here, as Flask-Admin's own T_ORM_MODEL is: a view that says of which class its rows are
# (admin_views' base view) narrows the hooks.
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias, TypeGuard

from flask import Response
from flask_admin.actions import ActionsMixin
from flask_admin.base import BaseView
from flask_admin.form import BaseForm
from flask_admin.model.ajax import AjaxModelLoader
from flask_admin.model.filters import BaseFilter
from jinja2.runtime import Context
from markupsafe import Markup
from sqlalchemy.orm import InstrumentedAttribute
from werkzeug.wrappers import Response as BaseResponse
from wtforms.fields.core import Field, UnboundField
from wtforms.form import Form

_Column: TypeAlias = str | InstrumentedAttribute[Any]
_Formatter: TypeAlias = Callable[[Any, Context | None, Any, str], str | Markup]
_TypeFormatter: TypeAlias = Callable[[Any, Any, str], str | Markup]
_AskedFilter: TypeAlias = tuple[int, str, Any]  # its number in _filters, its label, the value

class ViewArgs:
    page: int | None
    page_size: int | None
    sort: int | None
    sort_desc: bool | None
    search: str | None
    filters: Sequence[_AskedFilter] | None
    extra_args: dict[str, Any]
    def __init__(
        self,
        page: int | None = None,
        page_size: int | None = None,
        sort: int | None = None,
        sort_desc: int | None = None,
        search: str | None = None,
        filters: Sequence[_AskedFilter] | None = None,
        extra_args: dict[str, Any] | None = None,
    ) -> None: ...
    def clone(self, **kwargs: Any) -> ViewArgs: ...

class BaseModelView(BaseView, ActionsMixin):
    can_create: bool
    can_edit: bool
    can_delete: bool
    can_view_details: bool
    can_export: bool
    list_template: str
    edit_template: str
    create_template: str
    details_template: str
    edit_modal: bool
    create_modal: bool
    details_modal: bool
    column_list: Sequence[_Column] | None
    column_exclude_list: Sequence[str] | None
    column_details_list: Sequence[str] | None
    column_details_exclude_list: Sequence[str] | None
    column_formatters: Mapping[str, _Formatter]
    column_formatters_detail: Mapping[str, _Formatter] | None
    column_type_formatters: Mapping[type, _TypeFormatter] | None
    column_type_formatters_detail: Mapping[type, _TypeFormatter] | None
    column_labels: Mapping[str, str]
    column_descriptions: Mapping[str, str] | None
    column_sortable_list: Sequence[_Column | tuple[str, _Column]] | None
    column_default_sort: str | tuple[str, bool] | list[tuple[str, bool]] | None
    column_searchable_list: Sequence[_Column] | None
    column_editable_list: Collection[str] | None
    column_choices: Mapping[str, Sequence[tuple[str, str]]] | None
    column_filters: Collection[str | BaseFilter] | None
    column_display_pk: bool
    column_display_actions: bool
    named_filter_urls: bool
    simple_list_pager: bool
    form: type[Form] | None
    form_base_class: type[BaseForm]
    form_args: Mapping[str, Mapping[str, Any]] | None
    form_columns: Collection[_Column] | None
    form_excluded_columns: Collection[str]
    form_overrides: Mapping[str, type[Field]] | None
    form_widget_args: Mapping[str, Mapping[str, int | str | bool]] | None
    form_extra_fields: Mapping[str, Field | UnboundField[Any]] | None
    form_ajax_refs: Mapping[str, AjaxModelLoader | dict[str, Any]] | None
    action_disallowed_list: Sequence[str]
    page_size: int
    can_set_page_size: bool
    page_size_options: tuple[int, ...]
    model: type[Any]
    _filters: Sequence[BaseFilter] | None
    _form_ajax_refs: dict[str, AjaxModelLoader]
    _list_columns: list[tuple[Any, str]]
    _search_supported: bool
    _sortable_columns: dict[str, Any]
    def __init__(
        self,
        model: type[Any],
        name: str | None = None,
        category: str | None = None,
        endpoint: str | None = None,
        url: str | None = None,
        static_folder: str | None = None,
        menu_class_name: str | None = None,
        menu_icon_type: str | None = None,
        menu_icon_value: str | None = None,
    ) -> None: ...
    def get_pk_value(self, model: Any) -> Any: ...
    def scaffold_filters(self, name: Any) -> list[Any] | None: ...
    def is_valid_filter(self, filter: Any) -> TypeGuard[BaseFilter]: ...
    def get_filters(self) -> list[BaseFilter] | None: ...
    def scaffold_form(self) -> type[Form]: ...
    def create_form(self, obj: Any = None) -> Form: ...
    def edit_form(self, obj: Any = None) -> Form: ...
    def action_form(self, obj: Any = None) -> Form: ...
    def delete_form(self) -> BaseForm: ...
    def validate_form(self, form: Form) -> bool: ...
    def get_save_return_url(self, model: Any, is_created: bool = False) -> str: ...
    def is_sortable(self, name: str) -> bool: ...
    def is_editable(self, name: str) -> bool: ...
    def _get_column_by_idx(self, idx: int | None) -> tuple[Any, str] | None: ...
    def get_safe_page_size(self, page_size: int | None) -> int: ...
    def get_one(self, id: Any) -> Any: ...
    def handle_view_exception(self, exc: Exception) -> bool: ...
    def on_model_change(self, form: Any, model: Any, is_created: bool) -> None: ...
    def after_model_change(self, form: Any, model: Any, is_created: bool) -> None: ...
    def on_model_delete(self, model: Any) -> None: ...
    def after_model_delete(self, model: Any) -> None: ...
    def on_form_prefill(self, form: Any, id: Any) -> None: ...
    def create_model(self, form: Form) -> Any: ...
    def update_model(self, form: Form, model: Any) -> bool | None: ...
    def delete_model(self, model: Any) -> bool: ...
    def _get_list_filter_args(self) -> list[_AskedFilter] | None: ...
    def _get_list_extra_args(self) -> ViewArgs: ...
    def _get_filters(self, filters: Sequence[_AskedFilter] | None) -> dict[str, Any]: ...
    def _get_list_url(self, view_args: ViewArgs) -> str: ...
    def get_list_value(self, context: Context, model: Any, name: str) -> Any: ...
    def get_detail_value(self, context: Context, model: Any, name: str) -> Any: ...
    def _create_ajax_loader(self, name: str, options: dict[str, Any]) -> AjaxModelLoader: ...
    def index_view(self) -> str: ...
    def create_view(self) -> Response | BaseResponse | str: ...
    def edit_view(self) -> Response | BaseResponse | str: ...
    def details_view(self) -> Response | BaseResponse | str: ...
    def delete_view(self) -> Response | BaseResponse: ...
    def action_view(self) -> Response | BaseResponse: ...
    def ajax_lookup(self) -> Response | BaseResponse: ...
    def ajax_update(self) -> tuple[str, int] | str | None: ...
