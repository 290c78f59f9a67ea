"""Record what left by one SMS account since the backup, as if its worker had lived.

In: an account and since when attempts may be missing. Out: a row of the send log and the person's state for each
attempt of ours, with its receipt; the numbers of people whom the database doesn't know. Can't happen here: a part of a
list taken for the whole (two readings must agree); an attempt given to somebody else whose row has the number now.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby

from sqlalchemy import Connection, text

from app import links, tenancy
from app.delivery.send_log import AttemptReport
from app.extensions import vault
from app.outcomes import apply_reports
from app.providers.sms.base import ListedMessage
from app.setback import provider_listing, recognise
from app.setback.provider_listing import Asked, Unasked
from app.setback.recognise import Match
from app.states import locks, result_codes
from app.states.transitions import Step, move
from app.states.vocabulary import PAGE, SMS, PageState, SmsState

_READINGS = 4
_CHUNK = 500


def whole(
    account: Asked, start: datetime, end: datetime, *, gap_s: float, sleep: Callable[[float], None] = time.sleep
) -> list[ListedMessage]:
    """Return what left, once two readings in a row agree: a list may lag or flap.

    Raises Unasked.
    """
    before: set[str] | None = None
    for reading in range(_READINGS):
        if reading:
            sleep(gap_s)
        messages = provider_listing.left(account, start, end)
        found = {item.report.provider_id for item in messages}
        if found == before:
            return messages
        before = found
    raise Unasked("flapping")


def write_down(account: Asked, messages: Sequence[ListedMessage]) -> tuple[int, int]:
    """Write down what the database lacks.

    Returns how many attempts, and how many for people whom it doesn't know.

    The scope of the account's company must be open.
    """
    with tenancy.transaction() as connection:
        matched, strangers = recognise.match(connection, account, messages)
    written = 0
    for campaign_id, group in groupby(sorted(matched, key=_order), key=lambda item: item.campaign_id):
        items = list(group)
        for first in range(0, len(items), _CHUNK):
            with tenancy.transaction() as connection:
                written += _write(connection, account, campaign_id, items[first : first + _CHUNK])
    with tenancy.transaction() as connection:
        kept = _keep(connection, account, strangers)
    return written, kept


def numbers(messages: Sequence[ListedMessage]) -> list[int]:
    """Return the row numbers that the references of ours name."""
    return [item.sms.recipient_id for item in recognise.ours(messages) if item.sms is not None]


def _order(item: Match) -> tuple[int, int, int]:
    return item.campaign_id, item.recipient_id, item.attempt


def _write(connection: Connection, account: Asked, campaign_id: int, items: Sequence[Match]) -> int:
    """Write down attempts of one campaign."""
    locks.lock_campaign(connection, campaign_id)
    validity = dict(
        connection.execute(text("SELECT link_until, link_minutes FROM campaign WHERE id = :id"), {"id": campaign_id})
        .mappings()
        .one()
    )
    locks.lock_slices_of(connection, campaign_id, [item.recipient_id for item in items])
    ids = sorted({item.recipient_id for item in items})
    locks.lock_people(connection, ids)
    people = connection.execute(text("SELECT id, sms_attempt FROM recipient WHERE id = ANY(:ids)"), {"ids": ids})
    attempts = {row.id: row.sms_attempt for row in people}
    missing = [item for item in items if not item.known]
    _begin(connection, account, campaign_id, missing)
    latest = {item.recipient_id: item for item in missing if item.attempt > attempts.get(item.recipient_id, 0)}
    for attempt, group in _by_attempt(latest.values()).items():
        _accept(connection, group, attempt, validity)
    told = [AttemptReport(item.recipient_id, item.attempt, item.report, _at(item)) for item in items]
    apply_reports.apply(connection, told)
    return len(missing)


def _begin(connection: Connection, account: Asked, campaign_id: int, missing: Sequence[Match]) -> None:
    """Write the attempts' rows."""
    if not missing:
        return
    connection.execute(
        text("""
            INSERT INTO send_log (tenant_id, campaign_id, recipient_id, sms_account_id, attempt, generation, reference,
                fence, state, code, provider_id, started_at, answered_at)
            SELECT :tenant_id, :campaign_id, u.id, :account_id, u.attempt, u.generation, u.reference, 0, 'accepted',
                :code, u.provider_id, u.at, u.at
            FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[]), CAST(:generations AS integer[]),
                CAST(:references AS text[]), CAST(:provider_ids AS text[]), CAST(:ats AS timestamptz[])
            ) AS u(id, attempt, generation, reference, provider_id, at)
            ON CONFLICT (recipient_id, attempt) DO NOTHING
        """),
        {
            "tenant_id": account.tenant_id,
            "campaign_id": campaign_id,
            "account_id": account.id,
            "code": result_codes.RESTORED,
            "ids": [item.recipient_id for item in missing],
            "attempts": [item.attempt for item in missing],
            "generations": [item.generation for item in missing],
            "references": [item.reference for item in missing],
            "provider_ids": [item.report.provider_id for item in missing],
            "ats": [_at(item) for item in missing],
        },
    )


