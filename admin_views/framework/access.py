"""Decide who may open which view: the one table that decides, tested view by view and role by role."""

from collections.abc import Mapping

from flask import abort
from flask_login import current_user

from app.auth.staff import Role, Staff

_OPERATOR = frozenset({Role.OPERATOR})
_MANAGER = frozenset({Role.MANAGER})
_COMPANY = frozenset({Role.MANAGER, Role.CLERK})
_ALL = frozenset(Role)

# A view's endpoint -> who may open it. A view that doesn't stand here opens for nobody.
ACCESS: Mapping[str, frozenset[Role]] = {
    "admin": _ALL,
    "password": _ALL,
    "myself": _ALL,
    "guide": _ALL,
    "tenant": _OPERATOR,
    "page_look": _OPERATOR | _MANAGER,
    "user": _OPERATOR | _MANAGER,
    "sms_account": _OPERATOR | _MANAGER,
    "shared_account": _OPERATOR,
    "sender_number": _OPERATOR | _MANAGER,
    "payment_account": _OPERATOR | _MANAGER,
    "restored": _MANAGER,
    "api_access": _MANAGER,
    "audit": _OPERATOR | _MANAGER,
    "campaign": _COMPANY,
    "flow": _COMPANY,
    "life": _COMPANY,
    "rows": _COMPANY,
    "standing": _COMPANY,
    "held": _COMPANY,
    "recipient": _COMPANY,
    "suppression": _COMPANY,
    "suppression_files": _COMPANY,
    "imports": _COMPANY,
    "send_log": _COMPANY,
    "payment": _COMPANY,
    "payment_difference": _MANAGER,
    "payment_acts": _MANAGER,
    "export": _COMPANY,
    "export_layout": _COMPANY,
    "webhook": _MANAGER,
}


def may_open(endpoint: str) -> bool:
    """Return whether who is signed in may open a view."""
    return current_user.is_authenticated and staff().role in ACCESS.get(endpoint, frozenset())


def staff() -> Staff:
    """Return who is signed in; in a view that checked it."""
    if not current_user.is_authenticated:
        abort(403)
    user: Staff = current_user._get_current_object()  # noqa: SLF001 - how a LocalProxy is unwrapped
    return user
