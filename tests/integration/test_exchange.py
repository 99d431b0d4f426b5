"""Exchange servers of their own: several at once, with no rights but those on records."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from builders import interlink
from faultproxy import FaultProxy
from integration.harness import Stage, World, open_stage
from integration.process import LOOPBACK, exchange_server
from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.api.v1alpha1.linkrecord import Contact, InterlinkIdentity, NamespacedName
from pbx_operator.domain.protocol.keys import Bundle, SigningKey, instance_id, key_id, parse_key
from pbx_operator.domain.protocol.messages import RedeemAnswer, RedeemRequest
from pbx_operator.domain.protocol.succession import Successions
from pbx_operator.domain.records.redemption import sign_redemption
from pbx_operator.domain.servers.equipment import Association, code_key, record_name
from pbx_operator.domain.servers.equipment_messages import AssociateAnswer, AssociateRequest
from pbx_operator.exchange.client import RemotePeer
from pbx_operator.exchange.secret_pairs import CERTIFICATE_SECRET
from pbx_operator.links.peer import PeerUnavailable
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.ports import unused_port
from server_builders import BTCO
from support import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVERS = 3
RIVALS = 50
PERIODS = {"certificate": 0.2}


class Rival:
    """An installation that has got hold of the key."""

    def __init__(self, number: int) -> None:
        self.key: SigningKey | None = SigningKey(number.to_bytes(32, "big"))
        assert self.key is not None
        self.instance = instance_id(self.key.public)
        self.successions: Successions = ()
        self.account = NamespacedName(namespace=f"rival-{number}", name="a")
        self.interlink = InterlinkIdentity(namespace=f"rival-{number}", name="x", uid=f"uid-{number}")

    async def redeem(self, bundle: Bundle, contact: Contact) -> RedeemAnswer:
        assert bundle.instance is not None
        assert self.key is not None
        request = sign_redemption(
            bundle.key, key_id(bundle.key.public), self.key, bundle.instance, self.account, self.interlink
        )
        names = ("key_id", "link_id", "account", "interlink", "key_signature", "instance_signature")
        draft = partial(RedeemRequest, **{name: getattr(request, name) for name in names})
        peer = RemotePeer(self, LOOPBACK, lambda: datetime.now(UTC))
        return await peer.ask(contact, bundle.instance, draft, RedeemAnswer)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(installed: ControlPlane) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(installed.kubeconfig_for("pbx-exchange")) as proxy:
        yield proxy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    installed: ControlPlane, proxy: FaultProxy, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Stage, list[int]]]:
    """Return the operator's stage, beside which exchange servers listen on these ports."""
    directory, ports = tmp_path_factory.mktemp("stage"), [unused_port() for _ in range(SERVERS)]
    endpoints = [part for port in ports for part in ("--exchange-endpoint", f"https://localhost:{port}")]
    kubeconfig = proxy.kubeconfig(directory / "exchange-kubeconfig")
    async with open_stage(installed, directory) as stage:
        await stage.observer.ready()
        stage.start(*endpoints, "--exchange-port", "0", periods=PERIODS)
        async with AsyncExitStack() as servers:
            for port in ports:
                server = exchange_server(kubeconfig, directory / f"exchange-{port}.log", port, *ports, periods=PERIODS)
                await servers.enter_async_context(server)
            yield stage, ports


async def offered_key(world: World) -> Bundle:
    account = await world.office("a", "200")
    issuer = interlink("x", "a", account.key.namespace)
    await world.apply(issuer)
    await world.ready(issuer, "KeyIssued")
    return parse_key(await world.key_of(issuer))