def _by_attempt(items: Iterable[Match]) -> dict[int, list[Match]]:
    groups: dict[int, list[Match]] = defaultdict(list)
    for item in items:
        groups[item.attempt].append(item)
    return groups


def _accept(connection: Connection, items: Sequence[Match], attempt: int, validity: Mapping[str, object]) -> None:
    """Move people as their worker did: queued, sending, accepted, each step that stands before it left out."""
    detail = {"attempt": attempt, "code": result_codes.RESTORED}
    plain = [Step(item.recipient_id, _at(item), detail) for item in items]
    move(connection, SMS, SmsState.QUEUED, plain, actor="system")
    steps = [
        Step(
            item.recipient_id,
            _at(item),
            detail,
            {"sms_attempt": attempt, "link_expires_at": links.expiry(validity, _at(item))},
        )
        for item in items
    ]
    move(connection, SMS, SmsState.SENDING, steps, actor="system", sources=[SmsState.QUEUED])
    coded = [
        Step(item.recipient_id, _at(item), detail, {"sms_code": result_codes.RESTORED, "sms_attempt": attempt})
        for item in items
    ]
    move(connection, SMS, SmsState.ACCEPTED, coded, actor="system", sources=[SmsState.SENDING])
    move(connection, PAGE, PageState.UNOPENED, plain, actor="system", sources=[PageState.EXPIRED])
    connection.execute(
        text("UPDATE recipient SET retry_at = NULL WHERE id = ANY(:ids) AND retry_at IS NOT NULL"),
        {"ids": [item.recipient_id for item in items]},
    )


def _keep(connection: Connection, account: Asked, strangers: Sequence[recognise.Ours]) -> int:
    """Keep the numbers of people whom the database doesn't know, as blind indexes.

    Raises Unasked. By a shared account they may be any company's: none is told of them, and all wait for a manager.
    """
    people = [item for item in strangers if item.sms is not None]
    together = text("SELECT shared_account_id IS NOT NULL FROM sms_account WHERE id = :id")
    if people and connection.scalar(together, {"id": account.id}):
        raise Unasked("of_nobody")
    if any(item.message.to is None for item in people):
        raise Unasked("unreadable number")
    for item in people:
        assert item.message.to is not None  # noqa: S101 - just looked at
        connection.execute(
            text("""
                INSERT INTO missed_message (tenant_id, sms_account_id, provider_id, reference, phone_index, left_at)
                VALUES (:tenant_id, :account_id, :provider_id, :reference, :phone_index, :left_at)
                ON CONFLICT (sms_account_id, provider_id) DO NOTHING
            """),
            {
                "tenant_id": account.tenant_id,
                "account_id": account.id,
                "provider_id": item.message.report.provider_id,
                "reference": item.reference,
                "phone_index": vault.phone_index(account.tenant_id, item.message.to),
                "left_at": item.message.report.accepted_at or datetime.now(UTC),
            },
        )
    return len(people)


def _at(item: Match) -> datetime:
    now = datetime.now(UTC)
    return min(item.report.accepted_at or now, now)
