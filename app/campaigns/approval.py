"""承認: above a company's limit a second person looks at exactly what was checked, and lets it go or sends it back.

An approval is bound to the digest of the check: whatever changes meanwhile makes the request void. Can't happen here:
somebody approves what they asked for or uploaded, two approvals, something else sent than was approved.
"""

from datetime import UTC, datetime

from sqlalchemy import select

from app import audit
from app.auth.staff import Role
from app.campaigns import lifecycle, preflight_result, readiness
from app.extensions import db
from app.models import Campaign, Import
from app.problems import Kind, Problem, Refused
from app.states import locks
from app.states.transitions import move_campaign
from app.states.vocabulary import CampaignState, ImportState

MOST_REASON = 500  # characters

_NOT_WAITING = Kind(
    "approval_not_waiting",
    "この配信は承認待ちではありません。ほかの人が承認したか、差し戻したか、取り下げられています。",
)
_VOID = "承認を依頼したあとに会社名などの内容が変わりました。もう一度確認して、承認を依頼し直してください。"
_CHANGED = Kind(
    "approval_content_changed",
    "承認を依頼したときから内容が変わったため、承認できません。下書きに戻しました。"
    "もう一度確認して、承認を依頼し直してください。",
)
_NEEDS_MANAGER = Kind("approval_needs_manager", "承認できるのは管理者です。")
_OWN_REQUEST = Kind("approval_own_request", "ご自分で依頼した配信は承認できません。ほかの管理者に頼んでください。")
_OWN_LIST = Kind("approval_own_list", "ご自分で名簿を取り込んだ配信は承認できません。ほかの管理者に頼んでください。")
_PAGE_OUTDATED = Kind(
    "approval_page_outdated",
    "画面を開いたあとに内容が変わっています。内容をもう一度確かめてから承認してください。",
)
_SEND_BACK_NEEDS_MANAGER = Kind("send_back_needs_manager", "差し戻せるのは管理者です。")
_NO_REASON = Kind("send_back_reason_missing", "差し戻す理由を入力してください。依頼した人に表示されます。")
_LONG_REASON = Kind("send_back_reason_too_long", "理由が長すぎます。{most}文字までにしてください。")
_NOT_OWN_REQUEST = Kind("approval_not_own_request", "取り下げられるのは、承認を依頼した人です。")


def refusals(campaign: Campaign, user_id: int, role: str) -> list[Problem]:
    """Return why a user can't approve this campaign."""
    if role != Role.MANAGER:
        return [_NEEDS_MANAGER()]
    if user_id == campaign.asked_by:
        return [_OWN_REQUEST()]
    uploaded = select(Import.id).where(
        Import.campaign_id == campaign.id, Import.state == ImportState.DONE, Import.created_by == user_id
    )
    if db.session.scalar(uploaded.limit(1)) is not None:
        return [_OWN_LIST()]
    return []


def approve(campaign_id: int, *, user_id: int, role: str, digest: str) -> None:
    """Let go what was asked for under `digest`: send it, or book it.

    Commits. Raises Refused.
    """
    campaign = _waiting(campaign_id)
    _refuse(refusals(campaign, user_id, role))
    checked = preflight_result.current(campaign)
    if checked is None or checked.digest != campaign.asked_digest:
        _back(campaign, "system", {"reason": "approval_void"})
        campaign.returned_reason, campaign.returned_by = _VOID, None
        db.session.commit()
        raise Refused(_CHANGED())
    if digest != campaign.asked_digest:
        _refuse([_PAGE_OUTDATED()])
    problems = [item.problem for item in readiness.missing(campaign)] + readiness.missing_contract(campaign)
    _refuse(problems)
    campaign.approved_by = user_id
    lifecycle.release(campaign, actor=f"user:{user_id}", act="approve", detail={"digest": digest})


def send_back(campaign_id: int, *, user_id: int, role: str, reason: str) -> None:
    """Make it a draft again with a reason for whoever asked. Commits. Raises Refused."""
    reason = reason.replace("\0", "").strip()
    campaign = _waiting(campaign_id)
    if role != Role.MANAGER:
        _refuse([_SEND_BACK_NEEDS_MANAGER()])
    if not reason:
        _refuse([_NO_REASON()])
    if len(reason) > MOST_REASON:
        _refuse([_LONG_REASON(most=MOST_REASON)])
    _back(campaign, f"user:{user_id}", {"reason": "sent_back"})
    campaign.returned_reason, campaign.returned_by = reason, user_id
    _record("send_back", campaign, user_id)


def take_back(campaign_id: int, *, user_id: int) -> None:
    """Take one's own request back. Commits. Raises Refused."""
    campaign = _waiting(campaign_id)
    if campaign.asked_by != user_id:
        _refuse([_NOT_OWN_REQUEST()])
    _back(campaign, f"user:{user_id}", {"reason": "taken_back"})
    _record("take_back", campaign, user_id)


def _waiting(campaign_id: int) -> Campaign:
    campaign = locks.locked_campaign(campaign_id)
    if campaign.state != CampaignState.APPROVAL:
        _refuse([_NOT_WAITING()])
    return campaign


def _back(campaign: Campaign, actor: str, detail: dict[str, object]) -> None:
    move_campaign(
        db.session,
        campaign.id,
        CampaignState.DRAFT,
        at=datetime.now(UTC),
        actor=actor,
        detail=detail,
        source=CampaignState.APPROVAL,
    )


def _record(act: str, campaign: Campaign, user_id: int) -> None:
    detail = {"digest": campaign.asked_digest}
    audit.record(db.session, actor=f"user:{user_id}", act=act, target=f"campaign:{campaign.id}", detail=detail)
    db.session.commit()


def _refuse(found: list[Problem]) -> None:
    if found:
        db.session.rollback()
        raise Refused(*found)
