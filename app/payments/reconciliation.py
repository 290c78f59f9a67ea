"""The payment providers' books beside ours, each night: what a lost webhook would have left wrong is found and mended.

In: a provider's list of a day's charges (`PaymentProvider.day`), and our payments of that day. Out: payments confirmed
anew where the two differ, and what still differs then, as rows of `payment_difference` for a person. Can't happen here:
a state changed by a list, which only says where to ask; a charge of the contract's owner that isn't Todoke's taken for
ours; one that another account here with the same keys has on record taken for nobody's; a difference told twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import Row, text

from app import audit, references, tenancy
from app.accounts import Unusable
from app.payments import gateway
from app.payments.confirm import CURRENCY, confirm, set_aside
from app.payments.gateway import NoAnswer
from app.payments.review import ReviewReason
from app.providers.payments.base import (
    Charge,
    ChargeStatus,
    Dispute,
    PaymentAccess,
    PaymentProvider,
    UnclearCharge,
    day_bounds,
)
from app.setback import doubt
from app.states.vocabulary import PaymentAttemptState
from app.tenancy import lookup
from app.values.japan_time import TOKYO
from app.work_budget import WorkBudget

# Each night looks at yesterday, and again at days whose money may have moved since: paid late, given back, or missed
# in a night without an answer.
_DAYS_BACK = (1, 2, 3, 7, 14, 30, 60)
_MOST_PAGES = 2000
_IN_VAIN = 3
# a contract's night is cut short after this: the days that are left are looked at again in the nights to come
_LONGEST = timedelta(minutes=40)

# for so long a refund that is done may still come back from the person's bank
_REFUNDS_MAY_FAIL_DAYS = 30

# so long after its end an attempt that nobody paid is over for good
_SETTLED = timedelta(hours=1)

# two accounts, or two companies, may share one contract's keys: each finds the other's payments in the provider's list
_ANYBODYS = "SELECT true FROM payment WHERE reference = %s"

_MONEY = {ChargeStatus.PAID, ChargeStatus.REFUNDED}
_HAVE_MONEY = {PaymentAttemptState.PAID, PaymentAttemptState.REFUNDED}

_log = structlog.get_logger()


class Kind(StrEnum):
    """The kinds of difference."""

    UNKNOWN = "unknown"  # the provider has money for one of our references that we have no payment for
    STATE = "state"  # the provider has the money, our payment says otherwise
    AMOUNT = "amount"
    PART_REFUND = "part_refund"  # of older nights alone: such a payment is 要確認 now
    REFUND = "refund"  # the same
    MISSING = "missing"  # our payment has the money, the provider has none


WORDS = {
    Kind.UNKNOWN: "決済サイトにだけ入金があります。決済サイトで注文番号を確かめ、心当たりがなければ返金してください。",
    Kind.STATE: "決済サイトでは入金済みですが、Todokeでは支払済になっていません。送信先の画面で確かめてください。",
    Kind.AMOUNT: "金額が決済サイトと違います。決済サイトで確かめてください。",
    Kind.PART_REFUND: "決済サイトで一部だけ返金されています。差額の扱いをご本人に確かめてください。",
    Kind.REFUND: (
        "Todokeでは返金済ですが、決済サイトでは返金されていません。"
        "決済サイトで確かめ、ご本人にお金が戻るようにしてください。"
    ),
    Kind.MISSING: (
        "Todokeでは支払済ですが、決済サイトに入金が見つかりません。決済サイトで、未払いや期限切れになっていないかを確かめてください。"
        "入金がなければ、決済サイトに原因を問い合わせ、ご本人へのご案内を決めてください。"
    ),
}


# closed with whatever else agrees: what either side missed is there, the other two are 要確認 by themselves
_TOLD_ELSEWHERE = (Kind.UNKNOWN, Kind.MISSING, Kind.PART_REFUND, Kind.REFUND)


def compare(tenant_id: int, now: datetime | None = None) -> None:
    """Compare each contract's books of the last days, once for a night.

    The tenant's scope must be open; commits.

    A provider that gives no answer is asked again with the next nights' days. While the database is held as set back
    nothing is compared: payments are missing in it that `flask after-restore` is about to record.
    """
    if doubt.why_held():
        return
    tonight = (now or datetime.now(UTC)).astimezone(TOKYO).date()
    with tenancy.transaction() as connection:
        account_ids = connection.scalars(
            text("""
                SELECT id FROM payment_account
                WHERE tenant_id = :tenant_id AND coalesce(compared_on, '-infinity') < :tonight
                AND EXISTS (SELECT FROM payment p WHERE p.payment_account_id = payment_account.id) ORDER BY id
            """),
            {"tenant_id": tenant_id, "tonight": tonight},
        ).all()
    for account_id in account_ids:
        budget = WorkBudget(_LONGEST.total_seconds())
        for back in _DAYS_BACK:
            if budget.is_spent:
                _log.error("reconciliation cut short", account_id=account_id, days_back=back)
                break
            compare_day(tenant_id, account_id, tonight - timedelta(days=back), budget=budget)
        _ask_again(account_id, budget)
        with tenancy.transaction() as connection:
            connection.execute(
                text("UPDATE payment_account SET compared_on = :tonight WHERE id = :id"),
                {"id": account_id, "tonight": tonight},
            )


def _ask_again(account_id: int, budget: WorkBudget) -> None:
    """Ask once a night about money that may move on without a word: given back lately, or contested."""
    with tenancy.transaction() as connection:
        payment_ids = connection.scalars(
            text("""
                SELECT id FROM payment WHERE payment_account_id = :account_id AND provider_id IS NOT NULL
                AND ((state = 'refunded' AND refund_asked_at > now() - make_interval(days => :days))
                     OR dispute = 'open') ORDER BY id
            """),
            {"account_id": account_id, "days": _REFUNDS_MAY_FAIL_DAYS},
        ).all()
    in_vain = 0
    for payment_id in payment_ids:
        if in_vain >= _IN_VAIN or budget.is_spent:
            return
        try:
            confirm(payment_id)
            in_vain = 0
        except (NoAnswer, Unusable) as fault:
            _log.warning("payment not confirmed", payment_id=payment_id, reason=str(fault))
            in_vain += 0 if isinstance(fault, NoAnswer) and fault.final else 1


def compare_day(tenant_id: int, account_id: int, day: date, *, budget: WorkBudget | None = None) -> None:
    """Compare one contract's books of one day in Japan, within `budget`, where one is given.

    Where the provider lets several questions in a row wait in vain the rest is left to another night.
    """
    budget = budget or WorkBudget()
    try:
        listed = _compare_list(tenant_id, account_id, day, budget)
    except (NoAnswer, Unusable) as fault:
        _log.warning("reconciliation day failed", account_id=account_id, day=str(day), reason=str(fault))
        return
    in_vain = 0
    for row in _to_ask_about(account_id, day, listed):
        if in_vain >= _IN_VAIN or budget.is_spent:
            _log.warning("reconciliation day cut short", account_id=account_id, day=str(day))
            return
        try:
            told = confirm(row.id)
            in_vain = 0
            if told is not None and told.status in _MONEY and told.reference == row.reference:
                _compare(tenant_id, account_id, day, told)
            elif told is not None and row.state == PaymentAttemptState.PAID:
                _tell_missing(tenant_id, account_id, day, row)
        except (NoAnswer, Unusable) as fault:
            if not (isinstance(fault, NoAnswer) and fault.final):
                in_vain += 1
                continue
            if row.state in {PaymentAttemptState.STARTED, PaymentAttemptState.PENDING}:
                set_aside(row.id, ReviewReason.UNKNOWN)
            elif row.state == PaymentAttemptState.PAID:
                _tell_missing(tenant_id, account_id, day, row)


def _to_ask_about(account_id: int, day: date, listed: Mapping[str, bool] | None) -> Sequence[Row[Any]]:
    """Return the payments of a day that the provider's list leaves open; `listed` is what `_compare_list` returns."""
    begin, end = day_bounds(day)
    with tenancy.transaction() as connection:
        return connection.execute(
            text("""
                SELECT id, recipient_id, reference, amount_yen, state FROM payment
                WHERE payment_account_id = :account_id AND created_at >= :begin AND created_at < :end
                AND provider_id IS NOT NULL
                -- what counts as paid here and is listed without money is asked about too
                AND NOT reference = ANY(CASE WHEN state = 'paid' THEN CAST(:with_money AS text[]) ELSE :listed END)
                AND (state IN ('started', 'pending', 'paid')
                     -- where nothing is listed, one that ended is asked about once more, long after its end
                     OR (:listless AND state IN ('failed', 'expired', 'cancelled')
                         AND coalesce(checked_at, '-infinity') < coalesce(expires_at, created_at) + :settled))
                ORDER BY id
            """),
            {
                "account_id": account_id,
                "begin": begin,
                "end": end,
                "listed": sorted(listed or ()),
                "with_money": sorted(reference for reference, has_money in (listed or {}).items() if has_money),
                "listless": listed is None,
                "settled": _SETTLED,
            },
        ).all()


