"""The API client and the fault proxy against a real API server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from builders import account
from faultproxy import EventDrop, Fault, FaultProxy, calls, events, writes
from integration.api import manifest
from pbx_operator.api.meta import NAMESPACES, SECRETS, ObjectKey, ResourceType
from pbx_operator.api.v1alpha1 import PBXAccount
from pbx_operator.cluster import (
    AlreadyExists,
    Cluster,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    Unavailable,
    client,
    request_counter,
)
from pbx_operator.cluster.credentials import Credentials
from pbx_operator.sandbox import ControlPlane

CONFIG_MAPS = ResourceType("", "v1", "ConfigMap", "configmaps")
NOT_SERVED_CORE = ResourceType("", "v1", "Nothing", "nothings")
NOT_SERVED = ResourceType("pbx-operator.io", "v0", "Nothing", "nothings")


def connect(kubeconfig: Path) -> Cluster:
    return Cluster.connect(str(kubeconfig), requests=request_counter(CollectorRegistry()))


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    async with connect(control_plane.kubeconfig) as cluster:
        yield cluster


@pytest.fixture
async def namespace(cluster: Cluster) -> str:
    name = f"test-{uuid4().hex[:8]}"
    await cluster.create(NAMESPACES, {"metadata": {"name": name}})
    return name


def config_map(namespace: str, name: str = "x", **data: str) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": name}, "data": data}


async def release(cluster: Cluster, key: ObjectKey, resource: ResourceType = CONFIG_MAPS) -> None:
    """Remove all finalizers of an object."""
    version = (await cluster.get(resource, key))["metadata"]["resourceVersion"]
    await cluster.patch(resource, key, {"metadata": {"resourceVersion": version, "finalizers": None}})


async def test_an_object_from_creation_to_deletion(cluster: Cluster, namespace: str) -> None:
    created = await cluster.create(CONFIG_MAPS, config_map(namespace, color="red"))
    assert {entry["manager"] for entry in created["metadata"]["managedFields"]} == {"pbx-operator"}
    key = ObjectKey(namespace, "x")
    replaced = await cluster.put(CONFIG_MAPS, {**created, "data": {"color": "blue"}})
    assert await cluster.get(CONFIG_MAPS, key) == replaced
    with pytest.raises(AlreadyExists):
        await cluster.create(CONFIG_MAPS, config_map(namespace))
    with pytest.raises(Conflict):
        await cluster.put(CONFIG_MAPS, {**created, "data": {"color": "green"}})
    await cluster.delete(CONFIG_MAPS, key)
    for call in (cluster.get(CONFIG_MAPS, key), cluster.delete(CONFIG_MAPS, key), cluster.put(CONFIG_MAPS, replaced)):
        with pytest.raises(Gone):
            await call


async def test_a_status_is_written_apart(cluster: Cluster, namespace: str) -> None:
    seen = await cluster.get(NAMESPACES, ObjectKey("", namespace))
    condition = {"type": "Test", "status": "True", "reason": "Test", "message": ""}
    written = await cluster.put_status(
        NAMESPACES, {**seen, "metadata": {**seen["metadata"], "labels": {}}, "status": {"conditions": [condition]}}
    )
    assert [entry["type"] for entry in written["status"]["conditions"]] == ["Test"]
    with pytest.raises(Conflict):
        await cluster.put_status(NAMESPACES, seen)


async def test_finalizers_are_patched_under_an_optimistic_lock(cluster: Cluster, namespace: str) -> None:
    created = await cluster.create(CONFIG_MAPS, config_map(namespace))
    key = ObjectKey(namespace, "x")
    version = created["metadata"]["resourceVersion"]
    patched = await cluster.patch(
        CONFIG_MAPS, key, {"metadata": {"resourceVersion": version, "finalizers": ["pbx-operator.io/teardown"]}}
    )
    assert patched["metadata"]["finalizers"] == ["pbx-operator.io/teardown"]
    with pytest.raises(Conflict):
        await cluster.patch(CONFIG_MAPS, key, {"metadata": {"resourceVersion": version, "finalizers": []}})
    await cluster.delete(CONFIG_MAPS, key)
    assert (await cluster.get(CONFIG_MAPS, key))["metadata"]["deletionTimestamp"]
    await release(cluster, key)
    with pytest.raises(Gone):
        await cluster.get(CONFIG_MAPS, key)


async def test_deletion_demands_uid_and_version(cluster: Cluster, namespace: str) -> None:
    metadata = (await cluster.create(CONFIG_MAPS, config_map(namespace)))["metadata"]
    key = ObjectKey(namespace, "x")
    with pytest.raises(Conflict):
        await cluster.delete(CONFIG_MAPS, key, uid=str(uuid4()))
    with pytest.raises(Conflict):
        await cluster.delete(CONFIG_MAPS, key, resource_version="1")
    await cluster.delete(CONFIG_MAPS, key, uid=metadata["uid"], resource_version=metadata["resourceVersion"])
    with pytest.raises(Gone):
        await cluster.get(CONFIG_MAPS, key)


async def test_deletion_tells_whether_the_object_is_gone(
    crds_installed: ControlPlane, cluster: Cluster, namespace: str
) -> None:
    """A custom resource, as all that the operator deletes; it may be deleted again while a finalizer holds it."""
    made, accounts = account("a", namespace), PBXAccount.resource
    await cluster.create(accounts, manifest(made))
    assert await cluster.delete(accounts, made.key) is None
    body = manifest(made)
    body["metadata"]["finalizers"] = ["another.example/keeps"]
    await cluster.create(accounts, body)
    for _ in range(2):
        held = await cluster.delete(accounts, made.key)
        assert held is not None
        assert held["metadata"]["deletionTimestamp"]
        assert held == await cluster.get(accounts, made.key)
    await release(cluster, made.key, accounts)
    with pytest.raises(Gone):
        await cluster.get(accounts, made.key)


async def test_a_list_in_pages_is_complete(cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAGE_SIZE", 3)
    names = [f"x{number}" for number in range(7)]
    for name in names:
        await cluster.create(CONFIG_MAPS, config_map(namespace, name, color="red"))
    listing = await cluster.list(CONFIG_MAPS, namespace)
    assert [item["metadata"]["name"] for item in listing.items] == names
    assert listing.items[0]["data"] == {"color": "red"}
    assert int(listing.resource_version) >= max(int(item["metadata"]["resourceVersion"]) for item in listing.items)
    everywhere = await cluster.list(CONFIG_MAPS, metadata_only=True)
    found = [item for item in everywhere.items if item["metadata"]["namespace"] == namespace]
    assert [item["metadata"]["name"] for item in found] == names
    assert {item["kind"] for item in found} == {"PartialObjectMetadata"}
    assert all("data" not in item for item in found)


@pytest.mark.parametrize("resource", [NOT_SERVED, NOT_SERVED_CORE], ids=lambda resource: resource.api_version)
async def test_what_is_not_served_is_not_gone(cluster: Cluster, namespace: str, resource: ResourceType) -> None:
    """A missing CRD must not look like a missing object: the operator would begin anew."""
    with pytest.raises(Unavailable) as caught:
        await cluster.get(resource, ObjectKey(namespace, "x"))
    assert caught.value.status == 404


async def test_a_namespace_that_cannot_take_objects(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Gone):
        await cluster.create(CONFIG_MAPS, config_map("not-there"))
    held = config_map(namespace)
    held["metadata"]["finalizers"] = ["pbx-operator.io/teardown"]
    await cluster.create(CONFIG_MAPS, held)
    await cluster.delete(NAMESPACES, ObjectKey("", namespace))
    with pytest.raises(Forbidden, match="is being terminated"):
        await cluster.create(CONFIG_MAPS, config_map(namespace, "y"))
    await release(cluster, ObjectKey(namespace, "x"))


async def test_a_refused_secret_is_not_told(cluster: Cluster, namespace: str) -> None:
    secret = {"metadata": {"namespace": namespace, "name": "s"}, "stringData": {"key": "hunter2"}, "immutable": True}
    created = await cluster.create(SECRETS, secret)
    bad = [
        cluster.put(SECRETS, {**created, "data": {"key": "aHVudGVyMw=="}}),
        cluster.put(SECRETS, {**created, "data": {"key": "hunter2-is-not-base64"}}),
        cluster.patch(SECRETS, ObjectKey(namespace, "s"), {"data": {"a/hunter2": "aHVudGVyMw=="}}),
        cluster.patch(SECRETS, ObjectKey(namespace, "s"), {"data": "hunter2"}),
    ]
    for call in bad:
        with pytest.raises(Invalid) as caught:
            await call
        assert "aHVudGVy" not in str(caught.value)
        assert "hunter2-" not in str(caught.value)
        assert '"hunter2"' not in str(caught.value)


async def test_a_stranger_is_forbidden(control_plane: ControlPlane, namespace: str) -> None:
    async with connect(control_plane.kubeconfig_for("stranger")) as stranger:
        with pytest.raises(Forbidden, match='User "stranger" cannot get resource "secrets"') as caught:
            await stranger.get(SECRETS, ObjectKey(namespace, "s"))
    assert caught.value.status == 403


@pytest.mark.parametrize("name", ["localhost", "elsewhere.example"])
async def test_the_certificate_must_be_of_the_expected_server(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, name: str
) -> None:
    config = json.loads(control_plane.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["tls-server-name"] = name
    (tmp_path / "config").write_text(json.dumps(config))
    async with connect(tmp_path / "config") as cluster:
        if name == "localhost":
            assert await cluster.get(NAMESPACES, ObjectKey("", namespace))
        else:
            with pytest.raises(Unavailable, match=r"certificate is not valid for 'elsewhere\.example'"):
                await cluster.get(NAMESPACES, ObjectKey("", namespace))


@pytest.fixture
async def proxy(control_plane: ControlPlane) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(control_plane.kubeconfig) as proxy:
        yield proxy


@pytest.fixture
async def proxied(proxy: FaultProxy, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with connect(proxy.kubeconfig(tmp_path / "kubeconfig")) as proxied:
        yield proxied


async def test_a_lost_answer_leaves_the_write(
    proxy: FaultProxy, proxied: Cluster, cluster: Cluster, namespace: str
) -> None:
    proxy.add(Fault(writes(resource="configmaps"), at="after-send", then="drop"))
    with pytest.raises(Unavailable):
        await proxied.create(CONFIG_MAPS, config_map(namespace))
    assert (await cluster.get(CONFIG_MAPS, ObjectKey(namespace, "x")))["metadata"]["name"] == "x"
    (write,) = proxy.journal.writes(user_agent="pbx-operator", namespace=namespace)
    assert (write.name, write.upstream_status, write.status) == ("x", 201, None)


async def test_a_write_that_never_arrived(
    proxy: FaultProxy, proxied: Cluster, cluster: Cluster, namespace: str
) -> None:
    proxy.add(Fault(writes(), then="drop"))
    with pytest.raises(Unavailable):
        await proxied.create(CONFIG_MAPS, config_map(namespace))
    with pytest.raises(Gone):
        await cluster.get(CONFIG_MAPS, ObjectKey(namespace, "x"))


async def test_an_api_server_that_comes_back(control_plane: ControlPlane, cluster: Cluster, namespace: str) -> None:
    key = ObjectKey("", namespace)
    await cluster.get(NAMESPACES, key)  # leaves a connection that breaks
    control_plane.kill_component("kube-apiserver")
    for _ in range(2):  # first the kept connection is lost, then a new one refused
        with pytest.raises(Unavailable):
            await cluster.get(NAMESPACES, key)
    control_plane.start_component("kube-apiserver")
    assert await cluster.get(NAMESPACES, key)


@asynccontextmanager
async def watch(kubeconfig: Path, path: str) -> AsyncIterator[aiohttp.StreamReader]:
    """Open a watch with nothing but aiohttp."""
    credentials = Credentials(str(kubeconfig))
    await credentials.load()
    connector = aiohttp.TCPConnector(ssl=credentials.ssl_context)
    async with (
        aiohttp.ClientSession(credentials.host, connector=connector) as session,
        session.get(path, params={"watch": "true"}) as response,
    ):
        yield response.content


async def test_watch_events_pass_or_are_dropped(
    proxy: FaultProxy, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    drop = proxy.add(EventDrop(events(type="ADDED", resource="configmaps", name="unseen")))
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    async with watch(proxy.kubeconfig(tmp_path / "kubeconfig"), path) as stream:
        for name in ("first", "unseen", "last"):
            await cluster.create(CONFIG_MAPS, config_map(namespace, name))
        seen = [json.loads(await stream.readline())["object"]["metadata"]["name"] for _ in range(2)]
        await proxy.close_watches()
        with pytest.raises(aiohttp.ClientError):
            await stream.readline()
    assert seen == ["first", "last"]
    assert [event.name for event in drop.hits] == ["unseen"]
    (call,) = proxy.journal.select(calls(verb="watch"))
    assert (call.resource, call.namespace, call.status) == ("configmaps", namespace, 200)
