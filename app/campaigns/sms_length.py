"""How long an SMS is, and which characters don't reach every phone."""

import re

from app.values.carrier_text import every_carrier_shows

# One SMS in Japan: 70 UTF-16 units (UCS-2). Carriers would split or refuse a longer one: here nothing is ever split.
LIMIT = 70


def units(text: str) -> int:
    """Count UTF-16 units: an emoji or 𠮷 is two, half-width kana one."""
    return len(text.encode("utf-16-le")) // 2


def hard_to_show(text: str) -> list[str]:
    """List the characters of `text` that some carriers can't show, each once, in order."""
    return list(dict.fromkeys(char for char in text if not every_carrier_shows(char)))


def flatten(value: str) -> str:
    """Return a list's cell as it stands in a line of text: line breaks and control characters become one space."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", value).strip()
