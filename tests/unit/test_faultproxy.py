"""The fault proxy against a scripted API server: a wrong journal would make every crash test worthless."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from faultproxy import Answer, EventDrop, Fault, FaultProxy, Hold, calls, delay, events, writes

LINKS = "/apis/pbx-operator.io/v1alpha1/namespaces/a/interlinks"


@dataclass
class Upstream:
    """Remembers what arrives; a watch sends what the test puts into `lines`, until a None."""

    seen: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    hangs_up: bool = False
    lines: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append((request.method, request.path_qs))
        self.headers = dict(request.headers)
        body = await request.read()
        if self.hangs_up and request.transport is not None:
            request.transport.abort()
        if "watch" not in request.query:
            return web.json_response({"got": body.decode()}, status=201 if request.method == "POST" else 200)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while (line := await self.lines.get()) is not None:
            await response.write(line)
        return response

    def send(self, kind: str, name: str, **metadata: Any) -> None:
        document = {"type": kind, "object": {"metadata": {"name": name, "namespace": "a", **metadata}}}
        self.lines.put_nowait(json.dumps(document).encode() + b"\n")


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@asynccontextmanager
async def in_front_of(upstream: Upstream, directory: Path) -> AsyncIterator[FaultProxy]:
    async with RawTestServer(upstream.handle) as server:
        config = {
            "clusters": [{"name": "c", "cluster": {"server": str(server.make_url(""))}}],
            "users": [{"name": "u", "user": {"token": "of-the-operator"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        (directory / "upstream").write_text(json.dumps(config))
        async with FaultProxy(directory / "upstream") as proxy:
            yield proxy
            upstream.lines.put_nowait(None)


@asynccontextmanager
async def client_of(proxy: FaultProxy, directory: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that trusts what the kubeconfig says, and nothing else."""
    config = json.loads(proxy.kubeconfig(directory / "kubeconfig").read_text())
    cluster = config["clusters"][0]["cluster"]
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=cluster["certificate-authority"]))
    headers = {"User-Agent": "pbx-operator", "Authorization": "Bearer nobody"}
    async with aiohttp.ClientSession(cluster["server"], connector=connector, headers=headers) as session:
        yield session


@pytest.fixture
async def proxy(upstream: Upstream, tmp_path: Path) -> AsyncIterator[FaultProxy]:
    async with in_front_of(upstream, tmp_path) as proxy:
        yield proxy


@pytest.fixture
async def client(proxy: FaultProxy, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with client_of(proxy, tmp_path) as session:
        yield session


async def post(client: aiohttp.ClientSession, name: str, path: str = LINKS) -> int:
    async with client.post(path, json={"metadata": {"name": name}}) as response:
        await response.read()
        return response.status


async def test_calls_pass_with_the_identity_of_the_kubeconfig(
    upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    async with client.put(f"{LINKS}/x/status?fieldManager=m", json={"a": 1}) as response:
        assert (response.status, await response.json()) == (200, {"got": '{"a": 1}'})
    assert upstream.seen == [("PUT", f"{LINKS}/x/status?fieldManager=m")]
    assert upstream.headers["Authorization"] == "Bearer of-the-operator"
    assert upstream.headers["User-Agent"] == "pbx-operator"
    assert upstream.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", f"{LINKS}/x", ("get", "pbx-operator.io", "v1alpha1", "interlinks", "a", "x", "")),
        ("GET", f"{LINKS}?limit=5", ("list", "pbx-operator.io", "v1alpha1", "interlinks", "a", "", "")),
        ("PUT", f"{LINKS}/x/status", ("update", "pbx-operator.io", "v1alpha1", "interlinks", "a", "x", "status")),
        ("PATCH", "/api/v1/namespaces/a", ("patch", "", "v1", "namespaces", "", "a", "")),
        ("PUT", "/api/v1/namespaces/a/finalize", ("update", "", "v1", "namespaces", "", "a", "finalize")),
        ("DELETE", "/api/v1/namespaces/a/secrets/s", ("delete", "", "v1", "secrets", "a", "s", "")),
        ("GET", "/version", ("", "", "", "", "", "", "")),
    ],
)
async def test_the_journal_understands_paths(
    proxy: FaultProxy, client: aiohttp.ClientSession, method: str, path: str, expected: tuple[str, ...]
) -> None:
    async with client.request(method, path):
        pass
    (call,) = proxy.journal.calls
    seen = (call.verb, call.group, call.version, call.resource, call.namespace, call.name, call.subresource)
    assert seen == expected


