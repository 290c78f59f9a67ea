"""Have a company's next SMS account take over while a campaign's own one takes nothing, and hand back afterwards.

In: the breakers of all accounts. Out: by which account a campaign's waiting people go now, with an event of the
campaign for each change. Can't happen here: a message without a known outcome that changes its account (it stays with
that of its attempt), a campaign that goes by an account its company didn't allow for it, or two accounts that take
turns by the second: an account that is well again gets its campaigns back after `BACK_AFTER_S`.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Connection, Row, and_, func, not_, text
from sqlalchemy.orm import aliased

from app import tenancy
from app.accounts import contracts
from app.accounts.shared import has_credentials
from app.db import Of, in_text
from app.extensions import db
from app.models import Campaign, SmsAccount
from app.states.transitions import note

# how long an account's breaker has been open before another takes over; seconds
AFTER_S = 20
# how long it has been well before it gets its campaigns back; seconds
BACK_AFTER_S = 300
# one message in so many seconds tries an account whose campaigns another has taken over
PROBE_EVERY_S = 60

TAKEN_OVER, HANDED_BACK = "taken_over", "handed_back"

_log = structlog.get_logger()


def goes_by(campaign: Of[Campaign]) -> ColumnElement[int | None]:
    """Return the account by which a campaign's waiting people go: the one that stands in, else its own."""
    return func.coalesce(campaign.standby_account_id, campaign.sms_account_id)


def may_stand_in(standby: Of[SmsAccount], own: Of[SmsAccount]) -> ColumnElement[bool]:
    """Return the condition that an account is one of those that take over for another of its company.

    One of the same contract is none: where that takes nothing, it takes nothing of either account.
    """
    return and_(
        standby.tenant_id == own.tenant_id,
        standby.id != own.id,
        standby.takeover_order.is_not(None),
        standby.active,
        has_credentials(standby),
        standby.test_mode == own.test_mode,
        not_(contracts.is_same(standby, own)),
    )


GOES_BY = in_text(goes_by, aliased(Campaign, name="c"))

# of these, one that can at the moment: it takes messages, and is not to be asked first after a restore
_ABLE = f"""
    {in_text(may_stand_in, aliased(SmsAccount, name="s"), aliased(SmsAccount, name="a"))}
    AND s.restore_hold = '' AND s.trips = 0
"""

# of running campaigns only those that another account may send, or sends: few of few
_CHANGES = text(f"""
    SELECT id, tenant_id, own_id, now_by, next_by FROM (
        SELECT c.id, c.tenant_id, a.id AS own_id, c.standby_account_id AS now_by,
            CASE
                -- its own is well, or nobody may stand in for it any more
                WHEN NOT c.may_switch OR (
                    a.trips = 0 AND coalesce(a.well_since <= now() - make_interval(secs => :back_after_s), true)
                ) THEN NULL
                -- who stands in goes on, unless it fails as well
                WHEN c.standby_account_id IS NOT NULL AND b.active
                    AND coalesce(b.tripped_at > now() - make_interval(secs => :after_s), true)
                    THEN c.standby_account_id
                WHEN c.standby_account_id IS NULL
                    AND coalesce(a.tripped_at > now() - make_interval(secs => :after_s), true) THEN NULL
                ELSE coalesce(
                    (SELECT s.id FROM sms_account s WHERE {_ABLE} ORDER BY s.takeover_order, s.id LIMIT 1),
                    c.standby_account_id
                )
            END AS next_by
        FROM campaign c
        JOIN sms_account a ON a.id = c.sms_account_id
        LEFT JOIN sms_account b ON b.id = c.standby_account_id
        WHERE c.state = 'sending' AND (c.may_switch OR c.standby_account_id IS NOT NULL)
    ) AS found
    WHERE now_by IS DISTINCT FROM next_by
""")  # noqa: S608 - our own words


