"""Queries and writes of the back office, kept within the open scope.

Row level security stands behind them.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

from flask import abort
from flask_admin.contrib.sqla.ajax import QueryAjaxModelLoader
from flask_admin.contrib.sqla.form import AdminModelConverter, InlineModelConverter
from flask_admin.model import InlineFormAdmin
from flask_admin.model.ajax import AjaxModelLoader
from sqlalchemy import inspect
from sqlalchemy.orm import InstrumentedAttribute, Query, RelationshipDirection, RelationshipProperty
from wtforms import Field
from wtforms.validators import ValidationError

from app import tenancy
from app.auth.staff import Role
from app.extensions import Model, db
from app.models import Tenant, User

_LONGEST_ID = 18  # digits: a bigint in any case
_LOOKUP_ROWS = 20
_NAMED = 5
_LOOKUP_PAGES = 50

M = TypeVar("M", bound=Model)


def as_id(raw: object) -> int | None:
    """Read an id from an address or a form; None for what can't be one."""
    if isinstance(raw, int):
        return raw
    if isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) <= _LONGEST_ID:
        return int(raw)
    return None


def narrow(query: Query[M], model: type[M]) -> Query[M]:
    """Narrow a query to the open scope's rows of `model`."""
    tenant_id = tenancy.current().tenant_id
    if tenant_id is None:
        return query
    if model is Tenant:
        return query.filter(Tenant.id == tenant_id)
    owner: InstrumentedAttribute[int] | None = getattr(model, "tenant_id", None)
    return query if owner is None else query.filter(owner == tenant_id)


def rows(model: type[M]) -> Query[M]:
    """Return the query of the open scope's rows of `model`."""
    return narrow(db.session.query(model), model)


def assign_tenant(objects: Iterable[object]) -> None:
    """Assign new rows to the scope's company, and refuse rows, or rows that point to rows, of another one."""
    tenant_id = tenancy.current().tenant_id
    for item in objects:
        if not hasattr(item, "tenant_id"):
            continue
        if tenant_id is not None and item.tenant_id is None:
            item.tenant_id = tenant_id
        if tenant_id is not None and item.tenant_id != tenant_id:
            abort(404)
        for relation in inspect(type(item)).relationships:
            other = item.__dict__.get(relation.key)
            if relation.direction is not RelationshipDirection.MANYTOONE or other is None:
                continue
            owner = other.id if isinstance(other, Tenant) else getattr(other, "tenant_id", None)
            if owner is not None and item.tenant_id is not None and owner != item.tenant_id:
                raise ValidationError("ほかの企業のデータは選べません。選び直してください。")


class ScopedLoader(QueryAjaxModelLoader):
    """Look-up of related rows while typing, within the open scope."""

    def get_query(self) -> Query[Model]:
        """Return the open scope's rows."""
        return rows(self.model)

    def get_one(self, pk: object) -> Model | None:
        """Return one row, or None where the scope has none with this id."""
        number = as_id(pk)
        with db.session.no_autoflush:
            return None if number is None else self.get_query().filter(self.model.id == number).one_or_none()

    def get_list(self, term: str | None, offset: int | None = 0, limit: int | None = _LOOKUP_ROWS) -> list[Model]:
        """Return a page of rows; what an address asks for is kept within bounds."""
        if "\0" in (term or ""):
            return []
        size = min(max(limit or _LOOKUP_ROWS, 1), _LOOKUP_ROWS)
        start = min(max(offset or 0, 0), _LOOKUP_ROWS * _LOOKUP_PAGES)
        literally = (term or "").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return super().get_list(literally, start, size)


def scoped_loader(model: type[Model], name: str, field: str, options: dict[str, Any]) -> ScopedLoader:
    """Make the loader of a relation; `name` is what addresses call it, `field` the relation's attribute."""
    return ScopedLoader(name, db, getattr(model, field).prop.mapper.class_, **options)


class ScopedConverter(AdminModelConverter):
    """Forms whose relation selects offer the open scope's rows."""

    def _model_select_field(
        self,
        prop: RelationshipProperty[Any],
        multiple: bool,  # noqa: FBT001 - Flask-Admin's hook
        remote_model: type[Model],
        **kwargs: object,
    ) -> Field:
        if prop.key not in getattr(self.view, "_form_ajax_refs", {}):
            # per request: the form's class is made once, at start-up
            kwargs.setdefault("query_factory", lambda: rows(remote_model))
        return super()._model_select_field(prop, multiple, remote_model, **kwargs)


class ScopedInlineConverter(InlineModelConverter):
    """Inline forms whose look-ups stay within the open scope."""

    def process_ajax_refs(self, info: InlineFormAdmin) -> dict[str, AjaxModelLoader]:
        """Make scoped loaders of an inline form's `form_ajax_refs`, which pass the view's own hook by."""
        result: dict[str, AjaxModelLoader] = {}
        for name, options in (getattr(info, "form_ajax_refs", None) or {}).items():
            known_as = f"{info.model.__name__.lower()}-{name}"
            result[name] = self.view._form_ajax_refs[known_as] = scoped_loader(  # noqa: SLF001 - Flask-Admin's own place
                info.model, known_as, name, options
            )
        return result


def managers() -> str:
    """Name the company's managers, for who must ask one of them."""
    found = rows(User).filter(User.role == Role.MANAGER, User.active).order_by(User.id)
    names = [user.name for user in found.limit(_NAMED + 1)]
    return "、".join([f"{name}さん" for name in names[:_NAMED]]) + ("ほか" if len(names) > _NAMED else "")
