"""Which row a value first stood in, for a million rows and in little memory."""

import mmap

_WORD = (1 << 64) - 1
# 2**64 divided by the golden ratio: neighbouring values land far apart (Knuth, TAOCP 6.4)
_SPREAD = 0x9E3779B97F4A7C15


class FirstRows:
    """Row numbers by 64-bit value: 12 bytes a place, where a dict takes 130; pages never touched take none.

    A text's value is its `hash`, keyed anew in each process: two of a million texts share one in one of 40 million
    files.
    """

    def __init__(self, most: int) -> None:
        """Make room for `most` values."""
        bits = (2 * most).bit_length()
        self._shift = 64 - bits
        self._last = (1 << bits) - 1
        self._values = memoryview(mmap.mmap(-1, 8 << bits)).cast("Q")
        self._rows = memoryview(mmap.mmap(-1, 4 << bits)).cast("I")

    def first(self, value: int, row: int) -> int:
        """Return the row (1 or higher) that came with this value first, which is `row` itself where none did."""
        value &= _WORD
        place = (value * _SPREAD & _WORD) >> self._shift
        while earlier := self._rows[place]:
            if self._values[place] == value:
                return earlier
            place = place + 1 & self._last
        self._values[place], self._rows[place] = value, row
        return row
