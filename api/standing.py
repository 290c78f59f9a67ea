"""People who come one by one to a standing campaign."""

from sqlalchemy import Connection, select

from api import answers, finding, sending, shapes
from api.door import Doing, Endpoint, Faults
from app.api_access import idempotency, ids
from app.api_access.entry import Caller
from app.api_access.ids import Of
from app.api_access.keys import Scope
from app.extensions import db
from app.models import Recipient
from app.problems import Problem
from app.standing import adding
from app.standing.adding import Added

# its sentence tells the field's name, which is what was sent
_UNKNOWN = "standing_field_unknown"


def add_recipient(caller: Caller, body: shapes.NewRecipient, campaign: str) -> Doing:
    """Add one person to a standing campaign: their SMS leaves as soon as hours and limits allow (`sends_at`)."""
    campaign_id = finding.campaign(campaign).id
    fields = {name: str(cell) for name, cell in body.fields.items()}

    def do(act: idempotency.Act) -> None:
        added = adding.add(campaign_id, fields, actor=caller.actor, once=act.key_digest.hex())
        if isinstance(added, list):
            told = answers.BAD_BODY() if added[0].code == _UNKNOWN else added[0]
            raise Faults(told, [_fault(problem) for problem in added])
        sending.check(caller, added.campaign_id)
        connection = db.session.connection()
        idempotency.keep(connection, act, answers.kept(_told(connection, added)))
        db.session.commit()
        adding.wake(added)

    return Doing(do)


def _fault(problem: Problem) -> answers.RowFault:
    """Tell of a field by its name, unless the campaign doesn't know it: it is what was sent then."""
    if problem.code == _UNKNOWN:
        return answers.fault(answers.BAD_FIELD())
    field = problem.facts.get("field")
    return answers.fault(problem, field=str(field) if field else None)


def _told(connection: Connection, added: Added) -> shapes.AddedRecipient:
    secret = connection.execute(select(Recipient.link_secret).where(Recipient.id == added.recipient_id)).scalar_one()
    return shapes.AddedRecipient(
        ids.make_person(added.recipient_id, secret),
        ids.make(Of.CAMPAIGN, added.campaign_id),
        added.sends_at,
        list(added.warnings),
    )


ENDPOINTS = (
    Endpoint(
        method="POST", rule="/campaigns/<campaign>/recipients", scope=Scope.SEND, view=add_recipient,
        answers=shapes.AddedRecipient, body=shapes.NewRecipient, status=201,
    ),
)  # fmt: skip
