"""The reasons that rest on what Rainbow refuses: each code at the creation of a server, and at a change of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from integration.harness import Stage, World, open_stage
from integration.office import Office
from integration.reason_stories import expect, shows
from pbx_operator.api import provider_reasons as reasons
from pbx_operator.api.reasons import Reason
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.pki import CertificateAuthority
from server_builders import STOCK
from simulators.rainbow import Answer, Fault, error
from simulators.rainbow.journal import Call

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERIODS = {"grace": 1.0}
UNKNOWN = 403999
CODES: dict[int, Reason] = {
    400000: reasons.SETTINGS_REFUSED,
    400100: reasons.NOTHING_TO_UPDATE,
    403000: reasons.ROLE_MISSING,
    403030: reasons.MEDIA_PILLAR_LINKED,
    403037: reasons.NO_DEFAULT_GATEWAY,
    403038: reasons.LAST_DEFAULT_GATEWAY,
    403301: reasons.NOT_ADMINISTRATOR,
    403709: reasons.SYSTEM_NOT_SHAREABLE,
    403710: reasons.COMPANY_MULTI_TENANT,
    404000: reasons.SYSTEM_GONE,
    409000: reasons.EQUIPMENT_TAKEN,
    409200: reasons.SYSTEM_IN_OTHER_GROUP,
    409550: reasons.NUMBER_IN_SYSTEM,
    409551: reasons.NUMBER_IN_EQUIPMENT,
    409552: reasons.NUMBER_IN_GROUP,
    409554: reasons.NUMBER_MULTI_TENANT,
    UNKNOWN: reasons.PROVIDER_REFUSED,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    installed: ControlPlane, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """Return a stage whose operator trusts the simulator, may dial it, and has little patience."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(authority.files.certificate))
        async with open_stage(installed, tmp_path_factory.mktemp("stage")) as stage:
            await stage.observer.ready()
            stage.start("--allow-network", "127.0.0.0/8", periods=PERIODS)
            yield stage


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
