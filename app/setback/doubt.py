"""Where it is in doubt whether the database was set back, the SMS services are asked before anything leaves.

In: whoever is about to send, the scheduler's watch. Out: whether sending may go on; else the hold, in `installation`.
Can't happen here: a hold that nothing but this process knows of; a transaction open while a service is asked.
"""

import json
import threading
from datetime import datetime, timedelta

import structlog
from sqlalchemy import text

from app import queues, tenancy
from app.process_state import process_state
from app.setback import beat, provider_listing, recognise
from app.setback.beat import InDoubt, NothingMayLeave
from app.setback.known import OUTSIDE, Why
from app.setback.outside import OutsideAway
from app.setback.provider_listing import Asked, NotYet, Unasked

# the process that asks the services asks alone for so long, seconds
_ASKING_S = 600
# how far a service's clock and ours may differ
MARGIN = timedelta(minutes=10)

_log = structlog.get_logger()


class _Arisen(threading.Event):
    """Set while a claim of this process has found reason for doubt, or for the hold."""


def has_arisen() -> bool:
    """Return whether a claim of this process found reason for doubt, or for the hold, since `may_send`."""
    return process_state.of(_Arisen).is_set()


def may_send() -> bool:
    """Return whether something may leave; ask the services where that is in doubt.

    The platform's scope must be open.
    """
    process_state.of(_Arisen).clear()
    try:
        _compare()
    except InDoubt as doubt:
        return _ask(str(doubt))
    except NothingMayLeave as stopped:
        hold(stopped)
        return False
    except OutsideAway as fault:
        _log.error("outside folder unusable", held="sending", access="read", error=str(fault))
        return False
    return True


def watch(*, alive: bool) -> None:
    """Compare, and with `alive` note a sign of life; where it is in doubt a job asks.

    The platform's scope must be open.
    """
    try:
        known = beat.listen()
        if not alive:
            _compare()
            return
        with tenancy.transaction() as connection:
            sign = beat.touch(connection, known)
        beat.tell(sign)
    except NothingMayLeave as stopped:
        hold_or_ask(stopped)
    except OutsideAway as fault:
        _log.error("outside folder unusable", held="sending", error=str(fault))


def hold(stopped: NothingMayLeave, facts: dict[str, object] | None = None) -> None:
    """Hold everything that sends or charges, for all processes, until `flask after-restore`. Any scope may be open."""
    process_state.of(_Arisen).set()
    if isinstance(stopped, InDoubt):
        return  # asked by whoever is about to send next
    with tenancy.transaction() as connection:
        beat.begin(connection)
        connection.exec_driver_sql(beat.HOLD, {"why": str(stopped.why), "facts": json.dumps(facts or {})})


def why_held() -> str:
    """Return why everything that sends or charges is held, in a word of `Why`; empty where it isn't."""
    with tenancy.transaction() as connection:
        return connection.execute(text("SELECT held_why FROM installation")).scalar() or ""


def why_nothing_leaves() -> str:
    """Return why nothing is sent or charged: a word of `Why`, or OUTSIDE; empty where something may be."""
    return why_held() or ("" if beat.may_tell() else OUTSIDE)


def why_not_ready() -> str:
    """Return why nothing can leave at the moment, for a supervisor; empty where it can. Asks no service."""
    try:
        _compare()
    except InDoubt as doubt:
        return f"in doubt: {doubt}"
    except NothingMayLeave as stopped:
        hold(stopped)
        return f"held: {stopped.why}; see docs/install.md, flask after-restore"
    except OutsideAway as fault:
        return f"OUTSIDE_DIR can't be read: {fault}"
    return "" if beat.may_tell() else "OUTSIDE_DIR can't be written: nothing leaves"


def may_charge() -> bool:
    """Return whether a person may be led to a payment page; where that is in doubt a job asks."""
    try:
        _compare()
    except NothingMayLeave as stopped:
        hold_or_ask(stopped)
        return False
    except OutsideAway as fault:
        _log.error("outside folder unusable", held="checkout", access="read", error=str(fault))
        return False
    return beat.may_tell()


def hold_or_ask(stopped: NothingMayLeave) -> None:
    """Act on what somebody found who can't ask the services: hold, or let a job ask."""
    if isinstance(stopped, InDoubt):
        queues.enqueue("jobs.setback.look", once=True)
    else:
        hold(stopped)


def _compare() -> None:
    known = beat.listen()
    with tenancy.transaction() as connection:
        begun = beat.compare(connection, known)
    if not begun:
        with tenancy.transaction() as connection:
            beat.begin(connection)
        with tenancy.transaction() as connection:
            beat.compare(connection, known)


def _ask(doubt: str) -> bool:
    """Ask every account whether it knows of more than the database does."""
    with tenancy.transaction() as connection:
        taken = connection.execute(
            text("""
                UPDATE installation SET asking_until = now() + make_interval(secs => :asking_s)
                WHERE coalesce(asking_until, '-infinity') < now() AND held_why = ''
                RETURNING now() AS now, (SELECT max(at) FROM beat) AS beaten_at
            """),
            {"asking_s": _ASKING_S},
        ).first()
    if taken is None:
        return False  # another process asks
    _log.warning("sending held until SMS services are queried", doubt=doubt)
    try:
        if not _know_no_more(taken.beaten_at, taken.now):
            return False
    finally:
        with tenancy.transaction() as connection:
            connection.execute(text("UPDATE installation SET asking_until = NULL"))
    try:
        known = beat.listen()
        with tenancy.transaction() as connection:
            sign = beat.touch(connection, known, doubtless=True)
        beat.tell(sign)
    except NothingMayLeave as stopped:
        hold(stopped)
        return False
    except OutsideAway as fault:
        _log.error("outside folder unusable", held="sending", access="write", error=str(fault))
        return False
    return True


def _know_no_more(beaten_at: datetime | None, now: datetime) -> bool:
    """Return whether every account told that it knows no more than the database; hold where one knows, or can't say."""
    for account in provider_listing.accounts():
        try:
            missing = _missing(account, beaten_at, now)
        except NotYet:
            _log.warning("sending held until provider list catches up", sms_account_id=account.id)
            return False  # asked again
        except Unasked as fault:
            hold(NothingMayLeave(Why.UNASKED), {"account": account.name, "code": str(fault)})
            return False
        if missing:
            hold(NothingMayLeave(Why.MISSED), {"account": account.name, "messages": missing})
            return False
    return True


def _missing(account: Asked, beaten_at: datetime | None, now: datetime) -> int:
    """Count the messages of ours at an account's service that the database doesn't know. Raises Unasked."""
    since = beaten_at
    if since is None:  # before there was a beat: its own youngest
        with tenancy.transaction() as connection:
            since = connection.execute(
                text("""
                    SELECT coalesce(
                        (SELECT max(started_at) FROM send_log WHERE tenant_id = :tenant_id),
                        (SELECT created_at FROM sms_account WHERE id = :id)
                    )
                """),
                {"tenant_id": account.tenant_id, "id": account.id},
            ).scalar_one()
    messages = provider_listing.left(account, since - MARGIN, now)
    with tenancy.transaction() as connection:
        return recognise.unknown(connection, account, messages)