async def test_the_journal_knows_what_was_written_and_by_whom(proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    assert await post(client, "x") == 201
    async with client.get(f"{LINKS}/x", headers={"User-Agent": "kubectl"}):
        pass
    (write,) = proxy.journal.writes(user_agent="pbx-operator", name="x")
    assert (write.number, write.verb, write.status, write.landed) == (1, "create", 201, True)
    assert write.json() == {"metadata": {"name": "x"}}
    assert proxy.journal.counts() == {("pbx-operator", "POST"): 1, ("kubectl", "GET"): 1}
    proxy.journal.clear()
    assert proxy.journal.writes() == []


async def test_waiting_for_calls(proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    await post(client, "x")
    both = asyncio.create_task(proxy.journal.wait_for(writes(status=201), count=2))
    await asyncio.sleep(0)
    assert not both.done()
    await post(client, "y")
    assert [call.name for call in await both] == ["x", "y"]


async def test_waiting_in_vain_tells_what_came_instead(
    proxy: FaultProxy, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post(client, "x")
    monkeypatch.setattr("faultproxy.journal.DEADLINE", 0.01)
    with pytest.raises(AssertionError, match=r"0 of 1 calls came.*\n1: POST .*interlinks \(pbx-operator\) -> 201"):
        await proxy.journal.wait_for(calls(name="y"))


def test_a_misspelt_field_is_refused() -> None:
    with pytest.raises(TypeError, match="Call has no field ressource"):
        calls(ressource="interlinks")
    with pytest.raises(TypeError, match="WatchEvent has no field verb"):
        events(verb="watch")


async def test_an_injected_answer_never_reaches_the_server(
    upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    proxy.add(Fault(writes(), then=Answer(429, retry_after=7)))
    async with client.post(LINKS, json={"metadata": {"name": "x"}}) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
        document = await response.json()
    assert (document["kind"], document["reason"]) == ("Status", "TooManyRequests")
    assert upstream.seen == []
    (call,) = proxy.journal.calls
    assert (call.status, call.landed) == (429, False)
    assert await post(client, "x") == 201  # the fault was for one call


@pytest.mark.parametrize(
    ("at", "landed"), [("before-send", False), ("after-send", True)], ids=["before-send", "after-send"]
)
async def test_a_dropped_connection(
    upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession, at: Any, landed: bool
) -> None:
    struck: list[str] = []
    fault = proxy.add(Fault(writes(), at=at, do=lambda: struck.append("killed"), then="drop"))
    with pytest.raises(aiohttp.ClientConnectionError):
        await post(client, "x")
    await fault.hit()
    (call,) = fault.hits
    assert struck == ["killed"]
    assert (call.status, call.ended, call.landed) == (None, True, landed)
    assert bool(upstream.seen) is landed


async def test_a_lost_answer(upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    proxy.add(Fault(writes(), at="after-send", then=Answer(500)))
    assert await post(client, "x") == 500
    assert len(upstream.seen) == 1
    (call,) = proxy.journal.calls
    assert (call.status, call.upstream_status, call.landed) == (500, 201, True)


async def test_after_the_reply_the_client_has_its_answer(proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    hold = Hold()
    fault = proxy.add(Fault(writes(), at="after-reply", do=hold))
    assert await post(client, "x") == 201
    await hold.reached.wait()
    assert fault.hits == []
    hold.release()
    await fault.hit()


def test_an_answer_cannot_be_taken_back() -> None:
    with pytest.raises(ValueError, match="can only proceed"):
        Fault(writes(), at="after-reply", then="drop")


async def test_the_nth_write_and_some_more(proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    fault = proxy.add(Fault(writes(), nth=2, times=2, then=Answer(409)))
    for name in "abcd":
        async with client.get(f"{LINKS}/{name}"):
            pass
        await post(client, name)
    assert [call.status for call in proxy.journal.writes()] == [201, 409, 409, 201]
    assert [call.name for call in fault.hits] == ["b", "c"]


async def test_a_fault_for_ever_ends_with_clear(proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    proxy.add(Fault(writes(), times=None, then=Answer(503)))
    assert [await post(client, "x") for _ in range(3)] == [503, 503, 503]
    proxy.clear()
    assert await post(client, "x") == 201


async def test_a_held_write_lands_although_its_sender_is_dead(
    upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    hold = Hold()
    proxy.add(Fault(writes(), do=hold))
    sender = asyncio.create_task(post(client, "x"))
    await hold.reached.wait()
    assert upstream.seen == []
    sender.cancel()
    await client.close()
    hold.release()
    (call,) = await proxy.journal.wait_for(writes())
    assert call.landed


async def test_a_delay_is_only_a_delay(proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    fault = proxy.add(Fault(writes(), do=delay(0.001)))
    assert await post(client, "x") == 201
    assert len(fault.hits) == 1


async def test_a_server_that_breaks_the_connection(
    upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    upstream.hangs_up = True
    with pytest.raises(aiohttp.ClientConnectionError):
        await post(client, "x")
    (call,) = proxy.journal.calls
    assert (call.status, call.upstream_status, len(upstream.seen)) == (None, None, 1)


async def test_a_client_that_dies_while_it_sends(
    upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    async def half_a_body() -> AsyncIterator[bytes]:
        yield b'{"metadata": '
        raise RuntimeError("dead")

    with pytest.raises(aiohttp.ClientConnectionError):
        await client.post(LINKS, data=half_a_body())
    assert await post(client, "x") == 201
    assert len(upstream.seen) == 1


async def test_a_rule_that_fails_fails_the_test(upstream: Upstream, tmp_path: Path) -> None:
    with pytest.RaisesGroup(KeyError):
        async with in_front_of(upstream, tmp_path) as proxy, client_of(proxy, tmp_path) as client:
            proxy.add(Fault(lambda call: bool(call.json()["spec"]), then="drop"))
            with pytest.raises(aiohttp.ClientConnectionError):
                await post(client, "x")


async def next_event(watch: aiohttp.ClientResponse) -> tuple[str, str]:
    event = json.loads(await watch.content.readline())
    return event["type"], event["object"]["metadata"]["name"]


async def test_watch_events_pass_at_once(upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    async with client.get(f"{LINKS}?watch=true") as watch:
        for name in ("x", "y"):
            upstream.send("ADDED", name)
            assert await next_event(watch) == ("ADDED", name)
        (call,) = await proxy.journal.wait_for(calls(verb="watch"))
        assert call.status == 200
        upstream.lines.put_nowait(None)
        assert await watch.content.read() == b""


async def test_a_long_event_in_pieces_stays_one(
    upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    proxy.add(EventDrop(events(name="nobody")))
    line = json.dumps({"type": "ADDED", "object": {"metadata": {"name": "x"}, "long": "." * 300_000}}).encode()
    async with client.get(f"{LINKS}?watch=true") as watch:
        upstream.lines.put_nowait(line[:200_000])
        upstream.lines.put_nowait(line[200_000:] + b"\n")
        assert await watch.content.readexactly(len(line) + 1) == line + b"\n"


async def test_chosen_events_are_dropped(upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    drop = proxy.add(EventDrop(events(type="DELETED", resource="interlinks", name="x")))
    async with client.get(f"{LINKS}?watch=true") as watch:
        for kind, name in (("DELETED", "y"), ("DELETED", "x"), ("DELETED", "x")):
            upstream.send(kind, name)
        assert await next_event(watch) == ("DELETED", "y")
        assert await next_event(watch) == ("DELETED", "x")
    assert [event.name for event in drop.hits] == ["x"]


async def test_held_events_come_after_the_release(
    upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    proxy.hold_events()
    async with client.get(f"{LINKS}?watch=true") as watch:
        upstream.send("ADDED", "x")
        upstream.send("ADDED", "y")
        reading = asyncio.create_task(next_event(watch))
        await post(client, "other calls go on")
        assert not reading.done()
        proxy.release_events()
        assert [await reading, await next_event(watch)] == [("ADDED", "x"), ("ADDED", "y")]


async def test_all_watches_can_be_broken(upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    proxy.hold_events()  # a watch that waits can be broken, too
    async with client.get(f"{LINKS}?watch=1") as one, client.get(f"{LINKS}?watch=true") as other:
        await proxy.close_watches()
        for watch in (one, other):
            with pytest.raises(aiohttp.ClientError):
                await watch.content.read()
    assert await post(client, "x") == 201


async def test_all_watches_can_expire(upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    async with client.get(f"{LINKS}?watch=true") as watch:
        upstream.send("ADDED", "x")
        assert await next_event(watch) == ("ADDED", "x")
        await proxy.expire_watches()
        event = json.loads(await watch.content.readline())
        assert (event["type"], event["object"]["kind"]) == ("ERROR", "Status")
        assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
        assert await watch.content.read() == b""


async def test_a_watch_can_be_refused(proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    proxy.add(Fault(calls(verb="watch"), then=Answer(429)))
    async with client.get(f"{LINKS}?watch=true") as response:
        assert (response.status, (await response.json())["reason"]) == (429, "TooManyRequests")
