"""Take receipts that providers push: kept raw first, then believed or asked about, then applied.

A receipt that isn't signed only says "look again": its message is fetched from the provider, and that answer counts. A
receipt that names no attempt of ours, or can't be read at all, is kept with a word that says so. A receipt that can't
be answered now, or that is ahead of what the provider itself says, is tried again (`app.outcomes.receipt_queue`).

A signed one is verified before it is kept, and believed then. One that names no attempt of ours is kept for a day, as a
restored database may yet learn of it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import structlog
from sqlalchemy import Connection, text

from app import limits, queues, references, tenancy
from app.accounts import Unusable, for_receipts, is_receipt_key
from app.delivery import send_context, shutdown
from app.delivery.send_log import AttemptReport
from app.extensions import vault
from app.models import SmsAccount
from app.outcomes import apply_reports, provider_queries, pushed_bodies, receipt_queue
from app.outcomes.receipt_queue import Waiting
from app.providers.http import Response
from app.providers.sms import PROVIDERS
from app.providers.sms.base import Pushed, ReceiptTrust, Report, ReportState, SmsProvider, UnclearAnswer
from app.states.vocabulary import SmsState
from app.tenancy import lookup
from app.vault import CannotOpen, Place
from app.work_budget import SHORT_SHIFT_S, WorkBudget

# bytes; a receipt has a few hundred, a bundle of a hundred with the longest texts, escaped, 700 KB
BODY_LIMIT = limits.RECEIPTS

_JOB = "jobs.outcomes.apply_receipts"
# new receipts that are claimed and asked about together
_BATCH_ROWS = 200
# Such as were tried before are fewer than it takes to call a provider silent (`app.outcomes.provider_queries`), and
# each may take the account's own time limit; whoever is new has an answer soon or is tried again as one of those.
_RETRIED = 12
_NEW_TIMEOUT_S = 5.0
_ASKING_S = 20.0
# so long a message that the provider told of may be missing from its own answers before its receipt is put aside
_PATIENCE = timedelta(days=1)
# so long a receipt may be ahead of the provider's own answer; then `app.outcomes.missing_receipts` asks
_AHEAD = timedelta(hours=72)
_UNUSABLE_WAIT_S = 60.0
# states that a message may still reach: a later one overrules
_RANKS = (ReportState.PROCESSING, ReportState.CANCELLED, ReportState.UNDELIVERED, ReportState.DELIVERED)
_ENDED = {SmsState.DELIVERED, SmsState.UNDELIVERED, SmsState.CANCELLED}

_ACCOUNT = """
    SELECT tenant_id, provider, receipt_secret, settings, credentials_sealed,
        nextval(pg_get_serial_sequence('receipt', 'id'))
    FROM sms_account WHERE id = %s AND shared_account_id IS NULL
"""
_NAMED = """
    SELECT l.reference, c.key FROM send_log l JOIN campaign c ON c.id = l.campaign_id
    WHERE l.recipient_id = %s AND l.attempt = %s AND l.sms_account_id = %s
"""
_KEEP = """
    INSERT INTO receipt (id, tenant_id, sms_account_id, digest, body_sealed, message_id)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (sms_account_id, digest) DO UPDATE SET try_at = now()
    WHERE receipt.applied_at IS NULL AND receipt.try_at > now() AND coalesce(receipt.leased_until < now(), true)
"""

_log = structlog.get_logger()


class Kept(StrEnum):
    """The fate of a push at the door; of all but the first two nothing is stored."""

    KEPT = "kept"
    OF_NOBODY = "of_nobody"  # kept, but it names no attempt of ours
    UNREADABLE = "unreadable"
    FORGED = "forged"
    ASTRAY = "astray"  # its address is no account's


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An attempt of ours that a reference names, and what is known of it."""

    recipient_id: int
    attempt: int
    state: str
    provider_id: str | None


