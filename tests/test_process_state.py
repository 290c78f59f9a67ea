"""One object holds what changes while a process runs: nothing of it outlives the application that it was made for."""

import threading
from concurrent.futures import ThreadPoolExecutor

from app import create_app
from app.config import Settings
from app.delivery import shutdown
from app.process_state import ProcessState, process_state


class Part:
    """A room's part."""


def test_many_threads_that_ask_at_once_get_one_part() -> None:
    made = []

    class Slow:
        def __init__(self) -> None:
            made.append(self)
            threading.Event().wait(0.05)

    state = ProcessState()
    with ThreadPoolExecutor(8) as threads:
        parts = set(threads.map(lambda _number: state.of(Slow), range(8)))
    assert len(parts) == len(made) == 1


def test_what_was_forgotten_is_made_anew() -> None:
    state = ProcessState()
    before = state.of(Part)
    state.forget(Part)
    state.forget(Part)
    assert state.of(Part) is not before


def test_what_keeps_something_open_is_closed_with_the_rest() -> None:
    closed = []

    class Open:
        def close(self) -> None:
            closed.append(self)

    state = ProcessState()
    before = state.of(Open)
    state.begin_anew()
    assert closed == [before]
    assert state.of(Open) is not before


def test_another_application_begins_without_what_the_one_before_knew(settings: Settings) -> None:
    shutdown.ask()
    before = process_state.of(Part)
    create_app(settings)
    assert not shutdown.is_asked()
    assert process_state.of(Part) is not before
