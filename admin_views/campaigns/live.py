"""状況: a campaign as it goes, as figures, as pictures and as JSON for the page that asks again and again.

Everything comes of one reading of the campaign's totals (`app.reports.progress`), with its time beside it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import url_for
from sqlalchemy import select

from admin_views.accounts import payment_waits, sms_waits
from admin_views.accounts.sms_waits import Notice
from admin_views.campaigns import standing_card
from app.campaigns import bulk_operations, lifecycle, schedule
from app.delivery import failover, number_limits, resend
from app.extensions import db
from app.models import Campaign, Reminder
from app.reports.campaign_totals import HOURS, Figures
from app.reports.progress import Progress, finishes_at, progress, rate_per_s
from app.setback import doubt
from app.setback.known import OUTSIDE
from app.states.vocabulary import PAGE, PAYMENT, SMS, CampaignState, PageState, PaymentState, SmsState, Track
from app.values.japan_time import TOKYO, japan_minutes

_BAR_WIDTH = 420
_HOUR_HEIGHT = 100
_OVER = {CampaignState.COMPLETED, CampaignState.CANCELLED}
# names of the people list's filters
FILTERS = {"sms": "sms", "page": "page_state", "payment": "payment"}
# states of a track where somebody should look
_BAD = {"sms": {"undelivered", "unknown", "expired"}, "page": {"locked"}, "payment": {"failed", "expired"}}


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many stand in one state of a track, and where to see them."""

    key: str
    word: str
    count: int
    url: str
    bad: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """One step of the funnel: `width` in the picture's units, `share` of all people as text."""

    key: str
    word: str
    count: int
    width: int
    share: str


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that somebody should look at; `words` follow the count."""

    key: str
    count: int
    words: str
    url: str


@dataclass(frozen=True, slots=True)
class Column:
    """How many did one thing in one hour: `height` in the picture's units."""

    key: str
    kind: str
    word: str
    count: int
    height: int

    @property
    def top(self) -> int:
        """Where the column ends in the picture."""
        return _HOUR_HEIGHT + 10 - self.height


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of Japan's day."""

    hour: int
    columns: Sequence[Column]


def overview(campaign: Campaign) -> dict[str, object]:
    """Return what the page shows."""
    count = progress(campaign)
    now = count.figures
    return {
        "now": now,
        "tracks": [(track.label, _state_counts(campaign, track, now)) for track in tracks_of(campaign)],
        "bars": bars(campaign, now),
        "hours": hours(campaign, count),
        "pace": _pace(campaign, count),
        "counted_at": _time(count.at),
        "over": _over(campaign, count),
        "boxes": _boxes(count),
        "alerts": _alerts(campaign, count),
        "notices": notices(campaign, count),
        "wave": _wave_words(campaign),
        "planned": _planned_words(campaign, count),
        "again": _again(campaign, now),
        "reminders": _reminders(campaign),
        "changes": failover.history(db.session.connection(), campaign.id),
        "live_url": url_for("flow.status_figures", campaign_id=campaign.id, shown=_shown(campaign, count)),
        "can_pause": lifecycle.can_pause(campaign),
        "can_resume": campaign.state == CampaignState.PAUSED,
    }


def _over(campaign: Campaign, count: Progress) -> bool:
    return campaign.state in _OVER and count.planned is None


def _planned_words(campaign: Campaign, count: Progress) -> str:
    """Return to how many another SMS goes by itself, and when the next one leaves."""
    if count.planned is None or campaign.state == CampaignState.CANCELLED:
        return ""
    words = f"一時的な理由で届かなかった{count.planned.people:,}人に、自動で送り直す予定です。"
    if campaign.state == CampaignState.PAUSED:
        return f"{words}一時停止しているため、再開するまで送られません。"
    at = schedule.leaves_at(campaign, count.planned.first_at, datetime.now(UTC))
    if at is None:
        return f"{words}ただし、送信できる時間帯かリンクの有効期限が終わるため、送られない見込みです。"
    return f"{words}次に送るのは{japan_minutes(at)}ごろです。"


_WAVES = {"launch": "送信の準備", "resend": "再送の準備", "remind": "リマインドの準備", "cancel": "残りの取り消し"}


def _wave_words(campaign: Campaign) -> str:
    """Describe how far a job is that moves this campaign's people."""
    wave = bulk_operations.progress(campaign.id)
    return "" if wave is None else f"{_WAVES[wave.kind]}を進めています：{wave.people:,}／{wave.total:,}件"


def _again(campaign: Campaign, now: Figures) -> list[tuple[str, str]]:
    """Offer to write once more to those of whom there are any."""
    if campaign.state not in {CampaignState.SENDING, CampaignState.COMPLETED}:
        return []
    offers = []
    if now.sms[SmsState.UNDELIVERED]:
        offers.append(("届かなかった人に送り直す", url_for("life.resend", campaign_id=campaign.id)))
    counts = {"unopened": now.page[PageState.UNOPENED]}
    if campaign.payment_required:
        counts["unpaid"] = now.people - now.payment[PaymentState.PAID]
    offers += [
        (f"{resend.WHICH[which]}にリマインドを送る", url_for("life.remind", campaign_id=campaign.id, which=which))
        for which, count in counts.items()
        if count
    ]
    return offers


