"""Somebody hands out keys and lies about them: the operator that redeems them believes nothing and goes nowhere else.

The operator may dial one address of loopback, so that all others are like the network of its own cluster.
"""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from builders import digest, interlink
from integration.attacker import report
from integration.false_issuer import HOST, Call, FalseIssuer, json_response
from integration.harness import Stage, World, open_stage
from integration.test_federation_faults import traces_of_bundle
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.domain.protocol.endpoints import parse_endpoint
from pbx_operator.domain.protocol.keys import SigningKey, base64url, instance_id, key_id
from pbx_operator.exchange.client import MAX_BODY
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.ports import unused_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORBIDDEN = "10.96.0.0/12"
RULES = ("--allow-network", f"{HOST}/32", "--forbid-network", FORBIDDEN, "--sync-interval", "1")
OTHER = SigningKey(bytes(range(32)))
Behaviour = Callable[[FalseIssuer, Call], web.StreamResponse]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with open_stage(installed, tmp_path_factory.mktemp("stage")) as stage:
        await stage.observer.ready()
        stage.start(*RULES)
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def world(world: World) -> AsyncIterator[World]:
    """Return a world; afterwards nobody goes on asking issuers that are gone."""
    yield world
    links = [link for link in world.stage.observer.all(Interlink) if link.key.namespace in world.namespaces]
    await world.delete(*links)
    await world.gone(*links)


# --- answers ----------------------------------------------------------------------------------------------------


def redirect(issuer: FalseIssuer, call: Call) -> web.StreamResponse:
    """Send the request on to where it could be answered rightly."""
    if [other.digest for other in issuer.calls].count(call.digest) > 1:
        return json_response(issuer.linked(call))
    return web.Response(status=307, headers={"Location": f"{issuer.contact.endpoints[0]}/v1/redeem"})


def compressed(issuer: FalseIssuer, call: Call) -> web.StreamResponse:
    return json_response(gzip.compress(issuer.linked(call)), Content_Encoding="gzip")


def endless(issuer: FalseIssuer, call: Call) -> web.StreamResponse:
    return json_response(issuer.linked(call) + b" " * MAX_BODY)


def to_another_request(issuer: FalseIssuer, call: Call) -> web.StreamResponse:
    return json_response(issuer.linked(call, re="A" * 43))


def to_somebody_else(issuer: FalseIssuer, call: Call) -> web.StreamResponse:
    return json_response(issuer.linked(call, to=instance_id(OTHER.public)))


def of_somebody_else(issuer: FalseIssuer, call: Call) -> web.StreamResponse:
    receipt = issuer.receipt(call)
    return json_response(issuer.answer(call, OTHER, result="Linked", receipt=receipt))


def of_another_kind(issuer: FalseIssuer, call: Call) -> web.StreamResponse:
    return json_response(issuer.answer(call, kind="sync", result="Linked", receipt=issuer.receipt(call)))


def unsigned(issuer: FalseIssuer, call: Call) -> web.StreamResponse:
    return web.json_response({"result": "Gone", "reason": "Revoked"})


LIES: dict[Behaviour, str] = {
    redirect: "it answers with HTTP 307 Temporary Redirect",
    compressed: "its answer is encoded, although we asked for identity",
    endless: f"its answer has more than {MAX_BODY} bytes",
    to_another_request: "its answer belongs to another request",
    to_somebody_else: "its answer is between two others",
    of_somebody_else: "its answer is signed by somebody else",
    of_another_kind: "its signature is wrong",
    unsigned: "its answer has a wrong payload",
}


async def enter(world: World, name: str, text: str) -> Interlink:
    """Enter a key that somebody handed out."""
    account = await world.office(name, "300")
    await world.put_key(account.key.namespace, "key", text)
    link = interlink("y", "a", account.key.namespace, redeem="key")
    await world.apply(link)
    return link


