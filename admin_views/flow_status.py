"""状況 and 結果: figures as text, as a picture and as JSON; files to download; questions before acts that weigh."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from flask import Response, abort, stream_with_context, url_for
from sqlalchemy import select

from app import tenancy
from app.delivery import again, held
from app.extensions import db
from app.models import Campaign, Reminder
from app.tracking.clock import TOKYO
from app.tracking.figures import Figures, figures
from app.tracking.states import (
    CAMPAIGN,
    PAGE,
    PAYMENT,
    SMS,
    CampaignState,
    PageState,
    PaymentState,
    SmsState,
    Track,
)

_BAR_WIDTH = 420
_KINDS = {"csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
# what the list of people calls its filters
_FILTERS = {"sms": "sms", "page": "page_state", "payment": "payment"}
# states of a track where somebody should look
_BAD = {"sms": {"undelivered", "unknown", "expired"}, "page": {"locked"}, "payment": {"failed", "expired"}}


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A question before an act that weighs."""

    title: str
    words: tuple[str, ...]
    button: str
    url: str
    back: str
    dangerous: bool = True


@dataclass(frozen=True, slots=True)
class Standing:
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


def overview(campaign: Campaign) -> dict[str, Any]:
    """Give what the page shows."""
    now = figures(campaign.id)
    return {
        "now": now,
        "tracks": [(track.label, _standings(campaign, track, now)) for track in _tracks(campaign)],
        "bars": bars(campaign, now),
        "boxes": _boxes(now),
        "alerts": _alerts(campaign, now),
        "again": _again(campaign, now),
        "reminders": _reminders(campaign),
        "live_url": url_for("flow.status_figures", campaign_id=campaign.id, shown=_shown(campaign, now)),
        "can_pause": campaign.state == CampaignState.SENDING,
        "can_resume": campaign.state == CampaignState.PAUSED,
    }


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
        (f"{again.WHICH[which]}にリマインドを送る", url_for("life.remind", campaign_id=campaign.id, which=which))
        for which, count in counts.items()
        if count
    ]
    return offers


def _reminders(campaign: Campaign) -> list[dict[str, Any]]:
    rows = db.session.scalars(
        select(Reminder).where(Reminder.campaign_id == campaign.id).order_by(Reminder.number.desc())
    )
    return [
        {
            "number": row.number,
            "created_at": row.created_at,
            "which": again.WHICH[row.which],
            "people": row.people,
            "sms_text": row.sms_text,
        }
        for row in rows
    ]


def _tracks(campaign: Campaign) -> list[Track]:
    return [SMS, PAGE, PAYMENT] if campaign.payment_required else [SMS, PAGE]


