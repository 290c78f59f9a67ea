"""Endpoints of a company: made, changed, rested, resumed; their secrets drawn, shown once, replaced.

In: what a manager typed. Out: an endpoint, and its secret once. Can't happen here: an address without https (but one
that the operator allows), an address with a password in it; a secret stored readable; a change without an entry in the
audit. Each function commits; the tenant's scope must be open.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, func, select, text, update

from app import audit, queues, tenancy, webhook_addresses
from app.config import settings
from app.event_feed import feed
from app.extensions import db, vault
from app.models import WebhookDelivery, WebhookEndpoint
from app.problems import Kind, Refused
from app.vault import Place
from app.webhooks import message
from app.webhooks.event_types import EVENT_TYPES

MOST: Final = 10
MOST_NAME: Final = 60
MOST_URL: Final = 2000
# how long the secret before signs too, unless a manager ends it sooner
OVERLAP: Final = timedelta(hours=24)
DELIVER: Final = "jobs.webhooks.deliver"
_LOCK_SPACE = 7_230_055
# neither of an address: control signs, spaces, and what browsers take for a slash
_NO_SIGNS = re.compile(r"[\x00-\x20\x7f\\]")

_NOT_FOUND = Kind("webhook_not_found", "通知先が見つかりません。一覧から選び直してください。")
_NO_NAME = Kind("webhook_name_missing", "通知先の名前を入力してください。")
_LONG_NAME = Kind("webhook_name_too_long", "名前が長すぎます。{most}文字以内にしてください。")
_NO_URL = Kind("webhook_url_bad", "URLを https://example.co.jp/webhook の形で入力してください。")
_NOT_HTTPS = Kind(
    "webhook_url_not_https",
    "暗号化されない通知先には送れません。暗号化されたURL（https://…）に直してください。",
)
_PASSWORD = Kind(
    "webhook_url_with_password",
    "URLに利用者名とパスワードは入れられません。署名で確かめるので、外して入力してください。",
)
_FRAGMENT = Kind("webhook_url_fragment", "URLの「#」から後ろは送られません。外して入力してください。")
_LONG_URL = Kind("webhook_url_too_long", "URLが長すぎます。{most}文字以内にしてください。")
_PRIVATE = Kind(
    "webhook_url_private",
    "社内や端末の中だけで使うアドレスには送れません。インターネットから届くURLを入力してください。",
)
_NO_TYPES = Kind("webhook_events_missing", "通知する出来事を1つ以上選んでください。")
_BAD_TYPE = Kind("webhook_event_unknown", "選べない出来事が含まれています。一覧から選び直してください。")
_MANY = Kind("webhook_too_many", "通知先は{most}件まで登録できます。使っていない通知先の内容を変更して使ってください。")
_RESTS = Kind("webhook_rests_already", "この通知先は、すでに休止しています。")
_SERVED = Kind("webhook_not_resting", "この通知先は休止していません。")
_NO_FORMER = Kind("webhook_no_former_secret", "前の署名の鍵は、すでに使えなくなっています。")


@dataclass(frozen=True, slots=True)
class Wishes:
    """An endpoint as a manager wishes it, as typed."""

    name: str
    url: str
    event_types: Sequence[str]
    in_order: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """An endpoint's id and its secret, which is shown this once."""

    id: int
    secret: str


def faults(wishes: Wishes) -> dict[str, list[str]]:
    """Return what is wrong, by field, as Japanese sentences."""
    checks: Mapping[str, Callable[[], object]] = {
        "name": lambda: _read_name(wishes.name),
        "url": lambda: read_url(wishes.url),
        "event_types": lambda: _read_types(wishes.event_types),
    }
    found: dict[str, list[str]] = {}
    for name, check in checks.items():
        try:
            check()
        except Refused as refused:
            found[name] = refused.messages_ja
    return found


def read_url(typed: str) -> str:
    """Return an address as it is stored. Raises Refused."""
    url = typed.strip()
    if len(url) > MOST_URL:
        raise Refused(_LONG_URL(most=MOST_URL))
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Refused(_NO_URL()) from None
    if not host or not url.isascii() or _NO_SIGNS.search(url) or port == 0:
        raise Refused(_NO_URL())
    if parts.username is not None or parts.password is not None:
        raise Refused(_PASSWORD())
    if "#" in url:
        raise Refused(_FRAGMENT())
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_allowed_here(host)):
        raise Refused(_NOT_HTTPS() if parts.scheme == "http" else _NO_URL())
    if _looks_private(host):
        raise Refused(_PRIVATE())
    return url


