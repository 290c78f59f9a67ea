"""Take receipts that are pushed to a shared account: each company gets what names its own attempts, nobody the rest.

In: a push, which may bundle messages of many companies. Out: for each company whose attempts it names a receipt of its
own, without the others' parts; from there on it is one as of any account (`app.outcomes.receipts`). Can't happen here:
a report given to a company by anything but a reference on record with the company's own part of this very account; a
push kept whole.
"""

from collections import defaultdict
from collections.abc import Sequence

import structlog

from app import references
from app.accounts import Unusable, for_receipts, is_receipt_key, shared
from app.outcomes import pushed_bodies, receipts
from app.outcomes.receipts import Kept
from app.providers.sms import PROVIDERS
from app.providers.sms.base import Pushed, Report, UnclearAnswer
from app.tenancy import lookup

_NAMED = """
    SELECT json_agg(json_build_array(
        u.written, l.tenant_id, l.sms_account_id, l.recipient_id, l.attempt, l.reference, c.key
    ))
    FROM unnest(CAST(%s AS text[]), CAST(%s AS bigint[]), CAST(%s AS integer[])) AS u(written, id, attempt)
    JOIN send_log l ON l.recipient_id = u.id AND l.attempt = u.attempt
    JOIN sms_account a ON a.id = l.sms_account_id AND a.shared_account_id = %s
    JOIN campaign c ON c.id = l.campaign_id
"""
_DRAW = "SELECT nextval(pg_get_serial_sequence('receipt', 'id'))"

_log = structlog.get_logger()


def keep(shared_account_id: int, key: str, pushed: Pushed) -> Kept:
    """Store what a push tells of each company's attempts. Raises psycopg.Error, CannotOpen.

    `key` is that of its address. No scope needs to be open. An unreadable push is refused: nobody can tell whose it is.
    """
    account = shared.read(shared_account_id)
    if account is None or not is_receipt_key(account.id, account.receipt_secret, key):
        return Kept.ASTRAY
    provider = PROVIDERS[account.provider]
    kept = Kept.KEPT
    reports: Sequence[Report] = ()
    if receipts.is_signed(provider):
        try:
            opened = for_receipts(account)
        except Unusable:
            opened = None  # without a secret nothing can be verified
        if opened is None or not provider.is_authentic(opened, pushed):
            kept = Kept.FORGED
    if kept is Kept.KEPT:
        try:
            reports = provider.receipt(pushed)
        except UnclearAnswer:
            kept = Kept.UNREADABLE
    if kept is not Kept.KEPT:
        _log.warning("shared receipt refused", shared_account_id=account.id, reason=str(kept))
        return kept
    owned = _by_company(account.id, reports)
    for (tenant_id, account_id), mine in sorted(owned.items()):
        drawn = lookup.write(_DRAW)
        assert drawn is not None  # noqa: S101 - a sequence gives a number
        named = {report.provider_id for report in mine}
        message_id = named.pop() if len(named) == 1 and not receipts.is_signed(provider) else None
        receipts.store(int(drawn[0]), tenant_id, account_id, pushed_bodies.pack_reports(mine), message_id)
    return Kept.KEPT if owned else Kept.OF_NOBODY


def _by_company(shared_account_id: int, reports: Sequence[Report]) -> dict[tuple[int, int], list[Report]]:
    """Return the reports by the company, and its account, whose attempt they name."""
    named = {reference for report in reports for reference in report.references}
    parsed = {reference: sms for reference in named if (sms := references.parse_sms(reference)) is not None}
    found = lookup.first(
        _NAMED,
        list(parsed),
        [sms.recipient_id for sms in parsed.values()],
        [sms.attempt for sms in parsed.values()],
        shared_account_id,
    )
    owners: dict[str, tuple[int, int]] = {}
    for written, tenant_id, account_id, recipient_id, attempt, stored, campaign_key in (found and found[0]) or ():
        ours = references.of_attempt(stored, campaign_key, recipient_id, attempt)
        # a row number alone may be somebody else's, after a restored backup
        if not references.mismatch(ours, [written]):
            owners[written] = (tenant_id, account_id)
    owned: dict[tuple[int, int], list[Report]] = defaultdict(list)
    for report in reports:
        # one that names attempts of two companies is nobody's
        whose = {owners[reference] for reference in report.references if reference in owners}
        if len(whose) == 1:
            owned[whose.pop()].append(report)
    return owned
