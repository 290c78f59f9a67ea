"""How long anything may be that comes from outside: the one table, asked before any work is done.

In: what a person, a browser or a provider sent. Out: the same, or a refusal in words. Can't happen here: a text that is
normalised, searched or compared before its length is known; one that is cut, as half a number is somebody else's. Only
what goes into a log is cut.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

# An address as it arrives: bytes of the path once its %xx are undone, and of the query as it stands. Phones take the
# words behind a link for a part of it: those of the longest SMS fit.
PATH = 6_000
QUERY = 8_000
QUERY_FIELDS = 100

# Headers that the product, Flask or Werkzeug reads; the server bounds all others, by `HEAD`.
HEADERS: Mapping[str, int] = {
    "HTTP_HOST": 300,
    "HTTP_COOKIE": 8_000,
    "HTTP_ACCEPT": 2_000,
    "HTTP_ACCEPT_LANGUAGE": 500,
    "HTTP_USER_AGENT": 2_000,
    "HTTP_REFERER": 8_000,
    "HTTP_ORIGIN": 500,
    "HTTP_AUTHORIZATION": 2_000,
    "HTTP_RANGE": 200,
    "HTTP_IF_NONE_MATCH": 500,
    "HTTP_IF_MODIFIED_SINCE": 100,
    "HTTP_X_FORWARDED_FOR": 500,
    "HTTP_X_FORWARDED_HOST": 300,
    "HTTP_X_FORWARDED_PROTO": 100,
    "HTTP_SEC_FETCH_SITE": 100,
    "HTTP_SEC_FETCH_DEST": 100,
    "HTTP_X_CSRFTOKEN": 500,
    "HTTP_X_CSRF_TOKEN": 500,
    "HTTP_IDEMPOTENCY_KEY": 300,
    "CONTENT_TYPE": 300,
    "CONTENT_LENGTH": 20,
}
# any header of what providers push: each calls its signature otherwise, and proxies add long ones of their own
PUSHED = "/callbacks/"
API = "/api/"
PUSHED_HEADER = 8_000
# bytes of a request's first line and all its headers: the server's own limit (`--http1-buffer-size`)
HEAD = 65_536


class Body(NamedTuple):
    """How large a body may be; `fields` counts those of a form. `staff` alone may send it where that is true.

    A `raw` one is kept as it came, and parsed by no request.
    """

    most: int
    fields: int = 200
    staff: bool = False
    raw: bool = False


LOGO_UPLOAD = 2_000_000  # as much again thrice is read, so that the form itself tells of a picture too large
LARGEST_FORM = 500_000
# a request of a company's system, and one with thousands of rows
API_REQUEST = 64 * 1024
API_BATCH = 12_000_000
# bytes that an SMS service pushes at once: a hundred receipts, each with its text escaped
RECEIPTS = 900_000
MOST_FIELDS = 2_000

# The first that fits counts. An upload's own size is a setting: `upload_max_bytes` comes on top of what stands here.
_UPLOAD = re.compile(r"/admin/campaign/[0-9]{1,19}/list/")
_BODIES: tuple[tuple[str, Body], ...] = (
    ("/admin/login", Body(20_000, 20)),
    ("/admin/password", Body(20_000, 20)),
    ("/admin/page_look", Body(4 * LOGO_UPLOAD, 50, staff=True)),
    ("/admin", Body(LARGEST_FORM, MOST_FIELDS)),
    ("/callbacks/sms/", Body(RECEIPTS, raw=True)),
    (PUSHED, Body(64 * 1024)),
    (API, Body(API_REQUEST, raw=True)),
    ("/p/answers", Body(16_000, 100)),
    ("", Body(4_000, 20)),
)
_BATCH = re.compile(r"/api/v1/campaigns/[^/]{1,200}/recipients/batch")
_AROUND_UPLOAD = 100_000


def body_of(path: str, upload_max_bytes: int) -> Body:
    """Return how large the body of a request to this path may be."""
    if path.startswith("/admin/campaign/") and _UPLOAD.fullmatch(path):
        return Body(upload_max_bytes + _AROUND_UPLOAD, 20, staff=True)
    if path.startswith(API) and _BATCH.fullmatch(path):
        return Body(API_BATCH, staff=True, raw=True)
    return next(body for prefix, body in _BODIES if path.startswith(prefix))


# Characters of what a person types, where no field of a form says less.
TYPED = 300
# a column's name in a list's headline
COLUMN_NAME = 200
FILE_NAME = 255
