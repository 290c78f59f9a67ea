"""The headers of this side's answers: nothing is kept, indexed, framed or loaded from elsewhere."""

# paths that the other doors answer for themselves
_OTHER_DOORS = ("/admin", "/callbacks", "/healthz", "/api")
# the style sheets; an address with another content is another address
_KEPT = ("/static/page/", "/look/")

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
_PAGE = [
    ("Content-Security-Policy", _POLICY),
    ("Cache-Control", "no-store"),
    ("X-Robots-Tag", "noindex, nofollow, noarchive"),
]
_FILE = [
    ("Content-Security-Policy", _POLICY),
    ("Cache-Control", "public, max-age=31536000, immutable"),
    ("X-Robots-Tag", "noindex"),
]


def of_another_door(path: str) -> bool:
    """Return whether a path is the back office's, the providers', the systems' or the supervisors'."""
    return path.startswith(_OTHER_DOORS) and any(
        path == prefix or path.startswith(f"{prefix}/") for prefix in _OTHER_DOORS
    )


def choose(path: str, status: str) -> list[tuple[str, str]]:
    """Return the headers of an answer: whatever is no style sheet is a page."""
    if of_another_door(path):
        return []
    return _FILE if path.startswith(_KEPT) and status.startswith(("2", "304")) else _PAGE
