"""`pbx-operator check` beside a running operator: all is well, and what is not is named."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from builders import interlink
from integration.harness import OPERATOR, Stage, World, open_stage
from integration.process import DEADLINE, OperatorProcess
from pbx_operator.engine.identity import IDENTITY_SECRET
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.ports import unused_port
from support import ROOT, kubectl

pytestmark = pytest.mark.asyncio(loop_scope="module")

CRDS = str(ROOT / "crds")
PORT = unused_port()
ENDPOINT = f"https://localhost:{PORT}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(second_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Return a stage whose operator has an exchange, in a cluster of its own: all of its objects are counted."""
    async with open_stage(second_plane, tmp_path_factory.mktemp("checked")) as stage:
        await stage.observer.ready()
        stage.start("--exchange-endpoint", ENDPOINT, "--exchange-port", str(PORT))
        await stage.operator.answers("/readyz")
        yield stage


async def check(stage: Stage, *arguments: str) -> tuple[int, list[str]]:
    """Run the command with the operator's login; return its exit status and what it prints."""
    kubeconfig = stage.control_plane.kubeconfig_for(OPERATOR)
    command = [sys.executable, "-m", "pbx_operator", "check", "--kubeconfig", str(kubeconfig), *arguments]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def addresses(operator: OperatorProcess) -> list[str]:
    return ["--health-url", operator.url("/readyz"), "--metrics-url", operator.url("/metrics"), "--endpoint", ENDPOINT]


async def test_a_running_installation_is_well(stage: Stage, world: World) -> None:
    await world.office("a", "201")
    status, lines = await check(stage, *addresses(stage.operator))
    assert [line for line in lines if not line.startswith("ok ")] == []
    assert status == 0
    assert len(lines) == 9
    assert "its certificate has the pin" in lines[-1]


async def test_a_permission_that_is_missing_is_named(stage: Stage) -> None:
    role = json.loads(kubectl(stage.control_plane, "get", "clusterrole", OPERATOR, "-o", "json"))
    without = [rule for rule in role["rules"] if "events" not in rule["resources"]]
    kubectl(stage.control_plane, "replace", "-f", "-", stdin=json.dumps({**role, "rules": without}))
    try:
        status, lines = await check(stage)
    finally:
        kubectl(stage.control_plane, "apply", "-f", "-", stdin=json.dumps({**role, "metadata": {"name": OPERATOR}}))
    assert status == 1
    problems = [line for line in lines if line.startswith("FAILED")]
    assert [line.partition(";")[0] for line in problems] == [
        "FAILED  permissions in all namespaces: not allowed: create events.events.k8s.io"
    ]


async def test_an_older_definition_is_named_with_what_it_does_not_know(stage: Stage) -> None:
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/keyID"
    older = json.dumps([{"op": "remove", "path": path}])
    kubectl(stage.control_plane, "patch", "crd", "interlinks.pbx-operator.io", "--type=json", "-p", older)

    async def problems() -> list[str]:
        _, lines = await check(stage)
        return [line for line in lines if line.startswith("FAILED")]

    async with asyncio.timeout(DEADLINE):
        while not (found := await problems()):
            continue  # until the API server shows what it serves now
    assert found == [
        "FAILED  CustomResourceDefinitions: missing or too old: status.keyID of interlinks.pbx-operator.io; "
        "install them: kubectl apply --server-side -f crds/"
    ]
    kubectl(stage.control_plane, "apply", "--server-side", "--force-conflicts", "-f", CRDS)


async def test_a_namespace_that_does_not_exist_is_named(stage: Stage) -> None:
    _, lines = await check(stage, "--watch-namespace", "nowhere")
    assert (
        "FAILED  writing in namespace nowhere: namespace nowhere does not exist: kubectl create namespace nowhere, "
        "or name another one"
    ) in lines


async def test_an_identity_of_another_cluster_is_told(stage: Stage) -> None:
    secret = ("secret", IDENTITY_SECRET, "-n", "pbx-system")
    data = json.loads(kubectl(stage.control_plane, "get", *secret, "-o", "json"))["data"]
    moved = {**data, "clusterUID": base64.b64encode(b"another cluster").decode()}
    kubectl(stage.control_plane, "patch", *secret, "-p", json.dumps({"data": moved}))
    try:
        status, lines = await check(stage)
    finally:
        kubectl(stage.control_plane, "patch", *secret, "-p", json.dumps({"data": data}))
    assert status == 1
    (line,) = (line for line in lines if line.startswith("FAILED"))
    assert line.startswith(
        "FAILED  identity: The identity in Secret pbx-system/pbx-operator-identity was made in another"
    )


async def test_what_is_left_keeps_the_operator(stage: Stage, world: World, tmp_path: Path) -> None:
    account = await world.office("a", "201")
    link = interlink("x", "a", account.key.namespace)
    await world.apply(link)
    await world.ready(link, "KeyIssued")
    status, lines = await check(stage, "--no-objects", "--watch-namespace", account.key.namespace)
    assert status == 1
    assert f"  Interlink {link.key}, which only the operator can let go" in lines
    kinds = "interlinks,commservers,internalnumbers,pbxaccounts"
    for namespace in world.namespaces:
        await asyncio.to_thread(kubectl, stage.control_plane, "delete", kinds, "--all", "--namespace", namespace)
    assert await check(stage, "--no-objects", "--watch-namespace", account.key.namespace) == (
        0,
        ["ok      no object is left"],
    )


async def test_every_metric_that_is_shown_is_in_the_reference(stage: Stage) -> None:
    _, text = await stage.operator.answers("/metrics")
    shown = set(re.findall(r"^# TYPE (\S+) (?:counter|gauge|histogram)$", text, re.M))
    ours = {name for name in shown if not name.startswith(("python_", "process_")) and not name.endswith("_created")}
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    assert ours == set(re.findall(r"^\| `(\w+)` \|", page, re.M))
