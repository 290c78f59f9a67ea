from collections.abc import Callable
from typing import Any

from flask_admin.model.filters import BaseFilter, _Options
from sqlalchemy.orm import InstrumentedAttribute

class BaseSQLAFilter(BaseFilter):
    column: InstrumentedAttribute[Any]  # from the start: the project names no column by its path
    def __init__(
        self,
        column: InstrumentedAttribute[Any],
        name: str,
        options: _Options | Callable[[], _Options] | None = None,
        data_type: str | None = None,
    ) -> None: ...
    def bind(self, model: type) -> None: ...
    def get_column(self, alias: Any) -> InstrumentedAttribute[Any]: ...
    def apply(self, query: Any, value: Any, alias: Any = None) -> Any: ...
