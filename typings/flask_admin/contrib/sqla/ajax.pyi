from typing import Any

from flask_admin.model.ajax import AjaxModelLoader
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Query, scoped_session

class QueryAjaxModelLoader(AjaxModelLoader):
    session: SQLAlchemy | scoped_session[Any]
    model: type[Any]
    pk: str
    def __init__(
        self, name: str, session: SQLAlchemy | scoped_session[Any], model: type[Any], **options: Any
    ) -> None: ...
    def get_query(self) -> Query[Any]: ...
    def get_list(self, term: str, offset: int = 0, limit: int = ...) -> list[Any]: ...
