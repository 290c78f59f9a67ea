from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from flask_admin.model.base import BaseModelView
from flask_babel import LazyString

_Options: TypeAlias = Sequence[tuple[str, str | LazyString]]

class BaseFilter:
    name: str
    options: _Options | Callable[[], _Options] | None
    data_type: str | None
    key_name: str | None
    def __init__(
        self,
        name: str,
        options: _Options | Callable[[], _Options] | None = None,
        data_type: str | None = None,
        key_name: str | None = None,
    ) -> None: ...
    def get_options(self, view: BaseModelView) -> _Options | None: ...
    def validate(self, value: Any) -> bool: ...
    def clean(self, value: Any) -> Any: ...
    def apply(self, query: Any, value: Any) -> Any: ...
    def operation(self) -> str | LazyString: ...
