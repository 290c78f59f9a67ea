from collections.abc import Sequence
from typing import Any

from flask_admin.contrib.sqla.ajax import QueryAjaxModelLoader
from flask_admin.contrib.sqla.form import AdminModelConverter, InlineModelConverter
from flask_admin.model.base import BaseModelView, _AskedFilter
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Query, scoped_session

class ModelView(BaseModelView):
    column_auto_select_related: bool
    column_select_related_list: Sequence[str] | None
    column_display_all_relations: bool | None
    model_form_converter: type[AdminModelConverter]
    inline_model_form_converter: type[InlineModelConverter]
    fast_mass_delete: bool
    inline_models: Sequence[Any] | None
    form_choices: dict[str, list[tuple[str, str]]] | None
    form_optional_types: Sequence[type]
    ignore_hidden: bool
    session: SQLAlchemy | scoped_session[Any]
    def __init__(
        self,
        model: type[Any],
        session: SQLAlchemy | scoped_session[Any],
        name: str | None = None,
        category: str | None = None,
        endpoint: str | None = None,
        url: str | None = None,
        static_folder: str | None = None,
        menu_class_name: str | None = None,
        menu_icon_type: str | None = None,
        menu_icon_value: str | None = None,
    ) -> None: ...
    def _create_ajax_loader(self, name: str, options: dict[str, Any]) -> QueryAjaxModelLoader: ...
    def get_query(self) -> Query[Any]: ...
    def get_count_query(self) -> Query[Any]: ...
    def get_list(
        self,
        page: int | None,
        sort_column: Any,
        sort_desc: bool,
        search: str | None,
        filters: Sequence[_AskedFilter] | None,
        execute: bool = True,
        page_size: int | None = None,
    ) -> tuple[int | None, list[Any]]: ...
    def build_new_instance(self) -> Any: ...