@dataclass(slots=True)
class _Verdict:
    """The verdict on a claim: reports to be applied, receipts that are done with, tried again, or not asked about.

    `strangers` name no attempt of ours though they are signed, and had their day.
    """

    believed: dict[Waiting, Sequence[Report]] = field(default_factory=dict)
    strangers: list[Waiting] = field(default_factory=list)
    outcomes: dict[Waiting, str] = field(default_factory=dict)
    again: list[Waiting] = field(default_factory=list)
    unasked: list[Waiting] = field(default_factory=list)
    wait_s: float = 0.0


def keep(account_id: int, key: str, pushed: Pushed) -> Kept:
    """Store a push and have it applied; `key` is that of its address. Raises psycopg.Error, CannotOpen.

    The same push again is the same row; while that waits it is a wish to look again now. Committed once it returns. No
    scope needs to be open: a carrier pushes hundreds a second, and two statements are what one costs, three signed.
    """
    row = lookup.write(_ACCOUNT, account_id)
    if row is None:
        return Kept.ASTRAY
    tenant_id, provider, secret, settings, credentials, receipt_id = row
    if not is_receipt_key(account_id, secret, key):
        return Kept.ASTRAY
    kept, message_id = Kept.KEPT, None
    if is_signed(PROVIDERS[provider]):
        account = SmsAccount(
            id=account_id,
            tenant_id=tenant_id,
            provider=provider,
            settings=settings,
            credentials_sealed=credentials,
            receipt_secret=secret,
        )
        kept = _verified(account, pushed)
        if kept not in {Kept.KEPT, Kept.OF_NOBODY}:
            _log.warning("receipt refused", sms_account_id=account_id, reason=str(kept))
            return kept
    else:
        message_id = _message_id(provider, pushed)
    store(receipt_id, tenant_id, account_id, pushed_bodies.pack(pushed), message_id)
    return kept


def store(receipt_id: int, tenant_id: int, account_id: int, whole: bytes, message_id: str | None) -> None:
    """Store a receipt, and have it applied. Raises psycopg.Error."""
    digest, sealed = vault.content_digest(tenant_id, whole), vault.seal(whole, _place(tenant_id, receipt_id))
    lookup.write(_KEEP, receipt_id, tenant_id, account_id, digest, sealed, message_id)
    queues.offer(_JOB, tenant_id)


def is_signed(provider: SmsProvider) -> bool:
    """Return whether a service signs its receipts."""
    return provider.capabilities.receipts is ReceiptTrust.SIGNED


def _verified(account: SmsAccount, pushed: Pushed) -> Kept:
    """Verify a push of a service that signs, and look whether it names an attempt of ours."""
    provider = PROVIDERS[account.provider]
    try:
        opened = for_receipts(account)
    except Unusable:
        return Kept.FORGED  # without a secret nothing can be verified
    if not provider.is_authentic(opened, pushed):
        return Kept.FORGED
    try:
        reports = provider.receipt(pushed)
    except UnclearAnswer:
        return Kept.UNREADABLE
    for reference in {reference for report in reports for reference in report.references}:
        sms = references.parse_sms(reference)
        row = None if sms is None else lookup.first(_NAMED, sms.recipient_id, sms.attempt, account.id)
        if (
            sms is not None
            and row is not None
            and not references.mismatch(
                references.of_attempt(row[0], row[1], sms.recipient_id, sms.attempt), [reference]
            )
        ):
            return Kept.KEPT
    return Kept.OF_NOBODY


def apply_waiting(tenant_id: int, *, batch_rows: int = _BATCH_ROWS, shift_s: float = SHORT_SHIFT_S) -> None:
    """Apply the tenant's receipts that are due, account by account; what can't be settled now is due later.

    After a shift another job goes on: of a large campaign receipts come for hours, and others wait for this worker.
    """
    budget = WorkBudget(shift_s)
    while found := receipt_queue.accounts():
        worked = False
        for account_id in found:
            account = _opened(account_id)
            for tried in (False, True) if account else ():
                if shutdown.is_asked():
                    return
                batch = receipt_queue.claim(account_id, tried=tried, limit=_RETRIED if tried else batch_rows)
                if account and batch:
                    _work(tenant_id, account, batch, tried=tried)
                    worked = True
                if budget.is_spent:
                    queues.enqueue(_JOB, tenant_id, once=True)
                    return
        if not worked:  # another worker has them
            return


