"""When a state of the recipients' pages counts as good."""

import pytest

from bench.a11y import FIELDS, holds
from bench.report import Run
from dev.page_states import BY_NAME, STATES
from dev.pages import CHAPTERS, OTHERS
from public.texts import LANGUAGES, texts

GOOD: Run = dict(zip(FIELDS, ("paid", "ja", 0, 0, 100, 98, 2, 30_000), strict=True))


def test_a_state_within_all_limits_holds() -> None:
    assert holds(GOOD)
    assert holds({**GOOD, "accessibility": None, "performance": None})


@pytest.mark.parametrize(
    "breach",
    [
        {"axe": 1},
        {"fit": 1},
        {"accessibility": 99},
        {"performance": 97},
        {"requests": 3},
        {"gzip_bytes": 30_001},
        {"gzip_bytes": None},
    ],
)
def test_one_breach_is_enough(breach: Run) -> None:
    assert not holds({**GOOD, **breach})


def test_every_state_is_told_by_words_that_exist_and_has_its_place() -> None:
    assert len(BY_NAME) == len(STATES)
    for state in STATES:
        assert all(texts(language)[state.shows] for language in LANGUAGES)
    placed = [name for names in CHAPTERS.values() for name in names]
    assert sorted(placed) == sorted(BY_NAME)
    assert {other.state for other in OTHERS} <= set(BY_NAME)
