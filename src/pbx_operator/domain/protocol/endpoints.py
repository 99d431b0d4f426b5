"""Endpoints: where the exchange of an installation listens, `https://host` or `https://host:port`.

Administrators type them, bundles carry them (`keys`) and peers announce them. All are read here, so that a mistake is
told in the same words wherever it was made. Which addresses may be dialled is not judged here but in
`network/addresses`, once a name is resolved.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

SCHEME = "https://"
HTTPS_PORT = 443
MAX_ENDPOINT = 253
"""Characters of the longest endpoint."""
EXAMPLES = "https://pbx.example.com:8443 or https://[2001:db8::1]:8443"

_SHOWN = 60
"""Characters that are quoted of an endpoint that is far too long."""
_NO_IPV6 = "has brackets that do not hold an IPv6 address and nothing else"
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(:(?P<port>[^:]*))?")
_PORT = re.compile(r"[0-9]{1,5}")
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class EndpointError(ValueError):
    """A text is not an endpoint; the message quotes it, says what is wrong, and shows what is right.

    What stands before an `@` is not quoted: it may hold a password.
    """

    def __init__(self, text: str, problem: str) -> None:
        _, at, rest = text.rpartition("@")
        shown = f"…@{rest}" if at else text
        shown = shown if len(shown) <= MAX_ENDPOINT else f"{shown[:_SHOWN]}…"
        self.problem = f"{problem}; an endpoint looks like {EXAMPLES}"
        """The message without the text."""
        self.shown = repr(shown)
        self.mistake = problem
        """What is wrong alone, for what is no exchange or may not be quoted."""
        super().__init__(f"{self.shown} {self.problem}")


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host name in lower case or an IP address, IPv6 without its brackets and in its shortest form; and a port."""

    host: str
    port: int


def parse_endpoint(text: str) -> HostPort:
    """Read `https://host` or `https://host:port`; no user, path, query or fragment.

    The host is a name (RFC 1123), an IPv4 address, or an IPv6 address in brackets (RFC 3986, section 3.2.2), all in
    lower case; without a port, 443 is meant. Raises EndpointError.
    """
    if len(text) > MAX_ENDPOINT:
        raise EndpointError(text, f"has more than {MAX_ENDPOINT} characters")
    if not text.startswith(SCHEME):
        raise EndpointError(text, f"does not start with '{SCHEME}'")
    authority, *rest = re.split(r"[/?#]", text.removeprefix(SCHEME), maxsplit=1)
    try:
        if "@" in authority:
            raise ValueError("names a user before the '@': leave it out, nobody logs in there")
        if rest:
            raise ValueError("has a path, a query or a fragment: leave out what follows the host and the port")
        match = _AUTHORITY.fullmatch(authority)
        if match is None and "[" not in authority:
            raise ValueError("has an IPv6 address without brackets, or more than one ':' after the host")
        if match is None:
            raise ValueError(_NO_IPV6)
        return HostPort(_host(match["host"]), _port(match["port"]))
    except ValueError as error:
        raise EndpointError(text, str(error)) from None


def one_form(text: str) -> str:
    """Return one text for all spellings of an endpoint, as with and without port 443; any other text as it is."""
    try:
        target = parse_endpoint(text)
    except EndpointError:
        return text
    return f"{target.host}:{target.port}"


def _host(text: str) -> str:
    """Return the host in its one form. Raises ValueError with what is wrong."""
    if not text:
        raise ValueError("names no host")
    if "*" in text:
        raise ValueError("has a wildcard ('*'): name one host")
    if text != text.lower():
        raise ValueError("has upper-case letters: write the host in lower case")
    if text.startswith("["):
        return str(_one_address(_ipv6(text[1:-1])))
    if _NUMBER.fullmatch(text.rpartition(".")[2]):
        return str(_one_address(_ipv4(text)))
    if not _HOST_NAME.fullmatch(text):
        raise ValueError("has a host that is not a host name (RFC 1123: letters a to z, digits, '-' and '.')")
    return text


def _ipv4(text: str) -> IPv4Address:
    """Take four decimal numbers only: some resolvers read others, as 127.1 or 0x7f000001, as an address too.

    The URL standard decides by the last label whether a host is a number.
    """
    try:
        return IPv4Address(text)
    except ValueError:
        raise ValueError("has a number as its host that is not an IPv4 address: write it like 192.0.2.7") from None


def _ipv6(text: str) -> IPv6Address:
    try:
        address = IPv6Address(text)
    except ValueError:
        raise ValueError(_NO_IPV6) from None
    if address.scope_id is not None:
        raise ValueError("has an IPv6 address with a zone ('%'), which means nothing on another machine")
    return address


def _one_address(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if address.is_unspecified:
        raise ValueError("stands for all addresses of a machine: give one at which others reach it")
    return address


def _port(text: str | None) -> int:
    if text is None:
        return HTTPS_PORT
    if not _PORT.fullmatch(text) or not 0 < int(text) < 2**16:
        raise ValueError("has a port that is not a number from 1 to 65535")
    return int(text)
