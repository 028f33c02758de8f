"""Which addresses may be connected to, when the one who wrote the address down is not the one who runs the server.

The check is made where the socket is made, on the resolved address: no name can resolve to one thing for
the check and to another for the connection.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Any


class AddressForbidden(OSError):
    """The name leads to an address inside the house."""


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_IPV4_COMPATIBLE = ipaddress.ip_network("::/96")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also behind the ways of writing IPv4 as IPv6."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip.sixtofour is not None or ip.teredo is not None or ip in _NAT64 or ip in _IPV4_COMPATIBLE:
            return False
    return ip.is_global and not ip.is_multicast


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """Lets connections to the open internet through, and to the networks named besides (`192.168.1.0/24`)."""

    networks: tuple[str, ...] = ()

    def allows(self, address: str) -> bool:
        if is_public(address):
            return True
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(ip, "ipv4_mapped", None)
        return any(
            one.version == network.version and one in network
            for network in map(ipaddress.ip_network, self.networks)
            for one in (ip, mapped)
            if one is not None
        )

    def socket(self, address: tuple[Any, ...]) -> socket.socket:
        """For aiohttp's `TCPConnector(socket_factory=…)`: makes the socket for one resolved address, or refuses."""
        family, kind, protocol, _, where = address
        if not self.allows(str(where[0])):
            raise AddressForbidden(f"{where[0]} is not an address that may be connected to")
        return socket.socket(family=family, type=kind, proto=protocol)


def forbidden(fault: BaseException | None) -> bool:
    """Whether that is what a failure, or one under it, comes from."""
    seen: list[BaseException] = []
    while fault is not None and fault not in seen:
        if isinstance(fault, AddressForbidden) or isinstance(
            getattr(fault, "os_error", None), AddressForbidden
        ):
            return True
        seen.append(fault)
        fault = fault.__cause__ or fault.__context__
    return False
