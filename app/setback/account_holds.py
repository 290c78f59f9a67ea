"""Accounts that could not be asked what left or was paid since the backup, and the campaigns that wait for them.

In: an account that `flask after-restore` could not ask, and what a manager says after a look at the provider's screens.
Out: `campaign.restore_hold`, the holds upon a campaign, read by claims and payments. Can't happen here: a list that was
uploaded and sent since the backup, forgotten, uploaded again and sent again, by whichever account of its company; a
campaign launched while its account is being held that nobody holds.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, text

from app import audit, queues, tenancy
from app.extensions import db
from app.models import Campaign
from app.problems import Kind, Problem

SMS, PAYMENT = "sms", "payment"
# the code of an account that was registered after a restore and is being asked; with "_" and why, where that failed
NEW = "new"
_IS_NEW = f"split_part(restore_hold, '_', 1) = '{NEW}'"  # as `is_new`
_TABLES = {SMS: "sms_account", PAYMENT: "payment_account"}
# Campaigns of which something may be missing in the database. By any SMS account of the company a list may be sent
# again that was sent since the backup by this one: whatever wasn't launched before the backup waits.
_WAITING = {
    SMS: "(sms_account_id = :id OR launched_at IS NULL OR launched_at >= :since)",
    PAYMENT: "payment_account_id = :id",
}
# a campaign's holds without those of one account
_WITHOUT = """
    array_to_string(ARRAY(
        SELECT part FROM unnest(string_to_array(restore_hold, ' ')) AS part WHERE NOT starts_with(part, :prefix)
    ), ' ')
"""
_OF_ACCOUNT = (
    "EXISTS (SELECT FROM unnest(string_to_array(c.restore_hold, ' ')) AS part WHERE starts_with(part, :prefix))"
)

MOST_REASON = 200
_NUMBER = re.compile("[0-9]{9}")

_NO_REASON = Kind("release_reason_missing", "何をどう確かめたかを入力してください。")
_LONG_REASON = Kind("release_reason_too_long", "理由が長すぎます。{most}文字以内で入力してください。")
_PERSONAL_REASON = Kind("release_reason_personal", "理由は証跡に残ります。電話番号などの個人情報は書かないでください。")


@dataclass(frozen=True, slots=True)
class AccountHold:
    """A reason why a campaign waits: an account (`kind` is SMS or PAYMENT), and a code that says why it wasn't asked.

    One of before holds named their account has no kind.
    """

    kind: str
    account_id: int
    code: str

    @property
    def prefix(self) -> str:
        """The beginning of the hold as it is written, whatever its code."""
        return f"{self.kind}:{self.account_id}:"

    def __str__(self) -> str:
        return f"{self.prefix}{'_'.join(self.code.split()) or 'unknown'}"


def read(written: str) -> list[AccountHold]:
    """Read a campaign's holds."""
    found = []
    for part in written.split():
        kind, _, rest = part.partition(":")
        number, _, code = rest.partition(":")
        named = kind in _TABLES and number.isascii() and number.isdigit()
        found.append(AccountHold(kind, int(number), code) if named else AccountHold("", 0, part))
    return found


def of_accounts(campaign: Campaign) -> list[AccountHold]:
    """Return the holds of the company's accounts that a launch of this campaign would have to wait for."""
    rows = db.session.execute(
        text(f"""
            SELECT 'sms' AS kind, id, restore_hold FROM sms_account WHERE tenant_id = :tenant_id AND restore_hold <> ''
            AND (id = :sms_account_id OR NOT {_IS_NEW})
            UNION ALL
            SELECT 'payment', id, restore_hold FROM payment_account
            WHERE tenant_id = :tenant_id AND id = :payment_account_id AND restore_hold <> ''
            ORDER BY kind DESC, id
        """),  # noqa: S608 - our own words
        {
            "tenant_id": campaign.tenant_id,
            "sms_account_id": campaign.sms_account_id,
            "payment_account_id": campaign.payment_account_id if campaign.payment_required else None,
        },
    )
    return [AccountHold(*row) for row in rows]