def _reminders(campaign: Campaign) -> list[dict[str, object]]:
    rows = db.session.scalars(
        select(Reminder).where(Reminder.campaign_id == campaign.id).order_by(Reminder.number.desc())
    )
    return [
        {
            "number": row.number,
            "created_at": row.created_at,
            "which": resend.WHICH[row.which],
            "people": row.people,
            "sms_text": row.sms_text,
        }
        for row in rows
    ]


def tracks_of(campaign: Campaign) -> list[Track]:
    """Return the tracks that tell something of a campaign's people."""
    return [SMS, PAGE, PAYMENT] if campaign.payment_required else [SMS, PAGE]


def _state_counts(campaign: Campaign, track: Track, now: Figures) -> list[StateCount]:
    counts = {"sms": now.sms, "page": now.page, "payment": now.payment}[track.name]
    return [
        StateCount(
            f"{track.name}.{state}",
            word,
            counts[state],
            recipients_url(campaign, track, state),
            bad=state in _BAD[track.name],
        )
        for state, word in track.words.items()
        if not (track is PAYMENT and state == "none")
    ]


def recipients_url(campaign: Campaign, track: Track, state: str) -> str:
    """Return the list of the campaign's people who stand in a state."""
    return f"{url_for('recipient.index_view', campaign=campaign.id)}&{FILTERS[track.name]}={state}"


def _boxes(count: Progress) -> list[tuple[str, str, int, str]]:
    """Return the figures looked at first: key, word, count, style."""
    now = count.figures
    # as the funnel beside them: whoever got an SMS has got one, also while a reminder waits to follow it
    (_, handed), (_, delivered) = now.funnel[:2]
    return [
        ("waiting", "これから送信", count.waiting, ""),
        ("handed", "送信済み", handed, ""),
        ("delivered", "うち到達", delivered, "figure-good"),
        ("undelivered", "不達", now.sms[SmsState.UNDELIVERED], "figure-bad" if now.sms[SmsState.UNDELIVERED] else ""),
        ("unknown", "照会中", count.asked_about, "figure-bad" if count.asked_about else ""),
        *([("cancelled", "送らずに取消", gone, "")] if (gone := now.sms[SmsState.CANCELLED]) else []),
        *([("held", "判断待ち", count.held, "figure-bad")] if count.held else []),
    ]


def _alerts(campaign: Campaign, count: Progress) -> list[Alert]:
    """Turn counts into things to do."""
    now = count.figures
    found = [
        (SMS, SmsState.UNDELIVERED, now.sms, "が届いていません。番号の誤りや、SMSを受け取れない電話が考えられます。"),
        (
            SMS,
            SmsState.EXPIRED,
            now.sms,
            "は、送信できる時間帯のうちに締切かリンクの有効期限が来たため、送信されませんでした。",
        ),
        (PAGE, PageState.LOCKED, now.page, "が設問を間違えてロックされています。本人から連絡があれば解除できます。"),
    ]
    alerts = [
        Alert(f"{track.name}.{state}", counts[state], words, recipients_url(campaign, track, state))
        for track, state, counts, words in found
        if counts[state]
    ]
    decided_at = url_for("held.listed", campaign_id=campaign.id)
    if count.asked_about:
        words = (
            "は照会中です。二重に送らないよう、送られていないと確かめられたときだけ、自動で送り直します（1回まで）。"
        )
        if campaign.state == CampaignState.CANCELLED:
            words = "は照会中です。配信は取り消されているため、送られていないと確かめられても、送り直しません。"
        alerts.append(Alert("asked", count.asked_about, words, recipients_url(campaign, SMS, SmsState.UNKNOWN)))
    if count.held:
        words = (
            "は照会しても結果を確かめられないため、止めています（判断待ち）。"
            "わけを見て、送信済みとするか送り直すかを、管理者が決めてください。まとめて決められます。"
        )
        alerts.append(Alert("held", count.held, words, decided_at))
    if capped := number_limits.count(campaign):
        words = (
            "は同じ電話番号へのSMSが上限に達したため、送らずに保留しています。"
            "送るかどうかを、管理者が決めてください。まとめて決められます。"
        )
        alerts.append(Alert("capped", capped, words, decided_at))
    return alerts


def notices(campaign: Campaign, count: Progress) -> list[Notice]:
    """Return what its accounts wait for, while anything of the campaign waits for that."""
    account, now = campaign.standby_account or campaign.sms_account, count.figures.sms
    if campaign.launched_at is None:
        return []
    paying = campaign.payment_account if campaign.payment_required else None
    of_payments = payment_waits.notices(paying, campaign_id=campaign.id) if paying is not None else []
    if account is None:
        return of_payments
    asked_about = any(now[state] for state in (SmsState.ACCEPTED, SmsState.UNKNOWN, SmsState.SENDING))
    told = sms_waits.notices(account, campaign_id=campaign.id)
    of_sms = [one for one in told if (count.waiting if one.key in sms_waits.OF_SENDING else asked_about)]
    return [*of_sms, *of_payments]


