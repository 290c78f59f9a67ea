"""Keep personal details unreadable in the database: encryption, blind index, keyed digests.

In: plain text with the place where it will stand, or a value to be found again. Out: bytes for a column. Can't happen
here: a ciphertext moved to another row or tenant that still opens; a digest that can be recomputed without the keys,
which come from the environment and never touch the database.

Fields: AES-256-GCM, random 96-bit nonce, the place as associated data, the key's id in front:
    0x01 | length of key id | key id | nonce (12) | ciphertext and tag
Digests: HMAC-SHA256 with a key of its own for each purpose (HKDF from DIGEST_KEY), so that no digest serves for
another.
"""

import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from hashlib import _Hash

_VERSION = 1
_NONCE_BYTES = 12
_INDEX_BYTES = 16
# ten thousand values: more bytes would only make the index longer
_LAST4_BYTES = 8

# 58 characters that no one mistakes for another on a phone's screen; none needs escaping or ends a link early
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
# two characters for each number below 58 x 58, the lower one first
_PAIRS = [low + high for high in _ALPHABET for low in _ALPHABET]

# Numbers in digests: 8 bytes each, with that length in front, as in front of every part. So ("ab", "c") and
# ("a", "bc") never meet.
_ONE = Struct(">iq")
_TWO = Struct(">iqiq")
_THREE = Struct(">iqiqiq")


class CannotOpen(Exception):  # noqa: N818 - it says what happened
    """A sealed value that is altered, stands in another place, or needs a key that isn't here."""


class Place(NamedTuple):
    """Where a sealed value stands; it opens nowhere else.

    `tenant_id` is 0 for the platform's own rows.
    """

    tenant_id: int
    table: str
    column: str
    row_id: int

    def aad(self) -> bytes:
        """Return the associated data."""
        return f"{self.tenant_id}|{self.table}|{self.column}|{self.row_id}".encode()


