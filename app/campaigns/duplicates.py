"""Find who would be written to twice: one number in several rows, other campaigns under way, the same file again.

In: a campaign's list. Out: warnings in Japanese for the check before sending. Nothing here stops a launch: two notices
to one person may be right, and only a person can tell.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, text

from app.config import settings
from app.db import Executor
from app.extensions import db
from app.models import Campaign
from app.states.vocabulary import CAMPAIGN, CampaignState
from app.values.japan_time import japan_minutes

_UNDER_WAY = ("approval", "scheduled", "sending", "paused")
# a campaign that ended so recently is on people's minds still, and so is who came so recently to a standing one
_RECENT = timedelta(days=1)
_NAMED = 3


def count_numbers(campaign_id: int) -> int:
    """Count the different phone numbers of a list.

    Reads every row of it: for jobs, not for pages.
    """
    numbers: int = db.session.execute(
        text("SELECT count(DISTINCT phone_index) FROM recipient WHERE campaign_id = :id"), {"id": campaign_id}
    ).scalar_one()
    return numbers


def first_with_one_number(campaign_id: int, limit: int) -> Sequence[Row[Any]]:
    """Return the first rows of a list that have the number of others: id, reference, sheet_row. For jobs too."""
    return db.session.execute(
        text("""
            SELECT r.id, r.reference, r.sheet_row FROM (
                SELECT phone_index FROM recipient WHERE campaign_id = :id GROUP BY phone_index
                HAVING count(*) > 1 ORDER BY min(id) LIMIT :limit
            ) AS crowded
            JOIN recipient r ON r.phone_index = crowded.phone_index AND r.campaign_id = :id
            AND r.tenant_id = (SELECT tenant_id FROM campaign WHERE id = :id)
            ORDER BY r.id LIMIT :limit
        """),
        {"id": campaign_id, "limit": limit},
    ).all()


def warnings(campaign: Campaign, twice: int) -> list[str]:
    """Describe who is written to twice; `twice` rows have another's number.

    Reads every row: for jobs only.
    """
    return [
        *_same_number(campaign, twice),
        *_beyond_the_day(campaign),
        *other_campaigns(db.session, campaign.tenant_id, campaign.id),
        *same_files(campaign),
    ]


def _same_number(campaign: Campaign, twice: int) -> list[str]:
    if not twice:
        return []
    words = f"この名簿のほかの行と同じ電話番号の送信先が{twice:,}件あります。このままだと同じ人に2通以上届きます。"
    return [f"{words}{_where(campaign)}{_way_on(campaign)}", *_beyond_limits(campaign)]


def _where(campaign: Campaign) -> str:
    """Name rows of the first number that stands in several."""
    rows = db.session.execute(
        text("""
            SELECT i.filename, i.header_row, r.sheet_row
            FROM recipient r LEFT JOIN import i ON i.id = r.import_id
            WHERE r.campaign_id = :id AND r.tenant_id = :tenant_id AND r.phone_index = (
                SELECT phone_index FROM recipient WHERE campaign_id = :id
                GROUP BY phone_index HAVING count(*) > 1 ORDER BY min(id) LIMIT 1
            )
            ORDER BY r.id LIMIT :most
        """),
        {"id": campaign.id, "tenant_id": campaign.tenant_id, "most": _NAMED},
    ).all()
    named = [
        f"「{row.filename}」の{row.sheet_row:,}行目" if row.header_row else f"「{row.filename}」"
        for row in rows
        if row.filename
    ]
    return f"（例：{'と'.join(named)}）" if len(named) > 1 else ""


def _way_on(campaign: Campaign) -> str:
    """Return what to do about rows of one number: with a whole later list, or with single rows."""
    later = db.session.scalars(
        text("""
            SELECT filename FROM import
            WHERE campaign_id = :id AND state = 'done' AND same_number > 0 ORDER BY same_number DESC, id DESC LIMIT 1
        """),
        {"id": campaign.id},
    ).first()
    acts = "「この取り込みを取り消す」か「同じ電話番号の前の行と置き換える」を選んでください。"
    if later is not None:
        return f"同じ人なら、名簿の画面で「{later}」の結果を開き、{acts}"
    return "同じ人なら、名簿の結果の「見つかった行」で、要らないほうの行を「対象外にする」にしてください。"


# The people of before who have the number of somebody of a list. Number by number, through the index: a planner without
# statistics would else read everybody's. Its values are :campaign_id and :import_id.
IDS_BEFORE = """
    SELECT DISTINCT before.id FROM recipient AS n CROSS JOIN LATERAL (
        SELECT b.id FROM recipient AS b
        WHERE b.tenant_id = n.tenant_id AND b.phone_index = n.phone_index AND b.campaign_id = n.campaign_id
        AND b.import_id IS DISTINCT FROM :import_id AND b.id < n.id OFFSET 0
    ) AS before
    WHERE n.campaign_id = :campaign_id AND n.import_id = :import_id
