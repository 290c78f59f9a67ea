"""Messages whose fate the machine can't prove: held until a manager decides whether they count as sent.

Nothing is guessed. A message is held where no look-up proved anything for `HELD_AFTER_S`, and once it has settled where
none can: it was sent again by itself already, the account is another contract now, the provider has no look-up. One
that was accepted and never told of again is held too (`app.outcomes.missing_receipts`). The machine goes on asking
meanwhile, and a receipt still settles it. Somebody who opened the link since got the SMS and is not held.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import aliased

from app import references
from app.accounts import abilities, contracts
from app.config import settings
from app.db import in_text
from app.delivery import send_log
from app.delivery.held_selection import Chosen
from app.extensions import db
from app.models import Campaign, Recipient, SendLog
from app.providers.sms.base import LookupBy
from app.states import result_codes
from app.states.reached import reached
from app.states.vocabulary import SmsState

# why a message is held, and what a manager reads about it
SILENT = "silent"
LISTED = "listed"
SENT_AGAIN = "sent_again"
ARRIVED_BEFORE = "arrived_before"
NO_LOOKUP = "no_lookup"
OTHER_CONTRACT = "other_contract"
UNPROVEN = "unproven"
UNPROVEN_ALONE = "unproven_alone"

REASONS: Mapping[str, str] = {
    SILENT: "送信サービスは受け付けましたが、届いたかどうかの知らせがありません。",
    LISTED: (
        "送信サービスの記録には、このSMSの参照番号では見つかりませんが、同じころに同じ番号へ受け付けられたSMSがあります。"
        "それがこのSMSかもしれないため、自動では送り直しません。送信サービスの管理画面の送信履歴で、その番号あての内容を確かめてください。"
    ),
    SENT_AGAIN: (
        "結果が分からないままのSMSを自動で1回送り直しましたが、その結果も分かりません。"
        "自動で送り直すのは1回までのため、止めています。"
    ),
    ARRIVED_BEFORE: "前に送った分は送信サービスが受け付けていましたが、送り直した分の結果が分かりません。",
    NO_LOOKUP: "この送信サービスでは、送られたかどうかを照会できません。",
    OTHER_CONTRACT: (
        "送信したあとにSMSアカウントの契約（サービス、接続先、テナントIDなど）が変わったため、"
        "送信サービスに照会しても確かめられません。前の契約の管理画面で、送信履歴を確かめてください。"
    ),
    UNPROVEN: "送信サービスに照会しましたが、送られたことも、送られていないことも確かめられません。",
    UNPROVEN_ALONE: (
        "送信サービスに記録はありませんが、このあとに受け付けられたSMSがないため、記録の遅れと区別できません。"
        "SMSアカウントに「確認用番号」を登録すると、次からは自動で確かめます。"
    ),
}

_PERSON, _ATTEMPT = aliased(Recipient, name="r"), aliased(SendLog, name="l")
_BEFORE_REMINDER = in_text(send_log.before_reminder, _PERSON)

_SINCE = "coalesce(l.answered_at, l.started_at)"
_REASON = f"""
    CASE WHEN r.sms_code = :no_receipt THEN '{SILENT}'
        WHEN r.sms_code = '{result_codes.LISTED}' THEN '{LISTED}'
        WHEN {in_text(send_log.sent_again, _ATTEMPT, _PERSON)} THEN '{SENT_AGAIN}'
        WHEN {in_text(send_log.arrived_before, _ATTEMPT, _PERSON)} THEN '{ARRIVED_BEFORE}'
        WHEN NOT :has_lookup THEN '{NO_LOOKUP}'
        WHEN k.identity IS DISTINCT FROM CAST(:identity AS bytea) THEN '{OTHER_CONTRACT}'
        WHEN NOT :has_witness THEN '{UNPROVEN_ALONE}'
        ELSE '{UNPROVEN}' END
"""
_AT_ONCE = (SILENT, LISTED, SENT_AGAIN, ARRIVED_BEFORE, NO_LOOKUP, OTHER_CONTRACT)
_HELD = f"""
    FROM recipient r JOIN send_log l ON l.recipient_id = r.id AND l.attempt = r.sms_attempt
    LEFT JOIN sms_contract k ON k.id = l.sms_contract_id
    WHERE r.tenant_id = :tenant_id AND r.unknown_at IS NOT NULL
    AND r.campaign_id = :campaign_id AND r.sms_state = 'unknown' AND NOT {in_text(reached, _PERSON)}
    AND {_SINCE} <= CASE WHEN {_REASON} = ANY(:at_once) THEN :settled_since ELSE :asked_since END
"""


def count(campaign: Campaign) -> int:
    """Count the campaign's people about whom somebody has to decide."""
    return int(db.session.execute(text(f"SELECT count(*) {_HELD}"), _values(campaign)).scalar_one())


def unknown(campaign: Campaign) -> int:
    """Count the campaign's people whose SMS has no known outcome, held ones too; through an index, at any time."""
    statement = """
        SELECT count(*) FROM recipient WHERE tenant_id = :tenant_id AND unknown_at IS NOT NULL
        AND campaign_id = :campaign_id AND sms_state = 'unknown'
    """
    return int(db.session.execute(text(statement), _of(campaign)).scalar_one())


def _of(campaign: Campaign) -> dict[str, object]:
    return {"tenant_id": campaign.tenant_id, "campaign_id": campaign.id}


def reason(person: Recipient) -> str | None:
    """Return why somebody has to decide about this person, a key of REASONS; None where nobody has to."""
    if person.sms_state != SmsState.UNKNOWN:
        return None
    values = {**_values(person.campaign), "id": person.id}
    found: str | None = db.session.execute(text(f"SELECT {_REASON} {_HELD} AND r.id = :id"), values).scalar()
    return found


