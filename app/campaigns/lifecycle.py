"""The life of a campaign: launch or schedule, start, pause, resume, cancel, completion."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from sqlalchemy import func, select, text

from app import audit, queues, tenancy
from app.campaigns import bulk_operations, preflight_result, readiness
from app.db import Executor
from app.extensions import db
from app.models import Campaign, ExcludedRecipient, Import, Recipient
from app.problems import Kind, Problem, Refused
from app.setback import account_holds
from app.states import locks
from app.states.transitions import move_campaign
from app.states.vocabulary import CAMPAIGN, CampaignState, ImportState

_log = structlog.get_logger()

_KEY_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


_OTHER_CHECK = Kind("check_outdated", "確認した内容が変わっています。もう一度確認してから送信してください。")


_OTHER_PEOPLE = Kind("launch_people_differ", "送信先は{people:,}件です。件数を確かめて、もう一度送信してください。")


def new_key() -> str:
    """Make a campaign's key: random, so that references never meet those of another installation."""
    return "".join(secrets.choice(_KEY_ALPHABET) for _ in range(10))


def touch(campaign: Campaign) -> None:
    """Record that what people will get has changed: the last check is void."""
    campaign.revision = Campaign.revision + 1


def people_count(campaign_id: int) -> int:
    """Count the campaign's recipients."""
    return db.session.scalar(select(func.count()).where(Recipient.campaign_id == campaign_id)) or 0


def people_of(campaign: Campaign) -> int:
    """Return the number of the campaign's recipients: as checked where it is launched, else counted."""
    checked = preflight_result.last(campaign) if campaign.launched_at is not None else None
    return checked.people if checked else people_count(campaign.id)


def content_locked(campaign: Campaign) -> bool:
    """Return whether texts may no longer change: after the launch people have them already."""
    return campaign.state != CampaignState.DRAFT


_LOCKED_LAUNCHED = Kind(
    "locked_launched", "送信を開始した配信の内容と名簿は変えられません。コピーして新しい配信をつくってください。"
)
_LOCKED = {
    CampaignState.APPROVAL: Kind(
        "locked_waiting_for_approval",
        "承認を待っている間は、内容と名簿を変えられません。直すときは、依頼した人が取り下げるか、管理者が差し戻してください。",
    ),
    CampaignState.SCHEDULED: Kind(
        "locked_scheduled",
        "送信を予約している間は、内容と名簿を変えられません。直すときは、先に予約を取りやめてください。",
    ),
    CampaignState.CANCELLED: Kind(
        "locked_cancelled",
        "取り消した配信の内容と名簿は変えられません。コピーして新しい配信をつくってください。",
    ),
}


def why_locked(state: str) -> Problem:
    """Return why a campaign in this state can't change any more, and what to do instead."""
    return _LOCKED.get(CampaignState(state), _LOCKED_LAUNCHED)()


_STANDING_LIST = Kind(
    "standing_takes_no_list",
    "常設配信の下書きには、名簿を取り込めません。開始したあとに、常設配信の画面の「名簿で送る」から取り込めます。",
)


def check_takes_lists(executor: Executor, campaign_id: int, state: str) -> None:
    """Raise Refused where a campaign that stands so takes no list, nor rows of one."""
    if state != CampaignState.DRAFT:
        raise Refused(why_locked(state))
    if executor.execute(select(Campaign.standing).where(Campaign.id == campaign_id)).scalar_one():
        raise Refused(_STANDING_LIST())


def questions_locked(campaign: Campaign) -> bool:
    """Return whether questions may no longer change: digests of answers were made, or are being made, for them."""
    return (
        content_locked(campaign)
        or readiness.has_people(campaign.id)
        or _has_excluded(campaign.id)
        or readiness.import_running(campaign.id)
    )


def _has_excluded(campaign_id: int) -> bool:
    """Return whether anybody was left out who may be taken back, with the digests made of their answers."""
    mine = select(ExcludedRecipient.id).where(ExcludedRecipient.campaign_id == campaign_id)
    return db.session.scalar(select(mine.exists())) or False


def waiting_upload(campaign_id: int) -> Import | None:
    """Return the campaign's latest list where that waits for its columns: one that came before is forgotten."""
    latest = db.session.scalar(
        select(Import)
        .where(Import.campaign_id == campaign_id, Import.state.not_in((ImportState.CANCELLED, ImportState.FAILED)))
        .order_by(Import.id.desc())
        .limit(1)
    )
    return latest if latest is not None and latest.state == ImportState.MAPPING else None


