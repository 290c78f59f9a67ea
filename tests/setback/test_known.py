"""Knowledge from outside, held against what a database says of itself."""

from datetime import UTC, datetime, timedelta

import pytest

from app.setback.known import Beat, Branch, Known, Why

NOW = datetime(2026, 4, 1, tzinfo=UTC)
HERE = Branch("a1", 2, "77", 1)


def known(*beats: tuple[Branch, int, int]) -> Known:
    made = Known()
    made.learn(Beat(branch, slot, raised, NOW) for branch, slot, raised in beats)
    return made


def test_a_database_that_knows_as_much_or_more_was_not_set_back() -> None:
    mine = known((HERE, 0, 5), (HERE, 3, 2))
    assert mine.falls_short(HERE, {0: 5, 3: 2}) is None
    assert mine.falls_short(HERE, {0: 9, 3: 2, 4: 1}) is None
    assert Known().falls_short(HERE, {}) is None


@pytest.mark.parametrize("counts", [{0: 4, 3: 2}, {0: 5, 3: 1}, {0: 5}, {0: 100, 3: 1}])
def test_one_lost_commit_shows_however_many_others_came(counts: dict[int, int]) -> None:
    assert known((HERE, 0, 5), (HERE, 3, 2)).falls_short(HERE, counts) is Why.BEAT


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (HERE._replace(installation="b2"), Why.INSTALLATION),
        (HERE._replace(timeline=2), Why.TIMELINE),
        (HERE._replace(system="78"), Why.TIMELINE),
        (HERE._replace(epoch=3), Why.BEAT),
        (HERE._replace(epoch=1, system="60"), None),  # before a restore that was accepted
    ],
)
def test_another_line_of_history_shows(other: Branch, why: Why | None) -> None:
    assert known((other, 0, 1)).falls_short(HERE, {0: 9}) is why


def test_what_is_known_never_gets_lower_and_outlives_being_written_out() -> None:
    mine = known((HERE, 0, 5))
    mine.learn([Beat(HERE, 0, 3, NOW + timedelta(seconds=9)), Beat(HERE, 1, 1, NOW - timedelta(seconds=9))])
    assert mine.counts[HERE] == {0: 5, 1: 1}
    assert mine.at == NOW + timedelta(seconds=9)
    copy = Known()
    copy.learn(mine.beats())
    assert copy == mine
