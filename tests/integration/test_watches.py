"""What happens when the API server does not let the operator watch: it says why, starts anew, and loses nothing."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from builders import interlink
from faultproxy import Answer, Call, Fault, calls
from integration.conftest import install
from integration.harness import Stage, World, number, open_stage
from integration.process import DEADLINE, HOST, POLL, OperatorProcess
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import KINDS, Interlink, InternalNumber
from pbx_operator.sandbox import ControlPlane
from support import CRDS, install_crds

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROBLEMS = {
    "403": (Answer(403, reason="Forbidden"), ("watch interlinks", "403", "check the operator's ClusterRole")),
    "401": (Answer(401, reason="Unauthorized"), ("watch interlinks", "401", "check the operator's credentials")),
    "404": (Answer(404), ("watch interlinks", "404", "kubectl apply --server-side -f crds/")),
    "503": (Answer(503), ("watch interlinks", "503", "the API server is unavailable")),
}
"""What the API server answers to the watch of Interlinks, and what the operator must say."""


def watching_interlinks(call: Call) -> bool:
    return calls(verb="watch", resource="interlinks")(call)


@pytest_asyncio.fixture(loop_scope="module")
async def fresh(stage: Stage) -> Stage:
    """Return the stage with a new operator, which watches all kinds and has seen no failure yet."""
    await stage.stop()
    stage.start()
    await stage.settle()
    await stage.proxy.watched([kind.resource.plural for kind in KINDS])
    return stage


async def fail(stage: Stage, answer: Answer, words: tuple[str, ...]) -> OperatorProcess:
    """Let the watch of Interlinks fail from now on, and wait until the operator says so."""
    stage.proxy.add(Fault(watching_interlinks, times=None, then=answer))
    await stage.proxy.close_watches()
    await stage.operator.says(*words)
    return stage.operator


async def health(operator: OperatorProcess, status: int) -> None:
    """Wait until /healthz answers with this status."""
    async with asyncio.timeout(DEADLINE):
        while True:
            if (await operator.answers("/healthz"))[0] == status:
                return
            await asyncio.sleep(POLL)


@pytest.mark.parametrize("problem", list(PROBLEMS))
async def test_watches_that_fail_are_explained_and_start_anew(fresh: Stage, world: World, problem: str) -> None:
    a = await world.office("a", "201", "202")
    await fresh.settle()
    operator = await fail(fresh, *PROBLEMS[problem])
    await health(operator, 500)
    await world.delete(number("202", a.key.namespace))
    await world.absent(InternalNumber.resource, number("202", a.key.namespace).key)
    await world.apply(number("203", a.key.namespace))
    fresh.proxy.clear()
    await world.ready(number("203", a.key.namespace), "Serving")
    await world.until(lambda: world.dial(a, "202").outcome == "NoMatch", "the deletion that no watch showed is found")
    await health(operator, 200)
    assert operator.running
    assert all(line["level"] != "critical" and "exception" not in line for line in operator.lines())


async def test_an_api_server_that_does_not_answer_watches(fresh: Stage, world: World) -> None:
    fresh.proxy.add(Fault(watching_interlinks, times=None, then="drop"))
    await fresh.proxy.close_watches()
    line = await fresh.operator.says("watch interlinks", "the API server is unavailable")
    assert (line["level"], bool(line["reason"])) == ("error", True)
    fresh.proxy.clear()
    await world.office("a", "201")
    await health(fresh.operator, 200)


async def test_an_api_server_that_asks_for_patience(fresh: Stage, world: World) -> None:
    """To be told to wait is no failure: nothing is listed anew, the watch is tried again when it may be.

    Before it is, the round that compares lists as a process starts may have shown the Interlink already.
    """
    first, second = (Fault(watching_interlinks, then=Answer(429, retry_after=1)) for _ in range(2))
    fresh.proxy.add(first)
    fresh.proxy.add(second)
    await fresh.proxy.close_watches()
    await first.hit()
    a = await world.office("a", "201")
    link = interlink("x", "a", a.key.namespace)
    await world.apply(link)
    await world.ready(link, "KeyIssued")
    await second.hit()
    assert "the watches failed" not in fresh.operator.logs()


@pytest.mark.parametrize("problem", list(PROBLEMS))
async def test_the_operator_ends_in_order_while_it_cannot_watch(fresh: Stage, problem: str) -> None:
    operator = await fail(fresh, *PROBLEMS[problem])
    operator.terminate()
    assert await operator.ended() == 0
    assert "SIGTERM: the operator ends" in [line["msg"] for line in operator.lines()]
    fresh.proxy.clear()


async def test_kinds_that_cannot_be_watched_do_not_stop_the_work(fresh: Stage, world: World) -> None:
    """The engine goes on with what it knows: a key that could not be worked on is tried again as ever."""
    a = await world.office("a", "201")
    link = interlink("x", "a", a.key.namespace)
    blind = asyncio.Event()
    refused = Fault(lambda c: c.resource == "linkrecords" and c.is_write and not blind.is_set(), times=None)
    refused.then = Answer(500)
    fresh.proxy.add(refused)
    await world.apply(link)
    await refused.hit()
    await fail(fresh, *PROBLEMS["403"])
    blind.set()
    await world.ready(link, "KeyIssued")


@pytest.fixture
def empty() -> Iterator[ControlPlane]:
    """Return a control plane of the test's own, ready for an operator."""
    with ControlPlane.start() as control_plane:
        install_crds(control_plane)
        yield install(control_plane)


@pytest_asyncio.fixture(loop_scope="module")
async def own(empty: ControlPlane, tmp_path: Path) -> AsyncIterator[Stage]:
    """Return a stage on a control plane of the test's own."""
    async with open_stage(empty, tmp_path) as stage:
        yield stage


async def test_a_crd_is_removed_and_comes_back(own: Stage) -> None:
    operator = own.start()
    world = own.world("removed")
    a = await world.office("a", "201")
    await own.settle()
    name = f"{Interlink.resource.plural}.{Interlink.resource.group}"
    await own.api.cluster.delete(CRDS, ObjectKey("", name))
    line = await operator.says("interlinks", "kubectl apply --server-side -f crds/")
    assert line["level"] == "error"
    await world.apply(number("202", a.key.namespace))
    await asyncio.to_thread(install_crds, own.control_plane)
    await world.ready(number("202", a.key.namespace), "Serving")
    link = interlink("x", "a", a.key.namespace)
    await world.apply(link)
    await world.ready(link, "KeyIssued")
    await health(operator, 200)
    operator.terminate()
    assert await operator.ended() == 0


async def test_the_kubeconfig_of_the_home_directory(
    stage: Stage, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kopf watches where our own client writes, also if only the latter would understand the kubeconfig."""
    (tmp_path / ".kube").mkdir()
    path = stage.proxy.kubeconfig(tmp_path / ".kube" / "config")
    config = json.loads(path.read_text())
    cluster = config["clusters"][0]["cluster"]
    cluster |= {"server": cluster["server"].replace(HOST, "localhost"), "tls-server-name": HOST}
    path.write_text(json.dumps(config))
    await stage.stop()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "KUBERNETES_SERVICE_HOST" not in os.environ
    stage.start("--kubeconfig", "")
    await world.office("a", "201")
    await stage.settle()