"""


def count_same_number(executor: Executor, campaign_id: int, import_id: int) -> int:
    """Count the people of before who have the number of somebody of this list.

    For jobs, not for pages.
    """
    first = executor.execute(
        text("SELECT import_id FROM recipient WHERE campaign_id = :id ORDER BY id LIMIT 1"), {"id": campaign_id}
    ).scalar()
    if first == import_id:
        return 0  # nobody came before
    found: int = executor.execute(
        text(f"SELECT count(*) FROM ({IDS_BEFORE}) AS before"),  # noqa: S608 - the condition stands above
        {"campaign_id": campaign_id, "import_id": import_id},
    ).scalar_one()
    return found


def recount_same_number(executor: Executor, campaign_id: int) -> None:
    """Count anew for each list that told of people of before, once some of those are gone."""
    told = executor.execute(
        text("SELECT id FROM import WHERE campaign_id = :id AND state = 'done' AND same_number > 0"),
        {"id": campaign_id},
    ).all()
    for row in told:
        executor.execute(
            text("UPDATE import SET same_number = :count WHERE id = :id"),
            {"count": count_same_number(executor, campaign_id, row.id), "id": row.id},
        )


def _beyond_limits(campaign: Campaign) -> list[str]:
    """Return how many will be held because their number gets no more SMS (`app.delivery.number_limits`)."""
    most = settings().number_campaign_cap
    numbers, held = db.session.execute(
        text("""
            SELECT count(*), coalesce(sum(rows - :most), 0) FROM (
                SELECT count(*) AS rows FROM recipient WHERE campaign_id = :id GROUP BY phone_index
                HAVING count(*) > :most
            ) AS crowded
        """),
        {"id": campaign.id, "most": most},
    ).one()
    if not numbers:
        return []
    words = f"同じ電話番号が{most + 1:,}行以上ある番号が{numbers:,}件あります。"
    limit = f"1つの番号に1つの配信で送るSMSは{most:,}通までです。それを超える{held:,}件は送らずに保留し、"
    return [f"{words}{limit}送るかどうかを管理者が決めます。番号の入力誤りがないか確かめてください。"]


def _beyond_the_day(campaign: Campaign) -> list[str]:
    """Return how many numbers could get more SMS of this and other campaigns on one day than one may."""
    most = settings().number_daily_cap
    numbers = db.session.execute(
        text("""
            SELECT count(*) FROM (
                SELECT r.phone_index FROM recipient r
                JOIN recipient o ON o.tenant_id = r.tenant_id AND o.phone_index = r.phone_index
                JOIN campaign c ON c.id = o.campaign_id
                WHERE r.campaign_id = :id AND c.tenant_id = :tenant_id
                AND (c.id = :id OR c.state = ANY(:states) OR c.completed_at > :since)
                AND (NOT c.standing OR o.created_at > :since)
                GROUP BY r.phone_index HAVING count(DISTINCT o.id) > :most
            ) AS crowded
        """),
        {
            "id": campaign.id,
            "tenant_id": campaign.tenant_id,
            "states": list(_UNDER_WAY),
            "since": datetime.now(UTC) - _RECENT,
            "most": most,
        },
    ).scalar_one()
    if not numbers:
        return []
    words = f"ほかの配信と合わせると1日に{most:,}通を超えるかもしれない電話番号が{numbers:,}件あります。"
    limit = f"1つの番号に会社全体で1日に送るSMSは{most:,}通までです。"
    return [f"{words}{limit}それを超える分は送らずに保留し、管理者が決めます。"]


def other_campaigns(executor: Executor, tenant_id: int, campaign_id: int) -> list[str]:
    """Describe which campaigns that are under way, or were a day ago, write to people of this one too: for jobs."""
    found = executor.execute(
        text("""
            SELECT c.name, c.state, count(DISTINCT r.id) AS people
            FROM campaign c
            JOIN recipient o ON o.campaign_id = c.id
            JOIN recipient r
            ON r.tenant_id = o.tenant_id AND r.phone_index = o.phone_index AND r.campaign_id = :id
            WHERE c.tenant_id = :tenant_id AND c.id <> :id AND (c.state = ANY(:states) OR c.completed_at > :since)
            AND (NOT c.standing OR o.created_at > :since)
            GROUP BY c.id ORDER BY people DESC, c.id
        """),
        {
            "id": campaign_id,
            "tenant_id": tenant_id,
            "states": list(_UNDER_WAY),
            "since": datetime.now(UTC) - _RECENT,
        },
    ).all()
    told = [
        f"この名簿の{row.people:,}件は、配信「{row.name}」（{_word(row)}）の送信先と同じ電話番号です。"
        "同じ人に続けて届いてよいか確かめてください。"
        for row in found[:_NAMED]
    ]
    if len(found) > _NAMED:
        told.append(f"ほかに{len(found) - _NAMED:,}件の配信とも、同じ電話番号の送信先があります。")
    return told


def same_files(campaign: Campaign) -> list[str]:
    """Describe which of the campaign's files another campaign has taken too; a few rows are read."""
    found = db.session.execute(
        text("""
            SELECT DISTINCT ON (c.id) mine.filename, c.name, c.state, theirs.created_at
            FROM import mine
            JOIN import theirs ON theirs.tenant_id = mine.tenant_id AND theirs.content_digest = mine.content_digest
            AND theirs.campaign_id <> mine.campaign_id AND theirs.state = 'done'
            JOIN campaign c ON c.id = theirs.campaign_id AND c.state <> 'cancelled'
            WHERE mine.campaign_id = :id AND mine.state IN ('mapping', 'queued', 'running', 'done')
            ORDER BY c.id DESC, theirs.id DESC LIMIT :most
        """),
        {"id": campaign.id, "most": _NAMED},
    ).all()
    return [
        f"ファイル「{row.filename}」と同じ内容の名簿を、配信「{row.name}」（{_word(row)}）でも"
        f"{japan_minutes(row.created_at)}に取り込んでいます。同じ案内を2回送ることにならないか確かめてください。"
        for row in found
    ]


def _word(row: Row[tuple[str, ...]]) -> str:
    return CAMPAIGN.words[CampaignState(row.state)]


def same_person(executor: Executor, tenant_id: int, campaign_id: int, phone_index: bytes) -> list[str]:
    """Describe which other campaigns under way write to one number too."""
    found = executor.execute(
        text("""
            SELECT DISTINCT c.id, c.name, c.state FROM recipient o JOIN campaign c ON c.id = o.campaign_id
            WHERE o.tenant_id = :tenant_id AND o.phone_index = :phone AND c.id <> :id
            AND (c.state = ANY(:states) OR c.completed_at > :since)
            AND (NOT c.standing OR o.created_at > :since) ORDER BY c.id DESC LIMIT :most
        """),
        {
            "id": campaign_id,
            "tenant_id": tenant_id,
            "phone": phone_index,
            "states": list(_UNDER_WAY),
            "since": datetime.now(UTC) - _RECENT,
            "most": _NAMED,
        },
    ).all()
    return [
        f"この電話番号は、配信「{row.name}」（{_word(row)}）の送信先でもあります。続けて届いてよいか確かめてください。"
        for row in found
    ]
