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

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._rows: dict[int, list[int]] = {}

    def see(self, answer: str, sheet_row: int) -> None:
        """Take note of one row; an answer that is no number is passed over."""
        if not answer.isdigit():
            return
        length = len(answer)
        self._counts[length] = self._counts.get(length, 0) + 1
        rows = self._rows.setdefault(length, [])
        if len(rows) < _KEPT:
            rows.append(sheet_row)

    def odd(self) -> tuple[int, list[tuple[int, int]]]:
        """Return the usual length, and (sheet row, length) of those that differ; none where no length is usual."""
        total = sum(self._counts.values())
        usual = max(self._counts, key=lambda length: self._counts[length], default=0)
        if total < _FEWEST or self._counts[usual] < total * _USUAL_SHARE:
            return usual, []
        odd = [(row, length) for length, rows in self._rows.items() if length != usual for row in rows]
        return usual, sorted(odd)[:_KEPT]
