"""Events that a provider pushes (webhooks): each is kept; one about a payment of ours has it asked about at once.

In: a webhook that its adapter has verified or read. Out: a row, and a payment that is due (`asking`). Can't happen
here: a state changed by a webhook's content; one lost because the provider could not be asked at that moment; one about
another system's payment, of the same contract, that anything of ours waits for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from app import tenancy
from app.providers.payments.base import WebhookEvent

# anybody may send one that isn't proven: one payment is asked about so often for it, no more
_UNPROVEN_PAUSE = "5 seconds"


def _locked_payments(connection: Connection, about: Mapping[str, object]) -> Sequence[Row[Any]]:
    """Return the payments of ours that an event is about, locked first, as whoever puts their events away does."""
    return connection.execute(
        text("""
            SELECT id, provider_id FROM payment
            WHERE payment_account_id = :account_id AND provider_id IS NOT NULL AND (
                provider_id = CAST(:provider_id AS text) OR reference = CAST(:reference AS text)
                OR provider_payment_id = CAST(:money_id AS text)
            ) ORDER BY id FOR NO KEY UPDATE
        """),
        about,
    ).all()


def store(tenant_id: int, payment_account_id: int, event: WebhookEvent) -> bool:
    """Keep an event; return whether there is something to ask about.

    The tenant's scope must be open.

    One that leads to no payment of ours is settled as it comes. One that is not proven leads to another question each
    time it is told.
    """
    about = {
        "account_id": payment_account_id,
        "provider_id": event.provider_id,
        "reference": event.reference,
        "money_id": event.payment_id,
    }
    with tenancy.transaction() as connection:
        payments = _locked_payments(connection, about)
        if not payments and not event.proven:
            return False
        stored = connection.execute(
            text("""
                INSERT INTO payment_notice AS n
                    (tenant_id, payment_account_id, event_id, kind, provider_id, applied_at, outcome)
                VALUES (:tenant_id, :account_id, :event_id, :kind, coalesce(CAST(:ours AS text), :provider_id),
                    CASE WHEN NOT :known THEN now() END, CASE WHEN :known THEN '' ELSE 'none of our payments' END)
                ON CONFLICT (payment_account_id, event_id) DO UPDATE
                SET received_at = now(), applied_at = NULL, outcome = ''
                WHERE NOT :proven
                RETURNING id
            """),
            {
                **about,
                "tenant_id": tenant_id,
                "event_id": event.id,
                "kind": event.kind,
                "ours": payments[0].provider_id if payments else None,
                "known": bool(payments),
                "proven": event.proven,
            },
        ).first()
        if stored is None or not payments:
            return False
        connection.execute(
            text(f"""
                UPDATE payment SET told_at = now(), ask_at = CASE WHEN :proven THEN now() ELSE
                    greatest(now(), checked_at + interval '{_UNPROVEN_PAUSE}', CASE WHEN unanswered > 0 THEN ask_at END)
                END WHERE id = ANY(:ids)
            """),  # noqa: S608 - our own words
            {"ids": [payment.id for payment in payments], "proven": event.proven},
        )
        return True
