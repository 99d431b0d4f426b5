"""Which addresses may be dialled: bundles and peers name hosts, and must not steer us into our own network.

A name is resolved once and every address that it stands for is checked; who dials then connects to these very
addresses, so that a second answer of the DNS changes nothing.  Private networks (RFC 1918) are allowed unless
they are configured as forbidden, since two clusters of one company may well meet there.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from pbx_operator.domain.protocol.endpoints import HostPort

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Lookup = Callable[[str, int], Awaitable[list[str]]]
"""Resolves a host name and port into addresses; raises OSError."""

MAX_ADDRESSES = 8
"""Addresses of one name that are tried; a hostile name server could list thousands."""

_NEVER: tuple[tuple[str, Network], ...] = tuple(
    (name, ip_network(network))
    for name, network in (
        ("unspecified", "0.0.0.0/8"),
        ("unspecified", "::/128"),
        ("loopback", "127.0.0.0/8"),
        ("loopback", "::1/128"),
        ("link-local", "169.254.0.0/16"),
        ("link-local", "fe80::/10"),
        ("multicast", "224.0.0.0/4"),
        ("multicast", "ff00::/8"),
        ("reserved", "240.0.0.0/4"),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052: what a cluster with IPv6 alone sees instead of IPv4 addresses."""


class ForbiddenAddressError(ValueError):
    """A host may not be dialled, since one of its addresses breaks a rule, such as `is loopback`.

    The text names the address and is for our log; `why` does not, and stays the same while the rule does.
    """

    def __init__(self, host: str, address: str, rule: str) -> None:
        super().__init__(f"{host} may not be dialled: {address} {rule}")
        self.why = f"it may not be dialled, since its address {rule}"


@dataclass(frozen=True, slots=True)
class NetworkRules:
    """Which addresses may be dialled.

    `forbidden` are the Pod and Service ranges of the cluster and the addresses of its API server; loopback,
    link-local, multicast, unspecified and reserved addresses are always forbidden.  `allowed` overrides both.
    """

    forbidden: tuple[Network, ...] = ()
    allowed: tuple[Network, ...] = ()

    def why_not(self, address: str) -> str | None:
        """Return the rule that forbids the address, like `is loopback`; None if it may be dialled.

        Raises ValueError if it is no address.
        """
        for form in _forms(ip_address(address)):
            if any(form in network for network in self.allowed):
                continue
            for name, network in _NEVER:
                if form in network:
                    return f"is {name}"
            for network in self.forbidden:
                if form in network:
                    return f"is in the forbidden network {network}"
        return None


async def checked_addresses(target: HostPort, rules: NetworkRules, lookup: Lookup) -> tuple[str, ...]:
    """Resolve the host, once, and return its addresses: those that may be connected to.

    Raises ForbiddenAddressError if one of them may not be dialled, OSError if there is none.
    """
    addresses = tuple(dict.fromkeys(await lookup(target.host, target.port)))
    for address in sorted(addresses):  # whichever of them the name server tells first
        if rule := rules.why_not(address):
            raise ForbiddenAddressError(target.host, address, rule)
    if not addresses:
        raise socket.gaierror(socket.EAI_NONAME, "the host has no address")
    return addresses[:MAX_ADDRESSES]


class SystemLookup:
    """The resolver of the operating system, in threads of its own.

    A name server that never answers must not hold up whatever else the process does in threads.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="lookup")

    async def __call__(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host; raise OSError if there is none."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _resolve, host, port)


def _resolve(host: str, port: int) -> list[str]:
    return [str(address[0]) for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _forms(address: Address) -> Iterator[Address]:
    """Return the address and the IPv4 address that hides in it: both must be allowed."""
    yield address
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            yield inner
        if address in _NAT64:
            yield IPv4Address(int(address) & 0xFFFFFFFF)
