"""Tokens of the one form that ends a link: given out with the link's page, and to nobody who only knows its address.

In: a link. Out: a token that stands in its page's form, signed, for a day. Can't happen here: a token of another link,
or one that tells anything of its own.
"""

from hashlib import sha256

from itsdangerous import BadSignature, TimestampSigner

from app.config import settings
from app.identity.visit import Link

# a page that was left open for longer is shown anew
_LIFE_S = 24 * 3600


def make(link: Link) -> str:
    """Return the token of a link's form."""
    return _signer().sign(_mark(link)).decode()


def is_of(link: Link, token: str) -> bool:
    """Return whether a token was given out with this link's page, within the last day."""
    try:
        return _signer().unsign(token, max_age=_LIFE_S) == _mark(link)
    except BadSignature:
        return False


def _signer() -> TimestampSigner:
    return TimestampSigner(settings().secret_key, salt="form/not-me", digest_method=sha256)


def _mark(link: Link) -> bytes:
    return sha256(link.digest).hexdigest()[:32].encode()
