"""The reasons that rest on what Rainbow refuses: each code at the creation of a server, and at a change of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import pytest_asyncio

from integration.conftest import providers_stage
from integration.harness import World
from integration.office import Office
from integration.reason_stories import expect, shows
from pbx_operator.api import provider_reasons as reasons
from pbx_operator.api import rainbow_reasons
from pbx_operator.api.reasons import Reason
from pbx_operator.api.v1alpha1 import CommServer
from server_builders import STOCK
from simulators.rainbow import Answer, Call, Fault, calls, error, failure

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERIODS = {"grace": 1.0}
UNKNOWN = 403999
CODES: dict[int, Reason] = {
    400000: reasons.SETTINGS_REFUSED,
    400100: rainbow_reasons.NOTHING_TO_UPDATE,
    403000: rainbow_reasons.ROLE_MISSING,
    403030: rainbow_reasons.MEDIA_PILLAR_LINKED,
    403037: rainbow_reasons.NO_DEFAULT_GATEWAY,
    403038: rainbow_reasons.LAST_DEFAULT_GATEWAY,
    403301: rainbow_reasons.NOT_ADMINISTRATOR,
    403709: rainbow_reasons.SYSTEM_NOT_SHAREABLE,
    403710: rainbow_reasons.COMPANY_MULTI_TENANT,
    404000: rainbow_reasons.SYSTEM_GONE,
    409000: rainbow_reasons.EQUIPMENT_TAKEN,
    409200: rainbow_reasons.SYSTEM_IN_OTHER_GROUP,
    409550: rainbow_reasons.NUMBER_IN_SYSTEM,
    409551: rainbow_reasons.NUMBER_IN_EQUIPMENT,
    409552: rainbow_reasons.NUMBER_IN_GROUP,
    409554: rainbow_reasons.NUMBER_MULTI_TENANT,
    UNKNOWN: reasons.PROVIDER_REFUSED,
}


LOGINS: dict[int, Reason] = {
    401500: reasons.CREDENTIALS_REJECTED,
    401501: reasons.LOGIN_LOCKED,
    401521: rainbow_reasons.LOGIN_COMPANY_INACTIVE,
    401523: rainbow_reasons.LOGIN_EXPIRED,
}
LOOKS: dict[int, Reason] = {
    401: rainbow_reasons.SESSION_REFUSED,
    429: reasons.PROVIDER_BUSY,
    500: reasons.PROVIDER_UNAVAILABLE,
}


stage = pytest_asyncio.fixture(providers_stage, scope="module", loop_scope="module")


def declared(office: Office, code: int, **spec: object) -> CommServer:
    """Return a server whose equipment ID tells what Rainbow says of it."""
    stock = {"fleetReference": "ALE12", "installationReference": str(code)}
    return office.server(f"pbx-{code}", **{**STOCK, "stock": stock, **spec})


def refusal(code: int) -> Answer:
    if code != UNKNOWN:
        return error(code)
    return Answer(403, b'{"errorCode": 403, "errorDetails": "Not on Sundays", "errorDetailsCode": 403999}')


def creates(code: int) -> Callable[[Call], bool]:
    return lambda call: call.operation == "PostSystems" and call.body["pbxId"] == f"ALE12-{code}"


def updates(system_id: str) -> Callable[[Call], bool]:
    return lambda call: call.operation == "PutSystems" and call.path.endswith(system_id)


@shows(*CODES.values())
async def test_what_rainbow_refuses(office: Office, world: World) -> None:
    rainbow = office.rainbow
    for code in CODES:
        rainbow.add(Fault(creates(code), times=None, then=refusal(code)))
    servers = {code: declared(office, code) for code in CODES}
    await world.apply(*servers.values())
    for code, reason in CODES.items():
        await expect(world, servers[code], reason)
        await world.condition(servers[code], "Provisioned", "False", reason.name)
    rainbow.clear()
    for server in servers.values():
        await office.look(server)
        await world.ready(server, "Declared")
    for code in CODES:
        rainbow.add(Fault(updates(office.system(f"ALE12-{code}").id), times=None, then=refusal(code)))
    await world.apply(*(declared(office, code, displayName="other") for code in CODES))
    for code, reason in CODES.items():
        await world.condition(servers[code], "Provisioned", "Unknown", reason.name)
    rainbow.clear()
    for server in servers.values():
        await world.delete(server)
        await world.gone(server)


class OwnLogin:
    """A login that one server alone uses."""

    def __init__(self, office: Office, code: int) -> None:
        self.office, self.code = office, code
        self.server = declared(office, code, login=f"login-{code}")
        self.user = office.rainbow.state.add_user(
            f"admin-{code}@{office.namespace}.example", "old", "bp_admin", office.customer.company
        )

    async def set_password(self, password: str) -> None:
        """Change the password, at Rainbow and in the Secret."""
        self.office.rainbow.state.set_password(self.user, password)
        url = self.office.rainbow.url
        await self.office.write(f"login-{self.code}", username=self.user.login, password=password, url=url)

    def break_login(self) -> None:
        """Let Rainbow refuse it."""
        refused = calls(operation="GetBasicLogin")
        mine = self.user.login
        self.office.rainbow.add(
            Fault(lambda call: refused(call) and call.who == mine, times=None, at="after-commit", then=error(self.code))
        )

    def break_looks(self) -> None:
        """Let Rainbow answer looks at the server with a status."""
        path = f"/pbxid/ALE12-{self.code}"
        self.office.rainbow.add(
            Fault(lambda call: call.path.endswith(path), times=None, then=failure(self.code, retry_after=1))
        )


@shows(*LOGINS.values())
async def test_logins_that_rainbow_refuses(office: Office, world: World) -> None:
    logins = {code: OwnLogin(office, code) for code in LOGINS}
    for login in logins.values():
        login.break_login()
        await login.set_password("first")
        await world.apply(login.server)
    for code, reason in LOGINS.items():
        await expect(world, logins[code].server, reason)
    office.rainbow.clear()
    for login in logins.values():
        await login.set_password("second")
        await office.look(login.server)
        await world.ready(login.server, "Declared")
    for code, login in logins.items():
        login.break_login()
        await login.set_password("third")
        await office.look(login.server)
        await world.condition(login.server, "Provisioned", "Unknown", LOGINS[code].name)
    office.rainbow.clear()
    for login in logins.values():
        await login.set_password("fourth")
        await world.delete(login.server)
        await world.gone(login.server)


@shows(*LOOKS.values())
async def test_a_rainbow_that_does_not_answer_as_it_should(office: Office, world: World) -> None:
    logins = {code: OwnLogin(office, code) for code in LOOKS}
    for login in logins.values():
        login.break_looks()
        await login.set_password("first")
        await world.apply(login.server)
    for code, reason in LOOKS.items():
        await expect(world, logins[code].server, reason)
    office.rainbow.clear()
    for login in logins.values():
        await office.look(login.server)
        await world.ready(login.server, "Declared")
        login.break_looks()
        await office.look(login.server)
    for code, reason in LOOKS.items():
        await world.condition(logins[code].server, "Provisioned", "Unknown", reason.name)
    office.rainbow.clear()
    for login in logins.values():
        await world.delete(login.server)
        await world.gone(login.server)
