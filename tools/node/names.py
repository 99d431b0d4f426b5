"""The name server of a node: it answers for the names of Services, from what the API server knows.

A cluster has CoreDNS for this, which takes minutes to build.  What pods of the tests ask for is little: IPv4 addresses
of `NAME.NAMESPACE.svc.cluster.local`, where a Service without a cluster IP has those of its ready pods.  Every other
name does not exist: a node has no way out.  The process needs the standard library alone.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import sys
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPSHandler, build_opener

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DOMAIN = "cluster.local"
PORT = 53
_HEADER = 12
_A, _IN = b"\0\1", b"\0\1"
_POINTER_TO_QUESTION = struct.pack(">H", 0xC000 | _HEADER)
_SECONDS = struct.pack(">I", 1)
_AUTHORITATIVE_ANSWER = 0x8580
_NO_SUCH_NAME = 3


def command(url: str, address: str, authority: Path, certificate: Path, key: Path) -> list[str]:
    """Return the command line of the server that listens at this address and asks the API server at this URL."""
    return [sys.executable, __file__, url, address, str(authority), str(certificate), str(key)]


def answer(query: bytes, lookup: Callable[[str], list[str] | None]) -> bytes:
    """Return the answer to a query of one question (RFC 1035, section 4).

    `lookup` returns the addresses of a name, or None if there is no such name.
    """
    labels, end = [], _HEADER
    while length := query[end]:
        labels.append(query[end + 1 : end + 1 + length].decode("ascii").lower())
        end += 1 + length
    question, kind = query[_HEADER : end + 5], query[end + 1 : end + 3]
    found = lookup(".".join(labels))
    addresses = (found or []) if kind == _A else []
    records = [_POINTER_TO_QUESTION + _A + _IN + _SECONDS + b"\0\4" + IPv4Address(each).packed for each in addresses]
    flags = _AUTHORITATIVE_ANSWER | (_NO_SUCH_NAME if found is None else 0)
    return query[:2] + struct.pack(">5H", flags, 1, len(records), 0, 0) + question + b"".join(records)


def addresses_of(name: str, get: Callable[[str], Any]) -> list[str] | None:
    """Return the addresses of a Service by its full name; None if there is none.

    `get` returns what the API server answers at a path, or None if that does not exist.
    """
    first, _, rest = name.partition(".")
    namespace, _, domain = rest.partition(".")
    if domain != f"svc.{DOMAIN}":
        return None
    home = f"namespaces/{quote(namespace, safe='')}"
    service = get(f"/api/v1/{home}/services/{quote(first, safe='')}")
    if service is None:
        return None
    if (address := service["spec"].get("clusterIP")) != "None":
        return [address] if address else []
    label = quote(f"kubernetes.io/service-name={first}", safe="")
    slices = get(f"/apis/discovery.k8s.io/v1/{home}/endpointslices?labelSelector={label}")
    endpoints = [endpoint for each in slices["items"] for endpoint in each["endpoints"] or ()]
    return [address for each in endpoints if each["conditions"].get("ready") for address in each["addresses"]]


def _serve(url: str, address: str, authority: str, certificate: str, key: str) -> None:
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    opener = build_opener(HTTPSHandler(context=context))

    def get(path: str) -> Any:
        try:
            with opener.open(f"{url}{path}", timeout=5) as response:
                return json.load(response)
        except HTTPError as error:
            if error.code == 404:
                return None
            raise

    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, PORT))
    while True:
        query, client = server.recvfrom(512)
        try:
            server.sendto(answer(query, lambda name: addresses_of(name, get)), client)
        except (OSError, IndexError, UnicodeDecodeError) as error:  # whoever asked asks again
            print(f"{client[0]}: {error!r}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