_BEGUN = Kind("already_launched", "この配信はすでに送信を開始しています。二重には送信されません。")
# the answer for somebody who presses again, or in another tab
_ALREADY = {
    CampaignState.APPROVAL: Kind(
        "already_asked_for_approval",
        "この配信は、すでに承認を依頼してあります。管理者が承認するまで、送信されません。",
    ),
    CampaignState.SCHEDULED: Kind(
        "already_scheduled", "この配信は、すでに送信を予約してあります。二重には送信されません。"
    ),
    CampaignState.COMPLETED: Kind(
        "already_completed", "この配信は、すでに送信が終わっています。二重には送信されません。"
    ),
    CampaignState.CANCELLED: Kind("already_cancelled", "この配信は、取り消されています。送信されません。"),
}


def launch(campaign_id: int, *, user_id: int, digest: str, people: int | None = None) -> None:
    """Send exactly what was checked under `digest`, now or at its start, or ask for its approval. Commits.

    With `people`, refuse where the list has another number of them than whoever launches believes. Raises Refused; a
    second press finds it launched.
    """
    campaign = locks.locked_campaign(campaign_id)
    if campaign.state != CampaignState.DRAFT:
        db.session.rollback()
        raise Refused(_ALREADY.get(CampaignState(campaign.state), _BEGUN)())
    problems = [item.problem for item in readiness.missing(campaign)]
    checked = preflight_result.current(campaign)
    if checked is not None and checked.digest != digest:
        problems.append(_OTHER_CHECK())
    if checked is not None and people not in {None, checked.people}:
        problems.append(_OTHER_PEOPLE(people=checked.people))
    problems += readiness.missing_contract(campaign)
    if problems:
        db.session.rollback()
        raise Refused(*problems)
    actor = f"user:{user_id}"
    campaign.launched_by = user_id
    campaign.returned_reason, campaign.returned_by = "", None
    if not needs_approval(campaign):
        release(campaign, actor=actor, detail={"digest": digest})
        return
    campaign.asked_by, campaign.asked_at, campaign.asked_digest = user_id, datetime.now(UTC), digest
    detail: dict[str, object] = {"people": people_count(campaign_id), "digest": digest}
    move_campaign(db.session, campaign_id, CampaignState.APPROVAL, at=campaign.asked_at, actor=actor, detail=detail)
    audit.record(db.session, actor=actor, act="ask_approval", target=f"campaign:{campaign_id}", detail=detail)
    db.session.commit()


def needs_approval(campaign: Campaign) -> bool:
    """Return whether so many people get this that a second person must approve it.

    A standing campaign needs it wherever a company has such a limit: in years any number comes.
    """
    if campaign.standing:
        return campaign.tenant.approval_above is not None
    return is_above_approval(campaign, people_count(campaign.id))


def is_above_approval(campaign: Campaign, people: int) -> bool:
    """Return whether these are more people than one person alone may send to."""
    limit = campaign.tenant.approval_above
    return limit is not None and people > limit


def release(campaign: Campaign, *, actor: str, detail: dict[str, object], act: str = "") -> None:
    """Send a campaign that is locked and ready, now or at its start.

    Commits. `act` is its name in the audit.
    """
    now = datetime.now(UTC)
    tenant_id, campaign_id = campaign.tenant_id, campaign.id
    detail["people"] = people_count(campaign_id)
    later = campaign.starts_at is not None and campaign.starts_at > now
    total = 0
    if later and campaign.starts_at is not None:
        detail["starts_at"] = campaign.starts_at.isoformat()
        move_campaign(db.session, campaign_id, CampaignState.SCHEDULED, at=now, actor=actor, detail=detail)
    else:
        total = _begin(campaign, now, actor)
    act = act or ("schedule" if later else "launch")
    audit.record(db.session, actor=actor, act=act, target=f"campaign:{campaign_id}", detail=detail)
    db.session.commit()
    if not later:
        bulk_operations.go(tenant_id, campaign_id, total)


def start(campaign_id: int) -> bool:
    """Begin a scheduled campaign whose time has come; return whether it was begun now.

    Commits.

    A campaign that would no longer go out as it was checked goes back to the clerk as a draft, with an event.
    """
    campaign = locks.locked_campaign(campaign_id)
    now = datetime.now(UTC)
    if campaign.state != CampaignState.SCHEDULED or (campaign.starts_at is not None and campaign.starts_at > now):
        db.session.rollback()
        return False
    if preflight_result.current(campaign) is None:
        _log.error("scheduled campaign returned to draft", campaign_id=campaign_id)
        detail = {"reason": "changed"}
        move_campaign(db.session, campaign_id, CampaignState.DRAFT, at=now, actor="system", detail=detail)
        db.session.commit()
        return False
    total = _begin(campaign, now, "system")
    tenant_id = campaign.tenant_id
    db.session.commit()
    bulk_operations.go(tenant_id, campaign_id, total)
    return True


