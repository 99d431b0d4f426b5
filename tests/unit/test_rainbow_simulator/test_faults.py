"""Faults, the journal and the lag of new systems: what crash tests of a client stand on."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest

from pbx_operator.sandbox.pki import CertificateAuthority
from simulators.rainbow import Answer, Fault, Hold, RainbowSimulator, Stage, calls, error, failure, reseller
from simulators.rainbow.errors import EXAMPLES
from test_rainbow_simulator.client import Client

CREATE = calls(operation="PostSystems")


async def test_an_answer_that_gets_lost_leaves_the_system_behind(client: Client) -> None:
    lost = client.rainbow.add(Fault(CREATE, at="after-commit", then="drop"))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.create(pbxId="ALE12")
    await lost.hit()
    assert (await client.call("GET", "/systems/pbxid/ALE12")).status == 200
    call = client.rainbow.journal.select(operation="PostSystems")[0]
    assert (call.committed, call.status, call.ended) == (True, None, True)


async def test_a_call_that_gets_lost_changes_nothing(client: Client) -> None:
    client.rainbow.add(Fault(CREATE, then="drop"))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.create()
    assert not client.rainbow.state.systems
    await client.create()


async def test_a_rate_limit_holds_until_it_is_cleared(client: Client) -> None:
    client.rainbow.add(Fault(calls(), times=None, then=failure(429, retry_after=7)))
    for _ in range(2):
        reply = await client.call("GET", "/systems")
        assert (reply.status, reply.headers["Retry-After"]) == (429, "7")
    client.rainbow.clear()
    assert (await client.call("GET", "/systems")).status == 200


async def test_a_5xx_comes_with_the_documented_body_or_with_none(client: Client) -> None:
    client.rainbow.add(Fault(calls(), then=failure(500)))
    reply = await client.call("GET", "/systems")
    assert reply.body == {"errorCode": 500, "errorMsg": "Internal Server Error", "errorDetails": ""}
    client.rainbow.add(Fault(CREATE, at="after-commit", then=Answer(503)))
    refused = await client.call("POST", "/systems", client.system())
    assert (refused.status, refused.body) == (503, None)
    assert len(client.rainbow.state.systems) == 1


@pytest.mark.parametrize("code", sorted(EXAMPLES))
async def test_every_documented_code_can_be_ordered(client: Client, code: int) -> None:
    client.rainbow.add(Fault(calls(method="GET"), then=error(code)))
    reply = await client.call("GET", "/systems")
    assert (reply.status, reply.code) == (code // 1000, code)
    assert set(reply.body) == {"errorCode", "errorMsg", "errorDetails", "errorDetailsCode"}
    assert (await client.call("GET", "/systems")).status == 200


async def test_the_nth_call_and_some_more_are_struck(client: Client) -> None:
    fault = client.rainbow.add(Fault(calls(method="GET"), nth=2, times=2, then=failure(500)))
    assert [(await client.call("GET", "/systems")).status for _ in range(4)] == [200, 500, 500, 200]
    assert [call.number for call in fault.hits] == [2, 3]


@pytest.mark.parametrize(("at", "left"), [("before-commit", 1), ("after-commit", 2)])
async def test_a_client_can_be_stopped_at_its_nth_call(client: Client, at: Stage, left: int) -> None:
    killed = asyncio.Event()
    crash = client.rainbow.on_call(2, killed.set, at=at)
    await client.create()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.create()
    await crash.hit()
    assert killed.is_set()
    assert len(client.rainbow.state.systems) == left


async def test_a_held_call_lands_even_if_its_client_is_gone(client: Client) -> None:
    hold = Hold()
    client.rainbow.add(Fault(CREATE, do=hold))
    task = asyncio.create_task(client.create())
    async with asyncio.timeout(30):
        await hold.reached.wait()
    assert not client.rainbow.state.systems
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    hold.release()
    await client.rainbow.journal.wait_for(CREATE)
    assert len(client.rainbow.state.systems) == 1


async def test_a_new_system_is_hidden_from_reads_only(client: Client) -> None:
    client.rainbow.hide_created(3)
    system = await client.create(pbxId="ALE12")
    path = f"/systems/{system['id']}"
    assert (await client.call("GET", path)).code == 404000
    assert (await client.call("POST", "/systems", client.system(pbxId="ALE12"))).code == 409000
    assert (await client.call("GET", "/systems/pbxid/ALE12")).code == 404000
    assert (await client.call("GET", "/systems")).body["total"] == 0
    assert (await client.call("PUT", path, {"name": "New"})).status == 200
    assert (await client.call("GET", path)).data["name"] == "New"


async def test_the_journal_tells_who_did_what_and_no_secret(client: Client) -> None:
    await client.try_login()
    await client.create(pbxId="ALE12", activationCode="very-secret")
    await client.call("GET", "/nowhere")
    login, create, unknown = client.rainbow.journal.calls
    assert (login.operation, login.who, login.status) == ("GetBasicLogin", "admin@reseller.example", 200)
    assert (create.who, create.committed, create.body["activationCode"]) == ("admin@reseller.example", True, "***")
    assert (unknown.operation, unknown.status) == ("", 404)
    told = "\n".join(f"{call} {vars(call)}" for call in client.rainbow.journal.calls)
    for secret in ("very-secret", client.world.admin.password, client.token, client.world.application.secret):
        assert secret not in told


async def test_the_journal_counts_refusals_with_their_code(client: Client) -> None:
    await client.create(pbxId="ALE12")
    await client.call("POST", "/systems", client.system(pbxId="ALE12"))
    refused = client.rainbow.journal.select(code=409000)
    assert [(call.is_write, call.committed, call.status) for call in refused] == [(True, False, 409)]


def test_a_misspelt_field_of_a_call_is_an_error() -> None:
    with pytest.raises(TypeError, match="operaton"):
        calls(operaton="PostSystems")


async def test_a_fault_that_fails_fails_the_test() -> None:
    def broken() -> None:
        raise RuntimeError("broken fault")

    rainbow = RainbowSimulator()
    await rainbow.__aenter__()
    async with aiohttp.ClientSession() as session:
        rainbow.add(Fault(calls(), do=broken))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.post(rainbow.url)
    with pytest.raises(ExceptionGroup) as failed:
        await rainbow.__aexit__()
    assert failed.group_contains(RuntimeError, match="broken fault")


async def test_https_with_a_given_certificate(tmp_path: Path) -> None:
    authority = CertificateAuthority.create(tmp_path)
    certificate = authority.issue_server(["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    trust = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(authority.files.certificate)))
    async with RainbowSimulator(tls=context) as rainbow, aiohttp.ClientSession(connector=trust) as session:
        assert rainbow.url.startswith("https://")
        await Client(rainbow, session, reseller(rainbow.state)).login()
