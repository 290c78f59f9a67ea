"""The fixtures of tests that send, and an installation that runs."""

from collections.abc import Callable

import pytest

from app import tenancy
from app.setback import doubt
from tests.launched import launched, sandbox, tuned
from tests.sharing import share

__all__ = ["launched", "sandbox", "share", "tuned"]


@pytest.fixture(autouse=True)
def installed(tuned: Callable[..., None]) -> None:
    """An installation that runs, in which no time has to pass before a list counts."""
    tuned(gateway_settle_s=1, unknown_settle_s=1, absence_gap_s=1)
    with tenancy.platform():
        doubt.watch(alive=True)
