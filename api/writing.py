"""A campaign on its way to its launch: made, filled, checked, launched; sent again, and reminded of."""

from collections.abc import Callable

from sqlalchemy import Connection, select

from api import answers, finding, sending, shapes
from api.campaigns import told_of
from api.door import Doing, Endpoint, Faults
from app.api_access import idempotency, ids, rates
from app.api_access.entry import Caller
from app.api_access.ids import Of
from app.api_access.keys import Scope
from app.campaigns import creation, lifecycle, ordered_checks, preflight, preflight_result, readiness
from app.campaigns.creation import Terms
from app.campaigns.preflight_result import Preflight
from app.config import settings
from app.delivery import resend
from app.extensions import db
from app.intake.checking.checks import Fault
from app.intake.rows import batch
from app.models import Campaign
from app.problems import Kind, Refused
from app.states.vocabulary import CampaignState

_EITHER = Kind("campaign_source_missing", "starter か copy_of の、どちらか1つを指定してください。")
_NO_REMINDER = Kind(
    "reminder_kind_unknown", "リマインドの対象は unopened か unpaid です。支払いのない配信に unpaid はありません。"
)
_OF_ACCOUNTS = ("sms_account_", "payment_account_")
_OUTCOMES = {CampaignState.APPROVAL: "waiting_for_approval", CampaignState.SCHEDULED: "scheduled"}


def create_campaign(caller: Caller, body: shapes.NewCampaign) -> Doing:
    """Make a draft from a starter or as a copy."""
    if (body.starter is None) == (body.copy_of is None):
        raise Refused(_EITHER())
    terms = Terms(
        body.name,
        finding.account(Of.SMS_ACCOUNT, body.sms_account),
        finding.account(Of.PAYMENT_ACCOUNT, body.payment_account),
        body.starts_at,
        body.deadline_at,
    )
    made: list[int] = []

    def do(_act: idempotency.Act) -> None:
        if body.copy_of is not None:
            row = creation.from_copy(finding.campaign(body.copy_of), terms, user_id=caller.user_id, actor=caller.actor)
        else:
            row = creation.from_starter(body.starter or "", terms, user_id=caller.user_id, actor=caller.actor)
        # told now, not at the launch: a draft's account can't be chosen afterwards by a system
        if gaps := [one.problem for one in readiness.missing(row) if one.problem.code.startswith(_OF_ACCOUNTS)]:
            raise Refused(*gaps)
        made.append(row.id)
        db.session.commit()

    def tell(connection: Connection) -> shapes.CampaignAct:
        return told_of(made[0])(connection)

    return Doing(do, tell)


def get_fields(_caller: Caller, campaign: str) -> shapes.Fields:
    """Return the fields that a campaign's recipients have."""
    form = batch.fields_of(finding.campaign(campaign))
    return shapes.Fields(list(form.header), [name for name in form.header if name in form.needed])


def add_recipients(caller: Caller, body: shapes.NewRecipients, campaign: str) -> Doing:
    """Add up to 10,000 recipients to a draft, all or none. Rows cost as well: 100 as much as a request."""
    campaign_id = finding.campaign(campaign).id
    rates.take_rows(caller, len(body.rows))
    rows = [{name: str(cell) for name, cell in row.items()} for row in body.rows]

    def do(act: idempotency.Act) -> None:
        def keep(connection: Connection, done: batch.Batch) -> None:
            idempotency.keep(connection, act, answers.kept(_added(done)))

        try:
            batch.add(campaign_id, rows, user_id=caller.user_id, within=keep)
        except batch.BadRows as bad:
            raise Faults(bad.problem, [_row_fault(fault) for fault in bad.faults]) from None

    return Doing(do)


def _added(done: batch.Batch) -> shapes.AddedRecipients:
    warnings = [
        shapes.Fault(fault.problem.code, answers.words(fault.problem), fault.sheet_row, fault.column)
        for fault in done.warnings[: answers.SHOWN_FAULTS]
    ]
    return shapes.AddedRecipients(ids.make(Of.IMPORT, done.import_id), done.added, done.known, warnings)


def _row_fault(fault: Fault) -> answers.RowFault:
    return answers.fault(fault.problem, fault.sheet_row, fault.column)


def get_check(_caller: Caller, campaign: str) -> shapes.Check:
    """Return the last check, if nothing has changed since."""
    row = finding.campaign(campaign)
    checked = preflight_result.current(row)
    state = "done" if checked else "checking" if row.check_due_at is not None else "missing"
    return _check(row.id, checked, state)


def check_campaign(caller: Caller, campaign: str) -> Doing:
    """Check all texts for every recipient: at once, or by a worker where there are many (state: checking)."""
    del caller
    row = finding.campaign(campaign)
    campaign_id, tenant_id = row.id, row.tenant_id
    if lifecycle.content_locked(row):
        raise Refused(lifecycle.why_locked(row.state))
    many = lifecycle.people_count(campaign_id) > settings().at_once_people

    def do(act: idempotency.Act) -> None:
        if many:
            ordered_checks.order(db.session, campaign_id)
            db.session.commit()
            ordered_checks.enqueue(tenant_id, campaign_id)
            return
        checked = preflight.run(campaign_id)
        if act.kept is None:  # nothing was stored: it changed meanwhile, or is no draft
            raise Refused(*checked.problems)

    def tell(connection: Connection) -> shapes.Check:
        stored = connection.execute(select(Campaign.preflight).where(Campaign.id == campaign_id)).scalar_one()
        if many or not stored:
            return _check(campaign_id, None, "checking")
        return _check(campaign_id, Preflight.from_json(stored), "done")

    return Doing(do, tell)


