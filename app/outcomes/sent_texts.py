"""Attempts as a look-up must name them: by our reference, or by number, time and text where a service takes none.

In: an account and references of ours. Out: for each what its look-up asks with. A text is written anew from what it was
written from when it left. Can't happen here: the text of another link, as one whose link was drawn anew since can't be
asked for; a number or a text opened for a service that is asked by reference; a transaction open while texts are
written.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.orm import aliased

from app import links, references, tenancy
from app.accounts import witness_phone_of
from app.campaigns import preflight_result, rendering
from app.campaigns.template import MissingField
from app.db import in_text
from app.delivery import send_log
from app.delivery.send_context import Account
from app.extensions import db
from app.models import Campaign, Recipient, SmsAccount
from app.providers.sms.base import LookupBy, Sought
from app.states import result_codes
from app.vault import CannotOpen

_BEFORE_REMINDER = in_text(send_log.before_reminder, aliased(Recipient, name="r"))


def witness_words(company: str) -> str:
    """Return what the SMS to a company's own number says to whoever reads it there."""
    return f"【{company}】SMSの送信状況を確認するための自動送信です。ご返信や操作は必要ありません。"


def sought(account: Account, named: Iterable[str]) -> dict[str, Sought]:
    """Return what a look-up of each reference asks with.

    Ends the session's transaction where texts are needed.
    """
    asked = {reference: Sought(reference) for reference in named}
    if account.provider.capabilities.lookup_by is not LookupBy.TEXT or not asked:
        return asked
    parsed = {ref: sms for ref in asked if (sms := references.parse_sms(ref)) is not None}
    with tenancy.transaction() as connection:
        attempts = _attempts(connection, parsed)
        witnesses = _witnesses(connection, account.id, [ref for ref in asked if ref not in parsed])
    companies = _companies({row.campaign_id for row in attempts})
    for row in attempts:
        reference = references.of_attempt(row.reference, row.key, row.recipient_id, row.attempt)
        if not references.mismatch(reference, [row.named]):
            asked[row.named] = _of_attempt(row, companies[row.campaign_id])
    if witnesses:
        asked |= _of_witnesses(account.id, witnesses)
    return asked


def _attempts(connection: Connection, parsed: Mapping[str, references.Sms]) -> list[Row[Any]]:
    """Read the attempts that references name, with all that their texts were written from.

    `until` is when the next attempt began of which a look-up asks too, `known` are the ids of the person's other ones.
    """
    if not parsed:
        return []
    rows = connection.execute(
        text(f"""
            SELECT u.named, l.tenant_id, l.campaign_id, l.recipient_id, l.attempt, l.reference, l.generation,
                l.started_at, c.key, r.link_generation, r.link_secret, r.phone_sealed, r.fields_sealed,
                coalesce(
                    (SELECT m.sms_text FROM reminder m WHERE m.id = r.reminder_id AND l.attempt > {_BEFORE_REMINDER}),
                    c.sms_text
                ) AS words,
                (
                    SELECT min(n.started_at) FROM send_log n
                    WHERE n.recipient_id = l.recipient_id AND n.attempt > l.attempt
                    AND n.state IN ('sending', 'unknown', 'cancelled') AND n.code <> :not_sent
                ) AS until,
                ARRAY(
                    SELECT n.provider_id FROM send_log n
                    WHERE n.recipient_id = l.recipient_id AND n.attempt <> l.attempt AND n.provider_id IS NOT NULL
                ) AS known
            FROM unnest(CAST(:named AS text[]), CAST(:ids AS bigint[]), CAST(:attempts AS integer[]))
                AS u(named, id, attempt)
            JOIN send_log l ON l.recipient_id = u.id AND l.attempt = u.attempt
            JOIN recipient r ON r.id = l.recipient_id
            JOIN campaign c ON c.id = l.campaign_id
        """),  # noqa: S608 - our own words
        {
            "named": list(parsed),
            "ids": [sms.recipient_id for sms in parsed.values()],
            "attempts": [sms.attempt for sms in parsed.values()],
            "not_sent": result_codes.NOT_SENT,
        },
    )
    return list(rows)


def _companies(campaign_ids: Iterable[int]) -> dict[int, str]:
    """Return each campaign's company as its SMS name it."""
    found = {found_id: preflight_result.company(db.session.get_one(Campaign, found_id)) for found_id in campaign_ids}
    db.session.rollback()
    return found


def _of_attempt(row: Row[Any], company: str) -> Sought:
    """Write what an attempt sent; nothing where it can't be written any more."""
    if row.generation != row.link_generation:
        return Sought(row.named)
    link = links.address(row.recipient_id, row.generation, row.link_secret)
    try:
        fields = rendering.open_fields(row.tenant_id, row.recipient_id, row.fields_sealed)
        body = rendering.sms_text(row.words, company, fields, link)
        to = rendering.open_phone(row.tenant_id, row.recipient_id, row.phone_sealed)
    except (MissingField, CannotOpen):
        return Sought(row.named)
    return Sought(row.named, row.started_at, to, body, row.until, frozenset(row.known))


def _witnesses(connection: Connection, account_id: int, named: list[str]) -> list[Row[Any]]:
    """Read the SMS to the account's own number that references name."""
    if not named:
        return []
    rows = connection.execute(
        text("""
            SELECT reference, created_at FROM witness_message
            WHERE sms_account_id = :account_id AND reference = ANY(:named)
        """),
        {"account_id": account_id, "named": named},
    )
    return list(rows)


def _of_witnesses(account_id: int, rows: list[Row[Any]]) -> dict[str, Sought]:
    row = db.session.get_one(SmsAccount, account_id)
    try:
        to, body = witness_phone_of(row), witness_words(row.tenant.name)
    except CannotOpen:
        to, body = None, ""
    db.session.rollback()
    return {one.reference: Sought(one.reference, one.created_at, to or "", body) for one in rows}