async def until_answered(rival: Rival, bundle: Bundle, contact: Contact) -> RedeemAnswer:
    """Ask again until there is a signed answer: a server may be starting still, or its limits may be reached."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await rival.redeem(bundle, contact)
            except PeerUnavailable:
                await asyncio.sleep(0.1)


async def test_of_fifty_rivals_at_three_servers_one_wins(stage: tuple[Stage, list[int]], proxy: FaultProxy) -> None:
    operator, ports = stage
    bundle = await offered_key(operator.world("exchange"))
    assert bundle.issuer is not None
    pins = bundle.issuer.contact.pins
    contacts = [Contact(endpoints=(f"https://localhost:{port}",), pins=pins) for port in ports]
    rivals = [Rival(number) for number in range(1, RIVALS + 1)]
    answers = await asyncio.gather(
        *(until_answered(rival, bundle, contacts[n % SERVERS]) for n, rival in enumerate(rivals))
    )
    assert Counter(a.result for a in answers) == {"Linked": 1, "Used": RIVALS - 1}
    again = [await until_answered(rival, bundle, contacts[0]) for rival in rivals[:5]]
    assert [a.result for a in again] == [a.result for a in answers[:5]]
    record = f"k-{key_id(bundle.key.public)}"
    written = [c.json() for c in proxy.journal.writes(name=record, subresource="") if c.landed]
    assert [body["spec"]["state"] for body in written] == ["Established"]


async def test_of_twelve_boxes_with_one_code_at_three_servers_one_gets_in(
    stage: tuple[Stage, list[int]], proxy: FaultProxy
) -> None:
    operator, ports = stage
    world = operator.world("exchange")
    manifest = {"metadata": {"name": "pbx", "namespace": await world.namespace()}, "spec": BTCO}
    server = CommServer.model_validate(manifest)
    await world.apply(server)
    await world.ready(server, "Declared")
    secret = await world.until(lambda: world.raw(SECRETS, ObjectKey(server.key.namespace, "pbx-activation")), "a code")
    assert secret is not None
    told = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
    code = code_key(told["equipmentID"], told["activationCode"])
    boxes = [Rival(number) for number in range(1, 13)]
    contacts = [Contact(endpoints=(f"https://localhost:{port}",), pins=(told["pin"],)) for port in ports]
    answers = await asyncio.gather(*(associated(box, told, code, contacts[n % SERVERS]) for n, box in enumerate(boxes)))
    assert Counter(a.result for a in answers) == {"Associated": 1, "Used": 11}
    assert [(await associated(box, told, code, contacts[0])).result for box in boxes] == [a.result for a in answers]
    written = [c.json() for c in proxy.journal.writes(name=record_name(told["equipmentID"])) if c.landed]
    assert [body["spec"]["state"] for body in written] == ["Associated"]


async def associated(box: Rival, told: dict[str, str], code: SigningKey, contact: Contact) -> AssociateAnswer:
    """Present the code until there is a signed answer."""
    assert box.key is not None
    proof = code.sign(Association(told["instance"], told["equipmentID"], box.key.public).payload())
    draft = partial(AssociateRequest, equipment_id=told["equipmentID"], proof=proof)
    async with asyncio.timeout(60):
        while True:
            try:
                peer = RemotePeer(box, LOOPBACK, lambda: datetime.now(UTC))
                return await peer.ask(contact, told["instance"], draft, AssociateAnswer)
            except PeerUnavailable:
                await asyncio.sleep(0.1)


async def test_one_says_where_it_listens_and_that_it_ends(
    stage: tuple[Stage, list[int]], proxy: FaultProxy, tmp_path: Path
) -> None:
    """And it does not call the certificate new that the operator made before."""
    port, log = unused_port(), tmp_path / "exchange.log"
    kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig")
    async with exchange_server(kubeconfig, log, port, *stage[1]):
        await asyncio.to_thread(until, lambda: "listens on" in log.read_text(), "the exchange listens")
    said = [json.loads(line)["msg"] for line in log.read_text().splitlines()]
    endpoints = ", ".join(f"https://localhost:{p}" for p in stage[1])
    assert [line for line in said if f":{port} (" in line and f" as {endpoints}; its certificate has the pin " in line]
    assert [line for line in said if "new certificate" in line] == []
    assert said[-1] == "SIGTERM: the exchange ends"


async def test_a_certificate_that_is_deleted_is_stored_again(stage: tuple[Stage, list[int]]) -> None:
    """By the first of all processes that look, and peers know it still."""
    operator, _ = stage
    world, name = operator.world("exchange"), ObjectKey("pbx-system", CERTIFICATE_SECRET)
    before = await operator.api.cluster.get(SECRETS, name)
    await operator.api.cluster.delete(SECRETS, name)

    def stored_again() -> bool:
        secret = world.raw(SECRETS, name)
        return secret is not None and secret["metadata"]["uid"] != before["metadata"]["uid"]

    await world.until(stored_again, "the certificate is stored again")
    assert (await operator.api.cluster.get(SECRETS, name))["data"] == before["data"]


async def test_they_have_no_other_rights(stage: tuple[Stage, list[int]], proxy: FaultProxy) -> None:
    rights = {"linkrecords", "equipmentrecords", "secrets", "namespaces"}
    assert {c.resource for c in proxy.journal.calls} <= rights
    assert not [c for c in proxy.journal.calls if c.status == 403]
