"""Judge an empty look-up: the rules by which a message counts as never taken by the carrier.

A carrier's list lags, flaps, or shows another contract, so an empty list alone proves nothing. A message is absent when
- the settle time of that kind of outcome is over: a gateway's message comes in minutes late;
- the account is still the contract by which the attempt went out;
- a witness, a message of ours that the same contract accepted after the settle time, is found by its own reference each
  time it is asked for, before and after the question: the list has caught up, and does not flap;
- with credentials that were renewed since, a message accepted by the old ones is found too;
- all of it holds twice, at least `ABSENCE_GAP_S` apart.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from app import references
from app.config import settings
from app.providers.sms.base import Capabilities, Report

# the answers of gateways, of which 520 to 529 are those of a large one that stands before many services
_GATEWAY = re.compile(r"http_(502|503|504|52\d)")
_ANSWERED = re.compile(r"http_\d+")
_ANSWERED_ODDLY = {"mismatch", "no_id", "unreadable"}
# the columns that name an attempt to its carrier, of `l` and its campaign `c`
REFERENCE = "l.reference, c.key, l.recipient_id, l.attempt"
# how often each witness is asked for before the questions, and again after them
ASKED = 4
# the carrier's clock and ours may differ by so much
_CLOCKS = timedelta(seconds=5)
_CHOICE = 20


@dataclass(frozen=True, slots=True)
class Witness:
    """A message of ours that left at `at`, to be asked for by `reference`."""

    reference: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Sight:
    """The list as the witnesses show it: `until` when it is whole (None: unknown), and whether it flaps."""

    until: datetime | None = None
    flaps: bool = False


def settle_time(code: str, able: Capabilities) -> timedelta:
    """Return how long after its outcome `code` a message may still be taken by a carrier with these abilities."""
    answered = code in _ANSWERED_ODDLY or (_ANSWERED.fullmatch(code) and not _GATEWAY.fullmatch(code))
    ours_s = settings().unknown_settle_s if answered else settings().gateway_settle_s
    return timedelta(seconds=max(float(ours_s), able.absent_after_s))


def reference(row: Row[Any]) -> str:
    """Return the reference that REFERENCE's columns name."""
    return references.of_attempt(row.reference, row.key, row.recipient_id, row.attempt)


def gap() -> timedelta:
    """Return the least time between two look-ups of the same message."""
    return timedelta(seconds=settings().absence_gap_s)


def witnesses(
    connection: Connection, account_id: int, identity: bytes, settled: Sequence[datetime]
) -> Sequence[Witness]:
    """Choose the witnesses for messages whose settle times were over at `settled`: for the first, and for all."""
    found = {_one_after(connection, account_id, identity, at + _CLOCKS) for at in {min(settled), max(settled)}}
    return sorted((item for item in found if item is not None), key=lambda item: item.at)


def _one_after(connection: Connection, account_id: int, identity: bytes, after: datetime) -> Witness | None:
    """Choose one of the first that left after a time: those are the likeliest to be in a list that lags."""
    rows = connection.execute(
        text(f"""
            (
                SELECT {REFERENCE}, l.started_at AS at
                FROM send_log l JOIN campaign c ON c.id = l.campaign_id
                JOIN sms_contract k ON k.id = l.sms_contract_id
                WHERE l.tenant_id = (SELECT tenant_id FROM sms_account WHERE id = :account_id)
                AND l.started_at > :after AND l.started_at <= now()  -- not by a clock that is ahead
                AND l.sms_account_id = :account_id AND k.identity = :identity
                AND l.state IN ('accepted', 'delivered') AND l.provider_id IS NOT NULL
                ORDER BY l.started_at LIMIT :choice
            )
            UNION ALL
            SELECT w.reference, '', 0, 0, w.created_at FROM witness_message w
            JOIN sms_contract k ON k.id = w.sms_contract_id
            WHERE w.sms_account_id = :account_id AND w.created_at > :after AND k.identity = :identity
            AND w.state <> 'undelivered'
        """),  # noqa: S608 - our own words
        {"account_id": account_id, "after": after, "identity": identity, "choice": _CHOICE},
    ).all()
    if not rows:
        return None
    row = random.choice(rows)  # noqa: S311 - one that the carrier never shows must not be chosen each time
    return Witness(reference(row), row.at)


def of_before(connection: Connection, account_id: int, contract_ids: Sequence[int]) -> Mapping[int, str]:
    """Choose for each contract before a renewal a message that it accepted.

    Returns their references.
    """
    found = {}
    for contract_id in contract_ids:
        row = connection.execute(
            text(f"""
                SELECT {REFERENCE} FROM send_log l JOIN campaign c ON c.id = l.campaign_id
                WHERE l.tenant_id = (SELECT tenant_id FROM sms_account WHERE id = :account_id)
                AND l.started_at > now() - interval '30 days' AND l.sms_contract_id = :contract_id
                AND l.state IN ('accepted', 'delivered') AND l.provider_id IS NOT NULL
                ORDER BY l.started_at DESC LIMIT 1
            """),  # noqa: S608 - our own words
            {"account_id": account_id, "contract_id": contract_id},
        ).first()
        if row is not None:
            found[contract_id] = reference(row)
    return found


def sight(asked: Sequence[Witness], answers: Mapping[Witness, Sequence[Report | None]]) -> Sight:
    """Judge the list by what was answered about each witness, oldest first.

    A witness that was found in some answers and not in others shows a list that flaps. One that is in none is too young
    for the list, as are those after it. Both clocks count: when it left by ours, when it was taken by the carrier's.
    """
    until: datetime | None = None
    for witness in asked:
        told = answers.get(witness, ())
        seen = [report for report in told if report is not None]
        if seen and len(seen) < len(told):
            return Sight(flaps=True)
        if len(seen) < 2 * ASKED:
            break
        accepted = [report.accepted_at for report in seen if report.accepted_at is not None]
        if accepted:
            until = min(witness.at, *accepted)
    return Sight(until)
