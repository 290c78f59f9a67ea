"""再送 and リマインド: what is said and asked before people are written to once more."""

from datetime import UTC, datetime

from flask import url_for

from admin_views.campaigns.status import Confirmation
from app.campaigns import schedule
from app.campaigns.sms_length import LIMIT
from app.delivery import resend
from app.delivery.resend import Count
from app.models import Campaign
from app.values.japan_time import japan_minutes

NOBODY_TO_RESEND = (
    "いま送り直せる相手はいません。番号が使われていないなど、送り直しても届かない不達は、再送の対象になりません。"
)
TRIAL_FLASHES = {
    "accepted": ("テストのSMSを送りました。携帯電話に届くまで、1分ほどかかることがあります。", "success"),
    "undelivered": (
        "テストのSMSは、送信サービスに受け付けられませんでした。番号とSMSアカウントの設定を確かめてください。",
        "error",
    ),
    "busy": (
        "いまほかのSMSを上限の速さで送っているため、テストのSMSは送っていません。少し待ってからお試しください。",
        "warning",
    ),
    "closed": (
        "送信できる時間帯が終わったため、テストのSMSは送っていません。次の時間帯にお試しください。",
        "warning",
    ),
    "unknown": (
        "送信サービスから応答がなく、テストのSMSが送られたか分かりません。携帯電話に届いたか確かめてください。",
        "warning",
    ),
}
_EXCLUDED = {
    "unopened": "リンクの期限が切れた人、ロックされた人、SMSが届いていない人には送りません。",
    "unpaid": "支払い済みの人、手続中・入金待ちの人、リンクの期限が切れた人、SMSが届いていない人には送りません。",
}


def resend_question(campaign: Campaign, found: Count) -> Confirmation | None:
    """Ask before sending again; None where there is nobody."""
    if not found.people:
        return None
    words = [
        f"電源が入っていない、圏外などで届かなかった{found.people:,}件に、同じ文面のSMSをもう一度送ります。",
        "番号が使われていないなど、送り直しても届かない相手には送りません。",
        starting(campaign),
    ]
    return Confirmation(
        title="届かなかった人に送り直しますか",
        words=tuple(words),
        button=f"{found.people:,}件に送り直す",
        url=url_for("life.resend", campaign_id=campaign.id),
        back=url_for("flow.status", campaign_id=campaign.id),
        dangerous=False,
    )


def remind_page(campaign: Campaign, which: str, typed: str) -> dict[str, object]:
    """Return what the reminder's page shows."""
    found = resend.to_remind(campaign, which)
    return {
        "which": which,
        "who": resend.WHICH[which],
        "found": found,
        "excluded": _EXCLUDED[which],
        "typed": typed,
        "number": resend.next_number(campaign.id),
        "starting": starting(campaign),
        "limit": LIMIT,
        "url": url_for("life.send_reminder", campaign_id=campaign.id, which=which),
    }


def starting(campaign: Campaign) -> str:
    """Describe when an SMS that is sent now would leave."""
    now = datetime.now(UTC)
    begins = schedule.plan(campaign, 1, now).begins_at
    if begins is None or begins <= now:
        night = f"いまは{schedule.NIGHT}です。" if schedule.leaves_at_night(campaign, now) else ""
        return f"{night}ボタンを押すと、すぐに送信が始まります。"
    return f"いまは送信時間帯の外です。{japan_minutes(begins)}に送信が始まります。"