def _tell_missing(tenant_id: int, account_id: int, day: date, row: Row[Any]) -> None:
    found = {"reference": row.reference, "recipient_id": row.recipient_id, "ours_yen": row.amount_yen}
    _tell(tenant_id, account_id, day, Kind.MISSING, found)


def _compare_list(tenant_id: int, account_id: int, day: date, budget: WorkBudget) -> dict[str, bool] | None:
    """Compare what the provider lists of a day.

    Returns whether each reference it names has money, None without list.

    Raises NoAnswer, Unusable.
    """
    listed: dict[str, bool] = {}
    provider, account = gateway.open_account(account_id)
    if provider.day_request(account, day) is None:
        return None
    for charge in charges(provider, account_id, account, day):
        if charge.reference is None or references.parse_payment(charge.reference) is None:
            continue
        if budget.is_spent:
            raise NoAnswer("cut short")
        # one reference may be listed twice, such as a page and its payment
        listed[charge.reference] = listed.get(charge.reference, False) or charge.status in _MONEY
        if charge.status in _MONEY:
            try:
                _compare(tenant_id, account_id, day, charge)
            except NoAnswer as fault:
                # one that the provider lists and can't tell of keeps no other from being compared
                if not fault.final:
                    raise
                _log.warning("charge not reconciled", account_id=account_id, reason=fault.code)
    return listed


