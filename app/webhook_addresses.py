"""Which addresses webhooks may be sent to: the public internet, and nothing behind the operator's own walls.

In: an address as a socket is about to be opened to it, and the networks that the operator allows on top
(WEBHOOK_LOCAL_ADDRESSES). Out: yes or no. Can't happen here: a private address that passes because it is written in
another form. It is asked about the address itself, after every name and every form of writing was resolved; a form
that carries an IPv4 address (mapped, NAT64) is judged by that one.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Network = IPv4Network | IPv6Network

# RFC 6052: how a network without IPv4 writes a public IPv4 address
_NAT64: Final = IPv6Network("64:ff9b::/96")

# Kept here in full, whatever a version of Python counts as global (IANA's registries of special addresses).
_SHUT: Final = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network; 0.0.0.0 is the machine itself
        "10.0.0.0/8",
        "100.64.0.0/10",  # between a provider and its customers (CGNAT)
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's own services, at an address that looks public
        "169.254.0.0/16",  # link-local, the metadata of clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        # of IPv6 all but 2000::/3, which alone is given out to the internet; the forms that carry IPv4 were unwrapped
        "::/3",
        "4000::/2",
        "8000::/1",
        "2001::/23",  # Teredo and other protocols' own
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries an IPv4 address to any relay
        "3fff::/20",
    )
)

_UNFIT: Final = (
    "WEBHOOK_LOCAL_ADDRESSES: lets companies' webhooks into this network; leave it empty in production, or say in"
    " WEBHOOK_LOCAL_BECAUSE why they may"
)


def may_reach(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Return whether a webhook may go to an address, as a socket names it."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    plain = _plain(parsed)
    if any(_within(plain, network) for network in allowed):
        return True
    return plain.is_global and not any(_within(plain, network) for network in _SHUT)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 form of writing carries, else the address."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return IPv4Address(address.packed[-4:]) if address in _NAT64 else address


def _within(address: IPv4Address | IPv6Address, network: Network) -> bool:
    return address.version == network.version and address in network


def read(raw: str) -> tuple[Network, ...]:
    """Read WEBHOOK_LOCAL_ADDRESSES: addresses or networks, comma separated. Raises ValueError."""
    try:
        return tuple(ip_network(part.strip()) for part in raw.split(",") if part.strip())
    except ValueError:
        raise ValueError("must list addresses or networks such as 127.0.0.1 or 10.1.0.0/16, comma separated") from None


def unfit_for_production(allowed: Sequence[Network], because: str) -> list[str]:
    """Return the fault of a list that nobody gave a reason for."""
    if not allowed or because.strip():
        return []
    return [_UNFIT]
