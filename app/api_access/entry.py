"""The way in: a key, from an address of its company's list.

In: what stood in the Authorization header, and the address. Out: the caller, or nothing, whatever was wrong. Can't
happen here: an answer that tells a wrong key from a wrong address or a suspended company, by its words or by its time:
one look-up is made in each case, and what is told at home is told after the answer.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.api_access import addresses, keys, refusals
from app.api_access.addresses import Address
from app.api_access.keys import Scope, Written
from app.tenancy import lookup

# one that no key has
_NOBODY = Written("", bytes(32))

# by its own id, not by its digest: so the time that a comparison takes says nothing
_LOOK = """
    SELECT k.id, k.tenant_id, k.digest, k.mode, k.scopes, k.created_by,
        k.revoked_at IS NULL AND coalesce(k.expires_at > now(), true) AS alive,
        EXISTS (SELECT FROM api_address a WHERE a.tenant_id = k.tenant_id AND a.network >>= CAST(%s AS inet)) AS listed,
        t.state IN ('trial', 'active') AS in_use,
        coalesce(k.last_used_at < now() - interval '1 minute', true) AS unseen
    FROM api_key k JOIN tenant t ON t.id = k.tenant_id WHERE k.public_id = %s
"""
_SEEN = "UPDATE api_key SET last_used_at = now() WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Caller:
    """A company's system that may come in. `user_id` is the user in whose name it acts: who made its key."""

    key_id: int
    public_id: str
    tenant_id: int
    user_id: int
    live: bool
    scopes: frozenset[Scope]

    @property
    def actor(self) -> str:
        """How the audit names it."""
        return f"api_key:{self.key_id}"


def of_request(environ: Mapping[str, Any], hops: int) -> Caller | None:
    """Return who sends a request, of which this is the WSGI environment, through so many proxies.

    Raises psycopg.Error.
    """
    scheme, _, text = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    address = addresses.client(environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", ""), hops)
    return authenticate(text.strip() if scheme.lower() == "bearer" else "", address)


def authenticate(text: str, address: Address | None) -> Caller | None:
    """Return who comes with this key from this address; None for nobody. Raises psycopg.Error."""
    written = keys.read(text) or _NOBODY
    row = lookup.first(_LOOK, str(address) if address is not None else None, written.public_id)
    if row is None:
        return None
    key_id, tenant_id, digest, mode, scopes, user_id, alive, listed, in_use, unseen = row
    right = hmac.compare_digest(bytes(digest), written.digest)
    if not (right and alive and listed and in_use):
        reason = "key" if not (right and alive) else "company" if not in_use else "address"
        refusals.tell_later(tenant_id, written.public_id, address, reason)
        return None
    if unseen:
        lookup.write(_SEEN, key_id)
    return Caller(
        key_id, written.public_id, tenant_id, user_id, mode == "live", frozenset(Scope(scope) for scope in scopes)
    )
