"""常設配信: another version of its words, a list sent with them, and its end.

In: a clerk's press. Out: a draft that says what the version of now says, or the end on record. Can't happen here: words
changed for whoever was added with them (a version's content stands still from its launch on), a draft made twice by
two presses.
"""

import re
from datetime import UTC, datetime

from app import audit, tenancy
from app.campaigns import bulk_operations, lifecycle, standing_line
from app.extensions import db
from app.models import Campaign, Question
from app.problems import Kind, Problem, Refused
from app.states import locks
from app.states.vocabulary import CampaignState
from app.values.japan_time import TOKYO

USUAL_DAY_LIMIT = 1_000
_LONGEST_NAME = 100
_NOT_RUNNING = Kind("standing_end_not_running", "この常設配信は、始まっていないか、すでに終了しています。")
_CONTENT = (
    "sms_account_id", "may_switch", "payment_account_id", "sms_text", "page_title", "page_text", "page_language",
    "payment_required", "link_minutes", "max_failures", "send_window", "profile", "retry_times", "retry_after_minutes",
)  # fmt: skip
_OF_QUESTION = ("position", "label", "kind", "column_name", "kana", "choices", "variants_alike")
_VERSION = re.compile(r"（第[0-9]+版）$")


def new_version(campaign_id: int, *, user_id: int) -> int:
    """Return the draft in which a standing campaign's words are changed: a new one, or the one under way. Commits.

    Raises Refused.
    """
    first = _locked_line(campaign_id)
    found = standing_line.versions(first)
    launched = next((version for version in found if version.launched_at is not None), None)
    _refuse(_not_running(launched))
    drafts = (version for version in found if version.launched_at is None and version.state != CampaignState.CANCELLED)
    if (draft := next(drafts, None)) is not None:
        draft_id = draft.id
        db.session.rollback()
        return draft_id
    assert launched is not None  # noqa: S101 - refused above
    row = _copy(launched, user_id, f"（第{sum(version.launched_at is not None for version in found) + 1}版）")
    row.standing, row.day_limit = True, launched.day_limit
    return _stored(row)


def list_draft(campaign_id: int, *, user_id: int) -> int:
    """Return a new draft that takes a list and sends it with the words of now, as any campaign is. Commits.

    Raises Refused.
    """
    launched = standing_line.current(campaign_id)
    _refuse(standing_line.closed(launched))
    assert launched is not None  # noqa: S101 - refused above
    at = datetime.now(TOKYO)
    return _stored(_copy(launched, user_id, f"（名簿 {at.month}月{at.day}日）"))


def end(campaign_id: int, *, user_id: int) -> None:
    """End a standing campaign: nobody comes to it any more, whoever waits is sent to. Commits. Raises Refused."""
    launched = standing_line.current(campaign_id)
    if launched is not None:
        launched = locks.locked_campaign(launched.id)
    _refuse(_not_running(launched))
    assert launched is not None  # noqa: S101 - refused above
    ended = launched.id
    launched.ended_at = datetime.now(UTC)
    audit.record(db.session, actor=f"user:{user_id}", act="end_standing", target=f"campaign:{ended}")
    db.session.commit()
    with tenancy.transaction() as connection:
        bulk_operations.complete_if_done(connection, ended)


def _not_running(launched: Campaign | None) -> list[Problem]:
    if launched is None or launched.ended_at is not None or launched.state == CampaignState.CANCELLED:
        return [_NOT_RUNNING()]
    return []


def _locked_line(campaign_id: int) -> Campaign:
    """Lock the first version: of two presses the second one finds the draft of the first."""
    found = db.session.get(Campaign, campaign_id)
    if found is None or not found.standing:
        _refuse([_NOT_RUNNING()])
    assert found is not None  # noqa: S101 - refused above
    return locks.locked_campaign(standing_line.line_of(found))


def _copy(old: Campaign, user_id: int, suffix: str) -> Campaign:
    name = _VERSION.sub("", old.name)[: _LONGEST_NAME - len(suffix)]
    row = Campaign(
        tenant_id=old.tenant_id,
        key=lifecycle.new_key(),
        name=f"{name}{suffix}",
        line_id=standing_line.line_of(old),
        created_by=user_id,
        **{column: getattr(old, column) for column in _CONTENT},
    )
    row.questions = [
        Question(tenant_id=old.tenant_id, **{column: getattr(item, column) for column in _OF_QUESTION})
        for item in old.questions
    ]
    return row


def _stored(row: Campaign) -> int:
    db.session.add(row)
    db.session.flush()
    made: int = row.id
    db.session.commit()
    return made


def _refuse(found: list[Problem]) -> None:
    if found:
        db.session.rollback()
        raise Refused(*found)
