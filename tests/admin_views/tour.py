"""Every address of the back office, for every role, taken from the application's own map.

A view that is added is on the tour by itself; one whose address holds something unknown here fails the tour, so that
nothing is looked at by nobody.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

from flask import Flask

from admin_views.framework.access import ACCESS
from admin_views.framework.filters import Days
from admin_views.framework.model_view import SecureModelView
from app import tenancy
from app.auth.staff import Role
from app.extensions import db
from tests.admin_views.estate import Estate

ROLES = tuple(Role)
_ROWS = 3  # of each table are opened
# not pages: files, the sign-out, what catches unknown addresses
_NOT_SEEN = {"look.static", "admin.static", "auth.logout", "auth.nothing", "guide.picture", "flow.sample_list"}
_NOT_SEEN |= {"campaign.starter_sample", "sms_account.quality_file"}
# for some role answered by a redirect or a refusal, whatever there is
ONLY_LEAD_ON = {"payment_acts.index", "page_look.index"}


def rules(app: Flask, method: str = "GET") -> list[Any]:
    """Return the map's rules that show a page, or with POST those that do something."""
    return [
        rule
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/admin") and method in (rule.methods or ()) and rule.endpoint not in _NOT_SEEN
        if _in_use(app, rule.endpoint)
    ]


def _in_use(app: Flask, endpoint: str) -> bool:
    """Return whether a surface of Flask-Admin's is one: most are switched off and answer 404."""
    view = _view(app, endpoint)
    with app.test_request_context("/admin/"):
        return not isinstance(view, SecureModelView) or view._offers(endpoint.rpartition(".")[2])


def _view(app: Flask, endpoint: str) -> Any:
    return next((v for v in app.extensions["admin"][0]._views if v.endpoint == endpoint.rpartition(".")[0]), None)


def tour(app: Flask, estate: Estate, role: Role, *, filters: bool = True) -> Iterator[tuple[str, str]]:
    """Return (endpoint, address) of all that a role may open; addresses that lead nowhere are among them."""
    for rule in rules(app):
        view = rule.endpoint.split(".")[0]
        if view != "auth" and role not in ACCESS[view]:
            continue
        for values in _values(estate, rule.arguments):
            built = rule.build(values)
            assert built is not None, rule
            queries = _queries(app, estate, rule, role)
            yield from ((rule.endpoint, f"{built[1]}{query}") for query in (queries if filters else queries[:3]))


def posts(app: Flask, estate: Estate, role: Role) -> Iterator[str]:
    """Return each address that takes a POST of a role, once: for the draft, its lists, the first of the others."""
    for rule in rules(app, "POST"):
        view = rule.endpoint.split(".")[0]
        if view == "auth" or role not in ACCESS[view]:
            continue
        built = rule.build(_values(estate, rule.arguments)[0])
        assert built is not None, rule
        yield f"{built[1]}{_queries(app, estate, rule, role)[0]}"


def _values(estate: Estate, names: set[str]) -> list[dict[str, Any]]:
    pools: dict[str, list[Any]] = {
        "campaign_id": list(estate.campaigns.values()),
        "recipient_id": [person.id for person in estate.people],
        "payment_id": estate.payments,
        "tenant_id": [estate.tenant],
        "difference_id": estate.differences,
        "export_id": estate.exports,
        "session_id": [2**40],
        "sender_number_id": estate.sender_numbers or [2**40],
        "which": ["unopened", "unpaid"],
        "kind": ["sms", "payment"],
        "shared_account_id": [estate.shared_account or 2**40],
        "allotment_id": [estate.allotment or 2**40],
        "account_id": [estate.sms_account, estate.payment_account],
        "entry_id": estate.suppressions or [2**40],
        "how": ["sent", "again", "never", "send", "skip"],
        "row_id": estate.rows or [2**40],
        "webhook_id": estate.webhooks or [2**40],
    }
    if "import_id" in names:
        rows = {"sheet_row": 4, "by": "reference"}  # of the list that was taken: K3, which was kept out
        more = {name: value for name, value in rows.items() if name in names}
        return [{"campaign_id": campaign, "import_id": upload, **more} for campaign, upload in estate.lists]
    if "which" in names:
        pools["campaign_id"] = [estate.campaigns[kind] for kind in ("busy", "draft") if kind in estate.campaigns]
    if "how" in names:
        pools["recipient_id"] = pools["recipient_id"][6:8]  # of unknown fate, and held for their number
    if unknown := names - set(pools):
        raise LookupError(f"tell the tour what stands for {unknown}")
    return [dict(zip(names, values, strict=True)) for values in product(*(pools[name] for name in names))]


def _queries(app: Flask, estate: Estate, rule: Any, role: Role) -> list[str]:
    act = rule.endpoint.rpartition(".")[2]
    view = _view(app, rule.endpoint)
    if not isinstance(view, SecureModelView):
        return ["", "?waiting=1"] if act == "check" else [""]
    if act in {"edit_view", "details_view"}:
        scope = tenancy.platform() if role is Role.OPERATOR else tenancy.tenant(estate.tenant)
        with app.app_context(), scope:
            some = db.session.query(view.model.id).order_by(view.model.id).limit(_ROWS if act == "edit_view" else 12)
            return [f"?id={number}" for (number,) in some]
    if act == "index_view":
        filters = [f"?{query}" for item in view._filters or [] for query in _narrowed(app, estate, role, item)]
        return ["", "?search=nobody", *filters]
    return [""]


def _narrowed(app: Flask, estate: Estate, role: Role, item: Any) -> list[str]:
    """Return queries that a list's filter reads: each kind of value, and what it can't read."""
    if isinstance(item, Days):
        return ["from=2026-01-01&to=2036-01-01", "from=soon"]
    scope = tenancy.platform() if role is Role.OPERATOR else tenancy.tenant(estate.tenant)
    with app.test_request_context("/admin/"), scope:
        return (
            [f"{item.param}={value}" for value, _ in list(item.choices())[:_ROWS]] if hasattr(item, "choices") else []
        )
