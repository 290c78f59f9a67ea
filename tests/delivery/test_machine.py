"""Whatever happens in whatever order, nobody gets a second SMS and nobody is lost: `tests.delivery.machine` is played.

The default run searches for a few seconds, `slow` for some minutes.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import hypothesis
import psycopg
import pytest
import redis as redis_package
from flask import Flask
from hypothesis.stateful import run_state_machine_as_test

from app import config, tenancy, work_budget
from app.config import Settings
from app.delivery import leases, shutdown, slice_run, worker
from app.outcomes import provider_queries, witness
from tests.clock import standing_clock
from tests.delivery import outside
from tests.delivery.machine import PEOPLE, START, Delivery, Ground
from tests.delivery.outside import SLEEPY, FakeEngine, Fate


@pytest.fixture
def ground(
    app: Flask,
    settings: Settings,
    database: psycopg.Connection,
    redis: redis_package.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Ground]:
    """The product with its outside exchanged."""
    # each act's people are moved by a job, which may die
    config.install(replace(settings, batch_rows=2, at_once_people=0))
    shutdown.forget()
    real = tenancy.transaction
    monkeypatch.setattr(tenancy, "transaction", partial(outside.mortal_transaction, real))
    for module in (worker, provider_queries):
        monkeypatch.setattr(module, "Engine", FakeEngine)
    monkeypatch.setattr(witness, "perform", outside.fake_perform)
    # a process's own clock goes with the other two
    own = SimpleNamespace(monotonic=time.time, time=time.time)
    for module in (slice_run, work_budget):
        monkeypatch.setattr(module, "time", own)
    monkeypatch.setattr(leases, "clock", time.time)
    with app.app_context(), standing_clock(database, settings, START) as clock:
        yield Ground(app, database, redis, clock)
    config.install(settings)


def play(ground: Ground, examples: int, steps: int, *, same_each_time: bool) -> None:
    machine = type("Machine", (Delivery,), {"ground": ground})
    run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=same_each_time,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )


def test_no_path_leads_to_a_second_sms(ground: Ground) -> None:
    play(ground, examples=6, steps=15, same_each_time=True)


@pytest.mark.slow
def test_no_path_leads_to_a_second_sms_however_long_one_looks(ground: Ground) -> None:
    play(ground, examples=300, steps=40, same_each_time=False)


@pytest.fixture
def delivery_at_noon(ground: Ground) -> Iterator[Delivery]:
    """The machine, played by hand from 12:00 on; at the end nobody must be lost."""
    played = type("Machine", (Delivery,), {"ground": ground})()
    played.day_begins("12:00:00")
    yield played
    played.teardown()


@pytest.mark.parametrize("point", SLEEPY)
def test_who_wakes_after_its_lease_sends_nothing(delivery_at_noon: Delivery, point: str) -> None:
    played = delivery_at_noon
    played.work(meetings=["ok"] * 8, fate=Fate(point, 2, kills=False))
    slept = len(played.carrier.to_people)
    # the others are sent to, a gateway's settle time passes, the company's own number is the witness, two look-ups
    for minutes in (1, 6, 2, 2, 2):
        played.time_passes(step={"minutes": minutes}, swept=True)
        played.work(meetings=["ok"] * 8, fate=None)
    assert len(played.carrier.to_people) == PEOPLE > slept
    played.wake(kills=False)
    played.no_reference_and_nobody_has_a_second_sms()
    assert len(played.carrier.to_people) == PEOPLE


@pytest.mark.parametrize("how", ["late", "unseen"])
def test_what_cannot_be_seen_yet_is_not_sent_again(delivery_at_noon: Delivery, how: str) -> None:
    played = delivery_at_noon
    played.work(meetings=[how] * 8, fate=None)
    for _ in range(6):
        played.time_passes(step={"seconds": 21}, swept=True)
        played.work(meetings=["ok"] * 8, fate=None)
        played.no_reference_and_nobody_has_a_second_sms()
    played.time_passes(step={"minutes": 10}, swept=True)
    assert len(played.carrier.to_people) == PEOPLE


def test_closing_time_in_the_middle_of_a_turn(delivery_at_noon: Delivery) -> None:
    played = delivery_at_noon
    played.clock.to(f"{START[:10]}T20:59:38")  # an answer may take 20 s
    played.work(meetings=["slow"] * 8, fate=None)
    assert len(played.carrier.ledger) == 1
    played.nothing_leaves_outside_its_hours()
