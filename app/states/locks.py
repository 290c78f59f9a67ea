"""The one order in which rows are locked, and the locks that more than one room takes.

Whoever locks rows of more than one kind in a transaction locks them in this order, and several of a kind by their ids:

1. the campaign: one in a transaction, for two of them need an order too
2. its list, as long as that waits for its columns
3. its slices
4. the people
5. what hangs on them: send log, payment, event
6. the sending day. A claim locks it before its people: it takes only those whom nobody has locked
7. the audit chain, last

So nobody waits in a ring (tests/delivery/test_lock_order.py). Accounts, leases and turns (`served_at`) are written in
transactions of their own. Whoever takes what is free (a slice, people to claim) passes over what is locked.
"""

from collections.abc import Sequence

from sqlalchemy import select, text

from app.db import Executor
from app.extensions import db
from app.models import Campaign, Import
from app.states.vocabulary import CampaignState, PaymentState


def locked_campaign(campaign_id: int) -> Campaign:
    """Return a campaign as it stands now, whatever the session knew of it, locked until commit."""
    return db.session.execute(
        select(Campaign)
        .where(Campaign.id == campaign_id)
        .with_for_update(of=Campaign, key_share=True)
        .execution_options(populate_existing=True)
    ).scalar_one()


def lock_campaign(executor: Executor, campaign_id: int) -> CampaignState:
    """Lock a campaign; return its state."""
    statement = text("SELECT state FROM campaign WHERE id = :id FOR NO KEY UPDATE")
    return CampaignState(executor.execute(statement, {"id": campaign_id}).scalar_one())


def locked_import(import_id: int) -> Import:
    """Return a list as it stands now, whatever the session knew of it, locked until commit."""
    return db.session.execute(
        select(Import)
        .where(Import.id == import_id)
        .with_for_update(of=Import, key_share=True)
        .execution_options(populate_existing=True)
    ).scalar_one()


def lock_slice(executor: Executor, slice_id: int) -> None:
    """Lock a slice: no worker writes for its people meanwhile."""
    executor.execute(text("SELECT FROM slice WHERE id = :id FOR NO KEY UPDATE"), {"id": slice_id})


def lock_slices(executor: Executor, campaign_id: int) -> list[int]:
    """Lock all slices of a campaign; return their ids."""
    statement = text("SELECT id FROM slice WHERE campaign_id = :id ORDER BY id FOR NO KEY UPDATE")
    return list(executor.execute(statement, {"id": campaign_id}).scalars())


def lock_slices_of(executor: Executor, campaign_id: int, recipient_ids: Sequence[int]) -> list[int]:
    """Lock the slices of a campaign that people stand in; return their ids."""
    found = executor.execute(
        text("""
            SELECT s.id FROM slice s WHERE s.campaign_id = :campaign_id
            AND EXISTS (SELECT FROM unnest(CAST(:ids AS bigint[])) AS u(id) WHERE u.id BETWEEN s.first_id AND s.last_id)
            ORDER BY s.id FOR NO KEY UPDATE
        """),
        {"campaign_id": campaign_id, "ids": list(recipient_ids)},
    )
    return list(found.scalars())


def lock_people(executor: Executor, recipient_ids: Sequence[int]) -> None:
    """Lock people."""
    statement = text("SELECT FROM recipient WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
    executor.execute(statement, {"ids": list(recipient_ids)})


def lock_payer(executor: Executor, recipient_id: int) -> PaymentState:
    """Lock somebody so that no attempt to pay begins meanwhile.

    Returns where their payment stands.
    """
    statement = text("SELECT payment_state FROM recipient WHERE id = :id FOR UPDATE")
    return PaymentState(executor.execute(statement, {"id": recipient_id}).scalar_one())


def lock_payer_of(executor: Executor, payment_id: int) -> PaymentState | None:
    """Lock the person of a payment, before the payment itself.

    Returns where theirs stands, None without a payment.
    """
    statement = text("""
        SELECT payment_state FROM recipient WHERE id = (SELECT recipient_id FROM payment WHERE id = :id) FOR UPDATE
    """)
    stands = executor.execute(statement, {"id": payment_id}).scalar_one_or_none()
    return None if stands is None else PaymentState(stands)
