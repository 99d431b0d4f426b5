"""The API client against a scripted server: what it sends, and what it makes of answers and failures."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from cryptography import x509
from prometheus_client import CollectorRegistry

from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.cluster import Cluster, Conflict, Forbidden, Gone, Unavailable, client, request_counter
from pbx_operator.sandbox.pki import CertificateAuthority

KEY = ObjectKey("a", "s")
SECRET: dict[str, Any] = {"metadata": {"namespace": "a", "name": "s", "resourceVersion": "1"}}

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """A request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Server:
    """Answers with `replies` in turn, the last one for ever, and remembers what it was asked."""

    replies: list[Callable[[web.BaseRequest], web.StreamResponse]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        headers = dict(request.headers)
        self.seen.append(Seen(request.method, request.path_qs, headers, json.loads(body) if body else None))
        return (self.replies.pop(0) if len(self.replies) > 1 else self.replies[0])(request)


def answer(status: int, reason: str = "", **document: Any) -> Callable[[web.BaseRequest], web.Response]:
    if reason:
        document |= {"kind": "Status", "reason": reason}
    return lambda _: web.json_response(document, status=status)


def hang_up(request: web.BaseRequest) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.fixture
def server() -> Server:
    return Server([answer(200, metadata={"name": "s"})])


def connect(directory: Path, url: object, registry: CollectorRegistry, **cluster: str) -> Cluster:
    """Return a client with a token file, by way of a kubeconfig; `cluster` adds to its cluster section."""
    (directory / "token").write_text("t1")
    config = {
        "clusters": [{"name": "c", "cluster": {"server": str(url), **cluster}}],
        "users": [{"name": "u", "user": {"tokenFile": str(directory / "token")}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (directory / "config").write_text(json.dumps(config))
    return Cluster.connect(str(directory / "config"), requests=request_counter(registry))


@pytest.fixture
async def cluster(server: Server, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with (
        RawTestServer(server.handle) as upstream,
        connect(tmp_path, upstream.make_url(""), server.registry) as cluster,
    ):
        yield cluster


async def test_every_call_says_who_it_is(server: Server, cluster: Cluster) -> None:
    assert await cluster.get(SECRETS, KEY) == {"metadata": {"name": "s"}}
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("GET", "/api/v1/namespaces/a/secrets/s")
    assert seen.headers["User-Agent"] == "pbx-operator"
    assert seen.headers["Authorization"] == "Bearer t1"
    assert seen.headers["Accept"] == "application/json"
    assert "Accept-Encoding" not in seen.headers


async def test_writes_carry_body_and_field_manager(server: Server, cluster: Cluster) -> None:
    collection, manager = "/api/v1/namespaces/a/secrets", "?fieldManager=pbx-operator"
    await cluster.create(SECRETS, SECRET)
    await cluster.put(SECRETS, SECRET)
    await cluster.put_status(SECRETS, SECRET)
    await cluster.patch(SECRETS, KEY, {"metadata": {"labels": {"x": None}}})
    assert [(seen.method, seen.path, seen.body) for seen in server.seen] == [
        ("POST", f"{collection}{manager}", SECRET),
        ("PUT", f"{collection}/s{manager}", SECRET),
        ("PUT", f"{collection}/s/status{manager}", SECRET),
        ("PATCH", f"{collection}/s{manager}", {"metadata": {"labels": {"x": None}}}),
    ]
    types = [seen.headers["Content-Type"] for seen in server.seen]
    assert types == ["application/json"] * 3 + ["application/merge-patch+json"]


async def test_delete_sends_only_the_demanded_preconditions(server: Server, cluster: Cluster) -> None:
    server.replies = [answer(200, kind="Status")]
    await cluster.delete(SECRETS, KEY)
    await cluster.delete(SECRETS, KEY, uid="u", resource_version="7")
    assert [seen.body["preconditions"] for seen in server.seen] == [{}, {"uid": "u", "resourceVersion": "7"}]


async def test_blind_writes_are_refused_before_anything_is_sent(server: Server, cluster: Cluster) -> None:
    blind = {"metadata": {"namespace": "a", "name": "s"}}
    with pytest.raises(ValueError, match=r"a/s: .* needs metadata\.resourceVersion"):
        await cluster.put(SECRETS, blind)
    with pytest.raises(ValueError, match=r"a/s: .* needs metadata\.resourceVersion"):
        await cluster.put_status(SECRETS, blind)
    with pytest.raises(ValueError, match=r"finalizers needs metadata\.resourceVersion"):
        await cluster.patch(SECRETS, KEY, {"metadata": {"finalizers": []}})
    assert server.seen == []


@pytest.mark.parametrize("method", ["get", "put", "delete"])
async def test_nothing_is_sent_twice_when_a_kept_connection_breaks(
    server: Server, cluster: Cluster, method: str
) -> None:
    """By default aiohttp would send exactly these three again."""
    await cluster.get(SECRETS, KEY)  # leaves a connection to be kept
    server.replies = [hang_up]
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "get": lambda: cluster.get(SECRETS, KEY),
        "put": lambda: cluster.put(SECRETS, SECRET),
        "delete": lambda: cluster.delete(SECRETS, KEY),
    }
    with pytest.raises(Unavailable, match=f"{method.upper()} /api/v1/namespaces/a/secrets/s: ") as caught:
        await calls[method]()
    assert (caught.value.status, len(server.seen)) == (0, 2)


async def test_an_answer_that_breaks_off_is_no_answer(server: Server, cluster: Cluster) -> None:
    server.replies = [lambda _: web.Response(body=b'{"metadata":', content_type="application/json")]
    with pytest.raises(Unavailable, match="not JSON"):
        await cluster.get(SECRETS, KEY)


async def test_a_rotated_client_certificate_is_shown(tmp_path: Path) -> None:
    """Also by a client that has connections open, which the former one had to do with."""
    shown: list[int] = []

    async def look(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        shown.append(int(request.transport.get_extra_info("peercert")["serialNumber"], 16))
        return web.json_response({"kind": "Status"}, status=401)

    authority = CertificateAuthority.create(tmp_path)
    served = authority.issue_server(["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.files.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(served.certificate, served.key)
    upstream, mine = RawTestServer(look, scheme="https"), authority.issue_client("u")
    await upstream.start_server(ssl=context)
    config = authority.write_kubeconfig(tmp_path / "config", str(upstream.make_url("")), "u", mine)
    serials = [serial_number(mine.certificate)]
    async with upstream, Cluster.connect(str(config), requests=request_counter(CollectorRegistry())) as cluster:
        for _ in range(2):
            with pytest.raises(Forbidden):
                await cluster.get(SECRETS, KEY)
        authority.issue_client("u")
        serials.append(serial_number(mine.certificate))
        with pytest.raises(Forbidden):
            await cluster.get(SECRETS, KEY)
    assert shown == [serials[0], *serials]


def serial_number(certificate: Path) -> int:
    return x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number


async def test_a_silent_server_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = asyncio.Event()

    async def silent(_: web.BaseRequest) -> web.StreamResponse:
        await finish.wait()
        return web.Response()

    monkeypatch.setattr(client, "TIMEOUT", aiohttp.ClientTimeout(total=0.01))
    async with (
        RawTestServer(silent) as upstream,
        connect(tmp_path, upstream.make_url(""), CollectorRegistry()) as cluster,
    ):
        with pytest.raises(Unavailable) as caught:
            await cluster.put(SECRETS, SECRET)
        finish.set()
    assert (caught.value.status, caught.value.reason) == (0, "TimeoutError")


async def test_a_refused_connection_is_unavailable(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with connect(tmp_path, url, CollectorRegistry()) as cluster:
            with pytest.raises(Unavailable, match="ClientConnectorError: Cannot connect") as caught:
                await cluster.get(SECRETS, KEY)
    assert caught.value.status == 0


async def test_the_proxy_of_the_kubeconfig_is_used(server: Server, tmp_path: Path) -> None:
    async with RawTestServer(server.handle) as proxy:
        url = {"proxy-url": str(proxy.make_url(""))}
        async with connect(tmp_path, "http://api.invalid", CollectorRegistry(), **url) as cluster:
            await cluster.get(SECRETS, KEY)
    assert server.seen[0].headers["Host"] == "api.invalid"


async def test_a_client_that_is_not_open_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await connect(tmp_path, "http://127.0.0.1", CollectorRegistry()).get(SECRETS, KEY)


async def test_a_refused_token_is_read_again(server: Server, cluster: Cluster, tmp_path: Path) -> None:
    server.replies = [answer(401, "Unauthorized"), answer(200)]
    (tmp_path / "token").write_text("t2")
    with pytest.raises(Forbidden):
        await cluster.get(SECRETS, KEY)
    await cluster.get(SECRETS, KEY)
    assert [seen.headers["Authorization"] for seen in server.seen] == ["Bearer t1", "Bearer t2"]


async def test_a_failure_never_tells_the_body(server: Server, cluster: Cluster) -> None:
    secret = {**SECRET, "stringData": {"key": "hunter2"}}
    for reply in (answer(409, "Conflict"), answer(422, "Invalid", message="hunter2"), hang_up):
        server.replies = [reply]
        with pytest.raises(Exception, match="/secrets/s: ") as caught:
            await cluster.put(SECRETS, secret)
        assert "hunter2" not in f"{caught.value!r}{caught.value.__cause__!r}"


async def test_errors_carry_their_meaning(server: Server, cluster: Cluster) -> None:
    server.replies = [answer(404, "NotFound", details={"name": "s"})]
    with pytest.raises(Gone):
        await cluster.get(SECRETS, KEY)
    server.replies = [answer(409, "Conflict")]
    with pytest.raises(Conflict):
        await cluster.delete(SECRETS, KEY, uid="u")


def page(*names: str, more: str = "") -> Callable[[web.BaseRequest], web.Response]:
    metadata = {"resourceVersion": "9", **({"continue": more} if more else {})}
    return answer(200, metadata=metadata, items=[{"metadata": {"name": name}} for name in names])


async def test_a_list_is_read_page_by_page(server: Server, cluster: Cluster) -> None:
    server.replies = [page("1", more="x="), page("2", more="y"), page("3")]
    listing = await cluster.list(SECRETS, metadata_only=True)
    assert [item["metadata"]["name"] for item in listing.items] == ["1", "2", "3"]
    assert listing.resource_version == "9"
    path = "/api/v1/secrets?limit=500"
    assert [seen.path for seen in server.seen] == [path, f"{path}&continue=x%3D", f"{path}&continue=y"]
    accepted = {seen.headers["Accept"] for seen in server.seen}
    assert accepted == {"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}


async def test_a_list_that_expires_begins_anew(server: Server, cluster: Cluster) -> None:
    server.replies = [page("1", more="x"), answer(410, "Expired"), page("2", more="y"), page("3")]
    listing = await cluster.list(SECRETS, "a")
    assert [item["metadata"]["name"] for item in listing.items] == ["2", "3"]


async def test_a_list_that_keeps_expiring_is_given_up(server: Server, cluster: Cluster) -> None:
    server.replies = [answer(410, "Expired")]
    with pytest.raises(Unavailable):
        await cluster.list(SECRETS)
    assert len(server.seen) == client.LIST_ATTEMPTS


async def test_a_list_is_not_begun_anew_for_other_failures(server: Server, cluster: Cluster) -> None:
    server.replies = [answer(500, "InternalError")]
    with pytest.raises(Unavailable):
        await cluster.list(SECRETS)
    assert len(server.seen) == 1


async def test_calls_are_counted_as_controller_runtime_does(server: Server, cluster: Cluster) -> None:
    for reply in (answer(200), answer(404, "NotFound", details={"name": "s"}), hang_up):
        server.replies = [reply]
        with contextlib.suppress(Gone, Unavailable):
            await cluster.get(SECRETS, KEY)
    (metric,) = server.registry.collect()
    counted = {s.labels["code"]: s.value for s in metric.samples if s.name == "rest_client_requests_total"}
    assert counted == {"200": 1, "404": 1, "<error>": 1}
    assert {(s.labels["method"], s.labels["host"]) for s in metric.samples} == {("GET", server.seen[0].headers["Host"])}
