"""The sandbox's Python API with real servers: what they can do, and what happens when one goes away."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from pbx_operator.sandbox import ControlPlane, SandboxError
from pbx_operator.sandbox.binaries import find_binaries
from support import kubectl, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pbx_operator.sandbox.components import ComponentName

    EndComponent = Callable[[ControlPlane, ComponentName], None]


@pytest.fixture(scope="module")
def own() -> Iterator[ControlPlane]:
    """Return a control plane whose servers may be stopped: nobody else uses it."""
    with ControlPlane.start() as control_plane:
        yield control_plane


def names(control_plane: ControlPlane, *arguments: str) -> list[str]:
    return kubectl(control_plane, "get", "-o", "name", *arguments).split()


def apply(control_plane: ControlPlane, *objects: dict[str, object]) -> None:
    kubectl(
        control_plane,
        "create",
        "-f-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}),
    )


def test_it_is_ready_and_tells_a_version_that_clients_understand(control_plane: ControlPlane) -> None:
    assert kubectl(control_plane, "get", "--raw", "/readyz") == "ok"
    version = json.loads(kubectl(control_plane, "version", "-o", "json"))["serverVersion"]
    assert int(version["major"]) == 1
    assert int(version["minor"]) >= 33
    assert version["gitVersion"].startswith(f"v1.{version['minor']}.")


def test_a_user_is_who_the_kubeconfig_says_and_may_what_rbac_says(control_plane: ControlPlane) -> None:
    kubeconfig = str(control_plane.kubeconfig_for("pbx-operator", ["one", "two"]))
    review = json.loads(kubectl(control_plane, "--kubeconfig", kubeconfig, "auth", "whoami", "-o", "json"))
    user = review["status"]["userInfo"]
    assert user["username"] == "pbx-operator"
    assert sorted(user["groups"]) == ["one", "system:authenticated", "two"]
    with pytest.raises(AssertionError, match=r"Forbidden.*pbx-operator"):
        kubectl(control_plane, "--kubeconfig", kubeconfig, "get", "secrets")


def test_a_deleted_namespace_is_emptied_and_goes(control_plane: ControlPlane) -> None:
    namespace = f"test-{uuid4().hex[:8]}"
    kubectl(control_plane, "create", "namespace", namespace)
    kubectl(control_plane, "create", "configmap", "inside", "-n", namespace)
    kubectl(control_plane, "delete", "namespace", namespace, "--wait=false")
    until(
        lambda: f"namespace/{namespace}" not in names(control_plane, "namespaces"),
        "the namespace controller finishes",
    )


def test_an_object_goes_after_its_owner(control_plane: ControlPlane) -> None:
    namespace = f"test-{uuid4().hex[:8]}"
    kubectl(control_plane, "create", "namespace", namespace)
    kubectl(control_plane, "create", "configmap", "owner", "-n", namespace)
    uid = kubectl(control_plane, "get", "configmap", "owner", "-n", namespace, "-o", "jsonpath={.metadata.uid}")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    apply(
        control_plane,
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "owned", "namespace": namespace, "ownerReferences": [owner]},
        },
    )
    assert names(control_plane, "secrets", "-n", namespace) == ["secret/owned"]
    kubectl(control_plane, "delete", "configmap", "owner", "-n", namespace)
    until(
        lambda: names(control_plane, "secrets", "-n", namespace) == [],
        "the garbage collector deletes what nobody owns",
    )


@pytest.mark.parametrize("end", [ControlPlane.stop_component, ControlPlane.kill_component])
def test_the_api_server_comes_back_where_it_was(own: ControlPlane, end: EndComponent) -> None:
    name = f"kept-{uuid4().hex[:8]}"
    kubectl(own, "create", "configmap", name)
    before = own.pid("kube-apiserver")
    end(own, "kube-apiserver")
    assert own.pid("kube-apiserver") is None
    with pytest.raises(AssertionError, match="refused"):
        kubectl(own, "get", "--raw", "/readyz")
    own.start_component("kube-apiserver")
    assert own.pid("kube-apiserver") not in {None, before}
    assert f"configmap/{name}" in names(own, "configmaps")


def test_a_component_can_be_stopped_and_started_while_another_is_away(own: ControlPlane) -> None:
    own.stop_component("kube-controller-manager")
    own.stop_component("kube-apiserver")
    own.start_component("kube-apiserver")
    own.start_component("kube-controller-manager")
    assert kubectl(own, "get", "--raw", "/readyz") == "ok"


def test_a_server_that_ended_by_itself_is_an_error_with_its_log(own: ControlPlane) -> None:
    pid = own.pid("kube-controller-manager")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists(), "the supervisor has seen it end")
    with pytest.raises(SandboxError, match=r"kube-controller-manager ended with code -9; the end of its log:\n."):
        own.start_component("kube-apiserver")
    own.start_component("kube-controller-manager")


def test_nothing_is_left_after_close(tmp_path: Path) -> None:
    control_plane = ControlPlane.start(data_dir=tmp_path / "data")
    pids = [control_plane.pid(name) for name in ("etcd", "kube-apiserver", "kube-controller-manager")]
    assert control_plane.kubeconfig.is_relative_to(tmp_path / "data")
    control_plane.close()
    control_plane.close()
    assert list(tmp_path.iterdir()) == []
    for pid in pids:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises(SandboxError, match="start a new sandbox"):
        control_plane.start_component("kube-apiserver")


def test_a_server_that_cannot_start_is_an_error_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = find_binaries()
    fake = tmp_path / "assets" / "kube-apiserver"
    fake.parent.mkdir()
    for program in (real.etcd, real.kube_controller_manager, real.kubectl):
        (fake.parent / program.name).symlink_to(program)
    fake.write_text("#!/bin/sh\necho no such flag >&2\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(fake.parent))
    with pytest.raises(SandboxError, match=r"kube-apiserver ended with code 3; the end of its log:\nno such flag"):
        ControlPlane.start(data_dir=tmp_path / "data")
    assert not (tmp_path / "data").exists()
