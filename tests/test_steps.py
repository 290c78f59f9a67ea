"""The steps that tests take leave what the product leaves: each move with its time and its event."""

import psycopg
import pytest
from flask import Flask

from app.states.transitions import STEP_TIMES
from app.states.vocabulary import PAGE, PAYMENT, SMS, CampaignState, SmsState, Track
from tests import factories, steps


@pytest.fixture
def campaign_id(app: Flask, database: psycopg.Connection) -> int:
    """A campaign that asks for payment, with a person for each state."""
    with app.app_context():
        tenant_id = factories.tenant()
        made = factories.campaign(tenant_id, payment_account_id=factories.payment_account(tenant_id))
        factories.people(tenant_id, made, max(len(track.words) for track in (SMS, PAGE, PAYMENT)))
        return made


@pytest.mark.usefixtures("campaign_id")
@pytest.mark.parametrize("track", [SMS, PAGE, PAYMENT], ids=lambda track: track.name)
def test_every_state_is_reached_by_moves_with_their_events(
    app: Flask, database: psycopg.Connection, track: Track
) -> None:
    states = [state for state in track.words if state != "none"]  # whoever is asked for nothing never pays
    with app.app_context():
        people = steps.everybody()[: len(states)]
        for person, state in zip(people, states, strict=True):
            steps.reach(track, state, [person])
    for person, state in zip(people, states, strict=True):
        time = STEP_TIMES.get((track.name, state), "id")
        row = database.execute(
            f"SELECT {track.name}_state, {time} IS NOT NULL FROM recipient WHERE id = %s",  # noqa: S608 - our own words
            [person],
        ).fetchone()
        assert row == (state, True)
        moves = database.execute("SELECT state FROM event WHERE recipient_id = %s ORDER BY id", [person]).fetchall()
        assert [move for (move,) in moves][-1:] == ([] if state == states[0] else [state])


def test_every_state_of_a_campaign_is_reached(app: Flask, database: psycopg.Connection, campaign_id: int) -> None:
    with app.app_context():
        for state in CampaignState:
            made = factories.campaign(factories.tenant())
            steps.reach_campaign(state, made)
            row = database.execute("SELECT state FROM campaign WHERE id = %s", [made]).fetchone()
            assert row == (state,)
        steps.cancel(campaign_id)
        with pytest.raises(AssertionError, match="no way from cancelled"):
            steps.reach_campaign(CampaignState.SENDING, campaign_id)


@pytest.mark.usefixtures("campaign_id")
def test_a_message_that_leaves_is_an_attempt_with_a_link(app: Flask, database: psycopg.Connection) -> None:
    with app.app_context():
        first, *_ = steps.everybody()
        steps.deliver(first)
        steps.reach(SMS, SmsState.UNDELIVERED, [first], sms_code="unconnected")  # another one, which did not arrive
    row = database.execute(
        "SELECT sms_attempt, sms_code, link_expires_at > now() FROM recipient WHERE id = %s", [first]
    ).fetchone()
    assert row == (2, "unconnected", True)
