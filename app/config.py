"""Every setting: name, type, default and unit, read from the environment once and refused when wrong.

A field's name in upper case is the variable's name (`env` is TODOKE_ENV). `NAME_FILE` may name a file that holds the
value, for secrets mounted by an orchestrator. All faults are told at once, by name and reason, never by value.
"""

import base64
import binascii
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from app import provider_addresses, webhook_addresses
from app.process_state import process_state

ENVIRONMENTS = ("production", "demo", "test")

# Secrets made for a demo or a test carry this mark, so that production can refuse them whatever their name.
DEMO_MARK = b"demo"

_KEY_BYTES = 32
_MIN_SECRET_CHARS = 32


class BadSettings(Exception):  # noqa: N818 - it names what was found
    """The environment can't be used; the message has a line for each fault."""


def _text(raw: str) -> str:
    return raw


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw not in choices:
            raise ValueError("must be one of " + ", ".join(choices))
        return raw

    return parse


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        if not re.fullmatch(r"-?\d+", raw) or not low <= int(raw) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(raw)

    return parse


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        parts = urlsplit(raw)
        if parts.scheme not in schemes or not (parts.netloc or parts.path):
            raise ValueError("must be an address that starts with " + " or ".join(f"{s}://" for s in schemes))
        return raw.rstrip("/")

    return parse


def _contact(raw: str) -> str:
    if not re.fullmatch(r"mailto:[^@\s]+@[^@\s]+|https://\S+", raw):
        raise ValueError("must start with mailto: or https://")
    return raw


def _database_url(raw: str) -> str:
    scheme, rest = _url("postgresql", "postgres", "postgresql+psycopg")(raw).split("://", 1)
    del scheme
    return "postgresql+psycopg://" + rest


def _key(raw: str) -> bytes:
    try:
        key = base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"must be base64 of {_KEY_BYTES} bytes") from None
    if len(key) != _KEY_BYTES:
        raise ValueError(f"must be base64 of {_KEY_BYTES} bytes")
    return key


def _keys(raw: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for part in raw.split(","):
        key_id, colon, value = part.strip().partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9_-]{1,16}", key_id):
            raise ValueError("must be id:base64[,id:base64…] with ids of 1-16 letters, digits, _ or -")
        if key_id in keys:
            raise ValueError("names a key id twice")
        keys[key_id] = _key(value)
    return keys


def _folder(raw: str) -> str:
    if not Path(raw).is_absolute():
        raise ValueError("must be an absolute path")
    return raw


def _list(raw: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in raw.split(",") if part.strip())


