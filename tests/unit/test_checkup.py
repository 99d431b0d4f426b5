"""`pbx-operator check`: what is asked, and that each failure says what is wrong and what to do."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer as HttpServer
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from pbx_operator.api.meta import TEARDOWN_FINALIZER, ResourceType
from pbx_operator.api.v1alpha1 import KINDS
from pbx_operator.checkup import probes
from pbx_operator.checkup.permissions import EVERYWHERE, HOME, WATCHED, Permission, needed, permissions
from pbx_operator.checkup.probes import Finding, finding
from pbx_operator.cluster import Cluster
from pbx_operator.cluster.client import Listing
from pbx_operator.commands.check import MAX_SHOWN
from pbx_operator.commands.operator import main
from pbx_operator.exchange.certificates import LIFETIME, KeyPair, make_pair
from pbx_operator.exchange.secret_pairs import SecretPairs
from pbx_operator.sandbox.ports import unused_port
from support import ROOT

NOW = datetime.now(UTC)
HOME_NAMESPACE = "pbx-system"


# --- permissions ------------------------------------------------------------------------------------------------


def granted() -> Iterator[Permission]:
    """What `examples/install/rbac.yaml` grants the operator."""
    documents = YAML(typ="safe").load_all((ROOT / "examples/install/rbac.yaml").read_text(encoding="utf-8"))
    for role in documents:
        if role["kind"] in ("ClusterRole", "Role") and role["metadata"]["name"] == "pbx-operator":
            for rule in role["rules"]:
                for group, resource, verb in (
                    (g, r, v) for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]
                ):
                    for name in rule.get("resourceNames", [""]):
                        yield Permission(role["metadata"].get("namespace", ""), group, resource, verb, name)


def test_the_roles_for_all_namespaces_grant_what_is_needed_and_nothing_else() -> None:
    """What is granted for all namespaces need not be granted once more for the operator's own."""
    everywhere = {*permissions(WATCHED), *permissions(EVERYWHERE)}
    at_home = {
        p for p in permissions(HOME, HOME_NAMESPACE) if Permission("", p.group, p.resource, p.verb) not in everywhere
    }
    assert set(granted()) == everywhere | at_home


def test_secrets_are_never_listed() -> None:
    verbs = {p.verb for p in permissions((*WATCHED, *EVERYWHERE, *HOME)) if p.resource == "secrets"}
    assert verbs == {"get", "create", "update", "delete"}


def test_where_permissions_are_needed_follows_from_what_is_watched() -> None:
    assert list(needed("home", ())) == ["in the cluster", "in all namespaces", "in its own namespace home"]
    places = needed("home", {"b", "a"})
    assert list(places) == ["in the cluster", "in namespace a", "in namespace b", "in its own namespace home"]
    assert {permission.namespace for permission in places["in namespace a"]} == {"a"}


async def test_what_is_not_allowed_is_named() -> None:
    class Reviewer:
        """Allows all but the deletion of Secrets."""

        def __init__(self) -> None:
            self.asked: list[dict[str, str]] = []

        async def create(self, _: ResourceType, body: Any) -> dict[str, Any]:
            attributes = body["spec"]["resourceAttributes"]
            self.asked.append(attributes)
            return {"status": {"allowed": (attributes["resource"], attributes["verb"]) != ("secrets", "delete")}}

    reviewer: Any = Reviewer()
    wanted = list(permissions(WATCHED, "a"))
    found = await finding("permissions", partial(probes.allowed, reviewer, wanted))
    assert found.problem == ("not allowed: delete secrets; grant it as examples/install/rbac.yaml or the chart does")
    assert len(reviewer.asked) == len(wanted)
    status = {"group": "pbx-operator.io", "resource": "interlinks", "subresource": "status", "verb": "update"}
    assert {**status, "namespace": "a"} in reviewer.asked


def test_a_permission_reads_like_a_rule() -> None:
    (one,) = [p for p in permissions(EVERYWHERE) if p.resource == "namespaces"]
    assert str(one) == "get namespaces kube-system"
    assert str(Permission("a", "pbx-operator.io", "interlinks", "patch")) == "patch interlinks.pbx-operator.io"


