"""Record payments since the backup: each provider's list of those days, and the attempts that the database lacks.

In: an account and since when. Out: a payment for each attempt of somebody whom the database knows, confirmed by the
provider itself; what is left is told by the nightly comparison (`app.payments.reconciliation`). Can't happen here:
money counted on a list's word alone.
"""

from datetime import date, datetime, timedelta

import structlog
from sqlalchemy import text

from app import references, tenancy
from app.accounts import Unusable
from app.payments import gateway, reconciliation
from app.payments.confirm import confirm
from app.payments.gateway import NoAnswer
from app.providers.payments.base import Charge, ChargeStatus, day_bounds
from app.setback.provider_listing import Unasked
from app.states.vocabulary import PaymentAttemptState
from app.values.japan_time import TOKYO

# an attempt that nobody paid, and nobody can pay any more, tells nothing
_OVER = {ChargeStatus.FAILED, ChargeStatus.EXPIRED, ChargeStatus.CANCELLED}

_log = structlog.get_logger()


def write_down(tenant_id: int, account_id: int, since: datetime, until: datetime) -> int:
    """Write down and confirm the attempts that the database lacks, then compare each day; return their number.

    The scope of the account's company must be open. Raises Unasked.
    """
    written = 0
    try:
        provider, account = gateway.open_account(account_id)
        for day in _days(since, until):
            if provider.day_request(account, day) is None:
                raise Unasked("no_list")
            for charge in reconciliation.charges(provider, account_id, account, day):
                if charge.status in _OVER:
                    continue
                # not this moment: money that came before its attempt began is taken to have come at its beginning
                began_at = max(since, day_bounds(day)[0])
                payment_id = _begin(tenant_id, account_id, charge, began_at)
                if payment_id is not None:
                    confirm(payment_id)
                    written += 1
            reconciliation.compare_day(tenant_id, account_id, day)
    except (NoAnswer, Unusable) as fault:
        raise Unasked(str(fault)) from fault
    return written


def _days(since: datetime, until: datetime) -> list[date]:
    first, last = since.astimezone(TOKYO).date(), until.astimezone(TOKYO).date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _begin(tenant_id: int, account_id: int, charge: Charge, began_at: datetime) -> int | None:
    """Write the row of an attempt that the database lacks; None where it has it, or doesn't know whose it is.

    It began at `began_at` or later.
    """
    named = references.parse_payment(charge.reference or "")
    if named is None:
        return None
    with tenancy.transaction() as connection:
        person = connection.execute(
            text("""
                SELECT r.id, r.campaign_id, r.amount_yen, r.link_secret, c.key,
                    EXISTS (
                        SELECT FROM payment p WHERE p.recipient_id = r.id AND p.state IN ('started', 'pending')
                    ) AS open
                FROM recipient r JOIN campaign c ON c.id = r.campaign_id
                WHERE r.id = :id AND r.tenant_id = :tenant_id AND c.payment_account_id = :account_id
                FOR UPDATE OF r
            """),
            {"id": named.recipient_id, "tenant_id": tenant_id, "account_id": account_id},
        ).first()
        if person is None or not references.bears_mark(named, person.link_secret, person.key):
            return None
        return connection.execute(
            text("""
                INSERT INTO payment (tenant_id, campaign_id, recipient_id, payment_account_id, attempt, reference,
                    provider_id, amount_yen, state, expires_at, created_at)
                VALUES (:tenant_id, :campaign_id, :id, :account_id, :attempt, :reference, :provider_id, :amount_yen,
                    :state, coalesce(:expires_at, now()), :began_at)
                ON CONFLICT DO NOTHING RETURNING id
            """),
            {
                "tenant_id": tenant_id,
                "campaign_id": person.campaign_id,
                "id": person.id,
                "account_id": account_id,
                "attempt": named.attempt,
                "reference": charge.reference,
                "provider_id": charge.provider_id,
                "amount_yen": person.amount_yen or charge.amount,
                # one attempt at a time: beside another that is open it stands as over, until it brings money
                "state": str(PaymentAttemptState.EXPIRED if person.open else PaymentAttemptState.STARTED),
                "expires_at": charge.expires_at,
                "began_at": began_at,
            },
        ).scalar()