# like dataclasses.field, it stands for a value of the field's type
def _setting(parse: Callable[[str], Any], default: str | None, doc: str, *, secret: bool = False) -> Any:  # noqa: ANN401
    return field(repr=not secret, metadata={"parse": parse, "default": default, "doc": doc})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings. See the documentation string of each field in `describe`."""

    env: str = _setting(_one_of(*ENVIRONMENTS), "production", "what this installation is")
    secret_key: str = _setting(_text, None, "signs cookies; 32 characters or more", secret=True)
    field_keys: dict[str, bytes] = _setting(  # noqa: RUF009 - a dataclasses.field
        _keys, None, "id:base64 of 32 bytes, comma separated; the first encrypts, all decrypt", secret=True
    )
    digest_key: bytes = _setting(
        _key, None, "base64 of 32 bytes; keys the phone index, answers and link tokens; can't be changed", secret=True
    )

    database_url: str = _setting(_database_url, None, "PostgreSQL, as the role that owns nothing", secret=True)
    database_owner_url: str = _setting(
        _database_url, "", "PostgreSQL, as the owner: migrations only (default: DATABASE_URL)", secret=True
    )
    database_app_role: str = _setting(_text, "", "the role migrations grant to (default: the user in DATABASE_URL)")
    database_pool: int = _setting(_whole(1, 200), "10", "connections a process keeps")
    redis_url: str = _setting(_url("redis", "rediss", "unix"), None, "Redis or Valkey, for RQ and limits", secret=True)
    redis_no_password_because: str = _setting(
        _text, "", "why REDIS_URL names no password, in words; production refuses to start without one or the other"
    )

    public_base_url: str = _setting(_url("https", "http"), None, "where this web server is reached")
    operator_name: str = _setting(_text, "", "who runs this installation, as the recipients' pages name it")
    security_contact: str = _setting(
        _contact, "", "whom to tell of a weakness, in /.well-known/security.txt: mailto:… or https://…"
    )
    security_policy: str = _setting(_url("https"), "", "address of the rules for telling of weaknesses, https")
    link_base_url: str = _setting(
        _url("https"), "", "start of the links in SMS, https; short is good (default: PUBLIC_BASE_URL)"
    )
    link_token_chars: int = _setting(_whole(12, 32), "16", "characters of a link's token, 5.86 bits each")
    trusted_hosts: tuple[str, ...] = _setting(_list, "", "host names answered, comma separated (default: those above)")
    trusted_proxies: int = _setting(_whole(0, 5), "0", "reverse proxies in front whose headers are believed")

    # by a provider's name: the addresses of its API, each variable of its own (`app.provider_addresses`)
    api_bases: Mapping[str, tuple[str, ...]]

    payment_page_hosts: tuple[str, ...] = _setting(
        _list, "", "further host names of payment pages, comma separated: a provider's page under a name of your own"
    )

    webhook_local_addresses: tuple[webhook_addresses.Network, ...] = _setting(
        webhook_addresses.read, "", "private addresses or networks that webhooks may go to, comma separated"
    )
    webhook_local_because: str = _setting(_text, "", "why they may, in words; production refuses to start without")

    log_format: str = _setting(_one_of("json", "console"), "json", "how logs are written")
    log_level: str = _setting(_one_of("debug", "info", "warning", "error"), "info", "the least severe log line kept")

    upload_max_bytes: int = _setting(_whole(1_000, 500_000_000), "200000000", "largest upload, bytes")
    import_max_rows: int = _setting(_whole(1, 5_000_000), "1000000", "most rows in one list")
    at_once_people: int = _setting(
        _whole(0, 100_000),
        "5000",
        "people in a campaign up to whom a press of a button is done while one waits; for more a worker does it",
    )

    slice_rows: int = _setting(_whole(1, 100_000), "5000", "recipients in one slice")
    batch_rows: int = _setting(_whole(1, 10_000), "500", "recipients claimed and recorded together")
    send_connections: int = _setting(
        _whole(1, 500), "256", "connections to a provider, and so requests under way, in a worker"
    )
    send_timeout_s: int = _setting(_whole(1, 60), "20", "limit of one request to a provider, seconds")
    rate_jitter_ms: int = _setting(
        _whole(0, 10_000),
        "200",
        "how much closer together messages may reach a provider than they left, milliseconds; its rate holds even so",
    )
    lease_s: int = _setting(_whole(5, 600), "30", "how long a slice is held without a sign of life, seconds")
    unknown_settle_s: int = _setting(
        _whole(1, 3600), "40", "how long a message may be under way whose request the provider answered oddly, seconds"
    )
    gateway_settle_s: int = _setting(
        _whole(1, 3600),
        "300",
        "the same where a gateway answered 502 to 504 or nothing came: such a message may be taken late, seconds",
    )
    absence_gap_s: int = _setting(
        _whole(1, 600), "60", "time between the two look-ups that prove a message absent, seconds"
    )
    held_after_s: int = _setting(
        _whole(1, 86400), "1800", "how long a message without a known outcome is asked about before it is held, seconds"
    )
    outside_dir: str = _setting(
        _folder,
        "",
        "folder by which a database that was set back is noticed; needed in production",
    )
    listing_s: int = _setting(
        _whole(1, 86_400), "900", "how long an SMS service's list of what was sent may be read after a restore, seconds"
    )
    standstill_s: int = _setting(
        _whole(10, 86_400), "600", "after how long without a sign of life the SMS services are asked first, seconds"
    )
    number_campaign_cap: int = _setting(
        _whole(1, 1000), "3", "first SMS that one phone number gets in a campaign; more wait for a manager"
    )
    number_daily_cap: int = _setting(
        _whole(1, 1000), "10", "first SMS that one phone number gets from a company on a day; more wait for a manager"
    )
    worker_nice: int = _setting(
        _whole(0, 19),
        "10",
        "by how much workers of lists and of sending leave the processor to pages and receipts, 0 not at all (nice)",
    )
    sweep_s: int = _setting(_whole(1, 600), "60", "time between sweeps that rebuild the queues, seconds")

    api_key_per_minute: int = _setting(
        _whole(60, 10_000_000), "6000", "requests of one API key in a minute; 100 rows of a batch count as one more"
    )
    api_company_per_minute: int = _setting(
        _whole(60, 10_000_000), "12000", "the same of all API keys of a company together"
    )
    page_minutes: int = _setting(_whole(5, 240), "30", "a recipient's page session, minutes")
    staff_idle_minutes: int = _setting(_whole(5, 720), "60", "a back office session without a click, minutes")
    operator_second_factor: str = _setting(
        _one_of("optional", "required"), "optional", "whether operators reach nothing before they have a second factor"
    )
    guard_people: int = _setting(
        _whole(10, 10_000), "50", "people who opened links within an hour from which a campaign's failures are judged"
    )
    guard_failing_percent: int = _setting(
        _whole(5, 100), "30", "percent of them whose answers are wrong, at which the campaign's checks stop"
    )
    guard_locked: int = _setting(
        _whole(3, 10_000), "20", "links locked within an hour at which they stop too, if these are 10 percent or more"
    )

    @property
    def https(self) -> bool:
        """Whether people reach this installation over https: cookies are Secure then, and HSTS is sent."""
        return self.public_base_url.startswith("https://")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read and check everything.

        Raises BadSettings that names each wrong setting and why.
        """
        values: dict[str, Any] = {}
        faults: list[str] = []
        for item in _own(cls):
            name = variable(item.name)
            try:
                raw = _raw(environ, name)
                if raw is None:
                    raw = item.metadata["default"]
                if raw is None:
                    raise ValueError(f"must be set: {item.metadata['doc']}")
                values[item.name] = raw if raw == "" and item.metadata["default"] == "" else item.metadata["parse"](raw)
            except ValueError as fault:
                faults.append(f"{name}: {fault}")
        values["api_bases"] = provider_addresses.read(lambda name: _raw(environ, name), faults)
        if not faults:
            _fill(values)
            faults = _contradictions(values)
        if faults:
            raise BadSettings("\n".join(faults))
        return cls(**values)

    @classmethod
    def describe(cls) -> list[tuple[str, str, str]]:
        """List (variable, default or "", what it is), for documentation."""
        own = [(variable(f.name), f.metadata["default"] or "", f.metadata["doc"]) for f in _own(cls)]
        return own + provider_addresses.describe()


