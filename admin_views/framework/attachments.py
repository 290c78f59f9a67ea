"""Files that a page gives away, under a Japanese name."""

import re
from urllib.parse import quote

from flask import Response


def name_file(response: Response, name: str, plain_name: str) -> Response:
    """Name a response's file in Japanese (RFC 6266 and 8187), and plainly for old programs."""
    safe = re.sub(r'[\\/:*?"<>|\x00-\x1f\x7f]', "_", name)
    response.headers["Content-Disposition"] = (
        f"attachment; filename=\"{plain_name}\"; filename*=UTF-8''{quote(safe, safe='')}"
    )
    return response
