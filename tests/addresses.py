"""Settings by which the product reaches other addresses than those of its environment."""

from collections.abc import Mapping
from dataclasses import replace

from app.config import Settings
from app.providers import sms
from sandbox.doors import BASES


def bases(settings: Settings, **instead: str) -> Mapping[str, tuple[str, ...]]:
    """Return the addresses of all APIs, those of some providers replaced, by name."""
    return {**settings.api_bases, **{name: (address,) for name, address in instead.items()}}


def at(settings: Settings, **instead: str) -> Settings:
    """Return the settings with the addresses of some providers replaced, by name."""
    return replace(settings, api_bases=bases(settings, **instead))


def carriers(settings: Settings, url: str) -> Mapping[str, tuple[str, ...]]:
    """Return the addresses of all APIs, those of SMS services at a sandbox."""
    return bases(settings, **{name: url + path for name, path in BASES.items() if name in sms.PROVIDERS})