def _own(settings: type[Settings]) -> list[Field[Any]]:
    """Return the fields with a variable of their own."""
    return [item for item in fields(settings) if item.metadata]


def variable(field_name: str) -> str:
    """Name the environment variable of a field."""
    return "TODOKE_ENV" if field_name == "env" else field_name.upper()


def _raw(environ: Mapping[str, str], name: str) -> str | None:
    if path := environ.get(name + "_FILE"):
        if name in environ:
            raise ValueError(f"is given twice, by itself and by {name}_FILE")
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise ValueError(f"the file that {name}_FILE names can't be read") from None
    return environ.get(name)


def _fill(values: dict[str, Any]) -> None:
    values["database_owner_url"] = values["database_owner_url"] or values["database_url"]
    values["database_app_role"] = values["database_app_role"] or urlsplit(values["database_url"]).username or ""
    values["link_base_url"] = values["link_base_url"] or values["public_base_url"]
    values["payment_page_hosts"] = values["payment_page_hosts"] or ()
    values["webhook_local_addresses"] = values["webhook_local_addresses"] or ()
    values["trusted_hosts"] = values["trusted_hosts"] or tuple(
        sorted({urlsplit(values[name]).hostname or "" for name in ("public_base_url", "link_base_url")})
    )


def _contradictions(values: dict[str, Any]) -> list[str]:
    faults = []
    if len(values["secret_key"]) < _MIN_SECRET_CHARS:
        faults.append(f"SECRET_KEY: must have {_MIN_SECRET_CHARS} characters or more")
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", values["database_app_role"]):
        faults.append("DATABASE_APP_ROLE: must be a role's name: lower-case letters, digits and _")
    if values["lease_s"] <= values["send_timeout_s"]:
        faults.append("LEASE_S: must be longer than SEND_TIMEOUT_S, or a slice could be taken over in mid-request")
    if values["unknown_settle_s"] < 2 * values["send_timeout_s"]:
        faults.append(
            "UNKNOWN_SETTLE_S: must be twice SEND_TIMEOUT_S or more, or a message that is only late could be sent again"
        )
    if values["gateway_settle_s"] < values["unknown_settle_s"]:
        faults.append("GATEWAY_SETTLE_S: must be UNKNOWN_SETTLE_S or more: a gateway's message comes later than others")
    if not values["link_base_url"].startswith("https://"):
        faults.append("LINK_BASE_URL: must start with https://: it stands in every SMS")
    if values["env"] == "production":
        faults.extend(_unfit_for_production(values))
    return faults


