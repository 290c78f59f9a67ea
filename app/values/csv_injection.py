"""Cells that a spreadsheet would run: made harmless on the way out, restored on the way in, without loss.

In: a cell's text. Out: the cell as it stands in our CSV files, and back. Can't happen here: a cell of ours that Excel
runs as a formula, or one that comes back changed. OWASP's list of first characters, and their full-width forms.
"""

import re

# characters that no text of ours can hold: NUL, and half of a letter
UNWRITABLE_SIGNS = "\0\ud800-\udfff"
UNWRITABLE = re.compile(f"[{UNWRITABLE_SIGNS}]")
_RUNS = re.compile("'*[=+\\-@\t\r\n\0＝＋－＠]")
_NEUTRALISED = re.compile("'+[=+\\-@\t\r\n\0＝＋－＠]")


def neutralise(cell: str) -> str:
    """Put `'` before a cell that a spreadsheet would run.

    A cell that already has the form of a neutralised one gets one more, so that `restore` always gives the cell back.
    """
    return f"'{cell}" if _RUNS.match(cell) else cell


def restore(cell: str) -> str:
    """Take away the `'` that `neutralise` put before a cell: `restore(neutralise(cell)) == cell` for every text."""
    return cell[1:] if _NEUTRALISED.match(cell) else cell
