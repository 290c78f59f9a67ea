from typing import Any

from flask_admin.form import BaseForm
from flask_admin.model.base import BaseModelView

class InlineBaseFormAdmin:
    def __init__(self, **kwargs: Any) -> None: ...
    def get_form(self) -> type[BaseForm] | None: ...

class InlineFormAdmin(InlineBaseFormAdmin):
    model: type[Any]
    def __init__(self, model: type[Any], **kwargs: Any) -> None: ...

class ModelConverterBase:
    def __init__(self, converters: dict[str, Any] | None = None, use_mro: bool = True) -> None: ...

class InlineModelConverterBase:
    form_admin_class: type[InlineFormAdmin]
    view: BaseModelView
    def __init__(self, view: BaseModelView) -> None: ...
    def get_info(self, p: Any) -> InlineFormAdmin | None: ...
