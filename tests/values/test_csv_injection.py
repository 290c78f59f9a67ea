import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.values.csv_injection import neutralise, restore

SPREADSHEETS_RUN = "=+-@\t\r\n\0＝＋－＠"


@pytest.mark.parametrize("first", SPREADSHEETS_RUN)
def test_no_neutralised_cell_begins_with_a_sign_that_spreadsheets_run(first):
    assert neutralise(f"{first}1+1") == f"'{first}1+1"


@pytest.mark.parametrize("cell", ["", "山田 花子", "1,000", "'引用'", "a=b", "12-34"])
def test_other_cells_stay_as_they_are(cell):
    assert neutralise(cell) == cell
    assert restore(cell) == cell


@given(st.text(alphabet=st.sampled_from("'=+-@\t\r\n\0＝＋－＠a1 ")) | st.text())
@example("'=1")
@example("''=1")
@example("'")
def test_every_text_comes_back_as_it_went(cell):
    neutral = neutralise(cell)
    assert restore(neutral) == cell
    assert neutral[:1] not in set(SPREADSHEETS_RUN)
