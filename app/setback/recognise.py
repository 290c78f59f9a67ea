"""Which messages at a service are ours by their form, whose they are, and which of these the database has on record."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from app import references
from app.providers.sms.base import ListedMessage, Report
from app.setback.provider_listing import Asked
from app.tenancy import lookup

# of companies that send by the same shared account: a person's link and the references on record of the named attempt
_PEOPLE_OF_OTHERS = """
    SELECT json_agg(json_build_array(
        u.named, encode(r.link_secret, 'hex'), c.key,
        ARRAY(SELECT l.reference FROM send_log l WHERE l.recipient_id = r.id AND l.reference IS NOT NULL)
    ))
    FROM unnest(CAST(%s AS text[]), CAST(%s AS bigint[])) AS u(named, id)
    JOIN recipient r ON r.id = u.id
    JOIN campaign c ON c.id = r.campaign_id
    JOIN sms_account own ON own.id = %s
    JOIN sms_account other ON other.shared_account_id = own.shared_account_id AND other.id <> own.id
        AND other.tenant_id = r.tenant_id
"""
_OWN_OF_OTHERS = """
    SELECT array_agg(found.reference) FROM (
        SELECT sms_account_id, lower(reference) AS reference FROM trial_message
        UNION ALL SELECT sms_account_id, lower(reference) FROM witness_message
    ) AS found
    JOIN sms_account own ON own.id = %s
    JOIN sms_account other ON other.shared_account_id = own.shared_account_id AND other.id <> own.id
        AND other.id = found.sms_account_id
    WHERE found.reference = ANY(%s)
"""


class Ours(NamedTuple):
    """A message of ours at a service. `sms` is None for a test SMS."""

    message: ListedMessage
    reference: str
    sms: references.Sms | None


class Match(NamedTuple):
    """A message to somebody whom the database knows.

    `known`: the attempt is on record.
    """

    campaign_id: int
    recipient_id: int
    attempt: int
    generation: int
    reference: str
    report: Report
    known: bool


def ours(messages: Sequence[ListedMessage]) -> list[Ours]:
    """Return those of a service's messages whose reference has the form of ours; whatever case it writes them in."""
    found = []
    for message in messages:
        for reference in map(references.compared, message.report.references):
            sms = references.parse_sms(reference)
            if sms is not None or references.parse_test_sms(reference) is not None:
                found.append(Ours(message, reference, sms))
    return found


def match(connection: Connection, account: Asked, messages: Sequence[ListedMessage]) -> tuple[list[Match], list[Ours]]:
    """Return whose messages they are, and those of nobody whom the database knows.

    The mark tells: it is random, so that a row which has another's number today has another mark. By a shared account
    other companies' messages left too: those are in neither.
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
            "ids": sorted({item.sms.recipient_id for item in candidates if item.sms is not None}),
        },
    )
    people = {row.id: row for row in rows}
    stored = _stored(connection, candidates)
    matched: list[Match] = []
    strangers: list[Ours] = []
    for item in candidates:
        sms = item.sms
        person = people.get(sms.recipient_id) if sms is not None else None
        if person is None or sms is None:
            strangers.append(item)
            continue
        known = stored.get((person.id, sms.attempt)) == item.reference
        if not known and not references.bears_mark(sms, person.link_secret, person.key):
            strangers.append(item)
            continue
        matched.append(
            Match(
                person.campaign_id,
                person.id,
                sms.attempt,
                person.link_generation,
                item.reference,
                item.message.report,
                known,
            )
        )
    foreign = of_other_companies(account, (item.reference for item in strangers))
    return matched, [item for item in strangers if item.reference not in foreign]


def of_other_companies(account: Asked, named: Iterable[str]) -> set[str]:
    """Return which references, as they are compared, are those of other companies that send by this shared account.

    Theirs by the mark of a person of theirs, or on record as a test SMS or one to their own number; nothing else is
    told of them. None, where the account is a company's own.
    """
    wanted = set(named)
    parsed = {name: sms for name in wanted if (sms := references.parse_sms(name)) is not None}
    found: set[str] = set()
    if not wanted:
        return found
    row = lookup.first(_PEOPLE_OF_OTHERS, list(parsed), [sms.recipient_id for sms in parsed.values()], account.id)
    for name, secret, key, stored in (row and row[0]) or ():
        drawn = None if secret is None else bytes.fromhex(secret)
        if references.bears_mark(parsed[name], drawn, key) or name in map(references.compared, stored):
            found.add(name)
    row = lookup.first(_OWN_OF_OTHERS, account.id, sorted(wanted - parsed.keys()))
    return found | set((row and row[0]) or ())


def _stored(connection: Connection, candidates: Sequence[Ours]) -> dict[tuple[int, int], str]:
    """Return the references on record, as they are compared, by (recipient id, attempt)."""
    wanted = [item.sms for item in candidates if item.sms is not None]
    rows = connection.execute(
        text("""
            SELECT l.recipient_id, l.attempt, l.reference, c.key
            FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[])) AS u(id, attempt)
            JOIN send_log l ON l.recipient_id = u.id AND l.attempt = u.attempt
            JOIN campaign c ON c.id = l.campaign_id
        """),
        {"ids": [sms.recipient_id for sms in wanted], "attempts": [sms.attempt for sms in wanted]},
    )
    return {
        (row.recipient_id, row.attempt): references.compared(
            references.of_attempt(row.reference, row.key, row.recipient_id, row.attempt)
        )
        for row in rows
    }


def unknown(connection: Connection, account: Asked, messages: Sequence[ListedMessage]) -> int:
    """Count the messages in the form of ours that are not on record."""
    matched, strangers = match(connection, account, messages)
    people = sum(item.sms is not None for item in strangers)
    tests = {item.reference for item in strangers if item.sms is None}
    missing = len(tests - tests_on_record(connection, account.id, sorted(tests)))
    return sum(not item.known for item in matched) + people + missing


def tests_on_record(connection: Connection, account_id: int, named: Sequence[str]) -> set[str]:
    """Return which references, as they are compared, are an account's test SMS and SMS to its own number."""
    row_ids = {row_id for name in named if (row_id := references.parse_test_sms(name)) is not None}
    tests = connection.execute(
        text("""
            SELECT t.id, t.reference, c.key FROM trial_message t JOIN campaign c ON c.id = t.campaign_id
            WHERE t.sms_account_id = :account_id AND t.id = ANY(:row_ids)
        """),
        {"account_id": account_id, "row_ids": sorted(row_ids)},
    )
    found = {references.compared(references.of_test_sms(row.reference, row.key, row.id)) for row in tests}
    witnesses = connection.scalars(
        text("""
            SELECT lower(reference) FROM witness_message
            WHERE sms_account_id = :account_id AND lower(reference) = ANY(:named)
        """),
        {"account_id": account_id, "named": list(named)},
    )
    return (found & set(named)) | set(witnesses)
