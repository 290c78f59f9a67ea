"""SMS accounts that are registered after a restore: asked what left since the backup, before anything leaves by them.

In: an account that is being saved and has sent nothing on record. Out: what left by its contract, written down, or the
hold upon its campaigns with a code that says why it couldn't be asked. Can't happen here: an account that was
registered since the backup, forgotten with it and registered again, by which a list leaves a second time unasked.
"""

import time
from collections.abc import Callable

import structlog
from sqlalchemy import text

from app import queues, tenancy
from app.accounts import contracts
from app.extensions import db
from app.models import SmsAccount
from app.restore import missed_messages
from app.setback import account_holds
from app.setback.provider_listing import Asked, Unasked

# a message that left before is in no list any more, or too long ago to be sent again
_REMEMBERED_DAYS = 90

_log = structlog.get_logger()


def hold(row: SmsAccount) -> None:
    """Hold an account that is being saved until it was asked, if the database was restored. Doesn't commit.

    One that another hold is upon stays as it is; `flask after-restore` asks it.
    """
    if contracts.in_use(row) or (row.restore_hold and not account_holds.is_new(row.restore_hold)):
        return
    span = db.session.execute(
        text("""
            SELECT restored_since, restored_until FROM installation
            WHERE restored_until > now() - make_interval(days => :days)
        """),
        {"days": _REMEMBERED_DAYS},
    ).first()
    if span is not None:
        row.restore_hold, row.restore_since, row.restore_until = account_holds.NEW, *span


def begin(account_id: int) -> None:
    """Hold what was launched with the account already, and let a job ask it.

    The save is committed.
    """
    account_holds.wait_for_new(account_id)
    queues.enqueue("jobs.restore.ask_account", account_id, once=True)


def ask(account_id: int, *, gap_s: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Ask a new account about the time in question; write down what left, and let it send. No scope may be open."""
    with tenancy.platform(), tenancy.transaction() as connection:
        row = connection.execute(
            text("""
                SELECT tenant_id, name, restore_hold, restore_since, restore_until FROM sms_account WHERE id = :id
            """),
            {"id": account_id},
        ).first()
    if row is None or not account_holds.is_new(row.restore_hold):
        return
    account = Asked(account_id, row.tenant_id, row.name)
    with tenancy.tenant(row.tenant_id):
        try:
            found = missed_messages.whole(account, row.restore_since, row.restore_until, gap_s=gap_s, sleep=sleep)
            written, strangers = missed_messages.write_down(account, found)
        except Unasked as fault:
            _log.error("account not queried, campaigns held", account_id=account_id, reason=str(fault))
            account_holds.could_not_ask_new(account_id, str(fault))
            return
        account_holds.lift(account_holds.SMS, account_id, actor="system")
    _log.info("account queried after restore", account_id=account_id, attempts=written, strangers=strangers)