def charges(provider: PaymentProvider, account_id: int, account: PaymentAccess, day: date) -> Iterator[Charge]:
    """Read the provider's list of a day, page by page. Raises NoAnswer."""
    cursor = ""
    for _ in range(_MOST_PAGES):
        request = provider.day_request(account, day, cursor)
        if request is None:
            return
        answer = gateway.exchange(account, request)
        try:
            page = provider.parse_list(day, answer)
        except UnclearCharge as unclear:
            raise NoAnswer(unclear.code, final=unclear.final) from None
        yield from page.charges
        if page.cursor is None:
            return
        cursor = page.cursor
        provider, account = gateway.open_account(account_id)
    raise NoAnswer("endless")


def _compare(tenant_id: int, account_id: int, day: date, charge: Charge) -> None:
    """Look up one charge with money; where ours stands differently, ask the provider itself before telling anyone."""
    row = _ours(account_id, charge.reference)
    found: dict[str, Any] = {"reference": charge.reference, "theirs_yen": charge.amount}
    if row is None:
        if lookup.first(_ANYBODYS, charge.reference) is None:
            _tell(tenant_id, account_id, day, Kind.UNKNOWN, found)
        else:
            _agreed(account_id, charge.reference, [str(Kind.UNKNOWN)])
        return
    told_as = PaymentAttemptState.REFUNDED if charge.status is ChargeStatus.REFUNDED else PaymentAttemptState.PAID
    # money given back or contested since is not told here: it becomes 要確認 by the provider's own answer
    agrees = row.state == told_as and charge.amount_refunded == row.refunded_yen and not _is_contested_anew(charge, row)
    if not agrees and row.provider_id is not None:
        told = confirm(row.id)
        # a list that tells less than the whole, or something older
        charge = told if told is not None and told.status in _MONEY else charge
        row = _ours(account_id, row.reference)
        assert row is not None  # noqa: S101 - a payment isn't deleted while its campaign lives
        agrees = row.state in _HAVE_MONEY
    found |= {"theirs_yen": charge.amount, "recipient_id": row.recipient_id, "ours_yen": row.amount_yen}
    kinds = {
        Kind.STATE: not agrees,
        Kind.AMOUNT: charge.amount != row.amount_yen or (charge.currency or CURRENCY).lower() != CURRENCY,
    }
    for kind, differs in kinds.items():
        if differs:
            _tell(tenant_id, account_id, day, kind, found)
    _agreed(account_id, row.reference, [str(kind) for kind, differs in kinds.items() if not differs])


