"""A stage for each module and a world on it for each test; a place for tests of whole processes."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from integration.harness import Stage, World, open_stage
from integration.office import Office
from integration.shop import PASSWORD, Shop
from integration.two_clusters import Pair, Story, begin_story, open_pair, watched
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.pki import CertificateAuthority
from pbx_operator.sandbox.ports import unused_port
from simulators.rainbow import RainbowSimulator, Reseller, reseller
from simulators.telecom_center import TelecomCenter
from support import ROOT, Place, install_crds, kubectl
from tcpproxy import TcpProxy


@pytest.fixture(scope="session")
def installed(crds_installed: ControlPlane) -> ControlPlane:
    """Return the control plane with all that an administrator installs before the operator starts."""
    return install(crds_installed)


def install(control_plane: ControlPlane) -> ControlPlane:
    """Grant the operator its rights, and let the garbage collector learn of our kinds at once, not after 30 s."""
    for manifests in ("rbac.yaml", "users.yaml"):
        kubectl(control_plane, "apply", "-f", str(ROOT / "examples/install" / manifests))
    control_plane.stop_component("kube-controller-manager")
    control_plane.start_component("kube-controller-manager")
    return control_plane


def ready_plane() -> Iterator[ControlPlane]:
    """Yield a cluster of its own, in which all is installed that an operator needs."""
    with ControlPlane.start() as control_plane:
        install_crds(control_plane)
        yield install(control_plane)


second_plane = pytest.fixture(ready_plane, scope="module")
"""Another cluster, for tests that need two; it speaks with nobody about what was linked in other modules."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Stage]:
    """Return a stage whose operator runs, with the shorter PERIODS of the module if it has any."""
    async with open_stage(installed, tmp_path_factory.mktemp("stage")) as stage:
        await stage.observer.ready()
        stage.start(periods=getattr(request.module, "PERIODS", None))
        yield stage


MAY_DIAL_LOOPBACK = ("--allow-network", "127.0.0.0/8")


async def providers_stage(
    installed: ControlPlane,
    authority: CertificateAuthority,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Stage]:
    """Yield a stage whose operator trusts the simulators of providers, and may dial them; otherwise as `stage`."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(authority.files.certificate))
        async with open_stage(installed, tmp_path_factory.mktemp("stage")) as stage:
            await stage.observer.ready()
            stage.start(*MAY_DIAL_LOOPBACK, periods=getattr(request.module, "PERIODS", None))
            yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def world(stage: Stage, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Return a world; afterwards nothing that anybody saw in it may have broken a rule."""
    module = request.module.__name__.rpartition("test_")[2].replace("_", "-")
    yield stage.world(module)
    stage.proxy.clear()
    problems, stage.observer.problems = stage.observer.problems, []
    assert not problems, "\n".join(problems)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network() -> AsyncIterator[TcpProxy]:
    """Return what lies between a cluster that redeems and the exchange that issued."""
    async with TcpProxy(unused_port()) as proxy:
        yield proxy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(
    installed: ControlPlane,
    second_plane: ControlPlane,
    network: TcpProxy,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Pair]:
    """Return two clusters with the network between them, and the shorter PERIODS of the module if it has any."""
    directory, periods = tmp_path_factory.mktemp("pair"), getattr(request.module, "PERIODS", None)
    async with open_pair(
        installed, second_plane, directory, listens=network.target, reached=network.port, periods=periods
    ) as pair:
        yield pair


@pytest_asyncio.fixture(loop_scope="module")
async def story(pair: Pair) -> AsyncIterator[Story]:
    """Return the beginning of a story; afterwards nothing that anybody saw may have broken a rule."""
    async with watched(pair):
        yield await begin_story(pair)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Return a place; afterwards none of its processes runs."""
    place = Place(tmp_path)
    yield place
    place.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rainbow(served: ssl.SSLContext) -> AsyncIterator[RainbowSimulator]:
    """Return Rainbow."""
    async with RainbowSimulator(tls=served) as rainbow:
        yield rainbow


@pytest.fixture(scope="module")
def customer(rainbow: RainbowSimulator) -> Reseller:
    """Return a reseller there, with a customer."""
    return reseller(rainbow.state)


@pytest_asyncio.fixture(loop_scope="module")
async def office(world: World, rainbow: RainbowSimulator, customer: Reseller) -> Office:
    """Return a namespace that has the login of the reseller."""
    rainbow.clear()
    rainbow.journal.clear()
    office = Office(world, rainbow, customer, await world.namespace())
    await office.prepare()
    return office


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def center(served: ssl.SSLContext) -> AsyncIterator[TelecomCenter]:
    """Return telecom.center."""
    async with TelecomCenter("operator", PASSWORD, tls=served) as center:
        yield center


@pytest_asyncio.fixture(loop_scope="module")
async def shop(world: World, center: TelecomCenter) -> Shop:
    """Return a namespace that has the login of the operator."""
    center.clear()
    shop = Shop(world, center, await world.namespace())
    await shop.write_login()
    return shop