def awaited(campaign: Campaign) -> list[AccountHold]:
    """Return what the campaign waits for, or would wait for once it is launched."""
    return _together(read(campaign.restore_hold), of_accounts(campaign) if campaign.launched_at is None else [])


def apply_to(campaign: Campaign) -> None:
    """Hold a campaign that is being launched if its company's accounts are; the caller has locked it, and commits."""
    campaign.restore_hold = " ".join(map(str, _together(read(campaign.restore_hold), of_accounts(campaign))))


def _together(first: Iterable[AccountHold], more: Iterable[AccountHold]) -> list[AccountHold]:
    found = {(one.kind, one.account_id): one for one in (*first, *more)}
    return list(found.values())


def since(kind: str, account_id: int, start: datetime) -> datetime:
    """Return since when to ask an account: also about what an earlier `after-restore` could not ask of it."""
    with tenancy.transaction() as connection:
        statement = text(f"SELECT least(restore_since, :start) FROM {_TABLES[kind]} WHERE id = :id")  # noqa: S608 - our own words
        found: datetime = connection.execute(statement, {"id": account_id, "start": start}).scalar_one()
    return found


def hold(kind: str, account_id: int, code: str, *, start: datetime, end: datetime) -> Row[tuple[int, int]]:
    """Hold an account that couldn't be asked about a time, and its campaigns; count these, and who waits in them.

    The account first, in a transaction of its own: a launch that didn't see it is seen by the second one.
    """
    mark = AccountHold(kind, account_id, code)
    values = {"id": account_id, "mark": str(mark), "prefix": mark.prefix, "since": start}
    with tenancy.transaction() as connection:
        connection.execute(
            text(f"""
                UPDATE {_TABLES[kind]} SET restore_hold = :code, restore_since = least(restore_since, :since),
                    restore_until = greatest(restore_until, :until)
                WHERE id = :id
            """),  # noqa: S608 - our own words
            {**values, "code": str(mark).removeprefix(mark.prefix), "until": end},
        )
    with tenancy.transaction() as connection:
        return connection.execute(
            text(f"""
                WITH mine AS MATERIALIZED (
                    SELECT id FROM campaign
                    WHERE tenant_id = (SELECT tenant_id FROM {_TABLES[kind]} WHERE id = :id)
                    AND {_WAITING[kind]} AND state <> 'cancelled'
                    ORDER BY id FOR NO KEY UPDATE
                ), held AS (
                    UPDATE campaign SET restore_hold = concat_ws(' ', nullif({_WITHOUT}, ''), CAST(:mark AS text))
                    WHERE id IN (SELECT id FROM mine) RETURNING id
                )
                SELECT count(*) AS campaigns, coalesce(sum((
                    SELECT count(*) FROM recipient r
                    WHERE r.campaign_id = held.id AND r.sms_state IN ('draft', 'queued')
                )), 0) AS people FROM held
            """),  # noqa: S608 - our own words
            values,
        ).one()


def is_new(code: str) -> bool:
    """Return whether a hold is upon an account registered after a restore: it holds its own campaigns alone."""
    return code.partition("_")[0] == NEW


def wait_for_new(account_id: int) -> None:
    """Hold what was launched with an account before it was held itself; its save is committed. Harmless to repeat."""
    mark = AccountHold(SMS, account_id, NEW)
    with tenancy.transaction() as connection:
        connection.execute(
            text(f"""
                UPDATE campaign c SET restore_hold = concat_ws(' ', nullif(restore_hold, ''), CAST(:mark AS text))
                WHERE id IN (
                    SELECT id FROM campaign WHERE sms_account_id = :id AND launched_at IS NOT NULL
                    AND state <> 'cancelled' ORDER BY id FOR NO KEY UPDATE
                )
                AND NOT {_OF_ACCOUNT}
                AND EXISTS (SELECT FROM sms_account WHERE id = :id AND {_IS_NEW})
            """),  # noqa: S608 - our own words
            {"id": account_id, "mark": str(mark), "prefix": mark.prefix},
        )


def could_not_ask_new(account_id: int, code: str) -> None:
    """Keep why a new account could not be asked."""
    written = str(AccountHold(SMS, account_id, f"{NEW}_{code}")).removeprefix(AccountHold(SMS, account_id, "").prefix)
    with tenancy.transaction() as connection:
        connection.execute(
            text(f"UPDATE sms_account SET restore_hold = :code WHERE id = :id AND {_IS_NEW}"),  # noqa: S608 - our own words
            {"id": account_id, "code": written},
        )


