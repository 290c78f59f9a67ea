"""常設配信: a line of campaigns, one for each version of its words; which of them takes people in, as conditions.

In: a campaign of the line, whichever. Out: the version that takes people now, and why one takes none. Can't happen
here: two versions that take people at once, for the one launched last does.
"""

from sqlalchemy import ColumnElement, and_, exists, func, not_, or_, select
from sqlalchemy.orm import aliased

from app.db import Of
from app.extensions import db
from app.models import Campaign
from app.problems import Kind, Problem
from app.states.vocabulary import CampaignState

_NO_TIMES = Kind(
    "standing_with_times",
    "常設配信では、「送信を始める日時」「送信の締切」と、リンクの「期限の日時」は使えません。空にして、"
    "リンクの有効期限は送信からの期間にしてください。",
)
_COLUMN_TWICE = Kind(
    "standing_column_twice",
    "設問の正解の列「{column}」は、ほかの設問の列か、管理番号・請求金額・支払期限と同じ名前です。設問の「正解の列名」を"
    "別の名前にしてください。",
)
_LINE_ENDED = Kind(
    "standing_line_ended",
    "この常設配信は終了しています。この下書きは使えません。新しい常設配信をつくってください。",
)
_NOT_STANDING = Kind("standing_not_found", "この配信は常設配信ではないか、まだ始まっていないため、1人ずつ送れません。")
_PAUSED = Kind("standing_paused", "この常設配信は一時停止しています。送るには、先に再開してください。")
_ENDED = Kind("standing_ended", "この常設配信は終了しているため、送れません。")
_CANCELLED = Kind("standing_cancelled", "この常設配信は取り消されているため、送れません。")
_NEW_WORDS = Kind(
    "standing_words_changed",
    "この常設配信の文面が変わりました。新しい文面を確かめてから、もう一度送ってください。",
)


def superseded(campaign: Of[Campaign]) -> ColumnElement[bool]:
    """Return the condition that a later version of a standing campaign's words has taken its place."""
    newer = aliased(Campaign, name="newer")
    return (
        exists()
        .where(
            newer.tenant_id == campaign.tenant_id,
            newer.line_id == func.coalesce(campaign.line_id, campaign.id),
            newer.standing,
            newer.launched_at > campaign.launched_at,
        )
        .correlate(campaign)
    )


def goes_on(campaign: Of[Campaign]) -> ColumnElement[bool]:
    """Return the condition that more people may come to a campaign: it isn't over once nobody waits."""
    return and_(campaign.standing, campaign.ended_at.is_(None), not_(superseded(campaign)))


def line_of(campaign: Campaign) -> int:
    """Return the id of the first version of a campaign's line; its own where it is that, or of no line."""
    return campaign.line_id or campaign.id


def one(campaign_id: int) -> Campaign | None:
    """Return a standing campaign of the open tenant; None where it is none."""
    campaign = db.session.get(Campaign, campaign_id)
    return campaign if campaign is not None and campaign.standing else None


def ids(campaign: Campaign) -> list[int]:
    """Return the ids of all versions."""
    line_id = line_of(campaign)
    mine = or_(Campaign.id == line_id, Campaign.line_id == line_id)
    return list(
        db.session.scalars(select(Campaign.id).where(Campaign.tenant_id == campaign.tenant_id, Campaign.standing, mine))
    )


def versions(campaign: Campaign) -> list[Campaign]:
    """Return the versions of a standing campaign's words, the latest first, drafts before all."""
    line_id = line_of(campaign)
    return list(
        db.session.scalars(
            select(Campaign)
            .where(
                Campaign.tenant_id == campaign.tenant_id,
                Campaign.standing,
                or_(Campaign.id == line_id, Campaign.line_id == line_id),
            )
            .order_by(Campaign.launched_at.desc().nulls_first(), Campaign.id.desc())
        )
    )


def current(campaign_id: int) -> Campaign | None:
    """Return the launched version that takes people, or took them last, of the line of a campaign of the open tenant.

    None where there is none: no such campaign, none of a line, or nothing launched yet.
    """
    campaign = db.session.get(Campaign, campaign_id)
    if campaign is None or not (campaign.standing or campaign.line_id):
        return None
    return next((version for version in versions(campaign) if version.launched_at is not None), None)


def closed(campaign: Campaign | None) -> list[Problem]:
    """Return why a version takes nobody in, as the database has it now."""
    if campaign is None or not campaign.standing or campaign.launched_at is None:
        return [_NOT_STANDING()]
    if campaign.state == CampaignState.CANCELLED:
        return [_CANCELLED()]
    over = select(Campaign.state, Campaign.ended_at, superseded(Campaign)).where(Campaign.id == campaign.id)
    state, ended_at, has_newer = db.session.execute(over).one()
    if has_newer:
        return [_NEW_WORDS()]
    if ended_at is not None:
        return [_ENDED()]
    return [] if state == CampaignState.SENDING else [_PAUSED()]


def problems(campaign: Campaign) -> list[Problem]:
    """Return what keeps a standing draft from being launched, beyond what keeps any."""
    found = [_COLUMN_TWICE(column=column) for column in _twice(campaign)]
    if campaign.starts_at is not None or campaign.deadline_at is not None or campaign.link_until is not None:
        found.append(_NO_TIMES())
    if campaign.line_id is not None:
        ended = select(Campaign.id).where(
            Campaign.tenant_id == campaign.tenant_id,
            Campaign.standing,
            Campaign.ended_at.is_not(None),
            or_(Campaign.id == campaign.line_id, Campaign.line_id == campaign.line_id),
        )
        if db.session.scalar(ended.limit(1)) is not None:
            found.append(_LINE_ENDED())
    return found


def _twice(campaign: Campaign) -> list[str]:
    """Return the columns of answers that are another's too: one form asks for all of them."""
    own = ["管理番号", *(["請求金額", "支払期限"] if campaign.payment_required else [])]
    columns = own + [question.column_name or question.label for question in campaign.questions]
    return sorted({column for column in columns if columns.count(column) > 1})
