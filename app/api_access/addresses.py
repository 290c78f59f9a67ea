"""Addresses from which a company's keys are taken: the list, and where a request came from.

In: a network as typed; a connection's address with what proxies say of it. Out: an entry of the list; the one address
that counts. Can't happen here: an address that a client made up, for exactly as many hops are believed as there are
proxies, and fewer are no answer; an IPv4 address that passes, or doesn't, by being written as IPv6.
"""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from app import audit, tenancy
from app.extensions import db
from app.models import ApiAddress
from app.problems import Kind, Refused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MOST = 100
MOST_NOTE = 60
# a wider one is no list: an IPv4 network of 65,536 addresses, what an IPv6 provider gives a large customer
WIDEST_4, WIDEST_6 = 16, 32
_MAPPED = IPv6Network("::ffff:0:0/96")
_MAPPED_BITS = 96

_UNREADABLE = Kind(
    "api_address_unreadable",
    "アドレスとして読めません。203.0.113.5 や 203.0.113.0/24 の形で入力してください（IPv6も使えます）。",
)
_HOST_BITS = Kind(
    "api_address_not_a_network",
    "ネットワークの始まりのアドレスではありません。範囲なら {network} と、1台だけならアドレスだけを入力してください。",
)
_TOO_WIDE = Kind(
    "api_address_too_wide",
    "範囲が広すぎます。IPv4は /{widest_four} 、IPv6は /{widest_six} か、それより狭い範囲にしてください。",
)
_TWICE = Kind("api_address_twice", "このアドレスは、すでに登録されています。")
_TOO_MANY = Kind("api_address_too_many", "登録できるアドレスは{most}件までです。使わないものを削除してください。")
_LONG_NOTE = Kind("api_address_note_too_long", "アドレスのメモが長すぎます。{most}文字以内で入力してください。")
_GONE = Kind("api_address_gone", "このアドレスは、すでに削除されています。")


def client(peer: str, forwarded_for: str, hops: int) -> Address | None:
    """Return the address that a request came from; None where it can't be told.

    `peer` is the connection's other end, `forwarded_for` the header as it came, `hops` the number of proxies in front:
    each has appended who it took the request from. Fewer than that say that somebody reached us by another way. The
    header is split at each comma: a quote that a client puts before them must not swallow what proxies append.
    """
    if not hops:
        return _read(peer)
    told = forwarded_for.split(",") if forwarded_for.strip() else []
    return _read(told[-hops]) if len(told) >= hops else None


def _read(text: str) -> Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return folded(address)


def folded(address: Address) -> Address:
    """Return an IPv4 address that is written as IPv6 (::ffff:203.0.113.5) as what it is."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def read_network(typed: str) -> Network:
    """Read a network or a single address. Raises Refused."""
    text = typed.strip()
    try:
        network = ip_network(text, strict=False)
        if network.network_address != ip_address(text.partition("/")[0]):
            raise Refused(_HOST_BITS(network=str(network)))
    except ValueError:
        raise Refused(_UNREADABLE()) from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        network = IPv4Network((int(mapped or 0), network.prefixlen - _MAPPED_BITS))
    if network.prefixlen < (WIDEST_4 if isinstance(network, IPv4Network) else WIDEST_6):
        raise Refused(_TOO_WIDE(widest_four=WIDEST_4, widest_six=WIDEST_6))
    return network


def add(typed: str, note: str, *, user_id: int) -> ApiAddress:
    """Put a network on the list of the tenant in scope. Raises Refused. Commits."""
    network, note = read_network(typed), " ".join(note.split())
    if len(note) > MOST_NOTE:
        raise Refused(_LONG_NOTE(most=MOST_NOTE))
    tenant_id = tenancy.current().tenant_id
    count = db.session.scalar(select(func.count()).where(ApiAddress.tenant_id == tenant_id)) or 0
    if count >= MOST:
        raise Refused(_TOO_MANY(most=MOST))
    row = ApiAddress(tenant_id=tenant_id, network=network, note=note, created_by=user_id)
    db.session.add(row)
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        raise Refused(_TWICE()) from None
    _record("add_api_address", row, user_id)
    return row


def remove(address_id: int, *, user_id: int) -> None:
    """Take a network off the list, from the next request on. Raises Refused. Commits."""
    row = db.session.get(ApiAddress, address_id)
    if row is None:
        raise Refused(_GONE())
    _record("remove_api_address", row, user_id, gone=True)


def _record(act: str, row: ApiAddress, user_id: int, *, gone: bool = False) -> None:
    detail = {"network": str(row.network)}
    audit.record(db.session, actor=f"user:{user_id}", act=act, target=f"api_address:{row.id}", detail=detail)
    if gone:
        db.session.delete(row)
    db.session.commit()
