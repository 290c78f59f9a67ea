from collections.abc import Callable
from typing import Any

from flask_admin.model.ajax import AjaxModelLoader
from flask_admin.model.base import BaseModelView
from flask_admin.model.form import InlineFormAdmin, InlineModelConverterBase, ModelConverterBase
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import RelationshipProperty, scoped_session
from wtforms.fields.core import Field

class AdminModelConverter(ModelConverterBase):
    session: SQLAlchemy | scoped_session[Any]
    view: BaseModelView | InlineFormAdmin
    def __init__(self, session: SQLAlchemy | scoped_session[Any], view: BaseModelView | InlineFormAdmin) -> None: ...
    def _model_select_field(
        self, prop: RelationshipProperty[Any], multiple: bool, remote_model: type[Any], **kwargs: Any
    ) -> Field: ...

class InlineModelConverter(InlineModelConverterBase):
    session: SQLAlchemy | scoped_session[Any]
    model_converter: Callable[..., AdminModelConverter]
    def __init__(
        self,
        session: SQLAlchemy | scoped_session[Any],
        view: BaseModelView,
        model_converter: Callable[..., AdminModelConverter],
    ) -> None: ...
    def get_info(self, p: Any) -> InlineFormAdmin: ...
    def process_ajax_refs(self, info: InlineFormAdmin) -> dict[str, AjaxModelLoader]: ...
