"""Messages as receivers get them: what stands in one, and its signature (Standard Webhooks).

In: an event, what is public of its recipient and campaign, the endpoint's secrets. Out: a body of at most `MOST_BYTES`
and its headers. Can't happen here: a phone number, a name or an answer. The company's own reference is the one free
text, and one that holds a phone number is left out.
"""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook

from app.values.phones import holds_mobile_number
from app.webhooks.event_types import PING

MOST_BYTES: Final = 2048
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - Standard Webhooks' own
_SECRET_BYTES: Final = 32
# a reference is 100 letters at most; one of before is cut, so that a message always fits
_MOST_REFERENCE: Final = 100


@dataclass(frozen=True, slots=True)
class Told:
    """The facts of one event that a message tells. `recipient` and `campaign` are public ids, "" for none."""

    message_id: str
    event_type: str
    at: datetime
    recipient: str = ""
    reference: str = ""
    campaign: str = ""
    sequence: int | None = None
    code: str = ""


def body(told: Told) -> bytes:
    """Write a message; the same event gives the same bytes each time."""
    if told.event_type == PING:
        data: dict[str, object] = {}
    else:
        track, _, state = told.event_type.partition(".")
        data = {"track": track, "state": state, "campaign": told.campaign, "code": told.code or None}
        if told.recipient:
            data |= {
                "recipient": told.recipient,
                "reference": public_reference(told.reference),
                "sequence": told.sequence,
            }
    at = told.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    message = {"type": told.event_type, "timestamp": at, "data": data}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def public_reference(reference: str) -> str | None:
    """Return the company's own reference of a recipient; None where there is none, or it holds a phone number."""
    cut = reference[:_MOST_REFERENCE]
    return None if not cut or holds_mobile_number(cut) else cut


def new_secret() -> str:
    """Draw a secret, in the form in which receivers' libraries take it."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


class Signer:
    """Signs messages with every secret that is alive, the newest first."""

    def __init__(self, alive: Sequence[str]) -> None:
        self._hooks = [Webhook(secret) for secret in alive]

    def headers(self, message_id: str, payload: bytes, now: datetime) -> Mapping[str, str]:
        """Return the headers of one try."""
        text = payload.decode()
        signatures = [hook.sign(msg_id=message_id, timestamp=now, data=text) for hook in self._hooks]
        return {
            "content-type": "application/json",
            "user-agent": "todoke-webhooks",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