def _shown(campaign: Campaign, count: Progress) -> str:
    """Name what a page shows besides figures: when it is another, the page is to be loaded anew."""
    planned = ["planned"] if count.planned else []
    told = (notice.key for notice in notices(campaign, count))
    by = [f"by{campaign.standby_account_id}"] if campaign.standby_account_id else []
    return "-".join([campaign.state, *planned, *by, *told, *(alert.key for alert in _alerts(campaign, count))])


def bars(campaign: Campaign, now: Figures) -> list[Bar]:
    """Return the funnel from sending to payment."""
    steps = now.funnel if campaign.payment_required else now.funnel[:-1]
    return [
        Bar(
            f"funnel.{place}",
            word,
            count,
            round(_BAR_WIDTH * count / now.people) if now.people else 0,
            f"{100 * count / now.people:.1f}%" if now.people else "—",
        )
        for place, (word, count) in enumerate(steps)
    ]


def hours(campaign: Campaign, count: Progress) -> list[Hour]:
    """Return what people did by the hour of the day: opened, and where money is asked for, paid."""
    opened, paid = count.figures.opened, count.figures.paid
    most = max(*opened, *paid, 1)
    kinds = [("opened", "開封", opened), ("paid", "支払", paid)]
    return [
        Hour(
            hour,
            tuple(
                Column(f"hour.{hour}.{key}", key, word, counts[hour], round(_HOUR_HEIGHT * counts[hour] / most))
                for key, word, counts in (kinds if campaign.payment_required else kinds[:1])
            ),
        )
        for hour in HOURS
    ]


def _pace(campaign: Campaign, count: Progress) -> tuple[str, str]:
    """Describe how fast it goes and when it will be done; both empty when there is nothing left to send."""
    now = datetime.now(UTC)
    if campaign.state in _OVER or not count.waiting:
        return "", ""
    stopped = campaign.restore_hold or doubt.why_nothing_leaves()
    if stopped or campaign.state == CampaignState.PAUSED:
        until = "再開すると" if not stopped or stopped == OUTSIDE else "復元の確認が終わると"
        return "止まっています", f"{until}、ここに表示します"
    opens = schedule.plan(campaign, count.waiting, now).begins_at
    if opens is None:
        return "止まっています", "送信できる時間帯がもうありません"
    if opens > now:
        return "送信時間帯の外です", f"{japan_minutes(opens)}に送信を再開します"
    rate = rate_per_s(campaign, now)
    if not rate:
        return "この1分は送っていません", "送信が進むと、ここに表示します"
    done = finishes_at(campaign, count.waiting, rate, now)
    finish = f"{japan_minutes(done)}ごろ" if done else "締切までに送り終えられない見込みです"
    return f"毎秒{rate:,.1f}件（この1分）", finish


def live(campaign: Campaign, *, shown: str) -> dict[str, object]:
    """Return the answer to the page that asks again and again.

    done: it shows an old form; over: nothing more is sent, so that it may stop asking once nothing changes.
    """
    count = progress(campaign)
    now = count.figures
    funnel = bars(campaign, now)
    columns = [column for hour in hours(campaign, count) for column in hour.columns]
    texts = {f"{track.name}.{state}": f"{number:,}" for track, state, number in _all_counts(now)}
    texts |= {f"box.{key}": f"{number:,}" for key, _, number, _ in _boxes(count)}
    texts |= {bar.key: f"{bar.count:,}" for bar in funnel}
    texts |= {f"{bar.key}.share": bar.share for bar in funnel}
    texts |= {column.key: f"{column.count:,}" for column in columns}
    texts |= {alert.key: f"{alert.count:,}" for alert in _alerts(campaign, count)}
    texts |= {notice.key: notice.words for notice in notices(campaign, count)}
    texts |= dict(zip(("pace", "finish"), _pace(campaign, count), strict=True))
    return {
        "done": _shown(campaign, count) != shown,
        "over": _over(campaign, count),
        # values that are no change by themselves
        "always": {"counted_at": _time(count.at)},
        "texts": texts
        | {
            "state": standing_card.state_word(campaign),
            "wave": _wave_words(campaign),
            "planned": _planned_words(campaign, count),
        },
        "values": {f"{bar.key}.width": bar.width for bar in funnel}
        | {f"{column.key}.top": column.top for column in columns},
    }


def _time(at: datetime) -> str:
    return at.astimezone(TOKYO).strftime("%H:%M:%S")


def _all_counts(now: Figures) -> Iterable[tuple[Track, str, int]]:
    for track, counts in ((SMS, now.sms), (PAGE, now.page), (PAYMENT, now.payment)):
        for state, count in counts.items():
            yield track, state, count
