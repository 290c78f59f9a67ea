"""Whether this process was asked to end: work stops at the next message and leaves the rest as it found it."""

import threading

from app.process_state import process_state


class _Asked(threading.Event):
    """Set once somebody asked this process to end."""


def ask() -> None:
    """Ask this process to end."""
    process_state.of(_Asked).set()


def is_asked() -> bool:
    """Return whether this process was asked to end."""
    return process_state.of(_Asked).is_set()


def wait(seconds: float) -> bool:
    """Wait so long, or until this process is asked to end; return whether it was."""
    return process_state.of(_Asked).wait(seconds)


def forget() -> None:
    """Forget that it was asked: work begins."""
    process_state.forget(_Asked)
