"""What providers push unasked: kept raw before anything is made of it, then believed or asked about, then applied.

A receipt that isn't signed only says "look again": its message is fetched from the provider, and that answer counts.
What names no attempt of ours, or can't be read at all, is kept with a word that says so.
"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection, text

from app import queues, tenancy
from app.accounts import Unusable
from app.delivery import reports, routes, stopping
from app.delivery.asking import ask_account
from app.delivery.log import Told
from app.extensions import vault
from app.outbound import Response
from app.sms.base import Report, UnclearAnswer
from app.vault import CannotOpen, Place

BODY_LIMIT = 64 * 1024  # bytes; a provider's receipt has a few hundred, a bundle of them some KiB

_BATCH = 200
_SHIFT_S = 10.0
# so long a message that the provider told of may be missing from its own answers before its receipt is put aside
_PATIENCE = timedelta(days=1)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Waiting:
    id: int
    account_id: int
    body_sealed: bytes
    received_at: datetime


def keep(account_id: int, body: bytes) -> bool:
    """Store a pushed body and have it applied; say whether there is such an account. The platform's scope must be open.

    The same body again is the same row. Commits before it returns.
    """
    with tenancy.transaction() as connection:
        tenant_id = connection.scalar(text("SELECT tenant_id FROM sms_account WHERE id = :id"), {"id": account_id})
        if tenant_id is None:
            return False
        row_id = connection.execute(text("SELECT nextval(pg_get_serial_sequence('receipt', 'id'))")).scalar_one()
        connection.execute(
            text("""
                INSERT INTO receipt (id, tenant_id, sms_account_id, digest, body_sealed)
                VALUES (:id, :tenant_id, :account_id, :digest, :body_sealed)
                ON CONFLICT (sms_account_id, digest) DO NOTHING
            """),
            {
                "id": row_id,
                "tenant_id": tenant_id,
                "account_id": account_id,
                "digest": vault.content_digest(tenant_id, body),
                "body_sealed": vault.seal(body, _place(tenant_id, row_id)),
            },
        )
    queues.enqueue("jobs.tracking.apply_receipts", tenant_id, once=True)
    return True


def apply_waiting(tenant_id: int) -> None:
    """Apply every receipt of the tenant that waits; what can't be settled now waits for the next time.

    After a shift another job goes on: of a large campaign receipts come for hours, and others wait for this worker.
    """
    ends = time.monotonic() + _SHIFT_S
    after_id = 0
    while not stopping.asked.is_set():
        with tenancy.transaction() as connection:
            batch = _next(connection, after_id)
        if not batch:
            return
        after_id = batch[-1].id
        outcomes: dict[int, str] = {}
        told = _read(tenant_id, batch, outcomes)
        with tenancy.transaction() as connection:
            _apply(connection, batch, told, outcomes)
        if time.monotonic() >= ends:
            if outcomes:  # else the carrier has no answers: the sweep comes again later
                queues.enqueue("jobs.tracking.apply_receipts", tenant_id, once=True)
            return


def _next(connection: Connection, after_id: int) -> Sequence[_Waiting]:
    rows = connection.execute(
        text("""
            SELECT id, sms_account_id, body_sealed, received_at FROM receipt
            WHERE applied_at IS NULL AND id > :after_id ORDER BY id LIMIT :limit
        """),
        {"after_id": after_id, "limit": _BATCH},
    )
    return [_Waiting(*row) for row in rows]


def _read(tenant_id: int, batch: Sequence[_Waiting], outcomes: dict[int, str]) -> dict[int, list[Report]]:
    """Give what may be believed of each receipt; `outcomes` takes those that are settled without."""
    believed: dict[int, list[Report]] = {}
    for account_id in sorted({item.account_id for item in batch}):
        mine = [item for item in batch if item.account_id == account_id]
        try:
            account = routes.account(account_id)
        except (Unusable, CannotOpen) as fault:
            _log.error("receipts not applied", sms_account_id=account_id, reason=str(fault))
            continue
        pushed: dict[int, Sequence[Report]] = {}
        for item in mine:
            try:
                body = vault.open(item.body_sealed, _place(tenant_id, item.id))
                pushed[item.id] = account.provider.receipt(body, {})
            except UnclearAnswer as unclear:
                outcomes[item.id] = f"unreadable: {unclear}"
            except CannotOpen as fault:
                outcomes[item.id] = f"cannot be opened: {fault}"
        if account.provider.receipts_are_signed:
            believed |= {receipt_id: list(found) for receipt_id, found in pushed.items()}
        else:
            believed |= _fetched(account, mine, pushed, outcomes)
    return believed


def _fetched(
    account: routes.Account,
    batch: Sequence[_Waiting],
    pushed: Mapping[int, Sequence[Report]],
    outcomes: dict[int, str],
) -> dict[int, list[Report]]:
    """Fetch each message that an unsigned receipt names. A receipt counts once all of its messages were fetched."""
    provider_ids = dict.fromkeys(report.provider_id for found in pushed.values() for report in found)
    requests = {provider_id: account.provider.detail(account.opened, provider_id) for provider_id in provider_ids}

    def read(provider_id: str, response: Response) -> Report:
        report = account.provider.report(response)
        if report.provider_id != provider_id:
            raise UnclearAnswer("mismatch")
        return report

    answers = ask_account(account.id, requests, read).found
    fetched = {}
    now = datetime.now(UTC)
    for item in batch:
        wanted = [report.provider_id for report in pushed.get(item.id, ())]
        if item.id in outcomes:
            continue
        if all(provider_id in answers for provider_id in wanted):
            fetched[item.id] = [answers[provider_id] for provider_id in wanted]
        elif now - item.received_at > _PATIENCE:
            outcomes[item.id] = "the provider gives no answer about it"
    return fetched


def _apply(
    connection: Connection,
    batch: Sequence[_Waiting],
    believed: Mapping[int, Sequence[Report]],
    outcomes: dict[int, str],
) -> None:
    now = datetime.now(UTC)
    accounts = {item.id: item.account_id for item in batch}
    named: dict[int, list[tuple[tuple[str, int, int], Report]]] = defaultdict(list)
    for receipt_id, found in believed.items():
        for report in found:
            parsed = (routes.parse_reference(text) for text in report.references)
            named[receipt_id] += [(reference, report) for reference in parsed if reference is not None]
    ours = _attempts(connection, {(reference, accounts[id_]) for id_, pairs in named.items() for reference, _ in pairs})
    told = []
    for receipt_id in believed:
        pairs = [(key, report) for key, report in named[receipt_id] if (key, accounts[receipt_id]) in ours]
        told += [Told(key[1], key[2], report, min(report.at or now, now)) for key, report in pairs]
        outcomes[receipt_id] = ", ".join(str(report.state) for _, report in pairs) or "no message of ours"
    if told:
        reports.apply(connection, told)
    connection.execute(
        text("""
            UPDATE receipt r SET applied_at = :now, outcome = u.outcome
            FROM unnest(CAST(:ids AS bigint[]), CAST(:outcomes AS text[])) AS u(id, outcome) WHERE r.id = u.id
        """),
        {"now": now, "ids": list(outcomes), "outcomes": list(outcomes.values())},
    )


def _attempts(
    connection: Connection, wanted: set[tuple[tuple[str, int, int], int]]
) -> set[tuple[tuple[str, int, int], int]]:
    """Give those ((campaign key, recipient id, attempt), account id) that are attempts of ours through that account."""
    if not wanted:
        return set()
    keys = [key for key, _ in wanted]
    rows = connection.execute(
        text("""
            SELECT c.key, l.recipient_id, l.attempt, l.sms_account_id
            FROM unnest(
                CAST(:keys AS text[]), CAST(:ids AS bigint[]), CAST(:attempts AS bigint[])
            ) AS u(key, id, attempt)
            JOIN send_log l ON l.recipient_id = u.id AND l.attempt = u.attempt
            JOIN campaign c ON c.id = l.campaign_id AND c.key = u.key
        """),
        {
            "keys": [key for key, _, _ in keys],
            "ids": [recipient_id for _, recipient_id, _ in keys],
            "attempts": [attempt for _, _, attempt in keys],
        },
    )
    return {((row.key, row.recipient_id, row.attempt), row.sms_account_id) for row in rows} & wanted


def _place(tenant_id: int, receipt_id: int) -> Place:
    return Place(tenant_id, "receipt", "body_sealed", receipt_id)
