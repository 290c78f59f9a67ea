"""Numbers to which an SMS left that a restored database forgot: one condition for the claim, the check and screens."""

from sqlalchemy import text

from app.extensions import db
from app.models import Campaign

# true of a recipient with such a number, which no manager released
MISSED = """
    EXISTS (
        SELECT FROM missed_message m WHERE m.tenant_id = recipient.tenant_id AND m.phone_index = recipient.phone_index
        AND m.released_at IS NULL
    )
"""


def count(campaign: Campaign) -> int:
    """Count the campaign's people with such a number, held already or not yet."""
    values = {"id": campaign.id, "tenant_id": campaign.tenant_id}
    anybody = "SELECT FROM missed_message WHERE tenant_id = :tenant_id AND released_at IS NULL LIMIT 1"
    if db.session.execute(text(anybody), values).first() is None:
        return 0
    statement = f"SELECT count(*) FROM recipient WHERE campaign_id = :id AND {MISSED}"  # noqa: S608 - our own words
    return int(db.session.execute(text(statement), values).scalar_one())


def warnings(campaign: Campaign) -> list[str]:
    """Describe at the check how many won't be sent to, and what a manager can do."""
    people = count(campaign)
    if not people:
        return []
    return [
        (
            f"{people:,}人の番号には、データベースを復元する前にSMSが送られています（いまの記録には残っていません）。"
            "二重に送らないよう、この方々には送らずに止めます。"
            "送ってよいときは、管理者が「状況」の画面で送信を許可してください。"
        )
    ]
