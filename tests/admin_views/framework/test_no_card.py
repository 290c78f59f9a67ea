"""No text that staff type may hold a card's number: every field of every form of the back office is looked at."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

from wtforms import StringField, TextAreaField
from wtforms.fields.core import UnboundField

import admin_views
from admin_views.framework.fields import no_card_number
from admin_views.framework.secure_view import Form

# means that keep a card's number out in another way: a telephone number that can be dialled, a mail address, a time of
# day
_OWN_RULE = {"japanese_phone", "email", "_clock"}
# addresses that a browser fetches or sends to, elsewhere; and a field for a card
_FOREIGN = re.compile(
    r"""<(?:script|img|iframe|source|embed|object|use|form|link)\b[^>]*?\s(?:src|href|action|data)=["'](?:https?:)?//[^"']*""",
    re.IGNORECASE,
)
_CARD = re.compile(
    r"""<input\b[^>]*?(?:name|autocomplete|id)=["'](?:[^"']*(?:card|cvc|cvv)[^"']*|cc-[^"']*)["']""", re.IGNORECASE
)


def forms() -> Iterator[type[Any]]:
    for module in pkgutil.walk_packages(admin_views.__path__, "admin_views."):
        importlib.import_module(module.name)
    found, seen = [Form], set()
    while found:
        form = found.pop()
        found += form.__subclasses__()
        # Flask-Admin makes one for every table, also of those that nobody can write to
        if form not in seen and form.__module__.startswith("admin_views."):
            yield form
        seen.add(form)


def texts_of(form: type[Any]) -> Iterator[tuple[str, list[Any]]]:
    for name in dir(form):
        field = getattr(form, name, None)
        if isinstance(field, UnboundField) and field.field_class in {StringField, TextAreaField}:
            checks = field.kwargs.get("validators") or (field.args[1] if len(field.args) > 1 else [])
            yield name, list(checks) + list(field.kwargs.get("filters", []))


def test_every_text_is_searched_for_card_numbers() -> None:
    looked_at, open_doors = 0, []
    for form in forms():
        for name, rules in texts_of(form):
            looked_at += 1
            names = {getattr(rule, "__name__", "") for rule in rules} | {
                part for rule in rules for part in getattr(getattr(rule, "__code__", None), "co_names", ())
            }
            if no_card_number not in rules and not names & _OWN_RULE:
                open_doors.append(f"{form.__name__}.{name}")
    assert looked_at > 15
    assert open_doors == []


def test_the_search_finds_what_must_not_be_there() -> None:
    bad = (
        '<script src="https://js.example/"></script><img alt="" src=\'//cdn.example/a.png\'>'
        '<form method="post" action="https://pay.example/"><input name="card_number"><input autocomplete="cc-number">'
    )
    assert (len(_FOREIGN.findall(bad)), len(_CARD.findall(bad))) == (3, 2)
    assert _FOREIGN.findall('<a href="https://pay.example/">go</a><script src="/admin/static/a.js"></script>') == []


def test_no_page_takes_a_card_or_fetches_from_elsewhere(browser_of: Any, ours: Any) -> None:
    browser = browser_of(ours.manager)
    pages = ["/admin/", *(f"/admin/{name}/" for name in ("campaign", "recipient", "payment", "payment_difference"))]
    pages += [
        f"/admin/payment-act/settle/{ours.people[0].id}",
        f"/admin/recipient/details/?id={ours.people[0].id}",
        f"/admin/payment_account/edit/?id={ours.payment_account}",
        "/admin/payment_account/new/?provider=stripe",
    ]
    for path in pages:
        answer = browser.get(path)
        html = answer.get_data(as_text=True)
        assert answer.status_code == 200, path
        assert _FOREIGN.findall(html) == [], path
        assert _CARD.findall(html) == [], path
        assert "http" not in answer.headers["Content-Security-Policy"], path