def _is_contested_anew(charge: Charge, row: Row[Any]) -> bool:
    """Return whether a list tells of a dispute whose end isn't known here."""
    return charge.dispute is not None and row.dispute in {"", str(Dispute.OPEN)}


def _ours(account_id: int, reference: str | None) -> Row[Any] | None:
    with tenancy.transaction() as connection:
        return connection.execute(
            text("""
                SELECT id, recipient_id, provider_id, reference, state, amount_yen, refunded_yen, dispute FROM payment
                WHERE payment_account_id = :account_id AND reference = :reference
            """),
            {"account_id": account_id, "reference": reference},
        ).first()


def _tell(tenant_id: int, account_id: int, day: date, kind: Kind, found: dict[str, Any]) -> None:
    """Put a difference on record, once."""
    with tenancy.transaction() as connection:
        fresh = connection.execute(
            text("""
                INSERT INTO payment_difference
                    (tenant_id, payment_account_id, recipient_id, reference, kind, day, ours_yen, theirs_yen)
                VALUES (:tenant_id, :account_id, :recipient_id, :reference, :kind, :day, :ours_yen, :theirs_yen)
                ON CONFLICT (payment_account_id, reference, kind) DO UPDATE
                SET day = EXCLUDED.day, ours_yen = EXCLUDED.ours_yen, theirs_yen = EXCLUDED.theirs_yen,
                    found_at = now(), settled_at = NULL, settled_by = ''
                -- what agreed in between differs anew; what a person closed stays closed
                WHERE payment_difference.settled_by = 'system'
                RETURNING id
            """),
            {
                "recipient_id": None,
                "ours_yen": None,
                "theirs_yen": None,
                **found,
                "tenant_id": tenant_id,
                "account_id": account_id,
                "kind": str(kind),
                "day": day,
            },
        ).first()
    if fresh is not None:
        _log.error("reconciliation difference found", account_id=account_id, difference_id=fresh.id, kind=str(kind))


def _agreed(account_id: int, reference: str | None, kinds: list[str]) -> None:
    """Close what a later comparison finds in order."""
    with tenancy.transaction() as connection:
        connection.execute(
            text("""
                UPDATE payment_difference SET settled_at = now(), settled_by = 'system'
                WHERE payment_account_id = :account_id AND reference = :reference AND kind = ANY(:kinds)
                AND settled_at IS NULL
            """),
            {"account_id": account_id, "reference": reference, "kinds": [*kinds, *map(str, _TOLD_ELSEWHERE)]},
        )


def close(difference_id: int, *, actor: str) -> bool:
    """Record that a person is done with a difference; return whether it was open.

    Commits.
    """
    with tenancy.transaction() as connection:
        row = connection.execute(
            text("""
                UPDATE payment_difference SET settled_at = now(), settled_by = :actor
                WHERE id = :id AND settled_at IS NULL RETURNING id
            """),
            {"id": difference_id, "actor": actor},
        ).first()
        if row is not None:
            audit.record(connection, actor=actor, act="close_difference", target=f"payment_difference:{difference_id}")
    return row is not None
