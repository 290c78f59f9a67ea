"""Campaigns: read, held back, gone on with, called off."""

from collections.abc import Callable
from typing import Protocol

from sqlalchemy import Connection, select

from api import answers, finding, sending, shapes
from api.door import Doing, Endpoint
from app.api_access import ids
from app.api_access.entry import Caller
from app.api_access.ids import Of
from app.api_access.keys import Scope
from app.campaigns import lifecycle
from app.extensions import db
from app.models import Campaign, Recipient
from app.problems import Problem, Refused
from app.reports import campaign_totals
from app.states.vocabulary import CAMPAIGN, CampaignState


class _Act(Protocol):
    def __call__(self, campaign_id: int, *, user_id: int) -> bool: ...


def list_campaigns(caller: Caller, query: shapes.PageQuery) -> shapes.CampaignPage:
    """List campaigns, the latest first."""
    rows = select(Campaign).where(Campaign.tenant_id == caller.tenant_id)
    if query.after is not None:
        rows = rows.where(Campaign.id < finding.campaign(query.after).id)
    found = db.session.scalars(rows.order_by(Campaign.id.desc()).limit(query.limit + 1)).all()
    page = [_told(row) for row in found[: query.limit]]
    return shapes.CampaignPage(page, page[-1].id if len(found) > query.limit else None)


def get_campaign(_caller: Caller, campaign: str) -> shapes.Campaign:
    """Return one campaign."""
    return _told(finding.campaign(campaign))


def get_campaign_counts(_caller: Caller, campaign: str) -> shapes.CampaignCounts:
    """Return how many of a campaign's people stand where."""
    row = finding.campaign(campaign)
    now = campaign_totals.figures(row)
    counts = shapes.Counts(
        *({str(name): count for name, count in of.items()} for of in (now.sms, now.page, now.payment))
    )
    return shapes.CampaignCounts(ids.make(Of.CAMPAIGN, row.id), now.people, counts)


def list_recipients(_caller: Caller, query: shapes.PageQuery, campaign: str) -> shapes.RecipientPage:
    """List a campaign's recipients, in the order of its list. No personal detail is among what is told of them."""
    within = finding.campaign(campaign)
    rows = select(Recipient).where(Recipient.campaign_id == within.id)
    if query.after is not None:
        rows = rows.where(Recipient.id > finding.recipient(within, query.after).id)
    found = db.session.scalars(rows.order_by(Recipient.id).limit(query.limit + 1)).all()
    page = [_person(row) for row in found[: query.limit]]
    return shapes.RecipientPage(page, page[-1].id if len(found) > query.limit else None)


def get_recipient(_caller: Caller, campaign: str, recipient: str) -> shapes.Recipient:
    """Return one recipient, by id or by the company's own number (`ref:A-123`)."""
    return _person(finding.recipient(finding.campaign(campaign), recipient))


def pause_campaign(caller: Caller, campaign: str) -> Doing:
    """Stop sending: messages that wait go on waiting, those that left can't be called back."""
    return _act(caller, finding.campaign(campaign).id, lifecycle.pause)


def resume_campaign(caller: Caller, campaign: str) -> Doing:
    """Go on sending what still waits."""
    campaign_id = finding.campaign(campaign).id
    sending.check(caller, campaign_id)
    return _act(caller, campaign_id, lifecycle.resume)


def cancel_campaign(caller: Caller, campaign: str) -> Doing:
    """Call a campaign off: nothing of it is sent any more. This can't be undone."""
    return _act(caller, finding.campaign(campaign).id, lifecycle.cancel)


def _act(caller: Caller, campaign_id: int, act: _Act) -> Doing:
    def do(_act: object) -> None:
        if not act(campaign_id, user_id=caller.user_id):
            raise Refused(not_now(campaign_id))

    return Doing(do, told_of(campaign_id))


def not_now(campaign_id: int) -> Problem:
    """Return that an act doesn't fit where a campaign stands."""
    state = CampaignState(db.session.get_one(Campaign, campaign_id).state)
    return answers.NOT_NOW(state=CAMPAIGN.words[state])


def told_of(campaign_id: int) -> Callable[[Connection], shapes.CampaignAct]:
    """Return how it is told where a campaign stands, in the transaction that moves it."""

    def tell(connection: Connection) -> shapes.CampaignAct:
        state = connection.execute(select(Campaign.state).where(Campaign.id == campaign_id)).scalar_one()
        return shapes.CampaignAct(ids.make(Of.CAMPAIGN, campaign_id), state)

    return tell


def _told(row: Campaign) -> shapes.Campaign:
    return shapes.Campaign(
        id=ids.make(Of.CAMPAIGN, row.id),
        name=row.name,
        state=row.state,
        created_at=row.created_at,
        launched_at=row.launched_at,
        starts_at=row.starts_at,
        completed_at=row.completed_at,
        payment_required=row.payment_required,
        people=lifecycle.people_of(row),
    )


def _person(row: Recipient) -> shapes.Recipient:
    return shapes.Recipient(
        id=ids.make_person(row.id, row.link_secret),
        campaign_id=ids.make(Of.CAMPAIGN, row.campaign_id),
        reference=row.reference,
        sms_state=row.sms_state,
        sms_code=row.sms_code,
        page_state=row.page_state,
        payment_state=row.payment_state,
        amount_yen=row.amount_yen,
        due_date=row.due_date,
        sent_at=row.sent_at,
        delivered_at=row.delivered_at,
        undelivered_at=row.undelivered_at,
        opened_at=row.opened_at,
        verified_at=row.verified_at,
        viewed_at=row.viewed_at,
        paid_at=row.paid_at,
        link_expires_at=row.link_expires_at,
    )


ENDPOINTS = (
    Endpoint(
        method="GET", rule="/campaigns", scope=Scope.READ, view=list_campaigns, answers=shapes.CampaignPage,
        query=shapes.PageQuery,
    ),
    Endpoint(
        method="GET", rule="/campaigns/<campaign>", scope=Scope.READ, view=get_campaign, answers=shapes.Campaign
    ),
    Endpoint(
        method="GET", rule="/campaigns/<campaign>/counts", scope=Scope.READ, view=get_campaign_counts,
        answers=shapes.CampaignCounts,
    ),
    Endpoint(
        method="GET", rule="/campaigns/<campaign>/recipients", scope=Scope.READ, view=list_recipients,
        answers=shapes.RecipientPage, query=shapes.PageQuery,
    ),
    Endpoint(
        method="GET", rule="/campaigns/<campaign>/recipients/<recipient>", scope=Scope.READ, view=get_recipient,
        answers=shapes.Recipient,
    ),
    Endpoint(
        method="POST", rule="/campaigns/<campaign>/pause", scope=Scope.MANAGE, view=pause_campaign,
        answers=shapes.CampaignAct,
    ),
    Endpoint(
        method="POST", rule="/campaigns/<campaign>/resume", scope=Scope.MANAGE, view=resume_campaign,
        answers=shapes.CampaignAct,
    ),
    Endpoint(
        method="POST", rule="/campaigns/<campaign>/cancel", scope=Scope.MANAGE, view=cancel_campaign,
        answers=shapes.CampaignAct,
    ),
)  # fmt: skip