def _message_id(provider: str, pushed: Pushed) -> str | None:
    """Return the id of the one message that a push names; None where it names several, or can't be read."""
    try:
        named = {report.provider_id for report in PROVIDERS[provider].receipt(pushed)}
    except UnclearAnswer:
        return None
    return named.pop() if len(named) == 1 else None


def _opened(account_id: int) -> send_context.Account | None:
    """Open an account; one that can't be is left alone for a while, so that it keeps no worker busy."""
    try:
        return send_context.account(account_id)
    except (Unusable, CannotOpen) as fault:
        _log.error("receipts not applied", sms_account_id=account_id, reason=str(fault))
        provider_queries.leave_alone(account_id, _UNUSABLE_WAIT_S)
        return None


def _work(tenant_id: int, account: send_context.Account, batch: Sequence[Waiting], *, tried: bool) -> None:
    """Make what can be made of claimed receipts, and say when to try the others again."""
    verdict = _Verdict()
    pushed: dict[Waiting, Sequence[Report]] = {}
    for item in batch:
        try:
            whole = vault.open(item.body_sealed, _place(tenant_id, item.id))
            pushed[item] = pushed_bodies.reports(account.provider, whole)
        except UnclearAnswer as unclear:
            verdict.outcomes[item] = f"unreadable: {unclear}"
        except CannotOpen as fault:
            verdict.outcomes[item] = f"cannot be opened: {fault}"
    if is_signed(account.provider):
        _believe(account.id, pushed, verdict)
    else:
        _fetch(account, _left_to_ask(account.id, pushed, verdict), verdict, tried)
    with tenancy.transaction() as connection:
        # people first, then their receipts, as everywhere
        applied = _apply(connection, account.id, verdict.believed)
        held = {*verdict.again, *verdict.unasked}
        done = {item: outcome for item, outcome in (applied | verdict.outcomes).items() if item not in held}
        receipt_queue.settle(connection, account.id, done)
        receipt_queue.put_off(connection, account.id, verdict.again)
        receipt_queue.give_back(connection, verdict.unasked, verdict.wait_s)
        receipt_queue.forget(connection, verdict.strangers)


def _believe(account_id: int, pushed: Mapping[Waiting, Sequence[Report]], verdict: _Verdict) -> None:
    """Believe signed receipts of our attempts; those that name none wait for a day, then they are forgotten."""
    with tenancy.transaction() as connection:
        ours = _attempts(connection, account_id, pushed.values())
    for item, found in pushed.items():
        if any(reference in ours for report in found for reference in report.references):
            verdict.believed[item] = found
        elif item.asked_at - item.received_at > _PATIENCE:
            verdict.strangers.append(item)
        else:
            verdict.again.append(item)


def _left_to_ask(
    account_id: int, pushed: Mapping[Waiting, Sequence[Report]], verdict: _Verdict
) -> Mapping[Waiting, Sequence[Report]]:
    """Return the reports to which an answer could add anything; settle the receipts without any.

    Nothing is added to messages that are not ours, nor to those whose end the provider told before.
    """
    with tenancy.transaction() as connection:
        ours = _attempts(connection, account_id, pushed.values())
    left: dict[Waiting, Sequence[Report]] = {}
    for item, found in pushed.items():
        asked, told = list[Report](), list[ReportState]()
        for report in found:
            known = [ours[reference] for reference in report.references if reference in ours]
            if known and all(_adds_nothing(report, attempt) for attempt in known):
                told.append(report.state)
            elif known or not report.references:
                asked.append(report)
        if asked:
            left[item] = asked
        else:
            verdict.outcomes[item] = _said(told)
    return left


def _said(states: Sequence[ReportState]) -> str:
    """Return in words what a receipt, or a bundle of them, told of messages of ours."""
    if len(states) == 1:
        return str(states[0])
    return ", ".join(f"{count} {state}" for state, count in sorted(Counter(states).items())) or "no message of ours"


def _adds_nothing(report: Report, attempt: _Attempt) -> bool:
    if attempt.provider_id != report.provider_id:
        return False
    # nothing overrules "delivered"; and that a message was under way once is no news of its end
    return attempt.state == SmsState.DELIVERED or (report.state is ReportState.PROCESSING and attempt.state in _ENDED)


