"""A look that is tried on before it is saved: kept for a quarter of an hour, seen by whoever holds its key.

In: what a form would save. Out: a random key, and by the key what was kept. Can't happen here: a company found by
guessing, or anything kept that recipients would not see anyway.
"""

import base64
import json
import secrets
from dataclasses import asdict, dataclass

from redis.exceptions import RedisError

from app.extensions import redis_client
from app.problems import Kind, Refused

_AWAY = Kind(
    "branding_preview_away",
    "いまは見本を表示できません。数分たってから、もう一度押してください。保存はできます。",
)

_LIFE_S = 15 * 60
_PREFIX = "todoke:sample:"


@dataclass(frozen=True, slots=True)
class Sample:
    """A company's pages as they would look; `colour` and `logo` as in its row."""

    company: str
    contact_phone: str
    contact_hours: str
    about: str
    colour: str
    logo: bytes | None


def keep(sample: Sample) -> str:
    """Keep a sample; return its key. Raises Refused while Redis is away."""
    key = secrets.token_urlsafe(18)
    logo = base64.b64encode(sample.logo).decode() if sample.logo else ""
    try:
        redis_client.connection.set(_PREFIX + key, json.dumps(asdict(sample) | {"logo": logo}), ex=_LIFE_S)
    except RedisError:
        raise Refused(_AWAY()) from None
    return key


def find(key: str) -> Sample | None:
    """Return the sample of a key; None for none, or one that is too old."""
    try:
        kept = redis_client.connection.get(_PREFIX + key)
    except RedisError:
        return None
    if not isinstance(kept, bytes):
        return None
    values = json.loads(kept)
    return Sample(**values | {"logo": base64.b64decode(values["logo"]) or None})