class Vault:
    """The keys of one installation.

    Created empty in `app.extensions`, given its keys in `create_app`.
    """

    def __init__(self) -> None:
        self._ciphers: dict[str, AESGCM] = {}
        self._sealer: AESGCM | None = None
        self._prefix = b""
        self._purposes: dict[str, tuple[_Hash, _Hash]] = {}
        self._token_chars = 16
        self._tokens = len(_PAIRS) ** 8
        self._public_ids: Cipher[ECB] | None = None

    def load(self, field_keys: Mapping[str, bytes], digest_key: bytes, token_chars: int = 16) -> None:
        """Take the keys: the first field key seals, all of them open."""
        self._ciphers = {key_id: AESGCM(key) for key_id, key in field_keys.items()}
        self._sealer = next(iter(self._ciphers.values()))
        self._prefix = _header(next(iter(field_keys)))
        self._purposes = {
            purpose: _keyed(HKDF(SHA256(), 32, None, b"todoke/" + purpose.encode()).derive(digest_key))
            for purpose in (
                "phone",
                "phone-last4",
                "identity",
                "row",
                "answer",
                "token",
                "token-digest",
                "content",
                "receipt",
                "recovery",
                "credentials",
                "api",
            )
        }
        public_id_key = HKDF(SHA256(), 32, None, b"todoke/public-id").derive(digest_key)
        # one block for each id, so nothing is chained: a permutation of numbers is all that is wanted
        self._public_ids = Cipher(AES(public_id_key), ECB())  # noqa: S305
        self._token_chars = token_chars
        self._tokens = len(_PAIRS) ** ((token_chars + 1) // 2)

    # --- fields ---

    def seal(self, plain: bytes | str, place: Place) -> bytes:
        """Encrypt for one place."""
        data = plain.encode() if isinstance(plain, str) else plain
        nonce = os.urandom(_NONCE_BYTES)
        assert self._sealer is not None  # noqa: S101 - `load` has run
        return self._prefix + nonce + self._sealer.encrypt(nonce, data, place.aad())

    def seal_column(
        self, tenant_id: int, table: str, column: str, row_ids: Sequence[int], plains: Sequence[bytes]
    ) -> list[bytes]:
        """Encrypt one column of many rows: what `seal` gives for each, with the nonces drawn at once."""
        assert self._sealer is not None  # noqa: S101 - `load` has run
        nonces = os.urandom(_NONCE_BYTES * len(row_ids))
        aad = Place(tenant_id, table, column, 0).aad()[:-1]
        sealed = []
        for start, row_id, plain in zip(range(0, len(nonces), _NONCE_BYTES), row_ids, plains, strict=True):
            nonce = nonces[start : start + _NONCE_BYTES]
            sealed.append(self._prefix + nonce + self._sealer.encrypt(nonce, plain, aad + b"%d" % row_id))
        return sealed

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

    # --- digests ---

    def _digest(self, purpose: str, message: bytes) -> bytes:
        """HMAC-SHA256 (RFC 2104) with the key's two blocks hashed beforehand: a third of what `hmac.digest` takes."""
        prepared_inner, prepared_outer = self._purposes[purpose]
        inner = prepared_inner.copy()
        inner.update(message)
        outer = prepared_outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def phone_index(self, tenant_id: int, e164: str) -> bytes:
        """Blind index of a phone number (16 bytes): equal numbers meet within a tenant and nowhere else."""
        return self._digest("phone", _ONE.pack(8, tenant_id) + _sized(e164.encode()))[:_INDEX_BYTES]

    def last4_index(self, tenant_id: int, e164: str) -> bytes:
        """Blind index of a phone number's last four digits (8 bytes), with a key of its own."""
        return self._digest("phone-last4", _ONE.pack(8, tenant_id) + _sized(e164[-4:].encode()))[:_LAST4_BYTES]

    def identity_key(self, tenant_id: int, campaign_id: int, what: str) -> bytes:
        """Digest (16 bytes) of what makes a list's row the same row when it is uploaded again."""
        message = _TWO.pack(8, tenant_id, 8, campaign_id) + _sized(what.encode())
        return self._digest("identity", message)[:_INDEX_BYTES]

    def row_digest(self, tenant_id: int, content: str) -> bytes:
        """Digest (16 bytes) of all that a list's row says of a person."""
        return self._digest("row", _ONE.pack(8, tenant_id) + _sized(content.encode()))[:_INDEX_BYTES]

    def answer_digest(self, tenant_id: int, recipient_id: int, question_id: int, normalised: str) -> bytes:
        """Digest (32 bytes) of one person's right answer; the same answer of two people differs."""
        numbers = _THREE.pack(8, tenant_id, 8, recipient_id, 8, question_id)
        return self._digest("answer", numbers + _sized(normalised.encode()))

    def content_digest(self, tenant_id: int, content: bytes) -> bytes:
        """Digest (32 bytes) by which a file or a pushed body is recognised when it comes again."""
        return self._digest("content", _ONE.pack(8, tenant_id) + _sized(content))

    def recovery_digest(self, user_id: int, code: str) -> bytes:
        """Digest (32 bytes) by which one of a user's recovery codes is recognised."""
        return self._digest("recovery", _ONE.pack(8, user_id) + _sized(code.encode()))

    def credentials_digest(self, sms_account_id: int, credentials: str) -> bytes:
        """Digest (16 bytes) by which it shows that an account's credentials are others than before."""
        message = _ONE.pack(8, sms_account_id) + _sized(credentials.encode())
        return self._digest("credentials", message)[:_INDEX_BYTES]

    def api_digest(self, tenant_id: int, what: str) -> bytes:
        """Digest (32 bytes) of what a company's system sent, to be compared: a key of its own, a code."""
        return self._digest("api", _ONE.pack(8, tenant_id) + _sized(what.encode()))

    # --- ids ---

    def permute(self, block: bytes) -> bytes:
        """Return the 16 bytes that stand for these 16 bytes outside; `unpermute` gives them back."""
        assert self._public_ids is not None  # noqa: S101 - `load` has run
        return _whole(self._public_ids.encryptor(), block)

    def unpermute(self, block: bytes) -> bytes:
        """Return the 16 bytes for which these 16 bytes stand."""
        assert self._public_ids is not None  # noqa: S101 - `load` has run
        return _whole(self._public_ids.decryptor(), block)

    # --- links ---

    def link_token(self, recipient_id: int, generation: int, secret: bytes | None) -> str:
        """Derive the token of a recipient's link: rebuilt for a retry, never stored.

        `secret` are the random bytes in the recipient's row, None in rows of before there were any. Without them a
        number that comes again after a restore would be somebody else's key.
        """
        drawn = b"" if secret is None else _sized(secret)
        digest = self._digest("token", _TWO.pack(8, recipient_id, 8, generation) + drawn)
        number = int.from_bytes(digest, "big") % self._tokens  # a small number is divided sooner
        pairs = []
        for _ in range(0, self._token_chars, 2):
            number, rest = divmod(number, len(_PAIRS))
            pairs.append(_PAIRS[rest])
        return "".join(pairs)[: self._token_chars]

    def token_digest(self, token: str) -> bytes:
        """Digest (32 bytes) by which a token is looked up."""
        return self._digest("token-digest", _sized(token.encode()))

    def receipt_key(self, sms_account_id: int, secret: bytes | None) -> str:
        """Derive the secret (32 hex digits) in the address to which an account's unsigned receipts are pushed.

        `secret` are the random bytes in the account's row, None in rows of before there were any.
        """
        drawn = b"" if secret is None else _sized(secret)
        return self._digest("receipt", _ONE.pack(8, sms_account_id) + drawn).hex()[:32]


def _whole(context: CipherContext, block: bytes) -> bytes:
    return context.update(block) + context.finalize()


def _header(key_id: str) -> bytes:
    return bytes([_VERSION, len(key_id)]) + key_id.encode()


def _sized(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part


def _keyed(key: bytes) -> "tuple[_Hash, _Hash]":
    block = key.ljust(64, b"\0")
    return sha256(bytes(byte ^ 0x36 for byte in block)), sha256(bytes(byte ^ 0x5C for byte in block))
