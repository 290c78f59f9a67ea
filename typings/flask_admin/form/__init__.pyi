from typing import Any

from wtforms.form import Form
from wtforms.meta import _MultiDictLike

class BaseForm(Form):
    _obj: Any  # the row that the form shows
    def __init__(
        self, formdata: _MultiDictLike | None = None, obj: Any = None, prefix: str = "", **kwargs: Any
    ) -> None: ...