def is_held(person: Recipient) -> bool:
    """Return whether somebody has to decide about this person."""
    return reason(person) is not None


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to find at the service: our reference for it, and between which times (UTC) it can have got in."""

    number: int
    reference: str
    begins_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """A held person, with the attempts at the same message, the latest first."""

    recipient_id: int
    reason: str
    attempts: tuple[Attempt, ...]


def by_reason(campaign: Campaign, *, at: datetime | None = None) -> dict[str, int]:
    """Count the campaign's held people by reason; `at` leaves out those held since."""
    statement = text(f"SELECT {_REASON} AS reason, count(*) AS people {_HELD} AND r.unknown_at <= :at GROUP BY 1")
    values = {**_values(campaign, at), "at": at or datetime.now(UTC)}
    found = {row.reason: row.people for row in db.session.execute(statement, values)}
    return {reason: found[reason] for reason in REASONS if reason in found}


def cases(campaign: Campaign, which: str, *, after_id: int = 0, limit: int) -> list[Case]:
    """Return the campaign's people held for one reason, in the order of their ids."""
    values = {**_values(campaign), "which": which, "after_id": after_id, "limit": limit}
    return _cases(campaign, f"AND {_REASON} = :which AND r.id > :after_id", values)


def case(person: Recipient) -> Case | None:
    """Return what to know before one decides about this person; None where nobody has to."""
    if person.sms_state != SmsState.UNKNOWN:
        return None
    values = {**_values(person.campaign), "id": person.id, "limit": 1}
    return next(iter(_cases(person.campaign, "AND r.id = :id", values)), None)


def _cases(campaign: Campaign, more: str, values: dict[str, object]) -> list[Case]:
    statement = text(f"""
        SELECT r.id, {_REASON} AS reason, p.attempt, p.reference, p.started_at,
            coalesce(p.answered_at, p.started_at) AS since
        FROM (SELECT r.id AS held_id {_HELD} {more} ORDER BY r.id LIMIT :limit) AS h
        JOIN recipient r ON r.id = h.held_id
        JOIN send_log l ON l.recipient_id = r.id AND l.attempt = r.sms_attempt
        LEFT JOIN sms_contract k ON k.id = l.sms_contract_id
        JOIN send_log p ON p.recipient_id = r.id AND p.attempt <= l.attempt
            AND (p.attempt = l.attempt OR p.attempt > {_BEFORE_REMINDER})
        ORDER BY r.id, p.attempt DESC
    """)  # noqa: S608 - our own words
    settles = timedelta(seconds=settings().gateway_settle_s)
    found: dict[int, list[Attempt]] = defaultdict(list)
    reasons = {}
    for row in db.session.execute(statement, values):
        reference = references.of_attempt(row.reference, campaign.key, row.id, row.attempt)
        found[row.id].append(Attempt(row.attempt, reference, row.started_at, row.since + settles))
        reasons[row.id] = row.reason
    return [Case(person_id, reasons[person_id], tuple(attempts)) for person_id, attempts in found.items()]


def seen(campaign: Campaign, chosen: Chosen, *, after_id: int, limit: int) -> list[int]:
    """Return the ids of chosen people who are held, in their order."""
    statement = text(f"SELECT r.id {_HELD} {_CHOSEN} AND r.id > :after_id ORDER BY r.id LIMIT :limit")
    values = {**_values(campaign, chosen.at), **_of_chosen(chosen), "after_id": after_id, "limit": limit}
    return list(db.session.execute(statement, values).scalars())


def lock(campaign: Campaign, chosen: Chosen, ids: Sequence[int]) -> dict[int, int]:
    """Lock those of `ids` who are held still, after campaign and slices.

    Returns their attempts.
    """
    statement = text(f"""
        SELECT r.id, r.sms_attempt {_HELD} {_CHOSEN} AND r.id = ANY(:locked) ORDER BY r.id FOR NO KEY UPDATE OF r
    """)
    values = {**_values(campaign, chosen.at), **_of_chosen(chosen), "locked": list(ids)}
    return {row.id: row.sms_attempt for row in db.session.execute(statement, values)}


# a person asked about and accepted long ago is held from the day on which nobody could tell
_CHOSEN = f"""
    AND r.unknown_at <= :at AND (CAST(:ids AS bigint[]) IS NULL OR r.id = ANY(CAST(:ids AS bigint[])))
    AND (CAST(:which AS text) IS NULL OR {_REASON} = CAST(:which AS text))
"""


def _of_chosen(chosen: Chosen) -> dict[str, object]:
    return {"ids": None if chosen.ids is None else list(chosen.ids), "which": chosen.reason, "at": chosen.at}


def _values(campaign: Campaign, at: datetime | None = None) -> dict[str, object]:
    """Return what `_HELD` is asked with: the account as it is today, and since when a message must be unknown.

    With `at` only those are held who were by then, for the same attempt: one that was made later began later.
    """
    now = datetime.now(UTC)
    now = min(at or now, now)
    account = campaign.sms_account
    return {
        **_of(campaign),
        "no_receipt": result_codes.NO_RECEIPT,
        "has_lookup": account is None or abilities.of(account).lookup_by is not LookupBy.NONE,
        "identity": contracts.identity(account) if account is not None else None,
        "has_witness": account is not None and account.witness_phone_sealed is not None,
        "at_once": list(_AT_ONCE),
        "settled_since": now - timedelta(seconds=settings().gateway_settle_s),
        "asked_since": now - timedelta(seconds=settings().held_after_s),
    }