def withdraw(campaign_id: int, *, user_id: int) -> bool:
    """Take a scheduled campaign back to draft before it starts.

    Returns whether it could be. Commits.
    """
    return _change_state(campaign_id, _is(CampaignState.SCHEDULED), CampaignState.DRAFT, "withdraw", user_id)


def _begin(campaign: Campaign, now: datetime, actor: str) -> int:
    """Let everybody wait for their SMS; `bulk_operations.go` after the commit.

    Returns their number.
    """
    total = people_count(campaign.id)
    account_holds.apply_to(campaign)
    move_campaign(db.session, campaign.id, CampaignState.SENDING, at=now, actor=actor, detail={"people": total})
    bulk_operations.begin(campaign, "launch", total=total, actor=actor)
    return total


def first_retry_at(campaign_id: int) -> datetime | None:
    """Return when the first retry that is planned is due; None without any."""
    return db.session.scalar(
        select(func.min(Recipient.retry_at)).where(
            Recipient.campaign_id == campaign_id, Recipient.retry_at.is_not(None)
        )
    )


def can_pause(campaign: Campaign) -> bool:
    """Return whether something of the campaign leaves that can be held back."""
    return _can_stop(db.session, campaign.id, campaign.state, CampaignState.PAUSED)


def can_cancel(campaign: Campaign) -> bool:
    """Return whether something of the campaign may leave yet that can be called off."""
    return _can_stop(db.session, campaign.id, campaign.state, CampaignState.CANCELLED)


def _can_stop(executor: Executor, campaign_id: int, state: str, to: CampaignState) -> bool:
    """Return whether a campaign can be stopped; a completed one while retries are planned."""
    if state != CampaignState.COMPLETED:
        return state in CAMPAIGN.sources(to)
    retries = text("SELECT EXISTS (SELECT FROM recipient WHERE campaign_id = :id AND retry_at IS NOT NULL)")
    return bool(executor.execute(retries, {"id": campaign_id}).scalar_one())


def hold_back(executor: Executor, campaign_id: int, *, at: datetime, actor: str, detail: dict[str, int]) -> None:
    """Pause a campaign of which anything is to leave yet; the caller has locked its row."""
    state = executor.execute(text("SELECT state FROM campaign WHERE id = :id"), {"id": campaign_id}).scalar_one()
    if _can_stop(executor, campaign_id, state, CampaignState.PAUSED):
        move_campaign(executor, campaign_id, CampaignState.PAUSED, at=at, actor=actor, detail=detail)


def pause(campaign_id: int, *, user_id: int) -> bool:
    """Stop sending; workers notice before their next batch.

    Returns whether anything was to be sent. Commits.
    """
    return _change_state(campaign_id, can_pause, CampaignState.PAUSED, "pause", user_id)


def resume(campaign_id: int, *, user_id: int) -> bool:
    """Go on sending what still waits.

    Returns whether it was paused, and takes people's answers. Commits.
    """
    if locks.locked_campaign(campaign_id).checks_stopped_at is not None:
        db.session.rollback()
        return False
    if not _change_state(campaign_id, _is(CampaignState.PAUSED), CampaignState.SENDING, "resume", user_id):
        return False
    with tenancy.transaction() as connection:
        # of one that was completed and has retries planned nothing waits now
        bulk_operations.complete_if_done(connection, campaign_id)
    queues.enqueue("jobs.delivery.send", once=True)
    return True


def cancel(campaign_id: int, *, user_id: int) -> bool:
    """Cancel the campaign: from the commit on no worker takes up anybody of it.

    Return whether it could be.
    """
    return _change_state(campaign_id, can_cancel, CampaignState.CANCELLED, "cancel", user_id)


def _is(state: CampaignState) -> Callable[[Campaign], bool]:
    return lambda campaign: campaign.state == state


def _change_state(
    campaign_id: int, fits: Callable[[Campaign], bool], to: CampaignState, act: str, user_id: int
) -> bool:
    now = datetime.now(UTC)
    actor = f"user:{user_id}"
    campaign = locks.locked_campaign(campaign_id)
    tenant_id = campaign.tenant_id
    if not fits(campaign) or not move_campaign(db.session, campaign_id, to, at=now, actor=actor):
        db.session.rollback()
        return False
    total = 0
    if to == CampaignState.CANCELLED:
        total = people_count(campaign_id)
        bulk_operations.begin(campaign, "cancel", total=total, actor=actor)
        slices = locks.lock_slices(db.session, campaign_id)
        db.session.execute(text("UPDATE slice SET due_at = NULL WHERE id = ANY(:ids)"), {"ids": slices})
    audit.record(db.session, actor=actor, act=act, target=f"campaign:{campaign_id}")
    db.session.commit()
    if to == CampaignState.CANCELLED:
        bulk_operations.go(tenant_id, campaign_id, total)
    return True
