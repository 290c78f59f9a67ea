"""The vocabulary: whole, in Japanese, and the same in the database."""

import re

import psycopg
import pytest

from app.models import Recipient
from app.states import transitions
from app.states.vocabulary import (
    CAMPAIGN,
    EXPORT,
    IMPORT,
    PAGE,
    PAYMENT,
    PAYMENT_ATTEMPT,
    SENDER,
    SMS,
    TENANT,
    TRACKS,
    SmsState,
    Track,
)


@pytest.mark.parametrize("track", TRACKS.values(), ids=lambda track: track.name)
def test_every_state_has_a_word_and_its_moves(track: Track) -> None:
    assert set(track.words) == set(track.moves)
    assert len(set(track.words.values())) == len(track.words)
    assert set().union(*track.moves.values()) <= set(track.words)


@pytest.mark.parametrize("track", TRACKS.values(), ids=lambda track: track.name)
def test_every_state_can_be_reached_from_the_first(track: Track) -> None:
    reached = {next(iter(track.words))}
    if track is PAYMENT:
        reached.add(list(track.words)[1])  # none or unpaid, as the campaign asks for payment or not
    while new := set().union(*(track.moves[state] for state in reached)) - reached:
        reached |= new
    assert reached == set(track.words)


def test_what_left_can_never_be_a_draft_again() -> None:
    assert SMS.sources(SmsState.DRAFT) == []
    # only these may be sent again: after "try later", a proof of absence, or a person's decision; who was never sent to
    # as they had paid is cancelled
    assert SMS.sources(SmsState.SENDING) == ["queued"]
    assert set(SMS.sources(SmsState.QUEUED)) == set(SMS.words) - {"queued", "expired"}


@pytest.mark.parametrize(
    ("table", "column", "track"),
    [
        ("recipient", "sms_state", SMS),
        ("recipient", "page_state", PAGE),
        ("recipient", "payment_state", PAYMENT),
        ("send_log", "state", SMS),
        ("payment", "state", PAYMENT_ATTEMPT),
        ("campaign", "state", CAMPAIGN),
        ("tenant", "state", TENANT),
        ("import", "state", IMPORT),
        ("export", "state", EXPORT),
        ("sender_number", "state", SENDER),
    ],
)
def test_the_database_takes_these_words_and_no_other(
    database: psycopg.Connection, table: str, column: str, track: Track
) -> None:
    found = database.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [f"ck_{table}_{column}"]
    ).fetchone()
    assert found is not None
    assert set(re.findall(r"'([a-z]+)'", found[0])) == {str(state) for state in track.words}


def test_step_times_are_columns_of_recipients() -> None:
    assert set(transitions.STEP_TIMES.values()) <= set(Recipient.__table__.columns.keys())
    assert all(state in TRACKS[name].words for name, state in transitions.STEP_TIMES)
