"""A peer on loopback that speaks real TLS and answers as each test wants, right or wrong."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pbx_operator.domain.protocol.envelope import Envelope, open_envelope, payload_bytes, seal
from pbx_operator.domain.protocol.keys import SigningKey, base64url, instance_id
from pbx_operator.domain.protocol.messages import SyncAnswer, SyncRequest
from pbx_operator.exchange.pinning import pin_of
from pbx_operator.network.addresses import NetworkRules

OURS = SigningKey(bytes(range(32)))
THEIRS = SigningKey(bytes(range(1, 33)))
STRANGER = SigningKey(bytes(range(2, 34)))
WE = instance_id(OURS.public)
THEY = instance_id(THEIRS.public)

LOOPBACK = NetworkRules(allowed=(ip_network("127.0.0.0/8"),))
SYNC = partial(SyncRequest, links=())
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)

Behaviour = Callable[["Call"], Awaitable[None]]


@dataclass
class Server:
    """A server that listens; `calls` are the requests that reached it, `hellos` the names in the TLS handshakes."""

    port: int
    pin: str
    behaviour: Behaviour
    calls: list[Call] = field(default_factory=list)
    connections: int = 0
    hellos: list[str | None] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the test is over: a behaviour that hangs waits for it."""

    def endpoint(self, host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.port}"


@dataclass
class Call:
    """One request, and the connection that it came by."""

    server: Server
    writer: asyncio.StreamWriter
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def envelope(self) -> Envelope:
        return Envelope.model_validate_json(self.body)

    @property
    def digest(self) -> str:
        return base64url(hashlib.sha256(payload_bytes(self.envelope)).digest())

    @property
    def message(self) -> dict[str, Any]:
        return open_envelope(self.envelope, SyncRequest.type)

    def signed(self, key: SigningKey = THEIRS, kind: str = SyncAnswer.type, **changed: Any) -> bytes:
        """Return the body of a right answer, or of one with these changes."""
        message = {"from": THEY, "to": WE, "re": self.digest, "links": [], **changed}
        return seal(kind, message, key).model_dump_json().encode()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await asyncio.sleep(0)  # drain() alone may never let the loop notice that the client hung up
        await self.writer.drain()

    async def reply(self, body: bytes, status: str = "200 OK", headers: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        await self.send(head.encode() + body)


async def right(call: Call) -> None:
    await call.reply(call.signed())


def certificate(directory: Path, name: str) -> tuple[Path, str]:
    """Make a self-signed certificate; return its file, key included, and its pin."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = directory / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file, pin_of(made)


def server_context(file: Path, highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = highest
    context.load_cert_chain(file)
    return context


@asynccontextmanager
async def serving(
    context: ssl.SSLContext, pin: str, behaviour: Behaviour = right, host: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    """Listen on a free port until the test is over."""
    server = Server(0, pin, behaviour)
    context.sni_callback = lambda _object, name, _context: server.hellos.append(name)
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        try:
            call = await _receive(server, reader, writer)
            server.calls.append(call)
            await server.behaviour(call)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client hung up, as it often should
        finally:
            writer.transport.abort()

    listener = await asyncio.start_server(handle, host, 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        server.released.set()
        listener.close()
        await asyncio.gather(*tasks)
        await listener.wait_closed()


async def _receive(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Call:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    return Call(server, writer, first.split(" ")[1], headers, await reader.readexactly(int(headers["Content-Length"])))