def is_still_asked_for(world: World, link: Interlink) -> None:
    """Check that our record was written once, when the request was made, and nothing came of it."""
    (record,) = [r for r in world.records() if r.spec.redeemer and r.spec.redeemer.interlink.key == link.key]
    versions = world.stage.observer.versions(LinkRecord.resource, record.key)
    assert len({raw["metadata"]["resourceVersion"] for raw in versions}) == 1
    assert (record.spec.state, record.spec.receipt, record.spec.end) == ("Requested", None, None)


def said_about(stage: Stage, instance: str) -> list[str]:
    """Return what the operator that dialled an installation said about it."""
    lines = [line for line in stage.operator.lines() if line["logger"] == "pbx_operator.exchange.client"]
    return [line["msg"] for line in lines if instance in line["msg"]]


async def test_no_lie_is_believed(stage: Stage, world: World, tmp_path: Path) -> None:
    """Each is told as an issuer that cannot be reached; the log says why, once, and names it."""
    liars = [(FalseIssuer(f"liar-{n}", behaviour), why) for n, (behaviour, why) in enumerate(LIES.items())]
    async with AsyncExitStack() as stack:
        for liar, _ in liars:
            await stack.enter_async_context(liar.listening(tmp_path))
        texts = [liar.bundle().text() for liar, _ in liars]
        links = [await enter(world, liar.name, text) for (liar, _), text in zip(liars, texts, strict=True)]
        for (liar, why), link in zip(liars, links, strict=True):
            await world.ready(link, "PeerUnavailable")
            assert why not in world.message(link)
            is_still_asked_for(world, link)
            endpoint = liar.contact.endpoints[0]
            assert said_about(stage, liar.instance) == [f"Peer {liar.instance} cannot be reached: {endpoint}: {why}"]
    for liar, _ in liars:
        assert len({call.digest for call in liar.calls}) == len(liar.calls), "no request was sent on"
    for text in texts:
        assert not [trace for trace in traces_of_bundle(text) if trace in stage.logs()]


RECEIPTS: dict[str, dict[str, Any]] = {
    "of another issuer": {"issuer": instance_id(OTHER.public)},
    "of another key": {"keyID": digest("another key", 16)},
    "of another link": {"linkID": digest("another link", 26)},
    "of another redeemer": {"redeemer": instance_id(OTHER.public)},
}


async def test_no_receipt_of_something_else_makes_a_link(world: World, tmp_path: Path) -> None:
    def proving(changes: dict[str, Any]) -> Behaviour:
        return lambda issuer, call: json_response(
            issuer.answer(call, result="Linked", receipt=issuer.receipt(call, **changes))
        )

    liars = [FalseIssuer(f"prover-{n}", proving(changes)) for n, changes in enumerate(RECEIPTS.values())]
    async with AsyncExitStack() as stack:
        for liar in liars:
            await stack.enter_async_context(liar.listening(tmp_path))
        links = [await enter(world, liar.name, liar.bundle().text()) for liar in liars]
        for link in links:
            await world.ready(link, "PeerUnavailable")
            is_still_asked_for(world, link)


# --- addresses --------------------------------------------------------------------------------------------------


async def test_a_bundle_steers_nobody_into_the_cluster(stage: Stage, world: World, tmp_path: Path) -> None:
    """An address that may not be dialled is not dialled, also where others of the same bundle may be."""
    inside = FalseIssuer("inside", lambda issuer, call: json_response(issuer.linked(call)))
    async with inside.listening(tmp_path, "127.0.0.9"):
        places = {
            inside.contact.endpoints[0]: "127.0.0.9 is loopback",
            "https://0.1.2.3": "0.1.2.3 is unspecified",
            "https://[::1]:8443": "::1 is loopback",
            "https://169.254.169.254": "169.254.169.254 is link-local",
            "https://224.0.0.1": "224.0.0.1 is multicast",
            "https://255.255.255.255": "255.255.255.255 is reserved",
            "https://10.96.0.1": f"10.96.0.1 is in the forbidden network {FORBIDDEN}",
        }
        pins = inside.contact.pins
        contacts = [Contact(endpoints=(f"https://{HOST}:{unused_port()}", place), pins=pins) for place in places]
        links = [await enter(world, f"p{n}", inside.bundle(c).text()) for n, c in enumerate(contacts)]
        for link in links:
            await world.ready(link, "PeerUnavailable")
            is_still_asked_for(world, link)
    assert inside.calls == []
    lines = said_about(stage, inside.instance)
    assert len(lines) == len(places)
    for place, why in places.items():
        host = parse_endpoint(place).host
        assert [line for line in lines if line.endswith(f"; {place}: {host} may not be dialled: {why}")]


