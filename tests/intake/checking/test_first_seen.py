"""The first row of a value, however the values fall."""

from hypothesis import given
from hypothesis import strategies as st

from app.intake.checking.first_seen import FirstRows


# few values, so that they come again, and whole words, negative ones too, as `hash` gives them
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5), max_size=40))
def test_it_says_what_a_dict_says(values: list[int]) -> None:
    seen = FirstRows(40)
    plain: dict[int, int] = {}
    for row, value in enumerate(values, start=2):
        assert seen.first(value, row) == plain.setdefault(value, row)


def test_it_holds_as_many_as_it_was_made_for() -> None:
    seen = FirstRows(3)
    assert [seen.first(value, value + 1) for value in (10, 11, 12, 10, 12)] == [11, 12, 13, 11, 13]
