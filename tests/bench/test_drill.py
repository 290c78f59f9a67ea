"""The drill's judge and its ground: what counts as held, and what a factor divides."""

import signal
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from app.config import Settings
from app.providers.sms import PROVIDERS
from bench import drill, drill_repeats
from bench.drill import holds
from bench.drill_delivery import OF_EACH_SERVICE
from bench.harness import Ground, scaled_settings
from dev.process import signal_tree, spawn, stop
from tests.waiting import until

RUN = {"cell": "x", "factor": 1, "messages": 9, "lost": 0, "duplicated": 0, "unknown_left": 0, "recovery_s": 89.9}


@pytest.mark.parametrize(
    ("run", "limit_s", "held"),
    [
        (RUN, 90, True),
        (RUN | {"recovery_s": 90.1}, 90, False),
        (RUN | {"recovery_s": 90.1}, 100, True),
        (RUN | {"factor": 6, "recovery_s": 44.9}, 90, True),
        (RUN | {"factor": 6, "recovery_s": 45.1}, 90, False),
        (RUN | {"lost": 1}, 90, False),
        (RUN | {"duplicated": 1}, 90, False),
        (RUN | {"unknown_left": 1}, 90, False),
        (RUN | {"recovery_s": None}, 90, False),
    ],
)
def test_a_cell_holds_only_with_nobody_lost_or_doubled_and_in_its_time(run, limit_s, held):
    assert holds(run, limit_s) is held


def test_a_factor_divides_the_times_and_keeps_each_setting_valid(settings: Settings):
    assert scaled_settings({}, 1) == {}
    scaled = scaled_settings({"LEASE_S": "60"}, 6)
    assert (scaled["LEASE_S"], scaled["SEND_TIMEOUT_S"], scaled["UNKNOWN_SETTLE_S"]) == ("10", "3", "7")
    for factor in (2, 3, 6, 20, 100):
        Settings.from_env(
            {
                "TODOKE_ENV": "test",
                "SECRET_KEY": settings.secret_key,
                "FIELD_KEYS": "k1:" + "A" * 43 + "=",
                "DIGEST_KEY": "A" * 43 + "=",
                "DATABASE_URL": settings.database_url,
                "REDIS_URL": settings.redis_url,
                "PUBLIC_BASE_URL": "https://todoke.example",
                **scaled_settings({}, factor),
            }
        )


def test_a_cells_own_environment_ends_with_it():
    stack = SimpleNamespace(env={"A": "1"}, programs={})
    ground = Ground(cast("Any", stack), cast("Any", None), factor=6)
    assert ground.environment(A="2")["A"] == "2"
    assert ground.environment()["A"] == "1"
    assert ground.environment()["LEASE_S"] == "5"
    assert ground.scaled(30) == 5


def test_some_cells_run_with_the_times_of_production():
    real = [(room, cell) for room in drill._ROOMS for cell in getattr(import_module(room), "FACTORS", {})]
    assert len(real) >= 3
    assert all(import_module(room).FACTORS[cell] == 1 and cell in import_module(room).CELLS for room, cell in real)


@pytest.mark.parametrize("service", PROVIDERS)
def test_each_service_is_held_to_eight_cells_by_name(service: str) -> None:
    assert len(set(OF_EACH_SERVICE)) == 8
    assert set(OF_EACH_SERVICE) <= set(drill._cells(service))


def test_a_service_beside_karaden_is_held_to_no_cell_that_knows_karaden_alone() -> None:
    assert {room for room, _ in drill._cells("twilio").values()} == {"bench.drill_delivery"}
    with pytest.raises(SystemExit):
        drill._cells("nobody")


def test_the_cell_of_repetitions_holds_only_where_some_were_refused_as_known() -> None:
    run = {**RUN, "service": "zettai_reach", "refused": 5, "recovery_s": 39.9}
    assert drill_repeats.holds(run)
    for broken in ({"refused": 0}, {"recovery_s": 40.1}, {"lost": 1}, {"duplicated": 1}, {"unknown_left": 1}):
        assert not drill_repeats.holds({**run, **broken})


def test_a_frozen_program_stands_with_all_it_started_and_goes_on(tmp_path: Path):
    process = spawn(["/bin/sh", "-c", "sleep 60 & wait"], log=tmp_path / "log")
    try:
        one = psutil.Process(process.pid)
        until(lambda: one.name() != "python" and one.children())
        both = [one, *one.children()]
        signal_tree(process, signal.SIGSTOP)
        # a signal takes effect when its process runs next, which on a busy machine isn't at once
        until(lambda: {each.status() for each in both} == {psutil.STATUS_STOPPED})
        signal_tree(process, signal.SIGCONT)
        until(lambda: psutil.STATUS_STOPPED not in {each.status() for each in both})
    finally:
        stop(process)