def account_of(kind: str, account_id: int) -> Row[tuple[str, str, str, datetime, datetime]] | None:
    """Return an account that is held (name, provider, restore_hold, restore_since, restore_until); None if it isn't."""
    if kind not in _TABLES:
        return None
    return db.session.execute(
        text(f"""
            SELECT name, provider, restore_hold, restore_since, restore_until FROM {_TABLES[kind]}
            WHERE id = :id AND restore_hold <> ''
        """),  # noqa: S608 - our own words
        {"id": account_id},
    ).first()


def held_accounts() -> list[tuple[str, int, str]]:
    """Return the company's held accounts that somebody has to do with: kind, id, name; not those being asked."""
    rows = db.session.execute(
        text("""
            SELECT 'sms' AS kind, id, name FROM sms_account WHERE restore_hold NOT IN ('', 'new')
            UNION ALL SELECT 'payment', id, name FROM payment_account WHERE restore_hold <> '' ORDER BY kind DESC, id
        """)
    )
    return [(row.kind, row.id, row.name) for row in rows]


def waiting(kind: str, account_id: int) -> Sequence[Row[tuple[int, str, int, str]]]:
    """Return the campaigns that wait for an account: id, name, people who wait for an SMS, holds."""
    return db.session.execute(
        text(f"""
            SELECT c.id, c.name, c.restore_hold, (
                SELECT count(*) FROM recipient r WHERE r.campaign_id = c.id AND r.sms_state = 'queued'
            ) AS people
            FROM campaign c WHERE c.launched_at IS NOT NULL AND c.state <> 'cancelled'
            AND {_OF_ACCOUNT} ORDER BY c.id
        """),  # noqa: S608 - our own words
        {"prefix": AccountHold(kind, account_id, "").prefix},
    ).all()


def reason_problems(reason: str) -> list[Problem]:
    """Return what is wrong with a manager's reason, which goes on record."""
    if not reason.strip():
        return [_NO_REASON()]
    if len(reason) > MOST_REASON:
        return [_LONG_REASON(most=MOST_REASON)]
    if _NUMBER.search(re.sub(r"[-‐ー−\s()]", "", unicodedata.normalize("NFKC", reason))):
        return [_PERSONAL_REASON()]
    return []


def lift(kind: str, account_id: int, *, actor: str, reason: str = "") -> int | None:
    """End an account's hold, and what its campaigns wait for it.

    Returns how many of these were launched.

    None: it wasn't held.
    Whatever else holds a campaign stays. The scope of the company must be open.
    """
    prefix = AccountHold(kind, account_id, "").prefix
    detail = {"reason": reason} if reason else {}
    with tenancy.transaction() as connection:
        lifted = connection.execute(
            text(f"""
                UPDATE {_TABLES[kind]} SET restore_hold = '', restore_since = NULL, restore_until = NULL
                WHERE id = :id AND restore_hold <> '' RETURNING id
            """),  # noqa: S608 - our own words
            {"id": account_id},
        ).first()
        if lifted is None:
            return None
        audit.record(
            connection, actor=actor, act="release_account", target=f"{kind}_account:{account_id}", detail=detail
        )
        held = connection.execute(
            text(f"""
                SELECT c.id, c.launched_at IS NOT NULL AS launched FROM campaign c WHERE {_OF_ACCOUNT} ORDER BY c.id
            """),  # noqa: S608 - our own words
            {"prefix": prefix},
        ).all()
    release = text(f"UPDATE campaign SET restore_hold = {_WITHOUT} WHERE id = :id")  # noqa: S608 - our own words
    for row in held:
        with tenancy.transaction() as connection:
            connection.execute(release, {"id": row.id, "prefix": prefix})
            target = f"campaign:{row.id}"
            audit.record(connection, actor=actor, act="release_restored", target=target, detail=detail)
    queues.enqueue("jobs.delivery.send", once=True)
    return sum(bool(row.launched) for row in held)