def _is_allowed_here(host: str) -> bool:
    """Return whether a host is an address that the operator allows, as in tests and the demo."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    allowed = settings().webhook_local_addresses
    return any(address in network for network in allowed if network.version == address.version)


def _looks_private(host: str) -> bool:
    """Return whether a host can be seen to be private: told early; the wall itself stands where sockets are opened."""
    try:
        ip_address(host)
    except ValueError:
        name = host.rstrip(".").lower()
        return name == "localhost" or name.endswith((".localhost", ".local", ".internal")) or "." not in name
    return not webhook_addresses.may_reach(host, settings().webhook_local_addresses)


def _read_name(typed: str) -> str:
    name = " ".join(typed.split())
    if not name:
        raise Refused(_NO_NAME())
    if len(name) > MOST_NAME:
        raise Refused(_LONG_NAME(most=MOST_NAME))
    return name


def _read_types(chosen: Sequence[str]) -> list[str]:
    if not chosen:
        raise Refused(_NO_TYPES())
    if set(chosen) - set(EVENT_TYPES):
        raise Refused(_BAD_TYPE())
    return [one for one in EVENT_TYPES if one in chosen]


def make(wishes: Wishes, *, actor: str) -> Made:
    """Make an endpoint, which gets what happens from now on. Raises Refused."""
    name, url, event_types = _read_name(wishes.name), read_url(wishes.url), _read_types(wishes.event_types)
    tenant_id = tenancy.current().tenant_id
    # two at once would both find room for the last one
    db.session.execute(text("SELECT pg_advisory_xact_lock(:space, :owner)"), {"space": _LOCK_SPACE, "owner": tenant_id})
    if (db.session.scalar(select(func.count()).select_from(WebhookEndpoint).where(_mine())) or 0) >= MOST:
        raise Refused(_MANY(most=MOST))
    row = WebhookEndpoint(
        tenant_id=tenant_id,
        name=name,
        url=url,
        event_types=event_types,
        in_order=wishes.in_order,
        secret_sealed=b"",
        cursor=feed.end(),
        created_by=actor,
    )
    db.session.add(row)
    db.session.flush()
    secret = message.new_secret()
    row.secret_sealed = vault.seal(secret, _place(row, "secret_sealed"))
    _record(row, act="webhook.create", actor=actor)
    return Made(row.id, secret)


def change(endpoint_id: int, wishes: Wishes, *, actor: str) -> None:
    """Change an endpoint; messages that wait go to the new address. Raises Refused."""
    name, url, event_types = _read_name(wishes.name), read_url(wishes.url), _read_types(wishes.event_types)
    row = locked(endpoint_id)
    changed = [
        field
        for field, old, new in (
            ("name", row.name, name),
            ("url", row.url, url),
            ("event_types", row.event_types, event_types),
            ("in_order", row.in_order, wishes.in_order),
        )
        if old != new
    ]
    row.name, row.url, row.event_types, row.in_order = name, url, event_types, wishes.in_order
    if "url" in changed:
        # another receiver: what the last one did says nothing of it
        row.failures, row.failing_since, row.wait_until = 0, None, None
    _record(row, act="webhook.update", actor=actor, detail={"fields": changed})


def rest(endpoint_id: int, *, actor: str) -> None:
    """Deliver nothing until it is resumed; what happens meanwhile waits. Raises Refused."""
    row = locked(endpoint_id)
    if row.rests_because:
        raise Refused(_RESTS())
    row.rests_because, row.rests_since = "asked", datetime.now(UTC)
    _record(row, act="webhook.rest", actor=actor)


def resume(endpoint_id: int, *, actor: str, skip: bool = False) -> None:
    """Go on where it rested, or with `skip` leave out all that happened meanwhile or waits. Raises Refused."""
    row = locked(endpoint_id)
    if not row.rests_because:
        raise Refused(_SERVED())
    row.rests_because, row.rests_since = "", None
    row.failures, row.failing_since, row.wait_until = 0, None, None
    waiting = update(WebhookDelivery).where(WebhookDelivery.endpoint_id == row.id, WebhookDelivery.due_at.is_not(None))
    if skip:
        row.cursor = feed.end()
        db.session.execute(waiting.values(due_at=None, fault="skipped"))
    else:
        db.session.execute(waiting.values(due_at=datetime.now(UTC)))
    _record(row, act="webhook.resume", actor=actor, detail={"skip": skip})


def renew_secret(endpoint_id: int, *, actor: str) -> str:
    """Draw another secret; the one before signs too for `OVERLAP`. Return it, this once. Raises Refused."""
    row = locked(endpoint_id)
    secret = message.new_secret()
    former = vault.open_text(row.secret_sealed, _place(row, "secret_sealed"))
    row.former_secret_sealed = vault.seal(former, _place(row, "former_secret_sealed"))
    row.former_until = datetime.now(UTC) + OVERLAP
    row.secret_sealed = vault.seal(secret, _place(row, "secret_sealed"))
    _record(row, act="webhook.renew_secret", actor=actor)
    return secret


def end_former_secret(endpoint_id: int, *, actor: str) -> None:
    """Let the secret before sign no more, at once. Raises Refused."""
    row = locked(endpoint_id)
    if row.former_secret_sealed is None:
        raise Refused(_NO_FORMER())
    row.former_secret_sealed = row.former_until = None
    _record(row, act="webhook.end_secret", actor=actor)


def secrets_of(row: WebhookEndpoint, now: datetime) -> list[str]:
    """Return the secrets that are alive, the newest first. Raises CannotOpen."""
    alive = [vault.open_text(row.secret_sealed, _place(row, "secret_sealed"))]
    if row.former_secret_sealed is not None and row.former_until is not None and row.former_until > now:
        alive.append(vault.open_text(row.former_secret_sealed, _place(row, "former_secret_sealed")))
    return alive


def locked(endpoint_id: int) -> WebhookEndpoint:
    """Return an endpoint of the scope, locked until the commit. Raises Refused."""
    row = db.session.scalar(select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id, _mine()).with_for_update())
    if row is None:
        raise Refused(_NOT_FOUND())
    return row


def _mine() -> ColumnElement[bool]:
    return WebhookEndpoint.tenant_id == tenancy.current().tenant_id


def _place(row: WebhookEndpoint, column: str) -> Place:
    return Place(row.tenant_id, "webhook_endpoint", column, row.id)


def _record(row: WebhookEndpoint, *, act: str, actor: str, detail: Mapping[str, Any] | None = None) -> None:
    """Enter an act into the audit, commit, and have it looked at."""
    audit.record(db.session, actor=actor, act=act, target=f"webhook:{row.id}", detail=detail)
    db.session.commit()
    queues.offer(DELIVER)
