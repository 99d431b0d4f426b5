"""What a peer may do with a request instead of the right thing."""

from __future__ import annotations

import gzip
from typing import Any

from pbx_operator.domain.protocol.envelope import Envelope, seal
from pbx_operator.domain.protocol.keys import SigningKey, instance_id
from pbx_operator.domain.protocol.messages import SyncAnswer
from rotated import chain
from test_exchange_client.peer import STRANGER, THEIRS, THEY, WE, Behaviour, Call

CANARY = "canary-7f3a"
"""A text in everything that a misbehaving peer sends; our log may not quote it."""


def to_json(line: list[SigningKey]) -> list[dict[str, Any]]:
    return [one.to_json() for one in chain(line)]


async def hang(call: Call) -> None:
    await call.server.released.wait()


async def half(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + CANARY.encode())


async def half_and_hang(call: Call) -> None:
    await half(call)
    await hang(call)


async def endless(call: Call) -> None:
    """Send until the client hangs up."""
    await call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await call.send(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")


async def endless_head(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await call.send(b"X-Filler: " + b"x" * 1000 + b"\r\n")


async def zipped(call: Call) -> None:
    await call.reply(gzip.compress(call.signed()), headers="Content-Encoding: gzip\r\n")


async def claims_to_be_zipped(call: Call) -> None:
    await call.reply(call.signed(), headers="Content-Encoding: identity\r\n")


async def redirect(call: Call) -> None:
    location = f"Location: {call.server.endpoint()}/elsewhere\r\n"
    await call.reply(call.signed(), "307 Temporary Redirect", headers=location)


async def unsigned(call: Call) -> None:
    await call.reply(f'{{"result": "{CANARY}"}}'.encode())


async def changed_on_the_way(call: Call) -> None:
    body = call.signed()
    other = call.signed(links=[], endpoints=["https://elsewhere.example"])
    signature = body[body.index(b'"sig"') :]
    await call.reply(other[: other.index(b'"sig"')] + signature)


async def wrong_instance_says_so_itself(call: Call) -> None:
    await call.reply(call.signed(STRANGER, **{"from": instance_id(STRANGER.public)}))


async def only_a_name_of_ours(call: Call) -> None:
    """A field under the name that it has in the code and not in the protocol."""
    message = {"sender": THEY, "to": WE, "re": call.digest, "links": []}
    await call.reply(seal(SyncAnswer.type, message, THEIRS).model_dump_json().encode())


async def too_long(call: Call) -> None:
    await call.reply(Envelope.model_construct(payload="A" * 349_532, by="", sig="").model_dump_json().encode())


def status(line: str) -> Behaviour:
    async def behave(call: Call) -> None:
        await call.reply(call.signed(), line)

    return behave


def raw(data: bytes) -> Behaviour:
    async def behave(call: Call) -> None:
        await call.send(data)

    return behave


def body(data: bytes) -> Behaviour:
    async def behave(call: Call) -> None:
        await call.reply(data)

    return behave


def signed(*arguments: Any, **changed: Any) -> Behaviour:
    async def behave(call: Call) -> None:
        await call.reply(call.signed(*arguments, **changed))

    return behave
