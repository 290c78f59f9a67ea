"""The addresses of providers' APIs, as the operator lists them: one variable for each provider, `<NAME>_API_BASE`.

In: a way to read a variable. Out: each provider's addresses, of which a company chooses one for its account where there
are several. Can't happen here: a provider named; an address that holds a password; one that a company typed.
"""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from app.providers import payments, sms
from app.providers.payments.base import PaymentProvider
from app.providers.sms.base import SmsProvider

Provider = SmsProvider | PaymentProvider

_SCHEMES = ("https", "http")


def providers() -> dict[str, Provider]:
    """Return every provider of SMS and payments by its name."""
    return {**sms.PROVIDERS, **payments.PROVIDERS}


def variable(provider: str) -> str:
    """Name the environment variable that lists the addresses of a provider's API."""
    return f"{provider.upper()}_API_BASE"


def describe() -> list[tuple[str, str, str]]:
    """List (variable, default or "", what it is), for documentation."""
    return [(variable(name), one.api_base or "", _words(one)) for name, one in providers().items()]


def read(raw: Callable[[str], str | None], faults: list[str]) -> dict[str, tuple[str, ...]]:
    """Read the addresses of every provider; what can't be used is added to `faults`, by name and reason."""
    found = {}
    for name, provider in providers().items():
        try:
            found[name] = _parse(raw(variable(name)), provider.api_base)
        except ValueError as fault:
            faults.append(f"{variable(name)}: {fault}")
    return found


def unfit_for_production(addresses: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Name the variables that list an address without https."""
    return [
        f"{variable(name)}: must start with https:// in production"
        for name, listed in addresses.items()
        if not all(address.startswith("https://") for address in listed)
    ]


def _parse(raw: str | None, default: str | None) -> tuple[str, ...]:
    if raw is None:
        raw = default or ""
    listed = tuple(part.strip().rstrip("/") for part in raw.split(",") if part.strip())
    if not listed and default is not None:
        raise ValueError("must list one address or more; leave it out for the provider's own")
    for address in listed:
        try:
            parts = urlsplit(address)
        except ValueError:  # brackets that don't close; its words hold the value
            parts = urlsplit("")
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise ValueError("must be an address that starts with https:// or http://, or several, comma separated")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("must hold addresses of a host and a path: no user, no query")
    if len(set(listed)) < len(listed):
        raise ValueError("lists an address twice")
    return listed


def _words(provider: Provider) -> str:
    without = "" if provider.api_base else "; without one it isn't offered"
    return f"API of {provider.label}; several, comma separated: a company chooses one{without}"
