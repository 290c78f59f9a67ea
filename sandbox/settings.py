"""The sandbox's settings: one environment variable each, read once, refused with name and reason.

| variable | default | meaning |
|---|---|---|
| `SANDBOX_HOST` | `127.0.0.1` | address to listen on |
| `SANDBOX_PORT` | `8001` | port to listen on; 0 takes a free one |
| `SANDBOX_PUBLIC_URL` | `http://HOST:PORT` | how browsers reach it: payment pages lie below |
| `SANDBOX_JOURNAL` | none | file that keeps messages, sessions and ledger over a restart |
| `SANDBOX_LINK_MAP` | `{}` | JSON, https prefix of a link in an SMS -> address that a tap opens |
| `SANDBOX_KARADEN_TOKENS` | any | JSON, Karaden tenant id (a uuid) -> its only token |
| `SANDBOX_KARADEN_RECEIPTS` | `{}` | JSON, `"<tenant id>/<service>"`, `"<service>"` or `"*"` -> receipt URL |
| `SANDBOX_SMS_ACCOUNTS` | `{}` | JSON, other SMS service -> account or `"*"` -> `{"url": receipts', "secret": …}` |
| `SANDBOX_STRIPE_WEBHOOKS` | `{}` | JSON, secret key or `"*"` -> `{"url": …, "secret": "whsec_…", "shop": …}` |
| `SANDBOX_PAYJP_WEBHOOKS` | `{}` | JSON, secret key or `"*"` -> `{"url": …, "secret": token, "shop": …}` |
| `SANDBOX_KOMOJU_WEBHOOKS` | `{}` | JSON, secret key or `"*"` -> `{"url": …, "secret": …, "shop": …}` |
| `SANDBOX_PAYPAY_WEBHOOKS` | `{}` | JSON, API key let in -> `{"url": …, "secret": API secret, "shop": …}` |
| `SANDBOX_RECEIPT_DELAY_MS` | `2000` | from acceptance to the end of an SMS, milliseconds |
| `SANDBOX_PARENT` | none | process id; the sandbox stops when this parent is gone |

An example of a link map: `{"https://todoke.example": "http://127.0.0.1:8000"}`. `shop` is the name on the payment page.
`TODOKE_ENV=production` is refused.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

# SMS services beside Karaden
SMS_DOORS = ("zettai_reach", "infobip", "twilio")


class SettingError(Exception):
    """A setting that can't be used; `args[0]` names it and says why."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a payment account's events go; both empty: nowhere.

    `shop` is the name on its payment pages.
    """

    url: str = ""
    secret: str = field(default="", repr=False)
    shop: str = "ダミー商店"


@dataclass(frozen=True)
class Settings:
    """All settings, checked; see the module's table for each."""

    host: str = "127.0.0.1"
    port: int = 8001
    public_url: str | None = None
    journal: Path | None = None
    link_map: Mapping[str, str] = field(default_factory=dict)
    karaden_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    karaden_receipts: Mapping[str, str] = field(default_factory=dict, repr=False)
    sms_accounts: Mapping[str, Mapping[str, Webhook]] = field(default_factory=dict, repr=False)
    stripe_webhooks: Mapping[str, Webhook] = field(default_factory=dict, repr=False)
    payjp_webhooks: Mapping[str, Webhook] = field(default_factory=dict, repr=False)
    komoju_webhooks: Mapping[str, Webhook] = field(default_factory=dict, repr=False)
    paypay_webhooks: Mapping[str, Webhook] = field(default_factory=dict, repr=False)
    receipt_delay_ms: int = 2000
    parent: int | None = None