# --- the operator -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def page(path: str, status: int, text: str) -> AsyncIterator[str]:
    """Serve one page on loopback."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text)

    app = web.Application()
    app.router.add_get(path, answer)
    async with HttpServer(app) as server:
        yield f"http://127.0.0.1:{server.port}"


async def test_a_ready_operator_with_metrics() -> None:
    async with page("/readyz", 200, "ok\n") as base:
        assert await finding("ready", partial(probes.readiness, base)) == Finding("ready", fact=f"{base}/readyz")
    async with page("/metrics", 200, "rest_client_requests_total 1.0\n") as base:
        assert (await finding("metrics", partial(probes.metrics, base))).problem == ""


async def test_an_operator_that_is_not_ready_says_why() -> None:
    async with page("/readyz", 500, "the watches are behind\n") as base:
        found = await finding("ready", partial(probes.readiness, base))
    assert found.problem == "it answers 500, the watches are behind; see the log of the operator"


async def test_metrics_of_something_else_are_no_metrics() -> None:
    async with page("/metrics", 200, "up 1\n") as base:
        found = await finding("metrics", partial(probes.metrics, base))
    assert found.problem == (
        "it answers 200, without rest_client_requests_total; is this the operator's --metrics-port?"
    )


async def test_nobody_listens() -> None:
    found = await finding("ready", partial(probes.readiness, f"http://127.0.0.1:{unused_port()}"))
    assert found.problem == (
        "the connection is refused, nobody listens there; see that the address is right and no NetworkPolicy forbids it"
    )


# --- the exchange -----------------------------------------------------------------------------------------------


def files(folder: Path, pair: KeyPair) -> Path:
    folder.mkdir()
    (folder / "tls.crt").write_bytes(pair.certificate)
    (folder / "tls.key").write_bytes(pair.key)
    return folder


@asynccontextmanager
async def exchange(folder: Path, status: int = 200) -> AsyncIterator[str]:
    """Serve /healthz with the certificate of a folder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/healthz", answer)
    server = HttpServer(app, scheme="https")
    await server.start_server(ssl=context)
    try:
        yield f"https://127.0.0.1:{server.port}"
    finally:
        await server.close()


async def look(endpoint: str, mounted: Path | None, now: datetime = NOW, cluster: Any = None) -> Finding:
    return await finding("exchange", partial(probes.certificate, cluster, HOME_NAMESPACE, endpoint, mounted, now))


async def test_an_exchange_that_shows_its_own_certificate(tmp_path: Path) -> None:
    pair = make_pair(["127.0.0.1"], NOW)
    folder = files(tmp_path / "own", pair)
    async with exchange(folder) as endpoint:
        found = await look(endpoint, folder)
        assert found.fact.startswith(f"its certificate has the pin {pair.pin} and is valid until ")
        with mock.patch.object(SecretPairs, "load", return_value=pair):
            assert await look(endpoint, None) == found


async def test_something_between_that_ends_tls_is_noticed(tmp_path: Path) -> None:
    own, proxy = make_pair(["127.0.0.1"], NOW), make_pair(["127.0.0.1"], NOW)
    async with exchange(files(tmp_path / "proxy", proxy)) as endpoint:
        found = await look(endpoint, files(tmp_path / "own", own))
    assert found.problem == (
        f"it shows the key {proxy.pin}, and not its own, {own.pin}, by which peers know it: what lies between must"
        " pass TLS through and not end it"
    )


async def test_a_certificate_that_expired(tmp_path: Path) -> None:
    folder = files(tmp_path / "own", make_pair(["127.0.0.1"], NOW))
    async with exchange(folder) as endpoint:
        found = await look(endpoint, folder, NOW + LIFETIME + timedelta(days=1))
    assert "its certificate is valid from" in found.problem


async def test_an_exchange_that_is_ill_and_one_without_a_certificate(tmp_path: Path) -> None:
    folder = files(tmp_path / "own", make_pair(["127.0.0.1"], NOW))
    async with exchange(folder, status=503) as endpoint:
        assert (await look(endpoint, folder)).problem == "its /healthz answers 503; see the log of the exchange"
        with mock.patch.object(SecretPairs, "load", return_value=None):
            found = await look(endpoint, None)
    assert found.problem == "Secret pbx-system/pbx-operator-exchange-tls does not exist; see the log of the exchange"