# --- links ------------------------------------------------------------------------------------------------------


async def test_an_issuer_says_nothing_about_links_of_others(world: World, tmp_path: Path) -> None:
    """What it answers to a sync counts for the link that it was asked about, and for no other."""
    told: list[dict[str, Any]] = []

    def honest(issuer: FalseIssuer, call: Call) -> web.StreamResponse:
        if call.kind == "redeem":
            return json_response(issuer.linked(call))
        live = [report(r["keyID"], r["linkID"], rev=1, gate="Open", numbers=[]) for r in call.message["links"]]
        return json_response(issuer.answer(call, links=live))

    def malicious(issuer: FalseIssuer, call: Call) -> web.StreamResponse:
        if call.kind == "redeem":
            return json_response(issuer.linked(call))
        own = [report(r["keyID"], r["linkID"], rev=1, gate="Open", numbers=[]) for r in call.message["links"]]
        return json_response(issuer.answer(call, links=[*told, *own]))

    friend, mallory = FalseIssuer("friend", honest), FalseIssuer("mallory", malicious)
    async with friend.listening(tmp_path), mallory.listening(tmp_path):
        bundle = friend.bundle()
        victim = await enter(world, "victim", bundle.text())
        await world.green(victim)
        (record,) = world.records()
        assert record.spec.redeemer is not None
        end = {"by": "Issuer", "reason": "Deleted", "time": "2026-06-01T12:00:00Z"}
        about = key_id(bundle.key.public), record.spec.redeemer.link_id
        told += [
            report(*about, "Ended", end=end),
            report(*about, "Closing", rev=2**53 - 1),
            report(*about, "Unknown"),
            report(*about, rev=2**53 - 1, gate="Closed", numbers=[{"number": "666"}]),
        ]
        await world.green(await enter(world, "own", mallory.bundle().text()))
        await mallory.asked(3)
        await world.stage.settle()
        (after,) = [r for r in world.records() if r.metadata.name == record.metadata.name]
        assert after == record
        assert world.shows(victim, "CallsAllowed") == ("True", "GateOpen")


async def test_an_address_that_a_peer_names_later_is_checked_like_any_other(
    stage: Stage, world: World, tmp_path: Path
) -> None:
    inside = FalseIssuer("moved", lambda issuer, call: json_response(issuer.linked(call)))
    pins = [base64url(b"\1" * 32)]

    def moving(issuer: FalseIssuer, call: Call) -> web.StreamResponse:
        if call.kind == "redeem":
            return json_response(issuer.linked(call))
        return json_response(issuer.answer(call, links=live(call), endpoints=list(inside.contact.endpoints), pins=pins))

    def live(call: Call) -> list[dict[str, Any]]:
        return [report(r["keyID"], r["linkID"], rev=1, gate="Open", numbers=[]) for r in call.message["links"]]

    mover = FalseIssuer("mover", moving)
    async with inside.listening(tmp_path, "127.0.0.9"), mover.listening(tmp_path):
        link = await enter(world, "moved", mover.bundle().text())
        await world.green(link)
        await world.ready(link, "PeerSilent", "PeerReachable")
    assert inside.calls == []
    (line,) = said_about(stage, mover.instance)
    assert line.endswith("127.0.0.9 may not be dialled: 127.0.0.9 is loopback")
