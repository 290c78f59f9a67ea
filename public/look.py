"""The style sheet, with a company's colour and logo in it: one file a page, kept by browsers for good.

A company's own is found under the digest of both, so that it names nobody and never changes.
"""

import base64
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path

from flask import Response, url_for

from app.process_state import process_state
from app.tenancy import lookup
from app.tenants import branding

_CSS = Path(__file__).parent / "static" / "page.css"
_FOUND = "SELECT colour, logo FROM tenant WHERE look = %s LIMIT 1"
# a logo is drawn at half its pixels, for screens that have two for one
_DENSITY = 2


def address(digest: str) -> str:
    """Return the style sheet's address, for a company's look or for none."""
    if digest:
        return url_for("public.look_static", digest=digest, v=version())
    return url_for("public.static", filename="page.css", v=version())


def sheet(digest: str) -> Response | None:
    """Return the style sheet of a look; None where no company has it."""
    try:
        return Response(process_state.of(_Sheets).of(digest), mimetype="text/css")
    except LookupError:
        return None


class _Sheets:
    """The style sheets that were made last, by the digest of their look."""

    def __init__(self) -> None:
        self.of = lru_cache(maxsize=256)(_sheet)


def _sheet(digest: str) -> str:
    found = lookup.first(_FOUND, digest)
    if found is None:
        # an error is not kept: a look may be asked for before it is saved
        raise LookupError(digest)
    return compose(*found)


def compose(colour: str, logo: bytes | None) -> str:
    """Write the style sheet with a company's colour and logo, or without."""
    return "".join((_CSS.read_text(encoding="utf-8"), _colours(colour) if colour else "", _logo(logo) if logo else ""))


def _colours(colour: str) -> str:
    light, dark = branding.palette(colour)
    return f"""@media screen {{
  :root {{ {_variables(light)} }}
  @media (prefers-color-scheme: dark) {{ :root {{ {_variables(dark)} }} }}
}}
"""


def _variables(shades: branding.Shades) -> str:
    return f"--main: {shades.main}; --main-press: {shades.pressed}; --on-main: {shades.on_main};"


def _logo(png: bytes) -> str:
    width, height = branding.size(png)
    data = base64.b64encode(png).decode()
    return f""".top .company::before {{
  display: block; width: {width / _DENSITY:g}px; height: {height / _DENSITY:g}px;
  max-width: calc(100% - .5rem); margin: 0 0 .25rem;
  border: .25rem solid #fff; border-radius: .25rem; box-sizing: content-box;
  print-color-adjust: exact; -webkit-print-color-adjust: exact;
  background: #fff url("data:image/png;base64,{data}") left center / contain no-repeat;
}}
"""


@cache
def version() -> str:
    """Return the version of the style sheet, as addresses carry it."""
    return sha256(_CSS.read_bytes()).hexdigest()[:12]
