"""The way through a campaign as visible steps, 文面 to 結果, and the one thing to do next."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import url_for

from app.campaigns import lifecycle, readiness, standing_line
from app.campaigns.readiness import Missing
from app.models import Campaign
from app.states.vocabulary import CampaignState
from app.values.japan_time import japan_minutes

_BEFORE_LAUNCH = {CampaignState.DRAFT, CampaignState.APPROVAL, CampaignState.SCHEDULED}
_NAMES = {"write": "文面", "list": "名簿", "check": "確認", "send": "送信", "status": "状況", "result": "結果"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `state`: done, todo (to be done now), later; `note` says how it stands, `missing` what it lacks."""

    key: str
    name: str
    url: str
    state: str
    note: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """The one obvious thing to do next: words, the button's words, where it leads."""

    words: str
    button: str
    url: str


def _standing_action(campaign: Campaign, url: str) -> Action:
    """Return what to do next with a standing campaign that runs: send to somebody, where it takes them in."""
    if standing_line.closed(campaign):
        return Action("この常設配信は、いま新しい送信先を受け付けていません。", "状況を見る", url)
    return Action("この常設配信は受け付け中です。", "1人に送る", url_for("standing.one", campaign_id=campaign.id))


def launched(campaign: Campaign) -> bool:
    """Return whether sending has begun at any time."""
    return campaign.launched_at is not None


def page_url(campaign: Campaign, key: str) -> str:
    """Return the address of a step's page."""
    overview = url_for("flow.overview", campaign_id=campaign.id)
    if key == "write":
        locked = lifecycle.content_locked(campaign)
        return overview if locked else url_for("campaign.edit_view", id=campaign.id, url=overview)
    return url_for({"list": "flow.lists"}.get(key, f"flow.{key}"), campaign_id=campaign.id)


def steps_of(campaign: Campaign, people: int) -> list[Step]:
    """Return the six steps as they stand."""
    missing = readiness.missing(campaign) if campaign.state == CampaignState.DRAFT else []
    return [
        Step(key, name, page_url(campaign, key), *_state_and_note(key, campaign, missing, people))
        for key, name in _NAMES.items()
        if key != "list" or not campaign.standing
    ]


def _state_and_note(
    key: str, campaign: Campaign, missing: Sequence[Missing], people: int
) -> tuple[str, str, tuple[str, ...]]:
    if campaign.state == CampaignState.CANCELLED and not launched(campaign):
        return "later", "取消", ()
    if key in {"write", "list", "check"}:
        lacks = tuple(item.problem.message_ja for item in missing if item.step == key)
        if not lacks:
            return "done", f"{people:,}件" if key == "list" else "できています", ()
        earlier = list(_NAMES)[: list(_NAMES).index(key)]
        waits = any(item.step in earlier for item in missing)
        return ("later" if waits else "todo"), "これから" if waits else f"あと{len(lacks)}点", lacks
    if campaign.state in _BEFORE_LAUNCH:
        words = {CampaignState.APPROVAL: "承認待ち", CampaignState.SCHEDULED: "予約済み"}
        ready = key == "send" and not missing
        return (
            ("todo", words.get(CampaignState(campaign.state), "送信できます"), ())
            if ready
            else ("later", "これから", ())
        )
    return _note_after_launch(key, campaign)


def _note_after_launch(key: str, campaign: Campaign) -> tuple[str, str, tuple[str, ...]]:
    if key == "send":
        return "done", "開始済み", ()
    if key == "status":
        going = campaign.state in {CampaignState.SENDING, CampaignState.PAUSED}
        words = {CampaignState.SENDING: "送信中", CampaignState.PAUSED: "一時停止中"}
        return ("todo" if going else "done"), words.get(CampaignState(campaign.state), "送信終了"), ()
    return "done", "ダウンロードできます", ()


def _scheduled(starts_at: datetime | None, people: int) -> str:
    """Describe when a scheduled campaign begins; one whose time has come begins with the next look of the scheduler."""
    if starts_at is not None and starts_at > datetime.now(UTC):
        return f"{japan_minutes(starts_at)}に、{people:,}件の送信を始める予約をしています。"
    return f"予約の時刻になりました。まもなく、{people:,}件の送信を始めます。"


_WAITS: Mapping[CampaignState, Callable[[Campaign, int, str], Action]] = {
    CampaignState.PAUSED: lambda _, __, url: Action("送信を一時停止しています。", "状況を見て再開する", url),
    CampaignState.SENDING: lambda _, people, url: Action(f"{people:,}件の送信を進めています。", "状況を見る", url),
    CampaignState.APPROVAL: lambda campaign, people, _: Action(
        f"{'常設配信の開始' if campaign.standing else f'{people:,}件の送信'}が、管理者の承認を待っています。",
        "承認する内容を見る",
        url_for("life.approval", campaign_id=campaign.id),
    ),
    CampaignState.SCHEDULED: lambda campaign, people, _: Action(
        _scheduled(campaign.starts_at, people),
        "予約の内容を見る",
        url_for("flow.overview", campaign_id=campaign.id),
    ),
}


def next_action(campaign: Campaign, now: Sequence[Step], people: int) -> Action:
    """Return what to do next: a list that waits for its columns goes before everything else."""
    by_key = {step.key: step for step in now}
    if campaign.standing and campaign.state == CampaignState.SENDING:
        return _standing_action(campaign, by_key["status"].url)
    if campaign.state in _WAITS:
        return _WAITS[CampaignState(campaign.state)](campaign, people, by_key["status"].url)
    if campaign.state == CampaignState.CANCELLED and not launched(campaign):
        return Action("この配信は送信前に取り消されました。", "配信の一覧へ", url_for("campaign.index_view"))
    if campaign.state not in _BEFORE_LAUNCH:
        return Action("送信は終わりました。結果を確認できます。", "結果をダウンロードする", by_key["result"].url)
    if campaign.state == CampaignState.DRAFT and (upload := lifecycle.waiting_upload(campaign.id)):
        url = url_for("flow.one_list", campaign_id=campaign.id, import_id=upload.id)
        return Action(f"名簿「{upload.filename}」は、列の確認待ちです。", "列を確認して取り込む", url)
    first = next((step for step in now if step.state == "todo"), by_key["send"])
    words = {
        "write": ("文面と設定に、まだ決まっていないことがあります。", "文面と設定を編集する"),
        "list": ("送る相手の名簿が必要です。", "名簿を取り込む"),
        "check": ("送る前に、全件の文面を確かめます。", "確認へ進む"),
        "send": (f"{people:,}件を送信する準備ができました。", f"{people:,}件の送信へ進む"),
    }
    if campaign.standing:
        words["check"] = ("開始する前に、文面を確かめます。", "確認へ進む")
        words["send"] = ("常設配信を開始する準備ができました。", "開始へ進む")
    return Action(*words[first.key], first.url)
