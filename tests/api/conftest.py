"""One company's system at the API, and another's."""

from collections.abc import Iterator

import pytest
from flask import Flask

from app.api_access import refusals
from tests.api.systems import System, system


@pytest.fixture(autouse=True)
def all_told(app: Flask) -> Iterator[None]:
    """Let no attempt that was turned away be written down once the tables are emptied."""
    del app
    yield
    refusals.finish()


@pytest.fixture
def ours(app: Flask) -> System:
    return system(app)


@pytest.fixture
def theirs(app: Flask) -> System:
    return system(app)