async def test_a_mounted_certificate_that_is_of_no_use(tmp_path: Path) -> None:
    folder = files(tmp_path / "own", make_pair(["127.0.0.1"], NOW))
    async with exchange(folder) as endpoint:
        found = await look(endpoint, files(tmp_path / "other", KeyPair(b"", b"")))
    assert found.problem == "the certificate and the key must be PEM of a common kind"


# --- what is left, and the command ------------------------------------------------------------------------------


class Objects:
    """A cluster with these objects: kind, name, and whether the operator holds it, and it is being deleted."""

    def __init__(self, *objects: tuple[str, str, bool, bool], served: bool = True) -> None:
        self._objects = objects
        self._served = served
        self.listed: list[str] = []

    async def __aenter__(self) -> Objects:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def served(self, _: str) -> frozenset[str]:
        return frozenset(kind.resource.plural for kind in KINDS) if self._served else frozenset()

    async def list(self, resource: ResourceType, namespace: str = "", *, metadata_only: bool = False) -> Listing:
        assert metadata_only
        self.listed.append(namespace)
        items = [self._item(*one[1:]) for one in self._objects if one[0] == resource.kind]
        return Listing(items, "1")

    def _item(self, name: str, held: bool, deleting: bool) -> dict[str, Any]:
        metadata: dict[str, Any] = {"namespace": "t", "name": name}
        metadata |= {"finalizers": [TEARDOWN_FINALIZER]} if held else {}
        return {"metadata": metadata | ({"deletionTimestamp": "2027-01-31T12:00:00Z"} if deleting else {})}

    def run(self, *arguments: str) -> Result:
        with mock.patch.object(Cluster, "connect", return_value=self):
            return CliRunner().invoke(main, ["check", "--no-objects", *arguments])


def test_nothing_is_left() -> None:
    for cluster in (Objects(), Objects(("Interlink", "x", True, False), served=False)):
        result = cluster.run()
        assert (result.exit_code, result.output) == (0, "ok      no object is left\n")


def test_what_is_left_is_named_the_most_urgent_first() -> None:
    cluster = Objects(
        ("InternalNumber", "n", False, False), ("PBXAccount", "a", True, False), ("Interlink", "x", True, True)
    )
    result = cluster.run()
    assert result.exit_code == 1
    assert result.output.splitlines()[:4] == [
        "FAILED  3 objects are left:",
        "  Interlink t/x, being deleted, waits for the operator",
        "  PBXAccount t/a, which only the operator can let go",
        "  InternalNumber t/n",
    ]
    assert "kubectl delete interlinks,commservers,internalnumbers,pbxaccounts" in result.output
    assert "helm uninstall RELEASE --no-hooks" in result.output
    assert "helm rollback RELEASE REVISION, with the last revision of `helm history RELEASE`" in result.output


def test_of_many_only_some_are_named() -> None:
    result = Objects(*(("Interlink", f"x{n}", True, False) for n in range(MAX_SHOWN + 3))).run()
    assert len([line for line in result.output.splitlines() if line.startswith("  Interlink")]) == MAX_SHOWN
    assert "  and 3 more\n" in result.output


def test_only_watched_namespaces_are_asked() -> None:
    cluster = Objects()
    cluster.run("--watch-namespace", "b", "--watch-namespace", "a")
    assert cluster.listed == ["a", "b"] * 4


@pytest.mark.parametrize("value", ["pbx:8080", "ftp://pbx", "http://", "http://pbx:8080/readyz", "http://pbx:x"])
def test_an_address_that_is_none_is_refused(value: str) -> None:
    result = CliRunner().invoke(main, ["check", "--health-url", value])
    assert result.exit_code == 2
    assert "write it like http://pbx-operator.pbx-system:8080" in " ".join(result.stderr.split())


def test_a_login_that_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["check", "--kubeconfig", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
