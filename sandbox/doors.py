"""The doors of the sandbox: where each service's API begins, and the product's settings that lead there."""

from collections.abc import Mapping

# service -> the path at which its API begins, as its official SDK is told
BASES: Mapping[str, str] = {
    "karaden": "/karaden/api",
    "zettai_reach": "/zettai_reach",
    "infobip": "/infobip",
    "twilio": "/twilio",
    "stripe": "/stripe",
    "payjp": "/payjp",
    "komoju": "/komoju/api/v1",
    "paypay": "/paypay",
}


def environment(url: str) -> dict[str, str]:
    """Return the variables by which the product reaches each service at a sandbox."""
    return {f"{name.upper()}_API_BASE": url + path for name, path in BASES.items()}