def _fetch(
    account: send_context.Account,
    pushed: Mapping[Waiting, Sequence[Report]],
    verdict: _Verdict,
    tried: bool,  # noqa: FBT001
) -> None:
    """Fetch each message that an unsigned receipt names; a bundle that lacks some tells of the others meanwhile."""
    requests = {
        report.provider_id: account.provider.detail(account.opened, report.provider_id)
        for found in pushed.values()
        for report in found
    }
    if not tried:
        requests = {
            name: replace(request, timeout_s=min(request.timeout_s, _NEW_TIMEOUT_S))
            for name, request in requests.items()
        }

    def read(provider_id: str, response: Response) -> Report:
        report = account.provider.report(response)
        if report.provider_id != provider_id:
            raise UnclearAnswer("mismatch")
        return report

    asked = provider_queries.ask_account(account.id, requests, read, what="detail", budget=WorkBudget(_ASKING_S))
    verdict.wait_s = asked.wait_s
    for item, found in pushed.items():
        wanted = [report.provider_id for report in found]
        verdict.believed[item] = [asked.found[name] for name in wanted if name in asked.found]
        if all(name in asked.found for name in wanted):
            lags = any(_RANKS.index(asked.found[one.provider_id].state) < _RANKS.index(one.state) for one in found)
            if lags and item.asked_at - item.received_at <= _AHEAD:
                verdict.again.append(item)
        elif any(name in asked.skipped for name in wanted):
            verdict.unasked.append(item)
        elif item.asked_at - item.received_at <= _PATIENCE:
            verdict.again.append(item)
        elif not verdict.believed[item]:
            verdict.outcomes[item] = "the provider gives no answer about it"


def _apply(connection: Connection, account_id: int, believed: Mapping[Waiting, Sequence[Report]]) -> dict[Waiting, str]:
    """Apply what may be believed; return what came of each receipt."""
    now = datetime.now(UTC)
    ours = _attempts(connection, account_id, believed.values())
    told: list[AttemptReport] = []
    outcomes: dict[Waiting, str] = {}
    for item, found in believed.items():
        pairs = [(ours[reference], report) for report in found for reference in report.references if reference in ours]
        told += [
            AttemptReport(one.recipient_id, one.attempt, report, min(report.at or now, now)) for one, report in pairs
        ]
        outcomes[item] = _said([report.state for _, report in pairs])
    if told:
        apply_reports.apply(connection, told)
    return outcomes


def _attempts(connection: Connection, account_id: int, groups: Iterable[Sequence[Report]]) -> dict[str, _Attempt]:
    """Return the attempts of ours through this account that the reports name, by the reference as it was written."""
    named = {reference for found in groups for report in found for reference in report.references}
    parsed = {reference: sms for reference in named if (sms := references.parse_sms(reference)) is not None}
    if not parsed:
        return {}
    rows = connection.execute(
        text("""
            SELECT u.written, l.recipient_id, l.attempt, l.state, l.provider_id, l.reference, c.key
            FROM unnest(CAST(:names AS text[]), CAST(:ids AS bigint[]), CAST(:attempts AS integer[]))
                AS u(written, id, attempt)
            JOIN send_log l ON l.recipient_id = u.id AND l.attempt = u.attempt AND l.sms_account_id = :account_id
            JOIN campaign c ON c.id = l.campaign_id
        """),
        {
            "account_id": account_id,
            "names": list(parsed),
            "ids": [sms.recipient_id for sms in parsed.values()],
            "attempts": [sms.attempt for sms in parsed.values()],
        },
    )
    return {
        row.written: _Attempt(row.recipient_id, row.attempt, row.state, row.provider_id)
        for row in rows
        # a row number alone may be somebody else's, after a restored backup
        if not references.mismatch(
            references.of_attempt(row.reference, row.key, row.recipient_id, row.attempt), [row.written]
        )
    }


def _place(tenant_id: int, receipt_id: int) -> Place:
    return Place(tenant_id, "receipt", "body_sealed", receipt_id)
