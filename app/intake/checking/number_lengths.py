"""Numbers of a column that are longer or shorter than nearly all others: a zero in front was lost, or a digit.

In: the answers of one column, row by row. Out: the usual length and the rows that differ, once enough rows were seen.
Can't happen here: memory that grows with the list.
"""

_FEWEST = 10
_USUAL_SHARE = 0.9
# rows kept of each length: who has more odd ones than that has another fault
_KEPT = 200


class NumberLengths:
    """Counts how many digits the answers of one column have, and keeps the first rows of each length."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._counts: dict[int, int] = {}
        self._rows: dict[int, list[int]] = {}

    def see(self, answer: str, sheet_row: int) -> None:
        """Take note of one row; an answer that is no number is passed over."""
        if not answer.isdigit():
            return
        length = len(answer)
        self._counts[length] = self._counts.get(length, 0) + 1
        rows = self._rows.setdefault(length, [])
        if len(rows) < self._kept:
            rows.append(sheet_row)

    def odd(self) -> tuple[int, list[tuple[int, int]]]:
        """Return the usual length, and (sheet row, length) of those that differ; none where no length is usual."""
        usual = self._usual()
        if usual is None:
            return 0, []
        odd = [(row, length) for length, rows in self._rows.items() if length != usual for row in rows]
        return usual, sorted(odd)[: self._kept]

    def count_odd(self) -> int:
        """Return how many rows differ from the usual length."""
        usual = self._usual()
        return 0 if usual is None else sum(self._counts.values()) - self._counts[usual]

    def _usual(self) -> int | None:
        """Return the length of nearly all numbers; None where there is none, or too few were seen."""
        total = sum(self._counts.values())
        if total < _FEWEST:
            return None
        usual = max(self._counts, key=lambda length: self._counts[length])
        return usual if self._counts[usual] >= total * _USUAL_SHARE else None
