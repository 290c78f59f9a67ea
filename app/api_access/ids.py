"""Identifiers as they leave the house: opaque, with a prefix that says of what.

In: the number of a row. Out: `cmp_` and 26 letters, the same for the same row as long as DIGEST_KEY is the same. A
recipient's holds a digest of the random bytes in their row too. Can't happen here: an id that tells how many rows there
are or which came first; one that is guessed; one of a recipient that is another's after a restore, for their row's
random bytes are others then.
"""

import hmac
from base64 import b32decode, b32encode
from binascii import Error
from enum import StrEnum
from typing import NamedTuple

from app.extensions import vault

# a block of AES: a kind, what ties it to a person, the row's number
_KIND_BYTES, _TIE_BYTES, _NUMBER_BYTES = 2, 6, 8
_NO_TIE = bytes(_TIE_BYTES)
_LETTERS = 26


class Of(StrEnum):
    """The things that have ids outside, by their prefix."""

    CAMPAIGN = "cmp"
    RECIPIENT = "rcp"
    PAYMENT = "pay"
    SMS_ACCOUNT = "sac"
    PAYMENT_ACCOUNT = "pac"
    IMPORT = "imp"
    REMINDER = "rem"
    EVENT = "evt"
    WEBHOOK = "whk"
    API_KEY = "key"


# Never given another meaning: ids are kept by those who were told them.
_KINDS = {of: number for number, of in enumerate(Of, 1)}


class Person(NamedTuple):
    """A recipient's id, read: the row's number, and what ties it to the person."""

    number: int
    tie: bytes

    def is_of(self, secret: bytes | None) -> bool:
        """Return whether it is the id of the person with this `link_secret`."""
        return hmac.compare_digest(self.tie, _tie(secret))


def make(of: Of, number: int) -> str:
    """Return the id of a row."""
    return _written(of, _NO_TIE, number)


def read(of: Of, text: str) -> int | None:
    """Return the row's number; None for what is no id of this kind."""
    found = _read(of, text)
    return found.number if found is not None and found.tie == _NO_TIE else None


def make_person(number: int, secret: bytes | None) -> str:
    """Return a recipient's id, made with the random bytes in their row (`link_secret`)."""
    return _written(Of.RECIPIENT, _tie(secret), number)


def read_person(text: str) -> Person | None:
    """Return what a recipient's id names; None for what is none."""
    return _read(Of.RECIPIENT, text)


def _tie(secret: bytes | None) -> bytes:
    return vault.api_digest(0, "person:" + (b"" if secret is None else secret).hex())[:_TIE_BYTES]


def _written(of: Of, tie: bytes, number: int) -> str:
    block = _KINDS[of].to_bytes(_KIND_BYTES, "big") + tie + number.to_bytes(_NUMBER_BYTES, "big")
    return f"{of}_{b32encode(vault.permute(block)).decode().rstrip('=').lower()}"


def _read(of: Of, text: str) -> Person | None:
    prefix, _, letters = text.partition("_")
    if prefix != of or len(letters) != _LETTERS or letters != letters.lower():
        return None
    try:
        whole = b32decode(letters.upper() + "======")
    except (Error, ValueError):
        return None
    block = vault.unpermute(whole)
    if block[:_KIND_BYTES] != _KINDS[of].to_bytes(_KIND_BYTES, "big"):
        return None
    number = int.from_bytes(block[-_NUMBER_BYTES:], "big")
    read = Person(number, block[_KIND_BYTES:-_NUMBER_BYTES])
    # the last letter has bits to spare: one id is written in one way
    return read if 0 < number < 1 << 63 and _written(of, read.tie, number) == text else None
