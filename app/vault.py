"""What keeps personal details unreadable in the database: encryption, blind index, keyed digests.

In: plain text with the place where it will stand, or a value to be found again. Out: bytes for a column. What can't
happen here: a ciphertext moved to another row or tenant that still opens; a digest that can be recomputed without the
keys, which come from the environment and never touch the database.

Fields: AES-256-GCM, random 96-bit nonce, the place as associated data, the key's id in front:
    0x01 | length of key id | key id | nonce (12) | ciphertext and tag
Digests: HMAC-SHA256 with a key of its own for each purpose (HKDF from DIGEST_KEY), so that no digest serves for
another.
"""

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = 1
_NONCE_BYTES = 12
_INDEX_BYTES = 16

# 58 characters that no one mistakes for another on a phone's screen; none needs escaping or ends a link early
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class CannotOpen(Exception):  # noqa: N818 - it says what happened
    """A sealed value that is altered, stands in another place, or needs a key that isn't here."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value stands; it opens nowhere else. `tenant_id` is 0 for the platform's own rows."""

    tenant_id: int
    table: str
    column: str
    row_id: int

    def aad(self) -> bytes:
        """Give the associated data."""
        return f"{self.tenant_id}|{self.table}|{self.column}|{self.row_id}".encode()


class Vault:
    """The keys of one installation. Created empty in `app.extensions`, given its keys in `create_app`."""

    def __init__(self) -> None:
        self._ciphers: dict[str, AESGCM] = {}
        self._prefix = b""
        self._purposes: dict[str, bytes] = {}
        self._token_chars = 16

    def load(self, field_keys: Mapping[str, bytes], digest_key: bytes, token_chars: int = 16) -> None:
        """Take the keys: the first field key seals, all of them open."""
        self._ciphers = {key_id: AESGCM(key) for key_id, key in field_keys.items()}
        self._prefix = _header(next(iter(field_keys)))
        self._purposes = {
            purpose: HKDF(SHA256(), 32, None, b"todoke/" + purpose.encode()).derive(digest_key)
            for purpose in ("phone", "identity", "row", "answer", "token", "token-digest", "content", "receipt")
        }
        self._token_chars = token_chars

    # --- fields ---

    def seal(self, plain: bytes | str, place: Place) -> bytes:
        """Encrypt for one place."""
        data = plain.encode() if isinstance(plain, str) else plain
        nonce = os.urandom(_NONCE_BYTES)
        cipher = self._ciphers[self._prefix[2:].decode()]
        return self._prefix + nonce + cipher.encrypt(nonce, data, place.aad())

    def open(self, sealed: bytes, place: Place) -> bytes:
        """Decrypt what was sealed for this place. Raises CannotOpen."""
        try:
            if sealed[0] != _VERSION:
                raise CannotOpen("unknown version")
            end = 2 + sealed[1]
            cipher = self._ciphers[sealed[2:end].decode()]
            body = end + _NONCE_BYTES
            return cipher.decrypt(sealed[end:body], sealed[body:], place.aad())
        except KeyError:
            raise CannotOpen("its key is not in FIELD_KEYS") from None
        except (InvalidTag, IndexError, UnicodeDecodeError, ValueError):
            raise CannotOpen("altered, or sealed for another place") from None

    def open_text(self, sealed: bytes, place: Place) -> str:
        """Decrypt to text. Raises CannotOpen."""
        return self.open(sealed, place).decode()

    def is_current(self, sealed: bytes) -> bool:
        """Say whether the key that sealed it is the one that seals now; if not, it waits for re-encryption."""
        return sealed.startswith(self._prefix)

    # --- digests ---

    def _digest(self, purpose: str, *parts: bytes) -> bytes:
        # lengths in front of the parts: ("ab", "c") and ("a", "bc") must not meet
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._purposes[purpose], message, sha256)

    def phone_index(self, tenant_id: int, e164: str) -> bytes:
        """Blind index of a phone number (16 bytes): equal numbers meet within a tenant and nowhere else."""
        return self._digest("phone", _number(tenant_id), e164.encode())[:_INDEX_BYTES]

    def identity_key(self, tenant_id: int, campaign_id: int, what: str) -> bytes:
        """Digest (16 bytes) of what makes a list's row the same row when it is uploaded again."""
        return self._digest("identity", _number(tenant_id), _number(campaign_id), what.encode())[:_INDEX_BYTES]

    def row_digest(self, tenant_id: int, content: str) -> bytes:
        """Digest (16 bytes) of all that a list's row says of a person."""
        return self._digest("row", _number(tenant_id), content.encode())[:_INDEX_BYTES]

    def answer_digest(self, tenant_id: int, recipient_id: int, question_id: int, normalised: str) -> bytes:
        """Digest (32 bytes) of one person's right answer; the same answer of two people differs."""
        return self._digest(
            "answer", _number(tenant_id), _number(recipient_id), _number(question_id), normalised.encode()
        )

    def content_digest(self, tenant_id: int, content: bytes) -> bytes:
        """Digest (32 bytes) by which a file or a pushed body is recognised when it comes again."""
        return self._digest("content", _number(tenant_id), content)

    # --- links ---

    def link_token(self, recipient_id: int, generation: int) -> str:
        """Derive the token of a recipient's link: rebuilt for a retry, never stored."""
        number = int.from_bytes(self._digest("token", _number(recipient_id), _number(generation)), "big")
        chars = []
        for _ in range(self._token_chars):
            number, rest = divmod(number, len(_ALPHABET))
            chars.append(_ALPHABET[rest])
        return "".join(chars)

    def token_digest(self, token: str) -> bytes:
        """Digest (32 bytes) by which a token is looked up."""
        return self._digest("token-digest", token.encode())

    def receipt_key(self, sms_account_id: int) -> str:
        """Derive the secret (32 hex digits) in the address to which an account's unsigned receipts are pushed."""
        return self._digest("receipt", _number(sms_account_id)).hex()[:32]


def _header(key_id: str) -> bytes:
    return bytes([_VERSION, len(key_id)]) + key_id.encode()


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big", signed=True)
