"""Begin a new campaign: from a starter, an old campaign, or nothing.

Nothing is stored before it is saved.
"""

from datetime import UTC, datetime

from flask import Response, abort, request, url_for

from admin_views.campaigns import status
from admin_views.campaigns.form import typed_before, validity_of
from admin_views.framework import display
from admin_views.framework.scoping import as_id, rows
from app.campaigns import creation
from app.campaigns.presets import STARTERS, Starter
from app.intake.columns.mapping import Question
from app.intake.columns.sample_list import FORMS, Asked, sample_file
from app.models import Campaign, PaymentAccount, SmsAccount
from app.states.vocabulary import CAMPAIGN
from app.values.japan_time import TOKYO

_LATEST = 10
# a copy's name, so that it isn't taken for the old one
_COPY = "（コピー）"


def page() -> dict[str, object]:
    """Return what the page offers to start from."""
    latest = rows(Campaign).order_by(Campaign.id.desc()).limit(_LATEST)
    return {
        "starters": [
            {
                "name": starter.name,
                "about": starter.about,
                "sms_text": starter.sms_text,
                "asks": "、".join(ask.label for ask in starter.questions),
                "columns": "、".join(["電話番号", *starter.columns()]),
                "payment": starter.payment_required,
                "url": url_for("campaign.create_view", starter=starter.key),
                "samples": [
                    (words, url_for("campaign.starter_sample", key=starter.key, form=form))
                    for form, words in FORMS.items()
                ],
            }
            for starter in STARTERS.values()
        ],
        "campaigns": [
            {
                "name": row.name,
                "state": display.badge(row.state, display.word(CAMPAIGN, row.state)),
                "created": display.jst(row.created_at),
                "url": url_for("campaign.create_view", copy=row.id),
            }
            for row in latest
        ],
    }


def sample_of(starter: Starter, form: str) -> Response:
    """Return a sample list of a starter's columns."""
    asked, today = asked_of(starter), datetime.now(TOKYO).date()
    name, plain_name = f"{starter.name}_名簿の見本.{form}", f"sample-{starter.key}.{form}"
    return status.download(lambda: sample_file(asked, form, today), name, plain_name)


def asked_of(starter: Starter) -> Asked:
    """Return what a starter's campaign asks of its list."""
    questions = [Question(ask.label, ask.kind, ask.column or None) for ask in starter.questions]
    return Asked(questions, starter.merged(), starter.payment_required)


def asked_for() -> dict[str, object]:
    """Return the values that the address asks to start with; 404 for what there isn't."""
    kind = {"kind": "standing"} if request.args.get("kind") == "standing" else {}
    if key := request.args.get("starter"):
        return _of_starter(STARTERS.get(key) or abort(404)) | kind
    if typed := request.args.get("copy"):
        number = as_id(typed)
        return _of_campaign(rows(Campaign).filter(Campaign.id == number).one_or_none() or abort(404))
    return {**kind}


def _of_starter(starter: Starter) -> dict[str, object]:
    return {
        "name": starter.name,
        "sms_text": starter.sms_text,
        "page_title": starter.page_title,
        "page_text": starter.page_text,
        "questions": [
            {"label": ask.label, "kind": str(ask.kind), "column_name": ask.column} for ask in starter.questions
        ],
        "payment_required": starter.payment_required,
        "payment_account_id": _only(PaymentAccount) if starter.payment_required else None,
        "profile": starter.profile,
        "retry_times": starter.retry_times,
        "retry_after_minutes": starter.retry_after_minutes,
        **validity_of(starter.link_minutes),
    }


def _of_campaign(old: Campaign) -> dict[str, object]:
    """Take over words and terms; not people, and no time that has passed."""
    before = typed_before(old)
    if old.link_until is not None and old.link_until <= datetime.now(UTC):
        before = {name: value for name, value in before.items() if name not in {"validity", "until"}}
    return {
        **{name: getattr(old, name) for name in creation.COPIED},
        **{name: value for name, value in before.items() if name not in {"starts", "deadline"}},
        **({"kind": "standing", "day_limit": old.day_limit} if old.standing else {}),
        "name": f"{old.name[: creation.MOST_NAME - len(_COPY)]}{_COPY}",
        "sms_account_id": old.sms_account_id if old.sms_account and old.sms_account.active else _only(SmsAccount),
        "payment_account_id": (old.payment_account_id if old.payment_account and old.payment_account.active else None),
        "questions": [{name: getattr(question, name) for name in creation.OF_QUESTION} for question in old.questions],
    }


def _only(model: type[SmsAccount] | type[PaymentAccount]) -> int | None:
    """Return the company's one account of a kind; None where there is a choice, or nothing to choose."""
    found = rows(model).filter(model.active).limit(2).all()
    return found[0].id if len(found) == 1 else None
