"""Logins: one attempt for each content of the Secrets, and tokens that last."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta

import pytest

from pbx_operator.domain.faults import Fault as Found
from pbx_operator.providers.rainbow.session import MAX_TOKEN
from simulators.rainbow import Answer, Fault, calls
from test_rainbow.bench import CODE, WISH, Bench, fault_of

MINUTE = 60.0
TOKEN_LIFE = 7200.0
PAYLOAD = b64encode(b'{"iat": 0, "exp": 7200, "countRenewed": 0, "maxTokenRenew": 5}').decode()


async def look(bench: Bench, rejected: str | None = None) -> Found:
    wish = replace(WISH, rejected_credentials=rejected)
    return await fault_of(bench.provider().observe(wish, CODE))


# --- refused ----------------------------------------------------------------------------------------------------


async def test_a_wrong_password_is_tried_once_until_the_secret_says_another(bench: Bench) -> None:
    bench.write_login("wrong")
    first = await look(bench)
    assert (first.kind, first.reason.name) == ("Credentials", "CredentialsRejected")
    assert first.credentials is not None
    for _ in range(10):
        assert await look(bench) == first
    assert bench.logins() == 1
    bench.write_login("also wrong")
    second = await look(bench)
    assert second.credentials not in (None, first.credentials)
    assert bench.logins() == 2
    bench.write_login(bench.world.admin.password)
    assert await bench.provider().observe(WISH, CODE) is None
    assert bench.logins() == 3


async def test_a_touched_secret_is_not_another_one(bench: Bench) -> None:
    bench.write_login("wrong")
    await look(bench)
    bench.write_login("wrong")
    again = await look(bench)
    assert again.reason.name == "CredentialsRejected"
    assert bench.logins() == 1


async def test_the_next_process_does_not_try_what_the_status_says_was_refused(bench: Bench) -> None:
    bench.write_login("wrong")
    version = (await look(bench)).credentials
    bench.restart()
    for _ in range(3):
        assert (await look(bench, rejected=version)).credentials == version
    assert bench.logins() == 1
    bench.write_login(bench.world.admin.password)
    assert await bench.provider().observe(replace(WISH, rejected_credentials=version), CODE) is None


async def test_a_login_is_not_sent_where_its_secret_does_not_say(bench: Bench) -> None:
    bench.secrets.write("login", username=bench.world.admin.login, password=bench.world.admin.password)
    bench.secrets.write("application", id="id", secret="secret", url=bench.rainbow.url)
    fault = await look(bench)
    assert (fault.kind, fault.reason.name) == ("Credentials", "CredentialsElsewhere")
    assert not bench.rainbow.journal.calls, "the Secret with the login decides"


async def test_another_url_is_another_login(bench: Bench) -> None:
    bench.write_login("wrong")
    await look(bench)
    elsewhere = "https://127.0.0.1:1"
    bench.secrets.write("login", username=bench.world.admin.login, password="wrong", url=elsewhere)
    fault = await fault_of(bench.provider(url=elsewhere).observe(WISH, CODE))
    assert fault.reason.name == "ProviderUnavailable"


async def test_many_at_once_share_the_attempt(bench: Bench) -> None:
    await asyncio.gather(*(bench.provider().observe(WISH, CODE) for _ in range(8)))
    assert bench.logins() == 1
    bench.write_login("wrong")
    faults = await asyncio.gather(*(look(bench) for _ in range(8)))
    assert {fault.reason.name for fault in faults} == {"CredentialsRejected"}
    assert bench.logins() == 2


async def test_a_locked_login_is_left_alone(bench: Bench) -> None:
    bench.rainbow.lock(bench.world.admin)
    for _ in range(5):
        fault = await look(bench)
        bench.clock.advance(61 * MINUTE)
    assert (fault.kind, fault.reason.name) == ("Credentials", "LoginLocked")
    assert fault.credentials is not None
    bench.restart()
    assert await look(bench, rejected=fault.credentials) == fault, "the next process gives the same advice"
    assert bench.logins() == 1


@pytest.mark.parametrize("reason", ["LoginCompanyInactive", "LoginExpired"])
async def test_a_right_login_that_is_refused_is_tried_every_15_minutes(bench: Bench, reason: str) -> None:
    if reason == "LoginExpired":
        bench.world.admin.time_to_live = 0
    else:
        bench.world.company.status = "hold"
    first = await look(bench)
    assert (first.kind, first.reason.name, first.credentials) == ("Credentials", reason, None)
    assert first.retry_after == timedelta(minutes=15)
    bench.clock.advance(14 * MINUTE)
    assert (await look(bench)).retry_after == timedelta(minutes=1)
    assert bench.logins() == 1
    bench.world.admin.time_to_live, bench.world.company.status = None, "active"
    bench.clock.advance(MINUTE)
    assert await bench.provider().observe(WISH, CODE) is None


async def test_a_wrong_application_counts_as_a_wrong_login(bench: Bench) -> None:
    bench.secrets.write("application", id=bench.world.application.id, secret="wrong")
    fault = await look(bench)
    assert fault.reason.name == "CredentialsRejected"
    assert (
        "Secret login (spec.provider.rainbow.credentialsSecretRef)"
        " or Secret application (spec.provider.rainbow.applicationSecretRef)"
    ) in fault.message
    await look(bench)
    assert bench.logins() == 1


@pytest.mark.parametrize("status", [403, 404, 418])
async def test_a_host_that_knows_no_logins_says_nothing_about_this_one(bench: Bench, status: int) -> None:
    bench.rainbow.add(Fault(calls(operation="GetBasicLogin"), then=Answer(status, b"<html>maintenance</html>")))
    fault = await look(bench)
    assert (fault.kind, fault.reason.name, fault.credentials) == ("Retry", "ProviderUnavailable", None)
    assert await bench.provider().observe(WISH, CODE) is None


async def test_a_login_without_an_answer_is_tried_again(bench: Bench) -> None:
    bench.rainbow.add(Fault(calls(operation="GetBasicLogin"), at="after-commit", then="drop"))
    assert (await look(bench)).reason.name == "ProviderUnavailable"
    assert await bench.provider().observe(WISH, CODE) is None


@pytest.mark.parametrize("entries", [{}, {"username": "x"}, {"username": "x", "password": ""}])
async def test_missing_entries_are_named_and_nothing_is_tried(bench: Bench, entries: dict[str, str]) -> None:
    bench.secrets.write("login", **entries)
    fault = await look(bench)
    assert (fault.kind, fault.reason.name) == ("Credentials", "CredentialsMissing")
    assert fault.message.startswith("Secret login (spec.provider.rainbow.credentialsSecretRef) has no ")
    assert "'username' and 'password'" in fault.message
    assert not bench.rainbow.journal.calls


async def test_a_missing_secret_is_named(bench: Bench) -> None:
    provider = bench.provider(applicationSecretRef={"name": "nowhere"})
    fault = await fault_of(provider.observe(WISH, CODE))
    assert fault.message == (
        "Secret nowhere (spec.provider.rainbow.applicationSecretRef) does not exist;"
        " it needs the entries 'id' and 'secret', each with a text, and is looked at again within minutes"
    )


# --- tokens -----------------------------------------------------------------------------------------------------


async def test_a_token_is_used_until_it_gets_old_then_renewed_then_replaced(bench: Bench) -> None:
    provider = bench.provider()
    for _ in range(8):
        await provider.observe(WISH, CODE)
        bench.clock.advance(TOKEN_LIFE * 0.8)
    assert len(bench.rainbow.journal.select(operation="GetRenew", status=200)) == 6
    assert bench.logins() == 2, "a token can be renewed five times"


@pytest.mark.parametrize("status", [500, 503])
async def test_a_token_that_is_good_is_used_while_it_cannot_be_renewed(bench: Bench, status: int) -> None:
    provider = bench.provider()
    await provider.observe(WISH, CODE)
    bench.rainbow.add(Fault(calls(operation="GetRenew"), times=10, then=Answer(status)))
    bench.clock.advance(TOKEN_LIFE * 0.8)
    for _ in range(3):
        assert await provider.observe(WISH, CODE) is None
    assert len(bench.rainbow.journal.select(operation="GetRenew")) == 1, "it is not asked for each call"
    bench.clock.advance(TOKEN_LIFE * 0.19)
    assert await provider.observe(WISH, CODE) is None
    assert len(bench.rainbow.journal.select(operation="GetRenew")) == 2
    assert bench.logins() == 1
    bench.clock.advance(TOKEN_LIFE * 0.01)
    assert await provider.observe(WISH, CODE) is None
    assert bench.logins() == 2, "it is over"


async def test_a_renewal_that_asks_for_patience_delays_calls_and_stops_none(bench: Bench) -> None:
    provider = bench.provider()
    await provider.observe(WISH, CODE)
    bench.rainbow.add(Fault(calls(operation="GetRenew"), times=10, then=Answer(429, retry_after=30)))
    bench.clock.advance(TOKEN_LIFE * 0.8)
    fault = await look(bench)
    assert (fault.reason.name, fault.retry_after) == ("ProviderBusy", timedelta(seconds=30))
    bench.clock.advance(30)
    assert await provider.observe(WISH, CODE) is None
    assert bench.logins() == 1


async def test_a_renewal_that_is_refused_leads_to_one_login(bench: Bench) -> None:
    provider = bench.provider()
    await provider.observe(WISH, CODE)
    bench.rainbow.add(Fault(calls(operation="GetRenew"), times=10, then=Answer(403)))
    bench.rainbow.add(Fault(calls(operation="GetBasicLogin"), then=Answer(503)))
    bench.clock.advance(TOKEN_LIFE * 0.8)
    assert await provider.observe(WISH, CODE) is None, "with the token that is still good"
    bench.world.admin.password = "another one"
    bench.clock.advance(TOKEN_LIFE * 0.19)
    for _ in range(3):
        assert (await look(bench)).reason.name == "CredentialsRejected"
    assert bench.logins() == 3, "one that was accepted, one without an answer, and one that was refused"


async def test_an_expired_token_is_not_renewed(bench: Bench) -> None:
    await bench.provider().observe(WISH, CODE)
    bench.clock.advance(TOKEN_LIFE)
    await bench.provider().observe(WISH, CODE)
    assert (bench.logins(), bench.rainbow.journal.select(operation="GetRenew")) == (2, [])


async def test_a_token_that_is_refused_is_replaced_and_the_call_repeated(bench: Bench) -> None:
    await bench.provider().observe(WISH, CODE)
    bench.rainbow.add(Fault(calls(operation="PostSystems"), then=Answer(401)))
    facts = await bench.provider().create(WISH, CODE)
    assert list(bench.rainbow.state.systems) == [facts.system_id]
    assert bench.logins() == 2


async def test_a_login_whose_calls_are_refused_is_told_and_not_given_up(bench: Bench) -> None:
    bench.rainbow.add(Fault(calls(operation="GetSystemsIdByPbxId"), times=2, then=Answer(401)))
    fault = await look(bench)
    assert (fault.kind, fault.reason.name, fault.credentials) == ("Credentials", "SessionRefused", None)
    assert await bench.provider().observe(WISH, CODE) is None


@pytest.mark.parametrize("token", ["a.b.c", f"a.{PAYLOAD}.{'c' * MAX_TOKEN}"], ids=["no payload", "too long"])
async def test_a_token_that_cannot_be_read_is_no_answer(bench: Bench, token: str) -> None:
    body = json.dumps({"token": token}).encode()
    bench.rainbow.add(Fault(calls(operation="GetBasicLogin"), then=Answer(200, body)))
    assert (await look(bench)).reason.name == "ProviderUnavailable"