def _unfit_for_production(values: dict[str, Any]) -> list[str]:
    faults = []
    if not values["outside_dir"]:
        faults.append("OUTSIDE_DIR: must be set in production: without it a restored backup sends everything again")
    if values["secret_key"].encode().startswith(DEMO_MARK):
        faults.append("SECRET_KEY: is a demo secret; make one with `python -m app new-secrets`")
    if values["digest_key"].startswith(DEMO_MARK):
        faults.append("DIGEST_KEY: is a demo secret; make one with `python -m app new-secrets`")
    if any(key.startswith(DEMO_MARK) for key in values["field_keys"].values()):
        faults.append("FIELD_KEYS: holds a demo secret; make one with `python -m app new-secrets`")
    if not (_redis_password(values["redis_url"]) or values["redis_no_password_because"].strip()):
        faults.append(
            "REDIS_URL: names no password, so that whoever reaches it gives orders to the workers; set one"
            " (rediss://:password@host:port/0), or say in REDIS_NO_PASSWORD_BECAUSE why none is needed"
        )
    if not values["public_base_url"].startswith("https://"):
        faults.append("PUBLIC_BASE_URL: must start with https:// in production")
    faults += webhook_addresses.unfit_for_production(values["webhook_local_addresses"], values["webhook_local_because"])
    return faults + provider_addresses.unfit_for_production(values["api_bases"])


def _redis_password(url: str) -> str:
    parts = urlsplit(url)
    return parts.password or parse_qs(parts.query).get("password", [""])[0]


def new_secrets(*, demo: bool = False) -> dict[str, str]:
    """Make SECRET_KEY, FIELD_KEYS and DIGEST_KEY afresh.

    Demo ones carry a mark that production refuses.
    """

    def key() -> str:
        mark = DEMO_MARK if demo else b""
        while True:
            raw = mark + os.urandom(_KEY_BYTES - len(mark))
            if demo or not raw.startswith(DEMO_MARK):
                return base64.b64encode(raw).decode()

    prefix = DEMO_MARK.decode() + "-" if demo else ""
    return {
        "SECRET_KEY": prefix + base64.urlsafe_b64encode(os.urandom(36)).decode(),
        "FIELD_KEYS": f"k1:{key()}",
        "DIGEST_KEY": key(),
    }


class _Current:
    """The process's settings, once `create_app` has taken them."""

    value: Settings | None = None


def install(settings: Settings) -> None:
    """Make `settings` those of this process; `create_app` does it."""
    process_state.of(_Current).value = settings


def settings() -> Settings:
    """Return this process's settings; an error before `create_app`."""
    current = process_state.of(_Current).value
    if current is None:
        raise RuntimeError("create_app() has not run: there are no settings yet")
    return current
