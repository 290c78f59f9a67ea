"""A standing campaign's own part of its page: what one can do, who came last, its versions and lists."""

from flask import url_for
from sqlalchemy import or_, select

from admin_views.framework import display
from app.campaigns import standing_line
from app.extensions import db
from app.models import Campaign, Recipient
from app.problems import messages_ja
from app.standing import day_limit
from app.states.vocabulary import CAMPAIGN, PAGE, SMS, CampaignState

_PEOPLE = 20
_LISTS = 10


def of(campaign: Campaign) -> dict[str, object]:
    """Return what the page shows."""
    closed = standing_line.closed(campaign)
    current = standing_line.current(campaign.id)
    versions, lists = standing_line.versions(campaign), _lists(campaign)
    return {
        "closed": messages_ja(closed),
        "newer": url_for("flow.status", campaign_id=current.id) if current and current.id != campaign.id else "",
        "may_change": current is not None
        and current.id == campaign.id
        and campaign.ended_at is None
        and campaign.state in {CampaignState.SENDING, CampaignState.PAUSED},
        "today": day_limit.today(campaign),
        "people": _people(campaign),
        "everybody": url_for("recipient.index_view", campaign=campaign.id),
        "tables": [
            (title, [_row(row) for row in found])
            for title, found in (("文面の版", versions if len(versions) > 1 else []), ("名簿で送った配信", lists))
            if found
        ],
    }


def state_word(campaign: Campaign) -> str:
    """Return the word for how a campaign stands; a standing one that takes nobody any more says so."""
    if campaign.standing and campaign.ended_at is not None and campaign.state != CampaignState.CANCELLED:
        return "終了" if campaign.state == CampaignState.COMPLETED else "終了（残りを送信中）"
    return CAMPAIGN.words[CampaignState(campaign.state)]


def terms(campaign: Campaign) -> list[tuple[str, str]]:
    """Describe when its SMS leave, how many a day, and what one costs."""
    price = campaign.sms_account.price_yen if campaign.sms_account else None
    told = "SMSアカウントに1通の料金を登録すると表示されます" if price is None else f"1通{price.normalize():f}円"
    return [
        ("送る時刻", "1人ずつ、受け付けたあとすぐ（送信時間帯の外なら、次に始まるとき）"),
        ("1日に受け付ける上限", f"{campaign.day_limit:,}人"),
        ("SMSの料金の目安", told),
    ]


def running() -> list[Campaign]:
    """Return the company's standing campaigns to which one can send now, the latest first."""
    found = db.session.scalars(
        select(Campaign)
        .where(Campaign.state == CampaignState.SENDING, standing_line.goes_on(Campaign))
        .order_by(Campaign.id.desc())
    )
    return list(found)


def _people(campaign: Campaign) -> list[dict[str, object]]:
    found = db.session.execute(
        select(Recipient.id, Recipient.reference, Recipient.created_at, Recipient.sms_state, Recipient.page_state)
        .where(Recipient.campaign_id == campaign.id)
        .order_by(Recipient.id.desc())
        .limit(_PEOPLE)
    )
    return [
        {
            "name": row.reference or f"#{row.id}",
            "url": url_for("recipient.details_view", id=row.id),
            "at": row.created_at,
            "sms": display.badge(row.sms_state, display.word(SMS, row.sms_state)),
            "page": display.badge(row.page_state, display.word(PAGE, row.page_state)),
        }
        for row in found
    ]


def _lists(campaign: Campaign) -> list[Campaign]:
    line_id = standing_line.line_of(campaign)
    found = db.session.scalars(
        select(Campaign)
        .where(
            Campaign.tenant_id == campaign.tenant_id,
            or_(Campaign.line_id == line_id, Campaign.id == line_id),
            ~Campaign.standing,
        )
        .order_by(Campaign.id.desc())
        .limit(_LISTS)
    )
    return list(found)


def _row(row: Campaign) -> dict[str, object]:
    return {
        "name": row.name,
        "url": url_for("flow.overview", campaign_id=row.id),
        "state": display.badge(row.state, state_word(row)),
        "launched": row.launched_at,
    }
