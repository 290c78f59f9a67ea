"""A whole list is looked through before anything of it is taken, and its oddities are told."""

import pytest

from app.intake.checking.whole_list import Finding, FindingKind, WholeList
from app.values.cell_text import HIDDEN_ROW

HEADER = ("電話番号", "顧客番号", "氏名")


def seen(*rows: tuple[str, ...], header: tuple[str, ...] = HEADER) -> WholeList:
    found = WholeList(header)
    for number, cells in enumerate(rows, 2):
        found.see((number, list(cells)))
    return found


def people(count: int) -> list[tuple[str, ...]]:
    return [(f"090-1234-{1000 + n}", f"{10_000_000 + n}", "佐藤 花子") for n in range(count)]


def test_a_number_of_another_length_is_named_with_its_row() -> None:
    rows = people(12)
    rows[5] = ("09012345678", "0000012", "佐藤 花子")
    (finding,) = seen(*rows).findings()
    assert finding == Finding(FindingKind.ODD_LENGTH, "顧客番号", 1, (7,), usual=8)
    assert Finding.from_json(finding.to_json()) == finding


@pytest.mark.parametrize(
    "odd",
    ["1234567", "１２３４５６７", "123-4567", "123 4567", "1234567.0", '="1234567"', "\u200b1234567", "123４567 "],
)
def test_a_number_is_as_long_as_its_digits_however_it_is_written(odd: str) -> None:
    rows = people(20)
    rows[0] = ("０９０－１２３４－５６７８", "１２３４５６７８", "佐藤 花子")
    rows[1] = ("090 1234 5678", "1234-5678", "佐藤 花子")
    rows[2] = ("090-1234-5678", odd, "佐藤 花子")
    assert [(finding.column, finding.first) for finding in seen(*rows).findings()] == [("顧客番号", (4,))]


def test_many_odd_numbers_are_counted_and_the_first_named() -> None:
    rows = [(phone, "1234567" if n % 20 == 0 else number, name) for n, (phone, number, name) in enumerate(people(400))]
    (finding,) = seen(*rows).findings()
    assert (finding.rows, finding.first) == (20, (2, 22, 42, 62, 82))


@pytest.mark.parametrize("lengths", [[7] * 5 + [8] * 5, [8] * 5 + [7], list(range(1, 20)), [8] * 80 + [7] * 20])
def test_where_no_length_is_usual_none_is_odd(lengths: list[int]) -> None:
    assert seen(*[("", "1" * length, "") for length in lengths]).findings() == []


def test_lost_letters_are_named_by_column_and_row() -> None:
    rows = people(3)
    rows[1] = ("090-1234-5678", "1", "??橋 太郎")
    rows[2] = ("090-1234-5678", "1", "佐藤〓子")
    (finding,) = seen(*rows).findings()
    assert (finding.kind, finding.column, finding.rows, finding.first) == (FindingKind.LOST_LETTERS, "氏名", 2, (3, 4))


def test_hidden_rows_are_counted_and_show_nothing_else() -> None:
    found = seen(*people(12), (HIDDEN_ROW,))
    assert (found.hidden_rows, found.findings()) == (1, [])


def test_rows_of_any_width_and_content_end_a_look_no_earlier() -> None:
    odd = [(), ("",), ("",) * 9, ("\0", "\ud800", "9" * 2_000), ("'=1", "１" * 41, "?"), ("9" * 2_000,) * 3]
    assert seen(*people(12), *odd).findings() == []
