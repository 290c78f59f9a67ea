"""Moves of states: the writer and the database each refuse what the vocabulary doesn't name."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app import tenancy
from app.extensions import db
from app.states import transitions
from app.states.transitions import Step
from app.states.vocabulary import (
    CAMPAIGN,
    EXPORT,
    IMPORT,
    PAGE,
    PAYMENT,
    PAYMENT_ATTEMPT,
    PAYMENT_BY_HAND,
    SENDER,
    SMS,
    TENANT,
    ExportState,
    ImportState,
    PaymentAttemptState,
    SenderState,
    Track,
)
from tests import factories

NOW = datetime(2026, 11, 30, 3, 4, 5, tzinfo=UTC)
HELD = [
    ("payment_attempt_moves", "payment", PAYMENT_ATTEMPT),
    ("payment_by_hand_moves", "payment", PAYMENT_BY_HAND),
    ("import_moves", "import", IMPORT),
    ("export_moves", "export", EXPORT),
    ("tenant_moves", "tenant", TENANT),
    ("sender_number_moves", "sender_number", SENDER),
    ("sms_moves", "recipient", SMS),
    ("page_moves", "recipient", PAGE),
    ("payment_moves", "recipient", PAYMENT),
    ("campaign_moves", "campaign", CAMPAIGN),
]
# of the tracks whose column is no `state`
COLUMNS = {SMS.name: "sms_state", PAGE.name: "page_state", PAYMENT.name: "payment_state"}
NEW_RECIPIENT = """
    INSERT INTO recipient (tenant_id, campaign_id, identity_key, row_digest, phone_sealed, phone_index,
        phone_last4_index, fields_sealed, token_digest, {column})
    VALUES (:tenant, :campaign, 'k', 'r', 'p', 'i', 'l', 'f', 't', :state) RETURNING id
"""
# a row in a state; what else it needs comes from `made`
NEW_ROW = {
    PAYMENT_ATTEMPT.name: """
        INSERT INTO payment (tenant_id, campaign_id, recipient_id, payment_account_id, attempt, reference, amount_yen,
            state) VALUES (:tenant, :campaign, :person, :account, 1, 'a.1.p1', 1, :state) RETURNING id
    """,
    PAYMENT_BY_HAND.name: """
        INSERT INTO payment (tenant_id, campaign_id, recipient_id, attempt, reference, amount_yen, state)
        VALUES (:tenant, :campaign, :person, 1, 'a.1.h1', 1, :state) RETURNING id
    """,
    IMPORT.name: """
        INSERT INTO import (tenant_id, campaign_id, filename, content_digest, state)
        VALUES (:tenant, :campaign, 'a.csv', 'x', :state) RETURNING id
    """,
    EXPORT.name: """
        INSERT INTO export (tenant_id, filename, form, selection, state)
        VALUES (:tenant, 'a.csv', 'utf-8', '{}', :state) RETURNING id
    """,
    SENDER.name: """
        INSERT INTO sender_number (tenant_id, sms_account_id, carrier, number, state)
        VALUES (:tenant, :sms_account, 'docomo', '0312345678', :state) RETURNING id
    """,
    **{name: NEW_RECIPIENT.format(column=column) for name, column in COLUMNS.items()},
    CAMPAIGN.name: """
        INSERT INTO campaign (tenant_id, key, name, state) VALUES (:tenant, 'k', 'a', :state) RETURNING id
    """,
}
MOVED = [PAYMENT_ATTEMPT, PAYMENT_BY_HAND, IMPORT, EXPORT, SENDER, SMS, PAGE, PAYMENT, CAMPAIGN]


class Made(NamedTuple):
    """The rows that others refer to."""

    tenant: int
    campaign: int
    person: int
    account: int
    sms_account: int


@pytest.fixture
def made(app: Flask) -> Iterator[Made]:
    with app.app_context():
        tenant_id = factories.tenant()
        account_id, sms_account_id = factories.payment_account(tenant_id), factories.sms_account(tenant_id)
        campaign_id = factories.campaign(tenant_id, payment_account_id=account_id)
        (person,) = factories.people(tenant_id, campaign_id, 1)
        with tenancy.tenant(tenant_id):
            yield Made(tenant_id, campaign_id, person.id, account_id, sms_account_id)


@pytest.mark.parametrize(("trigger", "table", "track"), HELD)
def test_the_database_names_the_moves_of_the_vocabulary(
    database: psycopg.Connection, trigger: str, table: str, track: Track
) -> None:
    found = database.execute(
        "SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = %s",
        [f'"{table}"', trigger],
    ).fetchone()
    assert found is not None
    definition, enabled = found
    named = {(source, target) for source, targets in track.moves.items() for target in targets}
    assert set(re.findall(r"'([a-z]+)>([a-z]+)'", definition)) == named
    assert enabled == "O"


@pytest.mark.parametrize("track", MOVED, ids=lambda track: track.name)
def test_the_database_refuses_each_move_that_is_not_named(made: Made, track: Track) -> None:
    """As the role of the app, and whatever statement asks for it."""
    column = COLUMNS.get(track.name, "state")
    (table,) = {table for _, table, held in HELD if held is track}
    for source, target in pairs(track):
        with rolled_back():
            row_id = new_row(made, track, source)
            statement = text(f"UPDATE {table} SET {column} = :to WHERE id = :id")  # noqa: S608 - our own words
            values = {"to": str(target), "id": row_id}
            if source == target or target in track.moves[source]:
                db.session.execute(statement, values)
            else:
                with pytest.raises(IntegrityError, match=f"{source} to {target} is no move of the vocabulary"):
                    db.session.execute(statement, values)


def test_the_database_refuses_a_tenant_a_move_that_is_not_named(made: Made) -> None:
    """Its form is filled in by a person and offers the moves that are named; the database doesn't count on that."""
    with pytest.raises(IntegrityError, match="active to trial is no move"):
        db.session.execute(text("UPDATE tenant SET state = 'trial' WHERE id = :id"), {"id": made.tenant})


