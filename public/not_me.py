"""「心当たりがない」 at the foot of a link's first page: the link ends, and a clerk decides about the number.

In: the page's own form, with its token and a reason that was chosen. Out: what `app.identity.disown` made of it, or the
page once more with what is missing. Can't happen here: a link ended by its address alone, as programs that scan links
may ask for it; why it is enough of a wall stands in docs/security.md.
"""

from flask import Response, request, session

from app import tenancy
from app.identity import disown
from app.identity.disown import Disowned
from app.identity.visit import Link
from public import form_tokens, pages
from public.pages import notice

_FIELDS = {"form_token", "not_me"}


def is_said() -> bool:
    """Return whether the request is this form's, whole or not: it is then no press of the page's other button."""
    return bool(_FIELDS & request.form.keys())


def take(link: Link) -> Response:
    """Take a person's word that the SMS is not for them."""
    if not form_tokens.is_of(link, request.form.get("form_token", "")):
        return pages.welcome_again(link, "not_me_stale")
    reason = next((reason for reason in disown.OFFERED if reason == request.form.get("reason")), None)
    if reason is None:
        return pages.welcome_again(link, "not_me_reason_missing")
    with tenancy.tenant(link.tenant_id):
        outcome = disown.disown(link, reason)
    if outcome is Disowned.OVER:
        return pages.gone()
    if outcome is not Disowned.ENDED:
        name = "disown_paying" if outcome is Disowned.PAYING else "disown_verified"
        return notice(name, status=409, link=link)
    session.clear()
    return notice("disowned", link=link)
