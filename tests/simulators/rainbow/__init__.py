"""A simulator of the admin API of ALE Rainbow, as far as an operator that declares phone systems needs it.

It follows the public documents alone, and knows nothing of the operator.  Where it is in doubt it is strict, so that
a client which passes here does not rely on what no document promises.

    async with RainbowSimulator(clock=ManualClock()) as rainbow:
        world = reseller(rainbow.state)                     # partner, administrator, application, customer, site
        lost = rainbow.add(Fault(calls(operation="PostSystems"), at="after-commit", then="drop"))
        ...                                                 # the client calls rainbow.url
        await lost.hit()
        rainbow.equipment.connect(pbx_id, code)             # somebody plugs the PBX in

Rooms: `state` holds what the platform holds; `auth` and `tokens` know who calls, `access` what that one may do;
`fields` and `lists` read requests strictly and answer in pages; `systems`, `system_fields` and `sites` are the
operations; `pbx` is the equipment's side; `faults` are for tests; `app` puts all of it together.

Faults by example:

    Fault(calls(operation="PostSystems"), at="after-commit", then="drop")   done, but nobody hears of it
    Fault(calls(operation="PostSystems"), then="drop")                      lost on the way
    Fault(calls(), times=None, then=failure(429, retry_after=7))            rate limit, until cleared
    Fault(calls(method="PUT"), then=failure(500)) or then=Answer(503)       with the documented body, or with none
    Fault(calls(operation="DeleteSystems"), then=error(403030))             any documented code
    Fault(calls(), do=(hold := Hold()))                                     no answer until hold.release()
    rainbow.on_call(3, operator.kill, at="before-commit")                   the client dies at its third call
    rainbow.hide_created(2), rainbow.lock(user), rainbow.equipment.set_media_pillar(pbx_id, linked=True)

Sources, by the names that docstrings use:

GUIDE         https://developers.openrainbow.com/doc/rest/api/admin/redoc-index.html (only its start was readable)
OPENAPI       https://github.com/Rainbow-CPaaS/Rainbow-S2S-StarterKit-NodeJS, OpenAPI 1.82.0 of the admin,
              authentication and end user portals in npm rainbow-s2s-starterkit-nodejs 1.0.1-alpha-002, folder
              openapi-specifications; operations are named by operationId
SDK           https://github.com/Rainbow-CPaaS/Rainbow-Node-SDK, npm rainbow-node-sdk 2.46.1: AdminService, RESTSystems
CLI           https://github.com/Rainbow-CPaaS/Rainbow-CLI-SDK, commands/CSystem.js
MANAGE        https://help.openrainbow.com/hc/en-us/articles/24758681902226-Manage-a-PBX-associated-to-a-company

Marks: [F] a source states it; [I] inferred from what sources state; [?] no source says it, the simulator has chosen.
A source in the mark is where the statement stands; a docstring's operation is its source otherwise.

Not simulated: PBX groups, phone numbers, the operations log, OAuth2, creating companies, changing sites, the licence
of the WebRTC gateway (only its trace, hasMediaPillar, is in the admin API).
"""

from simulators.faults import NO_ROUTE, NO_SUCH_PAGE, Answer, Fault, Stage
from simulators.journal import Call, Journal, calls
from simulators.rainbow.app import RainbowSimulator
from simulators.rainbow.faults import error, failure
from simulators.rainbow.pbx import Equipment, EquipmentError
from simulators.rainbow.reseller import Reseller, reseller
from simulators.rainbow.state import Application, Channels, Company, ManualClock, Site, State, System, User
from strikes import Hold

__all__ = [
    "NO_ROUTE",
    "NO_SUCH_PAGE",
    "Answer",
    "Application",
    "Call",
    "Channels",
    "Company",
    "Equipment",
    "EquipmentError",
    "Fault",
    "Hold",
    "Journal",
    "ManualClock",
    "RainbowSimulator",
    "Reseller",
    "Site",
    "Stage",
    "State",
    "System",
    "User",
    "calls",
    "error",
    "failure",
    "reseller",
]