@pytest.mark.parametrize("track", MOVED, ids=lambda track: track.name)
def test_the_writer_makes_each_move_that_is_named_and_no_other(made: Made, track: Track) -> None:
    write = WRITERS[track.name]
    for source, target in pairs(track):
        if track is PAYMENT_BY_HAND and target != PaymentAttemptState.CANCELLED:
            continue  # it has one move, and a writer that knows no other
        with rolled_back():
            row_id = new_row(made, track, source)
            assert write(row_id, target) is (target in track.moves[source])


def test_a_sender_number_keeps_the_latest_time_of_each_step(made: Made) -> None:
    row_id = new_row(made, SENDER, SenderState.APPLIED)
    steps = (SenderState.REJECTED, SenderState.APPLIED, SenderState.APPROVED, SenderState.RETIRED)
    for hour, state in enumerate(steps):
        assert transitions.move_sender_number(db.session, row_id, state, at=NOW.replace(hour=hour))
    times = db.session.execute(
        text("SELECT rejected_at, applied_at, approved_at, retired_at FROM sender_number WHERE id = :id"),
        {"id": row_id},
    ).one()
    assert [at.astimezone(UTC).hour for at in times] == [0, 1, 2, 3]


def test_money_by_hand_is_no_attempt_and_an_attempt_no_money_by_hand(made: Made) -> None:
    with rolled_back():
        assert not transitions.cancel_by_hand(db.session, new_row(made, PAYMENT_ATTEMPT, PaymentAttemptState.PAID))
    with rolled_back():
        by_hand = new_row(made, PAYMENT_BY_HAND, PaymentAttemptState.PAID)
        assert not transitions.move_attempt(db.session, by_hand, PaymentAttemptState.REFUNDED)


def test_sources_narrow_the_moves_of_a_row_and_never_widen_them(made: Made) -> None:
    row_id = new_row(made, IMPORT, ImportState.MAPPING)
    mapping, done = [ImportState.MAPPING], [ImportState.DONE]
    assert not transitions.move_import(db.session, row_id, ImportState.CANCELLED, at=NOW, sources=done)
    assert not transitions.move_import(db.session, row_id, ImportState.DONE, at=NOW, sources=mapping)
    assert transitions.move_import(db.session, row_id, ImportState.CANCELLED, at=NOW, sources=mapping)


def test_an_export_keeps_its_latest_beginning_and_its_first_end(made: Made) -> None:
    row_id = new_row(made, EXPORT, ExportState.QUEUED)
    steps = (ExportState.RUNNING, ExportState.RUNNING, ExportState.DONE, ExportState.CANCELLED)
    for hour, state in enumerate(steps):
        assert transitions.move_export(db.session, row_id, state, at=NOW.replace(hour=hour))
    times = db.session.execute(text("SELECT started_at, finished_at FROM export WHERE id = :id"), {"id": row_id}).one()
    assert [at.astimezone(UTC).hour for at in times] == [1, 2]


def pairs(track: Track) -> Iterator[tuple[Any, Any]]:
    return ((source, target) for source in track.words for target in track.words)


def new_row(made: Made, track: Track, state: object) -> int:
    values = made._asdict() | {"state": str(state)}
    return int(db.session.execute(text(NEW_ROW[track.name]), values).scalar_one())


@contextmanager
def rolled_back() -> Iterator[None]:
    """A part of the transaction after which all is as before."""
    with db.session.begin_nested() as part:
        yield
        part.rollback()


def moved(track: Track, row_id: int, to: Any) -> bool:
    return transitions.move(db.session, track, to, [Step(row_id, NOW)], actor="system") == {row_id}


WRITERS: dict[str, Callable[[int, Any], bool]] = {
    PAYMENT_ATTEMPT.name: lambda row_id, to: transitions.move_attempt(db.session, row_id, to),
    PAYMENT_BY_HAND.name: lambda row_id, _to: transitions.cancel_by_hand(db.session, row_id),
    IMPORT.name: lambda row_id, to: transitions.move_import(db.session, row_id, to, at=NOW),
    EXPORT.name: lambda row_id, to: transitions.move_export(db.session, row_id, to, at=NOW),
    SENDER.name: lambda row_id, to: transitions.move_sender_number(db.session, row_id, to, at=NOW),
    SMS.name: lambda row_id, to: moved(SMS, row_id, to),
    PAGE.name: lambda row_id, to: moved(PAGE, row_id, to),
    PAYMENT.name: lambda row_id, to: moved(PAYMENT, row_id, to),
    CAMPAIGN.name: lambda row_id, to: transitions.move_campaign(db.session, row_id, to, at=NOW, actor="system"),
}