def read(env: Mapping[str, str]) -> Settings:
    """Read the settings from an environment. Raises SettingError."""
    if env.get("TODOKE_ENV") == "production":
        message = "TODOKE_ENV=production: the sandbox stands in for carriers and payment providers and never runs there"
        raise SettingError(message)
    journal = env.get("SANDBOX_JOURNAL")
    public_url = env.get("SANDBOX_PUBLIC_URL")
    return Settings(
        host=env.get("SANDBOX_HOST") or Settings.host,
        port=_number(env, "SANDBOX_PORT", Settings.port, 65535),
        public_url=http_url(public_url, "SANDBOX_PUBLIC_URL").rstrip("/") if public_url else None,
        journal=Path(journal) if journal else None,
        link_map=_addresses(_object(env, "SANDBOX_LINK_MAP"), "SANDBOX_LINK_MAP"),
        karaden_tokens=_texts(_object(env, "SANDBOX_KARADEN_TOKENS"), "SANDBOX_KARADEN_TOKENS"),
        karaden_receipts=read_receipts(_object(env, "SANDBOX_KARADEN_RECEIPTS"), "SANDBOX_KARADEN_RECEIPTS"),
        sms_accounts=read_sms_accounts(_object(env, "SANDBOX_SMS_ACCOUNTS"), "SANDBOX_SMS_ACCOUNTS", SMS_DOORS),
        stripe_webhooks=read_webhooks(_object(env, "SANDBOX_STRIPE_WEBHOOKS"), "SANDBOX_STRIPE_WEBHOOKS"),
        payjp_webhooks=read_webhooks(_object(env, "SANDBOX_PAYJP_WEBHOOKS"), "SANDBOX_PAYJP_WEBHOOKS"),
        komoju_webhooks=read_webhooks(_object(env, "SANDBOX_KOMOJU_WEBHOOKS"), "SANDBOX_KOMOJU_WEBHOOKS"),
        paypay_webhooks=read_webhooks(_object(env, "SANDBOX_PAYPAY_WEBHOOKS"), "SANDBOX_PAYPAY_WEBHOOKS"),
        receipt_delay_ms=_number(env, "SANDBOX_RECEIPT_DELAY_MS", Settings.receipt_delay_ms, 86_400_000),
        parent=_number(env, "SANDBOX_PARENT", 0, 2**31) or None,
    )


def read_receipts(value: object, name: str) -> dict[str, str]:
    """Check a map service -> receipt URL. Raises SettingError."""
    return _addresses(value, name)


def read_sms_accounts(value: object, name: str, doors: Collection[str]) -> dict[str, dict[str, Webhook]]:
    """Check a map SMS service -> account -> its receipts' address and its secret.

    Raises SettingError.
    """
    if not isinstance(value, dict) or not value.keys() <= set(doors):
        raise SettingError(_want(name, f"a JSON object of SMS services: {', '.join(doors)}"))
    return {door: read_webhooks(accounts, name) for door, accounts in value.items()}


def read_webhooks(value: object, name: str) -> dict[str, Webhook]:
    """Check a map secret key -> webhook.

    Raises SettingError, which never shows a key or secret.
    """
    if not isinstance(value, dict):
        raise SettingError(_want(name, "a JSON object of secret keys"))
    webhooks = {}
    for key, entry in value.items():
        if not isinstance(entry, dict) or not set(entry) <= {"url", "secret", "shop"}:
            raise SettingError(_want(name, 'for each key an object with "url", "secret" and, if wanted, "shop"'))
        texts = _texts(entry, name)
        if texts.get("url") and not texts.get("secret"):
            raise SettingError(_want(name, 'a "secret" beside each "url"'))
        if texts.get("url"):
            http_url(texts["url"], name)
        webhooks[key] = Webhook(**texts)
    return webhooks


def http_url(value: str, name: str) -> str:
    """Check an http or https address with a host. Raises SettingError."""
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingError(_want(name, "an address that begins with http:// or https://"))
    return value


def _object(env: Mapping[str, str], name: str) -> object:
    raw = env.get(name)
    if not raw:
        return {}
    try:
        return json.loads(raw)
    except ValueError:
        raise SettingError(_want(name, "a JSON object")) from None


def _texts(value: object, name: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) and text for text in value.values()):
        raise SettingError(_want(name, "a JSON object of texts"))
    return value


def _addresses(value: object, name: str) -> dict[str, str]:
    return {key: http_url(address, name) for key, address in _texts(value, name).items()}


def _number(env: Mapping[str, str], name: str, default: int, most: int) -> int:
    raw = env.get(name)
    if not raw:
        return default
    if not (raw.isascii() and raw.isdigit() and int(raw) <= most):
        raise SettingError(_want(name, f"a whole number from 0 to {most}"))
    return int(raw)


def _want(name: str, what: str) -> str:
    return f"{name}: give {what}"
