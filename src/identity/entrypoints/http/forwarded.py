"""Whose address a request came from, where proxies stand in between."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]+)\](?::\d+)?|(?P<v4>[\d.]+):\d+")
HOPS_LIMIT = 32


class TrustedProxies:
    """The proxies whose `X-Forwarded-For` is believed, by their networks in CIDR notation."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = tuple(map(ipaddress.ip_network, networks))

    def client_of(self, peer: str, forwarded_for: Iterable[str]) -> str:
        """The last hop, from our side, that is none of the proxies; the peer if that is none.

        `forwarded_for`: the values of the header, in their order. Each proxy adds whom it was asked by at the
        end, so what stands before the first hop that is not a proxy is whatever the client has claimed.
        """
        believed = peer
        hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
        for hop in reversed(hops[-HOPS_LIMIT:]):
            if not self._trusts(believed):
                break
            address = _parse(hop)
            if address is None:
                break  # a proxy of ours would not write this
            believed = str(address)
        return believed

    def _trusts(self, hop: str) -> bool:
        address = _parse(hop)
        return address is not None and any(address in network for network in self._networks)


def _parse(hop: str) -> Address | None:
    match = _WITH_PORT.fullmatch(hop)
    try:
        address = ipaddress.ip_address((match["v6"] or match["v4"]) if match else hop)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    return address.ipv4_mapped or ipaddress.IPv6Address(int(address))  # without a zone, which may be any text
