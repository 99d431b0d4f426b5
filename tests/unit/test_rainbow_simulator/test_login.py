"""Login, tokens, the lock-out and roles."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from simulators.rainbow import Application, ManualClock
from simulators.rainbow.state import Role
from test_rainbow_simulator.client import ADMIN, AUTHENTICATION, Client, basic

HOUR = 3600


def payload(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


async def test_a_login_gives_a_token_and_says_who_it_is(anonymous: Client, clock: ManualClock) -> None:
    reply = await anonymous.try_login()
    assert reply.status == 200
    assert reply.body["loggedInUser"]["loginEmail"] == "admin@reseller.example"
    assert reply.body["loggedInUser"]["roles"] == ["user", "admin", "bp_admin"]
    assert reply.body["loggedInApplication"]["id"] == anonymous.world.application.id
    claims = payload(reply.body["token"])
    assert claims["countRenewed"] == 0
    assert claims["maxTokenRenew"] == 5
    assert claims["iat"] == clock.now
    assert claims["exp"] == clock.now + 2 * HOUR


async def test_a_wrong_password_and_an_unknown_login_look_alike(anonymous: Client) -> None:
    wrong = await anonymous.try_login(password="wrong")
    assert (wrong.status, wrong.code) == (401, 401500)
    headers = {
        "Accept": "application/json",
        "Authorization": basic("nobody", "x"),
        "x-rainbow-app-auth": basic("a", "b"),
    }
    assert (await anonymous.send("GET", f"{AUTHENTICATION}/login", headers)).code == 401500


async def test_the_application_must_prove_its_secret_and_is_no_failure_of_the_user(anonymous: Client) -> None:
    impostor = Application("impostor", id=anonymous.world.application.id)
    for _ in range(6):
        reply = await anonymous.try_login(application=impostor)
        assert reply.code == 401500
        assert "application" in reply.body["errorDetails"]
    await anonymous.login()


async def test_a_login_without_the_application_header_names_it(anonymous: Client) -> None:
    headers = {"Accept": "application/json", "Authorization": basic("admin@reseller.example", "Right-Passw0rd")}
    assert (await anonymous.send("GET", f"{AUTHENTICATION}/login", headers)).params() == ["x-rainbow-app-auth"]


async def test_the_login_path_is_case_sensitive(anonymous: Client) -> None:
    assert (await anonymous.send("GET", f"{AUTHENTICATION}/Login", {"Accept": "application/json"})).status == 404


async def test_five_wrong_logins_lock_the_account_for_the_right_password_too(
    anonymous: Client, clock: ManualClock
) -> None:
    codes = [(await anonymous.try_login(password="wrong")).code for _ in range(5)]
    assert codes == [401500, 401500, 401500, 401500, 401501]
    assert (await anonymous.try_login()).code == 401501
    clock.advance(HOUR - 1)
    assert (await anonymous.try_login()).code == 401501
    clock.advance(1)
    await anonymous.login()


async def test_a_wrong_try_starts_the_hour_anew_and_a_right_one_does_not(anonymous: Client, clock: ManualClock) -> None:
    anonymous.rainbow.lock(anonymous.world.admin)
    clock.advance(HOUR - 1)
    assert (await anonymous.try_login(password="wrong")).code == 401501
    clock.advance(HOUR - 1)
    assert (await anonymous.try_login()).code == 401501
    clock.advance(1)
    await anonymous.login()


async def test_a_good_login_forgets_the_failures_before_it(anonymous: Client) -> None:
    for _ in range(2):
        for _ in range(4):
            assert (await anonymous.try_login(password="wrong")).code == 401500
        await anonymous.login()


async def test_a_new_password_unlocks(anonymous: Client) -> None:
    anonymous.rainbow.lock(anonymous.world.admin)
    anonymous.rainbow.state.set_password(anonymous.world.admin, "New-Passw0rd")
    await anonymous.login()


async def test_nobody_of_an_inactive_company_can_log_in(anonymous: Client) -> None:
    anonymous.world.company.status = "hold"
    reply = await anonymous.try_login()
    assert reply.code == 401521
    assert "status=hold" in reply.body["errorDetails"]


async def test_a_user_who_has_expired_can_neither_log_in_nor_use_a_token(client: Client, clock: ManualClock) -> None:
    client.world.admin.time_to_live = HOUR
    assert (await client.call("GET", "/companies")).status == 200
    clock.advance(HOUR)
    refused = await client.call("GET", "/companies")
    assert refused.code == 401523
    assert refused.body["errorDetails"]["timeToLive"] == HOUR
    assert (await client.try_login()).code == 401523


@pytest.mark.parametrize("token", ["", "no.jwt", "a.b.c"])
async def test_a_call_without_a_good_token_is_refused(client: Client, token: str) -> None:
    client.token = token
    reply = await client.call("GET", "/systems")
    assert (reply.status, reply.code) == (401, None)


async def test_a_token_that_was_tampered_with_is_refused(client: Client) -> None:
    head, body, signature = client.token.split(".")
    client.token = f"{head}.{body}x.{signature}"
    assert (await client.call("GET", "/systems")).status == 401


async def test_a_token_expires(client: Client, clock: ManualClock) -> None:
    clock.advance(2 * HOUR)
    reply = await client.call("GET", "/systems")
    assert (reply.status, reply.body["errorDetails"]) == (401, "jwt expired")
    assert (await client.authentication("renew")).body["errorDetails"] == "jwt expired"


async def test_a_token_can_be_renewed_five_times(client: Client, clock: ManualClock) -> None:
    for renewed in range(1, 6):
        clock.advance(HOUR)
        client.token = (await client.authentication("renew")).body["token"]
        claims = payload(client.token)
        assert (claims["countRenewed"], claims["exp"]) == (renewed, clock.now + 2 * HOUR)
    assert (await client.authentication("renew")).status == 401
    assert (await client.authentication("validator")).body == {"status": "OK"}


async def test_a_token_ends_with_its_logout_and_no_other_does(client: Client) -> None:
    ended = client.token
    await client.login()
    current, client.token = client.token, ended
    assert "successfully logged out" in (await client.authentication("logout")).body["status"]
    assert (await client.authentication("validator")).status == 401
    client.token = current
    assert (await client.authentication("validator")).status == 200


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [("user", 403000, 403000), ("support", None, 403000), ("company_admin", None, 403301), ("superadmin", None, None)],
)
async def test_roles_decide(client: Client, role: Role, reads: int | None, writes: int | None) -> None:
    client.world.admin.role = role
    assert (await client.call("GET", "/systems")).code == reads
    assert (await client.call("POST", "/systems", client.system())).code == writes


async def test_a_partner_reaches_only_its_own_customers(client: Client) -> None:
    state = client.rainbow.state
    foreign = state.add_company("Foreign", bp=state.add_company("Other reseller", is_bp=True))
    site = state.add_site(foreign, "Elsewhere")
    assert (await client.call("POST", "/systems", client.system(siteId=site.id))).code == 403301
    assert (await client.call("GET", f"/companies/{foreign.id}/sites")).code == 403301
    assert {company["name"] for company in (await client.call("GET", "/companies")).data} == {"Reseller", "Customer"}


async def test_a_foreign_system_is_not_found_by_reads_and_forbidden_to_writes(client: Client) -> None:
    system = await client.create(pbxId="ALE12-1234")
    stranger = client.rainbow.state.add_company("Stranger", is_bp=True)
    await client.login(client.rainbow.state.add_user("s@stranger.example", "x", "bp_admin", stranger))
    assert (await client.call("GET", f"/systems/{system['id']}")).code == 404000
    assert (await client.call("GET", "/systems/pbxid/ALE12-1234")).code == 404000
    assert (await client.call("GET", "/systems")).data == []
    for method, path, body in [
        ("PUT", "", {"name": "Mine"}),
        ("DELETE", "", None),
        ("POST", "/reset-password", None),
    ]:
        assert (await client.call(method, f"/systems/{system['id']}{path}", body)).code == 403301


async def test_a_site_admin_reaches_the_systems_of_its_site_but_links_nothing(client: Client) -> None:
    state, world = client.rainbow.state, client.world
    system = await client.create()
    other = state.add_site(world.customer, "Branch")
    await client.login(state.add_user("site@customer.example", "x", "site_admin", world.customer, site=world.site))
    assert (await client.call("GET", f"/systems/{system['id']}")).status == 200
    assert (await client.call("POST", f"/sites/{world.site.id}/systems", {"systemId": system["id"]})).code == 403000
    assert (await client.call("GET", f"/sites/{other.id}/systems")).code == 403301


async def test_the_organization_decides_for_its_admin(client: Client) -> None:
    state = client.rainbow.state
    head = state.add_company("Head office", organisation_id="o")
    state.add_company("Subsidiary", organisation_id="o")
    await client.login(state.add_user("o@head.example", "x", "organization_admin", head))
    names = {company["name"] for company in (await client.call("GET", "/companies")).data}
    assert names == {"Head office", "Subsidiary"}


async def test_reads_and_deletes_must_accept_json(client: Client) -> None:
    headers = {"Authorization": f"Bearer {client.token}", "Accept": "text/html"}
    assert (await client.send("GET", f"{ADMIN}/systems", headers)).params() == ["accept"]
