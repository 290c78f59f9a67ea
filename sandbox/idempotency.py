"""Stripe's idempotency keys: the same request gets the same answer for 24 hours, even if it was a 500.

Source: https://docs.stripe.com/api/idempotent_requests. A request that failed its parameters' check uses up no key.
"""

import hashlib
import time
from dataclasses import asdict, dataclass

from sandbox.journal import Journal, Record
from sandbox.stripe_params import StripeError

_KEPT_S = 86400
_LONGEST_KEY = 255


@dataclass(slots=True)
class Saved:
    """The answer that a key is bound to. `at` is epoch seconds."""

    account: str
    key: str
    fingerprint: str
    status: int
    body: str
    request_id: str
    at: float


class Idempotency:
    """All keys of all accounts."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._saved: dict[tuple[str, str], Saved] = {}

    def find(self, account: str, key: str, fingerprint: str) -> Saved | None:
        """Return the answer a key is bound to.

        Raises StripeError when it was bound by another request.
        """
        if len(key) > _LONGEST_KEY:
            raise StripeError("The idempotency key can be up to 255 characters long.", kind="idempotency_error")
        saved = self._saved.get((account, key))
        if saved is None or saved.at < time.time() - _KEPT_S:
            return None
        if saved.fingerprint != fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request."
            )
            raise StripeError(message, kind="idempotency_error")
        return saved

    def keep(self, saved: Saved) -> None:
        """Bind a key to an answer, or to another one."""
        self._saved[saved.account, saved.key] = saved
        if self._journal.on:
            self._journal.append({"k": "idempotency"} | asdict(saved))

    def load(self, record: Record) -> None:
        """Take back a key that the journal kept."""
        saved = Saved(**{name: value for name, value in record.items() if name != "k"})
        self._saved[saved.account, saved.key] = saved

    def clear(self) -> None:
        """Forget all keys."""
        self._saved.clear()


def fingerprint(method: str, path: str, body: bytes) -> str:
    """Distinguish one request from another."""
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), body))).hexdigest()
