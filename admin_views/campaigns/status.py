"""状況 and 結果: files to download; questions before acts that weigh."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Response, abort, stream_with_context, url_for

from admin_views.accounts import restore_words
from admin_views.campaigns.live import FILTERS, tracks_of
from admin_views.framework import display
from admin_views.framework.attachments import name_file
from app import tenancy
from app.campaigns import schedule
from app.models import Campaign
from app.reports.campaign_totals import figures
from app.reports.progress import progress
from app.setback import missed_numbers
from app.states.vocabulary import PAGE, PAYMENT, SMS, SmsState
from app.values.japan_time import TOKYO

_KINDS = {"csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A question before an act that weighs; `fields` are sent along."""

    title: str
    words: tuple[str, ...]
    button: str
    url: str
    back: str
    dangerous: bool = True
    fields: tuple[tuple[str, str], ...] = ()
    reason: str = ""  # what is asked to be typed, for the record
    typed: str = ""
    problems: tuple[str, ...] = ()


# --- acts ---

_RESUMED = "まだ送っていない{:,}件の送信を再開します。すでに送った相手には送られません。"
_RETRIED_LATER = "一時的な理由で届かなかった{:,}人にも、予定の時刻から自動で送り直します。"


def resume_question(campaign: Campaign) -> tuple[Campaign, str, Confirmation]:
    """Ask before sending goes on."""
    count = progress(campaign)
    waiting, planned = count.figures.sms[SmsState.QUEUED], count.planned
    now = datetime.now(UTC)
    night = schedule.leaves_at_night(campaign, now)
    warned = (
        (f"いまは{schedule.NIGHT}です。再開すると、すぐに届きます。",) if night and (waiting or not planned) else ()
    )
    return (
        campaign,
        "status",
        Confirmation(
            title="送信を再開しますか",
            words=(
                *([_RESUMED.format(waiting)] if waiting or not planned else []),
                *([_RETRIED_LATER.format(planned.people)] if planned else []),
                *warned,
            ),
            button=f"{waiting:,}件の送信を再開する" if waiting or not planned else "送信を再開する",
            url=url_for("flow.resume", campaign_id=campaign.id),
            back=url_for("flow.status", campaign_id=campaign.id),
            dangerous=False,
        ),
    )


def release_restored_question(
    campaign: Campaign, typed: str = "", problems: tuple[str, ...] = ()
) -> tuple[Campaign, str, Confirmation]:
    """Ask before a campaign, or people of it, are sent to whom an SMS may have reached before a restore."""
    people = missed_numbers.count(campaign)
    words = []
    for wait in restore_words.waits(campaign):
        words += [f"{wait.title}：{wait.happened}", *wait.compare, *wait.then]
    if people:
        words.append(
            f"止めている{people:,}人の電話番号には、復元の前にSMSが送られています。"
            "送信サービスの管理画面で送信履歴を確かめてください。許可すると、もう一度送ります。"
        )
    waiting = figures(campaign).sms[SmsState.QUEUED]
    words.append(f"許可すると、送信待ちの{waiting:,}件のSMSを、送信時間帯のうちに送ります。")
    return (
        campaign,
        "status",
        Confirmation(
            title="復元の確認待ちを解いて、送信しますか",
            words=tuple(words),
            button="確かめたので、送信を許可する",
            url=url_for("life.release_restored", campaign_id=campaign.id),
            back=url_for("flow.status", campaign_id=campaign.id),
            dangerous=True,
            reason="何をどう確かめたか",
            typed=typed,
            problems=problems,
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
    count = progress(campaign)
    now, planned = count.figures, count.planned
    waiting = now.sms[SmsState.QUEUED] + now.sms[SmsState.DRAFT]
    unsent = waiting + now.sms[SmsState.CANCELLED] + now.sms[SmsState.EXPIRED]
    # whoever waits for a reminder has got the first SMS
    handed = max(now.people - unsent, now.funnel[0][1])
    words = [f"まだ送っていない{waiting:,}件は送られなくなります。"] if waiting or not planned else []
    if planned:
        words.append(f"自動で送り直す予定の{planned.people:,}人にも、送られなくなります。")
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


# --- files ---


def file_timestamp(at: datetime) -> str:
    """Return a time for a file's name, in Tokyo."""
    return at.astimezone(TOKYO).strftime("%Y%m%d-%H%M")


def chosen_states(form: Mapping[str, str]) -> dict[str, str]:
    """Read by which states people are narrowed, as the list of people names them: sms, page_state, payment. 404."""
    chosen = {}
    for track in (SMS, PAGE, PAYMENT):
        if state := form.get(FILTERS[track.name], ""):
            chosen[track.name] = state if state in track.words else abort(404)
    return chosen


def chosen_words(chosen: Mapping[str, str]) -> list[str]:
    """Return in words, for a file's name, by which states its people are narrowed: "SMS不達"."""
    tracks = (track for track in (SMS, PAGE, PAYMENT) if track.name in chosen)
    return [f"{track.label}{display.word(track, chosen[track.name])}" for track in tracks]


def state_choices(campaign: Campaign) -> list[tuple[str, str, dict[str, str]]]:
    """Offer the states of each track: the field's name, its label, the words."""
    return [
        (FILTERS[track.name], track.label, {str(state): word for state, word in track.words.items()})
        for track in tracks_of(campaign)
    ]


def download(pieces: Callable[[], Iterable[bytes]], name: str, plain_name: str) -> Response:
    """Stream a file; its plain name's ending says of what kind it is.

    `pieces` runs after the request's own scope has been closed, in a scope like it.
    """
    tenant_id = tenancy.current().tenant_id
    assert tenant_id is not None  # noqa: S101 - operators open no campaign

    def stream() -> Iterator[bytes]:
        with tenancy.tenant(tenant_id):
            yield from pieces()

    response = Response(stream_with_context(stream()), mimetype=_KINDS[plain_name.rpartition(".")[2]])
    return name_file(response, name, plain_name)