def _check(campaign_id: int, checked: Preflight | None, state: str) -> shapes.Check:
    found = checked or Preflight(digest="")
    return shapes.Check(
        id=ids.make(Of.CAMPAIGN, campaign_id),
        state=state,
        digest=found.digest,
        people=found.people,
        numbers=found.numbers,
        longest_units=found.longest_units,
        problems=[shapes.Fault(problem.code, answers.words(problem)) for problem in found.problems],
        warnings=found.warnings,
    )


def launch_campaign(caller: Caller, body: shapes.Launch, campaign: str) -> Doing:
    """Launch what was checked: 409 where the digest or the number of people differs from the check's."""
    campaign_id = finding.campaign(campaign).id

    def do(_act: idempotency.Act) -> None:
        sending.check(caller, campaign_id)
        lifecycle.launch(campaign_id, user_id=caller.user_id, digest=body.digest, people=body.people)

    def tell(connection: Connection) -> shapes.Launched:
        told = told_of(campaign_id)(connection)
        return shapes.Launched(told.id, told.state, _OUTCOMES.get(CampaignState(told.state), "sending"))

    return Doing(do, tell)


def get_reminders(_caller: Caller, campaign: str) -> shapes.Reminders:
    """Return which reminder would be next, and to how many people each kind would go."""
    row = finding.campaign(campaign)
    unpaid = resend.to_remind(row, "unpaid").people if row.payment_required else 0
    return shapes.Reminders(
        ids.make(Of.CAMPAIGN, row.id), resend.next_number(row.id), resend.to_remind(row, "unopened").people, unpaid
    )


def resend_campaign(caller: Caller, campaign: str) -> Doing:
    """Send again to those whom no SMS reached, but for those who were refused for good."""
    campaign_id = finding.campaign(campaign).id
    return _again(caller, campaign_id, lambda: resend.resend(campaign_id, user_id=caller.user_id))


def remind_campaign(caller: Caller, body: shapes.Remind, campaign: str) -> Doing:
    """Send a reminder, once for its number: who sends it twice, or beside another, is refused."""
    row = finding.campaign(campaign)
    if body.which not in resend.WHICH or (body.which == "unpaid" and not row.payment_required):
        raise Refused(_NO_REMINDER())
    campaign_id = row.id
    return _again(
        caller,
        campaign_id,
        lambda: resend.remind(
            campaign_id, body.which, user_id=caller.user_id, number=body.number, sms_text=body.sms_text
        ),
    )


def _again(caller: Caller, campaign_id: int, act: Callable[[], int]) -> Doing:
    def do(_act: idempotency.Act) -> None:
        sending.check(caller, campaign_id)
        act()

    def tell(connection: Connection) -> shapes.SentAgain:
        told = told_of(campaign_id)(connection)
        return shapes.SentAgain(told.id, told.state, sending.people_of_last_wave(connection, campaign_id))

    return Doing(do, tell)


ENDPOINTS = (
    Endpoint(
        method="POST", rule="/campaigns", scope=Scope.SEND, view=create_campaign, answers=shapes.CampaignAct,
        body=shapes.NewCampaign, status=201,
    ),
    Endpoint(
        method="GET", rule="/campaigns/<campaign>/fields", scope=Scope.READ, view=get_fields, answers=shapes.Fields
    ),
    Endpoint(
        method="POST", rule="/campaigns/<campaign>/recipients/batch", scope=Scope.SEND, view=add_recipients,
        answers=shapes.AddedRecipients, body=shapes.NewRecipients, status=201,
    ),
    Endpoint(method="GET", rule="/campaigns/<campaign>/check", scope=Scope.READ, view=get_check, answers=shapes.Check),
    Endpoint(
        method="POST", rule="/campaigns/<campaign>/check", scope=Scope.SEND, view=check_campaign, answers=shapes.Check
    ),
    Endpoint(
        method="POST", rule="/campaigns/<campaign>/launch", scope=Scope.SEND, view=launch_campaign,
        answers=shapes.Launched, body=shapes.Launch,
    ),
    Endpoint(
        method="GET", rule="/campaigns/<campaign>/reminders", scope=Scope.READ, view=get_reminders,
        answers=shapes.Reminders,
    ),
    Endpoint(
        method="POST", rule="/campaigns/<campaign>/resend", scope=Scope.SEND, view=resend_campaign,
        answers=shapes.SentAgain,
    ),
    Endpoint(
        method="POST", rule="/campaigns/<campaign>/remind", scope=Scope.SEND, view=remind_campaign,
        answers=shapes.SentAgain, body=shapes.Remind,
    ),
)  # fmt: skip
