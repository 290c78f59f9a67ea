"""The SMS to an account's 確認用番号: a message of ours that proves the carrier's list fresh where no other left.

In: messages that no look-up proves absent, for nothing later was accepted. Out: one SMS to the company's own number,
written down before it leaves, at hours, rate and cap of the campaign. Can't happen here: a second one soon after the
first, one without a number, a guess at what became of it (it is asked for like any other).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection, and_, not_, select, text

from app import references, tenancy
from app.accounts import Unusable, abilities, witness_phone_of
from app.config import settings
from app.delivery import daily_cap, rate_limit, send_context
from app.delivery.circuit_breaker import Breaker, rests
from app.delivery.send_context import Route
from app.extensions import db
from app.models import Campaign, SmsAccount, Tenant
from app.outcomes import absence, sent_texts
from app.outcomes.question_round import Open
from app.providers.curl import perform
from app.providers.sms.base import Outcome, OutcomeKind, SmsMessage
from app.setback import beat, doubt
from app.setback.beat import NothingMayLeave
from app.setback.outside import OutsideAway
from app.vault import CannotOpen

# how long the job waits for the account's rate, seconds
_RATE_WAIT_S = 10.0
_STATES = {
    OutcomeKind.ACCEPTED: "accepted",
    OutcomeKind.REFUSED: "undelivered",
    OutcomeKind.LATER: "undelivered",
    OutcomeKind.UNKNOWN: "unknown",
}

_log = structlog.get_logger()


def serve(campaign_id: int, account_id: int, unproven: Sequence[Open]) -> None:
    """Send a witness if one is wanted: nothing later has left for a while, and nothing is about to."""
    now = datetime.now(UTC)
    held_after = timedelta(seconds=settings().held_after_s)
    waiting = [item for item in unproven if item.settled_at + absence.gap() <= now < item.since + held_after]
    if not waiting:
        return
    try:
        way = send_context.route(campaign_id)
        if way.stands_in and way.account.id != account_id:
            # another account stands in: nobody who waits may be left to try the one that is asked about
            way = send_context.route(campaign_id, probes=True)
        phone = witness_phone_of(db.session.get_one(SmsAccount, account_id))
        db.session.rollback()
    except (Unusable, CannotOpen) as fault:
        _log.error("witness not sent", sms_account_id=account_id, reason=str(fault))
        return
    able = way.account.provider.capabilities
    closes = send_context.ends_at(way.policy, now, able)
    if phone is None or way.account.id != account_id or closes is None:
        return
    reference = references.witness()
    row_id = _write_down(way, campaign_id, reference)
    if row_id is not None:
        until = abilities.valid_until(able, closes)
        _send(way, row_id, SmsMessage(phone, sent_texts.witness_words(way.company), reference, until, way.sender))


def _write_down(way: Route, campaign_id: int, reference: str) -> int | None:
    """Write a witness down and count it; None where none may leave now, or the database was set back."""
    try:
        with beat.rising(tenancy.transaction()) as connection:
            return _write_down_in(connection, way, campaign_id, reference)
    except NothingMayLeave as stopped:
        doubt.hold_or_ask(stopped)
    except OutsideAway as fault:
        _log.error("outside folder unusable", held="witness", error=str(fault))
    return None


def _write_down_in(connection: Connection, way: Route, campaign_id: int, reference: str) -> int | None:
    account = way.account
    assert account.contract is not None  # noqa: S101 - a route has it
    if not _may_leave(connection, account.id, campaign_id):
        return None
    if way.daily_cap is not None:
        if not daily_cap.left(connection, way.tenant_id, way.daily_cap):
            return None
        daily_cap.add(connection, way.tenant_id, 1)
    return int(
        connection.execute(
            text("""
                INSERT INTO witness_message (tenant_id, sms_account_id, sms_contract_id, reference, created_at)
                VALUES (:tenant_id, :account_id, :contract_id, :reference, now()) RETURNING id
            """),
            {
                "tenant_id": way.tenant_id,
                "account_id": account.id,
                "contract_id": account.contract.id,
                "reference": reference,
            },
        ).scalar_one()
    )


def _may_leave(connection: Connection, account_id: int, campaign_id: int) -> bool:
    """Lock the account; return whether its campaign sends, and no other message will show the same soon."""
    values = {
        "account_id": account_id,
        "gap_s": settings().absence_gap_s,
        "every_s": 2 * settings().gateway_settle_s,
    }
    may = connection.scalar(
        select(and_(Campaign.state == "sending", Tenant.state.in_(("trial", "active")), not_(rests(SmsAccount))))
        .select_from(SmsAccount)
        .join(Tenant, Tenant.id == SmsAccount.tenant_id)
        .join(Campaign, Campaign.id == campaign_id)
        .where(SmsAccount.id == account_id)
        .with_for_update(key_share=True, of=SmsAccount)
    )
    others = connection.scalar(
        text("""
            SELECT EXISTS (
                SELECT FROM witness_message WHERE sms_account_id = :account_id
                AND created_at > now() - make_interval(
                    secs => CASE state WHEN 'undelivered' THEN :gap_s ELSE :every_s END
                )
            ) OR EXISTS (
                SELECT FROM slice s JOIN campaign c ON c.id = s.campaign_id
                WHERE c.sms_account_id = :account_id AND c.state = 'sending'
                AND s.due_at <= now() + make_interval(secs => :gap_s)
            )
        """),
        values,
    )
    return bool(may) and not others


def _send(way: Route, row_id: int, message: SmsMessage) -> None:
    account = way.account
    if rate_limit.may_leave(account.id, account.rate_per_s, _RATE_WAIT_S, shared=account.shared):
        request = account.provider.send(account.opened, message)
        outcome = account.provider.outcome(perform(request, may_send=lambda: way.policy.open_at(datetime.now(UTC))))
    else:
        outcome = Outcome(OutcomeKind.LATER, "busy")
    if references.mismatch(message.reference, outcome.references):
        outcome = Outcome(OutcomeKind.UNKNOWN, "mismatch")
    if way.probes:
        breaker = Breaker(account.id, probes=True)
        breaker.note_outcome(outcome)
        breaker.save()
    _log.info("witness sent", sms_account_id=account.id, outcome=str(outcome.kind), code=outcome.code)
    with tenancy.transaction() as connection:
        connection.execute(
            text("UPDATE witness_message SET state = :state, code = :code, answered_at = now() WHERE id = :id"),
            {"state": _STATES[outcome.kind], "code": outcome.code, "id": row_id},
        )
