"""One company's system at the API, and another's."""

import pytest
from flask import Flask

from tests.api.systems import System, system


@pytest.fixture
def ours(app: Flask) -> System:
    return system(app)


@pytest.fixture
def theirs(app: Flask) -> System:
    return system(app)
