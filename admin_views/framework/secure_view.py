"""Every view of the back office, tables or not: who may open it, its forms, and what each page tells at its top."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import flask_admin
from flask import Blueprint, abort
from flask_admin.base import Admin, BaseView
from flask_admin.form import BaseForm
from flask_login import current_user
from sqlalchemy.exc import DataError
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from admin_views.framework import errors, fields, scoping
from admin_views.framework.access import may_open
from admin_views.staff.sign_in import to_sign_in
from app import tenancy
from app.accounts import abilities
from app.extensions import db
from app.models import PaymentAccount, SmsAccount
from app.setback import doubt
from app.setback import hold_reasons as setback_words

Page = BaseResponse | str
Sent = MultiDict[str, Any]
"""The source of a form: texts and files."""

_View = TypeVar("_View", bound=Callable[..., Any])


def expose(url: str = "/", *, methods: Iterable[str] = ("GET",)) -> Callable[[_View], _View]:
    """Return a method of a view its address: Flask-Admin's own `expose`, typed."""
    return flask_admin.expose(url, methods)


class Form(BaseForm):
    """The base of all forms.

    NUL, which no person types and PostgreSQL can't hold, is dropped. A text that is far too long is refused before
    anything is made of it.
    """

    def process(self, formdata: Any = None, *args: Any, **kwargs: Any) -> None:
        """Read what was sent."""
        if formdata:
            pairs = [(name, value) for name in formdata for value in formdata.getlist(name)]
            formdata = MultiDict((n, v.replace("\0", "") if isinstance(v, str) else v) for n, v in pairs)
            for field in self._fields.values():
                fields.refuse_long(field, formdata.getlist(field.name))
        super().process(formdata, *args, **kwargs)


def pays_in_test() -> bool:
    """Return whether the company in scope has a payment contract in use that is for tests: every page tells so."""
    if tenancy.current().tenant_id is None:
        return False
    used = scoping.rows(PaymentAccount).filter(PaymentAccount.active, PaymentAccount.test_mode)
    return bool(db.session.query(used.exists()).scalar())


def sends_in_test() -> bool:
    """Return whether the company in scope has an SMS contract in use that is for tests: every page tells so."""
    if tenancy.current().tenant_id is None:
        return False
    return any(abilities.is_test(account) for account in scoping.rows(SmsAccount).filter(SmsAccount.active))


def restore_hold() -> tuple[str, str, str] | None:
    """Return what every page says while sending is held: title, why, what to do; None while it isn't."""
    code = doubt.why_nothing_leaves()
    operator = tenancy.current().tenant_id is None
    return (
        (setback_words.title(code), setback_words.why(code), setback_words.todo(code, operator=operator))
        if code
        else None
    )


class SecureView(BaseView):
    """The part that all views share, tables or not: who may open them, and what is said when something fails."""

    def create_blueprint(self, admin: Admin) -> Blueprint:
        """Make the view's blueprint, with the back office's error pages."""
        blueprint = super().create_blueprint(admin)
        blueprint.register_error_handler(HTTPException, errors.page)
        return blueprint

    def render(self, template: str, **kwargs: Any) -> str:
        """Render a page."""
        told = {"pays_in_test": pays_in_test, "sends_in_test": sends_in_test, "restore_hold": restore_hold}
        return str(super().render(template, **told, **kwargs))

    def is_accessible(self) -> bool:
        """Ask the table of access."""
        return may_open(self.endpoint)

    def inaccessible_callback(self, name: str, **kwargs: object) -> BaseResponse:
        """Lead to the sign-in; to who is signed in, say that it isn't for him."""
        del name, kwargs
        if current_user.is_authenticated:
            abort(403)
        return to_sign_in()

    def _run_view(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        # Flask-Admin hides every TypeError behind a second call with other arguments
        try:
            return fn(self, *args, **kwargs)
        except DataError:
            # a value in the address that its column can't hold
            db.session.rollback()
            abort(404)