def review() -> int:
    """Let accounts take over and hand back as their breakers stand.

    Returns how many campaigns changed.

    The platform's scope must be open. It is looked at every few seconds.
    """
    values = {"after_s": AFTER_S, "back_after_s": BACK_AFTER_S}
    with tenancy.transaction() as connection:
        changes = connection.execute(_CHANGES, values).all()
    return sum(_change(row) for row in changes)


def may_probe(campaign_id: int) -> bool:
    """Return whether the next message is to try the campaign's own account, one in `PROBE_EVERY_S` of the account.

    Only while another account sends the campaign, and not before the time that the service itself wished to rest until.
    """
    with tenancy.transaction() as connection:
        found = connection.scalar(
            text("""
                UPDATE sms_account a SET probed_at = now() FROM campaign c
                WHERE c.id = :id AND a.id = c.sms_account_id AND c.standby_account_id IS NOT NULL
                AND a.active AND a.trips > 0 AND coalesce(a.send_wish_until <= now(), true)
                AND coalesce(a.probed_at <= now() - make_interval(secs => :every_s), true)
                RETURNING a.id
            """),
            {"id": campaign_id, "every_s": PROBE_EVERY_S},
        )
    return found is not None


def standbys(campaign: Campaign) -> list[SmsAccount]:
    """Return the accounts that may take over for a campaign's own one, in their order."""
    own = aliased(SmsAccount)
    return (
        db.session.query(SmsAccount)
        .join(own, own.id == campaign.sms_account_id)
        .filter(may_stand_in(SmsAccount, own))
        .order_by(SmsAccount.takeover_order, SmsAccount.id)
        .all()
    )


def history(connection: Connection, campaign_id: int) -> Sequence[Row[Any]]:
    """Return a campaign's changes of account, the latest first: `at`, `kind` and the names of both accounts."""
    return connection.execute(
        text("""
            SELECT e.at, e.state AS kind, one.name AS before, other.name AS after
            FROM event e
            LEFT JOIN sms_account one ON one.id = CAST(e.detail ->> 'from' AS bigint)
            LEFT JOIN sms_account other ON other.id = CAST(e.detail ->> 'to' AS bigint)
            WHERE e.campaign_id = :id AND e.recipient_id IS NULL AND e.track = 'campaign'
            AND e.state IN (:taken_over, :handed_back)
            ORDER BY e.id DESC LIMIT 20
        """),
        {"id": campaign_id, "taken_over": TAKEN_OVER, "handed_back": HANDED_BACK},
    ).all()


def _change(row: Row[Any]) -> bool:
    """Have a campaign go by another account from now on; return False where something changed meanwhile."""
    now = datetime.now(UTC)
    values: Mapping[str, object] = {"id": row.id, "now_by": row.now_by, "next_by": row.next_by}
    with tenancy.transaction() as connection:
        changed = connection.scalar(
            text("""
                UPDATE campaign SET standby_account_id = :next_by
                WHERE id = :id AND state = 'sending' AND standby_account_id IS NOT DISTINCT FROM :now_by RETURNING id
            """),
            values,
        )
        if changed is None:
            return False
        # put off by an account that rested: hours put them off again at their next lease
        connection.execute(
            text("""
                UPDATE slice SET due_at = now() WHERE id IN (
                    SELECT id FROM slice WHERE campaign_id = :id AND due_at > now() ORDER BY id
                    FOR NO KEY UPDATE SKIP LOCKED
                )
            """),
            values,
        )
        before, after = row.now_by or row.own_id, row.next_by or row.own_id
        kind = HANDED_BACK if row.next_by is None else TAKEN_OVER
        note(
            connection,
            "campaign",
            kind,
            tenant_id=row.tenant_id,
            campaign_id=row.id,
            recipient_id=None,
            at=now,
            actor="system",
            detail={"from": before, "to": after},
        )
    _log.warning("campaign changed account", campaign_id=row.id, change=kind, before=before, after=after)
    return True
