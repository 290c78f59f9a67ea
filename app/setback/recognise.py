"""Which messages at a service are ours by their form, whose they are, and which of these the database has on record."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from app import references
from app.providers.sms.base import Left, Report
from app.setback.provider_listing import Asked

_SMS = re.compile(r"([0-9a-z_-]{1,20})\.([0-9]{1,18})\.([0-9]{1,9})", re.ASCII)
_TEST = re.compile(r"[0-9a-z_-]{1,20}\.t([0-9]{1,18})", re.ASCII)


class Ours(NamedTuple):
    """A message of ours at a service. `recipient_id` and `attempt` are None for a test SMS."""

    message: Left
    reference: str
    mark: str
    recipient_id: int | None
    attempt: int | None


class Match(NamedTuple):
    """A message to somebody whom the database knows. `known`: the attempt is on record."""

    campaign_id: int
    recipient_id: int
    attempt: int
    generation: int
    reference: str
    report: Report
    known: bool


def ours(messages: Sequence[Left]) -> list[Ours]:
    """Return those of a service's messages whose reference has the form of ours; whatever case it writes them in."""
    found = []
    for message in messages:
        for reference in (name.lower() for name in message.report.references):
            if match := _SMS.fullmatch(reference):
                found.append(Ours(message, reference, match[1], int(match[2]), int(match[3])))
            elif _TEST.fullmatch(reference):
                found.append(Ours(message, reference, reference.partition(".")[0], None, None))
    return found


def match(connection: Connection, account: Asked, messages: Sequence[Left]) -> tuple[list[Match], list[Ours]]:
    """Return whose messages they are, and those of nobody whom the database knows.

    The mark tells: it is random, so that a row which has another's number today has another mark.
    """
    candidates = ours(messages)
    rows = connection.execute(
        text("""
            SELECT r.id, r.campaign_id, r.link_generation, r.link_secret, c.key
            FROM recipient r JOIN campaign c ON c.id = r.campaign_id
            WHERE r.tenant_id = :tenant_id AND r.id = ANY(:ids)
        """),
        {
            "tenant_id": account.tenant_id,
            "ids": sorted({item.recipient_id for item in candidates if item.recipient_id is not None}),
        },
    )
    people = {row.id: row for row in rows}
    stored = _stored(connection, candidates)
    matched: list[Match] = []
    strangers: list[Ours] = []
    for item in candidates:
        person = people.get(item.recipient_id)
        if person is None or item.attempt is None:
            strangers.append(item)
            continue
        known = stored.get((person.id, item.attempt)) == item.reference
        if not known and references.mark(person.link_secret, person.key).lower() != item.mark:
            strangers.append(item)
            continue
        matched.append(
            Match(
                person.campaign_id,
                person.id,
                item.attempt,
                person.link_generation,
                item.reference,
                item.message.report,
                known,
            )
        )
    return matched, strangers


def _stored(connection: Connection, candidates: Sequence[Ours]) -> dict[tuple[int, int], str]:
    """Return the references on record, in lower case, by (recipient id, attempt)."""
    wanted = [item for item in candidates if item.attempt is not None]
    rows = connection.execute(
        text("""
            SELECT l.recipient_id, l.attempt, l.reference, c.key
            FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[])) AS u(id, attempt)
            JOIN send_log l ON l.recipient_id = u.id AND l.attempt = u.attempt
            JOIN campaign c ON c.id = l.campaign_id
        """),
        {"ids": [item.recipient_id for item in wanted], "attempts": [item.attempt for item in wanted]},
    )
    return {
        (row.recipient_id, row.attempt): references.of_attempt(
            row.reference, row.key, row.recipient_id, row.attempt
        ).lower()
        for row in rows
    }


def unknown(connection: Connection, account: Asked, messages: Sequence[Left]) -> int:
    """Count the messages in the form of ours that are not on record."""
    matched, strangers = match(connection, account, messages)
    people = sum(item.recipient_id is not None for item in strangers)
    tests = {item.reference for item in strangers if item.recipient_id is None}
    missing = len(tests - tests_on_record(connection, account.id, sorted(tests)))
    return sum(not item.known for item in matched) + people + missing


def tests_on_record(connection: Connection, account_id: int, references: Sequence[str]) -> set[str]:
    """Return which references, in lower case, are those of an account's test SMS and of SMS to its own number."""
    rows = connection.execute(
        text("""
            SELECT lower(coalesce(t.reference, c.key || '.t' || t.id)) AS reference
            FROM trial_message t JOIN campaign c ON c.id = t.campaign_id
            WHERE t.sms_account_id = :account_id
            AND lower(coalesce(t.reference, c.key || '.t' || t.id)) = ANY(:references)
            UNION ALL
            SELECT lower(w.reference) FROM witness_message w
            WHERE w.sms_account_id = :account_id AND lower(w.reference) = ANY(:references)
        """),
        {"account_id": account_id, "references": list(references)},
    )
    return set(rows.scalars())