def _standings(campaign: Campaign, track: Track, now: Figures) -> list[Standing]:
    counts = {"sms": now.sms, "page": now.page, "payment": now.payment}[track.name]
    return [
        Standing(
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
    """Give the list of the campaign's people who stand in a state."""
    return f"{url_for('recipient.index_view', campaign=campaign.id)}&{_FILTERS[track.name]}={state}"


def _boxes(now: Figures) -> list[tuple[str, str, int, str]]:
    """Give the four figures looked at first: key, word, count, style."""
    waiting = now.sms[SmsState.QUEUED] + now.sms[SmsState.SENDING]
    handed = now.sms[SmsState.ACCEPTED] + now.sms[SmsState.DELIVERED]
    return [
        ("waiting", "これから送信", waiting, ""),
        ("handed", "送信済み", handed, ""),
        ("delivered", "うち到達", now.sms[SmsState.DELIVERED], "figure-good"),
        ("undelivered", "不達", now.sms[SmsState.UNDELIVERED], "figure-bad" if now.sms[SmsState.UNDELIVERED] else ""),
        ("unknown", "照会中", now.sms[SmsState.UNKNOWN], "figure-bad" if now.sms[SmsState.UNKNOWN] else ""),
    ]


def _alerts(campaign: Campaign, now: Figures) -> list[Alert]:
    """Turn counts into things to do."""
    found = [
        (SMS, SmsState.UNDELIVERED, now.sms, "が届いていません。番号の誤りや、SMSを受け取れない電話が考えられます。"),
        (
            SMS,
            SmsState.UNKNOWN,
            now.sms,
            "の結果を送信事業者に照会しています。二重に送らないよう、結果が分かるまで送り直しません。",
        ),
        (PAGE, PageState.LOCKED, now.page, "が設問を間違えてロックされています。本人から連絡があれば解除できます。"),
    ]
    alerts = [
        Alert(f"{track.name}.{state}", counts[state], words, recipients_url(campaign, track, state))
        for track, state, counts, words in found
        if counts[state]
    ]
    if now.sms[SmsState.UNKNOWN] and (undecided := held.count(campaign)):
        words = "は送信事業者に照会しても結果が分かりません。送信済みとするか送り直すかを、管理者が決めてください。"
        alerts.append(Alert("held", undecided, words, recipients_url(campaign, SMS, SmsState.UNKNOWN)))
    return alerts


def _shown(campaign: Campaign, now: Figures) -> str:
    """Name what a page shows besides figures: when it is another, the page is to be loaded anew."""
    return "-".join([campaign.state, *(alert.key for alert in _alerts(campaign, now))])


def bars(campaign: Campaign, now: Figures) -> list[Bar]:
    """Give the funnel from sending to payment."""
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


def live(campaign: Campaign, *, shown: str) -> dict[str, Any]:
    """Give the answer to the page that asks again and again; done when it shows an old state."""
    now = figures(campaign.id)
    funnel = bars(campaign, now)
    texts = {f"{track.name}.{state}": f"{count:,}" for track, state, count in _all_counts(now)}
    texts |= {f"box.{key}": f"{count:,}" for key, _, count, _ in _boxes(now)}
    texts |= {bar.key: f"{bar.count:,}" for bar in funnel}
    texts |= {f"{bar.key}.share": bar.share for bar in funnel}
    texts |= {alert.key: f"{alert.count:,}" for alert in _alerts(campaign, now)}
    texts["state"] = CAMPAIGN.words[CampaignState(campaign.state)]
    return {
        "done": _shown(campaign, now) != shown,
        "texts": texts,
        "values": {f"{bar.key}.width": bar.width for bar in funnel},
    }


def _all_counts(now: Figures) -> Iterable[tuple[Track, str, int]]:
    for track, counts in ((SMS, now.sms), (PAGE, now.page), (PAYMENT, now.payment)):
        for state, count in counts.items():
            yield track, state, count


# --- acts ---


def resume_question(campaign: Campaign) -> tuple[Campaign, str, Confirmation]:
    """Ask before sending goes on."""
    waiting = figures(campaign.id).sms[SmsState.QUEUED]
    return (
        campaign,
        "status",
        Confirmation(
            title="送信を再開しますか",
            words=(f"まだ送っていない{waiting:,}件の送信を再開します。すでに送った相手には送られません。",),
            button=f"{waiting:,}件の送信を再開する",
            url=url_for("flow.resume", campaign_id=campaign.id),
            back=url_for("flow.status", campaign_id=campaign.id),
            dangerous=False,
        ),
    )


def resume_checks_question(campaign: Campaign) -> tuple[Campaign, str, Confirmation]:
    """Ask before people's answers are taken again."""
    return (
        campaign,
        "status",
        Confirmation(
            title="回答の受け付けを再開しますか",
            words=(
                "名簿の正解の列がずれていないことと、心当たりのない人がリンクを開いていないことを確かめてください。",
                "再開すると、リンクを受け取った人が質問に答えられるようになります。送信は止まったままです。",
            ),
            button="回答の受け付けを再開する",
            url=url_for("life.resume_checks", campaign_id=campaign.id),
            back=url_for("flow.status", campaign_id=campaign.id),
            dangerous=True,
        ),
    )


def cancel_question(campaign: Campaign) -> tuple[Campaign, str, Confirmation]:
    """Ask before a campaign is given up."""
    now = figures(campaign.id)
    waiting = now.sms[SmsState.QUEUED] + now.sms[SmsState.DRAFT]
    handed = now.people - waiting
    words = [f"まだ送っていない{waiting:,}件は送られなくなります。"]
    if handed:
        words.append(f"すでに送信した{handed:,}件のSMSは取り消せません。受け取った人は引き続きページを開けます。")
    words.append("取り消した配信は元に戻せません。")
    started = campaign.launched_at is not None
    back = "flow.status" if started else "flow.overview"
    return (
        campaign,
        "status" if started else "",
        Confirmation(
            title="この配信を取り消しますか",
            words=tuple(words),
            button="この配信を取り消す",
            url=url_for("flow.cancel", campaign_id=campaign.id),
            back=url_for(back, campaign_id=campaign.id),
        ),
    )


def can_cancel(campaign: Campaign) -> bool:
    """Say whether the campaign can still be given up."""
    return campaign.state in CAMPAIGN.sources(CampaignState.CANCELLED)


# --- files ---


def stamp(at: datetime) -> str:
    """Give a time for a file's name, in Tokyo."""
    return at.astimezone(TOKYO).strftime("%Y%m%d-%H%M")


def chosen_states(form: Mapping[str, str]) -> dict[str, str]:
    """Read by which states people are narrowed, as the list of people names them: sms, page_state, payment. 404."""
    chosen = {}
    for track in (SMS, PAGE, PAYMENT):
        if state := form.get(_FILTERS[track.name], ""):
            chosen[track.name] = state if state in track.words else abort(404)
    return chosen


def state_choices(campaign: Campaign) -> list[tuple[str, str, dict[str, str]]]:
    """Offer the states of each track: the field's name, its label, the words."""
    return [
        (_FILTERS[track.name], track.label, {str(state): word for state, word in track.words.items()})
        for track in _tracks(campaign)
    ]


def download(pieces: Callable[[], Iterable[bytes]], name: str, plain_name: str) -> Response:
    """Stream a file under a Japanese name (RFC 6266 and 8187), with a plain one for old programs.

    The plain name's ending says of what kind it is.

    `pieces` runs after the request's own scope has been closed, in a scope like it.
    """
    tenant_id = tenancy.current().tenant_id
    assert tenant_id is not None  # noqa: S101 - operators open no campaign

    def stream() -> Iterator[bytes]:
        with tenancy.tenant(tenant_id):
            yield from pieces()

    response = Response(stream_with_context(stream()), mimetype=_KINDS[plain_name.rpartition(".")[2]])
    safe = re.sub(r'[\\/:*?"<>|\x00-\x1f\x7f]', "_", name)
    response.headers["Content-Disposition"] = (
        f"attachment; filename=\"{plain_name}\"; filename*=UTF-8''{quote(safe, safe='')}"
    )
    return response
