"""The operations on systems (/admin/v1.0/systems)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final

from simulators.rainbow.access import (
    EVERYONE,
    READERS,
    WRITERS,
    administers_system,
    site_of,
    system_to_change,
    system_to_read,
)
from simulators.rainbow.errors import coded, invalid, problem
from simulators.rainbow.fields import Endpoint, Query, Request
from simulators.rainbow.lists import PAGING, page
from simulators.rainbow.state import Site, State, System, iso
from simulators.rainbow.system_fields import (
    DEFAULTS,
    FORMATS,
    REQUIRED,
    SORT_FIELDS,
    create_schema,
    document,
    settings,
    state_document,
    update_schema,
)

ROOT: Final = "/api/rainbow/admin/v1.0/systems"
FILTERS: Final = (
    "name",
    "type",
    "status",
    "siteId",
    "companyId",
    "bpId",
    "isShared",
    "isCentrex",
    "isSharedOrCentrex",
    "isOxoManaged",
    "fromCreationDate",
    "toCreationDate",
    "connectionHistory",
)
"""Of GetSystems and GetSiteSystems.  [F: OPENAPI; isOxoManaged and connectionHistory SDK]"""


def _create(state: State, request: Request) -> dict[str, Any]:
    """PostSystems of OPENAPI: 200, not 201, with the system; an activation code of 1000 to 9999 unless given.  [F]

    An equal pbxId anywhere on the platform is 409000.  [F]  That a missing site is 404000, and a second OXO Managed
    system of a company 409000, is inferred.  [I]
    """
    request.no_query()
    body = request.body(create_schema(state), REQUIRED)
    site = site_of(state, request.by(), body["siteId"])
    _require_consistent(state, request, body, site)
    if "pbxId" in body and state.by_pbx_id(body["pbxId"]):
        raise coded(409000, f"System with pbxId = {body['pbxId']} already exists.")
    now = state.clock()
    system = System(
        pbx_id=body.get("pbxId") or new_pbx_id(),
        activation_code=body.get("activationCode") or new_code(),
        site_ids=[site.id],
        created=now,
        settings=DEFAULTS | _partner(state, request) | settings(body),
        is_centrex=body.get("isCentrex", False),
        is_oxo_managed=body.get("isOxoManaged", False),
        status_updated=now,
        channels_updated=now,
        hidden_reads=state.visibility_lag,
    )
    state.systems[system.id] = system
    return {"data": document(system)}


def _list(state: State, request: Request) -> dict[str, Any]:
    """GetSystems of OPENAPI: those in reach that match all filters.  [F]"""
    return system_page(state, request, list(state.systems.values()))


def _get(state: State, request: Request) -> dict[str, Any]:
    """GetSystemsId of OPENAPI.  [F]"""
    query = Query(request.query, ("connectionHistory",))
    system_id = request.identifier("systemId")
    system = system_to_read(state, request, state.systems.get(system_id), system_id)
    return {"data": document(system, with_history=query.flag("connectionHistory") is True)}


def _get_by_pbx_id(state: State, request: Request) -> dict[str, Any]:
    """GetSystemsIdByPbxId of OPENAPI.  [F]  The text of its 404000 is that of GetSystemsId.  [F: its example]"""
    query = Query(request.query, ("connectionHistory",))
    pbx_id = request.params["pbxId"]
    system = system_to_read(state, request, state.by_pbx_id(pbx_id), pbx_id)
    return {"data": document(system, with_history=query.flag("connectionHistory") is True)}


def _update(state: State, request: Request) -> dict[str, Any]:
    """PutSystems of OPENAPI: the fields that are sent change, the others stay.  [F]

    An empty update is 400100.  [F: other updates of OPENAPI; I: here]  siteId replaces all sites.  [I]  isShared
    becomes true only on a system that is not isCentrex, and false only with exactly one site, which also resets
    bpId [F: SDK, updateSystem]; the code of that refusal is inferred.  [I]
    """
    request.no_query()
    system = system_to_change(state, request, request.identifier("systemId"))
    schema = update_schema(state)
    body = request.body(schema)
    if not body:
        raise coded(400100, f"No System data provided for update. Expected optional fields: {', '.join(schema)}")
    if "siteId" in body:
        site = site_of(state, request.by(), body["siteId"])
        _require_same_tenancy(site, system.is_centrex)
    _require_may_set_partner(state, request, body)
    changed = settings(body) | _unshared(system, body)
    if "siteId" in body:
        system.site_ids = [body["siteId"]]
    system.settings = system.settings | changed
    return {"data": document(system)}


def _delete(state: State, request: Request) -> dict[str, Any]:
    """DeleteSystems of OPENAPI: refused as 403030 while a Media Pillar is linked.  [F]

    The user interface deletes only equipment that is not connected; no page says that the API refuses it.  [?]
    """
    request.no_query()
    request.nothing()
    system = system_to_change(state, request, request.identifier("systemId"))
    if system.has_media_pillar:
        raise coded(403030, f"Can't delete system with id {system.id} because it's still linked to Media Pillar.")
    del state.systems[system.id]
    return {"status": f"Systems {system.id} successfully deleted", "data": []}


def _state(state: State, request: Request) -> dict[str, Any]:
    """GetSystemsConnectionState of SDK (getSystemConnectionState): format small unless told.  [F]"""
    query = Query(request.query, ("format", "connectionHistory"))
    system_id = request.identifier("systemId")
    wanted = query.choice("format", ("small", "medium", "full"), "small")
    with_history = query.flag("connectionHistory") is True
    system = system_to_read(state, request, state.systems.get(system_id), system_id)
    return {"data": state_document(system, wanted, with_history=with_history)}


def _reset_password(state: State, request: Request) -> dict[str, Any]:
    """PostSystemsRestPassword of OPENAPI: a new code of four digits, the same pbxId, and created again.  [F]

    The PBX loses its connection.  [F: MANAGE, for the same deed in the user interface]
    """
    request.no_query()
    request.nothing()
    system = system_to_change(state, request, request.identifier("systemId"))
    system.activation_code = new_code(system.activation_code)
    system.status, system.private_code, system.transaction_id = "created", "", ""
    system.status_updated = state.clock()
    system.set_channels(system.channels.down(), state.clock())
    return {"data": document(system)}


def _countries(state: State, request: Request) -> dict[str, Any]:
    """GetSystemsCountries of SDK (getListOfCountriesAllowedForSystems): the countries a system may be in.  [F]

    The form of an entry is that of getCountries in OPENAPI (enduser portal).  [I]
    """
    request.no_query()
    return {"data": [{"isoAlpha3Code": code, "fullname": name} for code, name in sorted(state.countries.items())]}


ENDPOINTS: Final = (
    Endpoint("PostSystems", "POST", ROOT, WRITERS, _create),
    Endpoint("GetSystems", "GET", ROOT, READERS, _list),
    Endpoint("GetSystemsCountries", "GET", f"{ROOT}/countries", EVERYONE, _countries),
    Endpoint("GetSystemsIdByPbxId", "GET", f"{ROOT}/pbxid/{{pbxId}}", READERS, _get_by_pbx_id),
    Endpoint("GetSystemsConnectionState", "GET", f"{ROOT}/{{systemId}}/state", READERS, _state),
    Endpoint("PostSystemsRestPassword", "POST", f"{ROOT}/{{systemId}}/reset-password", WRITERS, _reset_password),
    Endpoint("GetSystemsId", "GET", f"{ROOT}/{{systemId}}", READERS, _get),
    Endpoint("PutSystems", "PUT", f"{ROOT}/{{systemId}}", WRITERS, _update),
    Endpoint("DeleteSystems", "DELETE", f"{ROOT}/{{systemId}}", WRITERS, _delete),
)


def new_code(old: str = "") -> str:
    """Return a random activation code of 1000 to 9999 [F: PostSystems] that is not the old one [I]."""
    while (code := str(1000 + secrets.randbelow(9000))) == old:
        pass
    return code


def new_pbx_id() -> str:
    """Return a generated equipment ID in the form of the example of PostSystems.  [I]"""
    return "PBX" + "-".join(secrets.token_hex(2) for _ in range(8))


def system_page(state: State, request: Request, systems: list[System]) -> dict[str, Any]:
    """Return the page of those systems that are in reach, match the filters and are not lagging."""
    query = Query(request.query, (*FILTERS, *PAGING))
    with_history = query.flag("connectionHistory") is True
    matches = _filter(state, query)
    found = [system for system in systems if administers_system(state, request.by(), system) and matches(system)]
    documents = [document(system, with_history=with_history) for system in state.read(found)]
    return page(documents, query, FORMATS, SORT_FIELDS)


def _filter(state: State, query: Query) -> Callable[[System], bool]:
    """Return whether a system passes all filters; `name` is partial and without case.  [F]"""
    name = (query.one("name") or "").lower()
    values = {field: set(query.many(field)) for field in ("type", "status", "siteId", "companyId", "bpId")}
    flags = {field: query.flag(field) for field in ("isShared", "isCentrex", "isSharedOrCentrex", "isOxoManaged")}
    since, until = query.one("fromCreationDate"), query.one("toCreationDate")

    def matches(system: System) -> bool:
        has_values = {
            "type": {system.settings["type"]},
            "status": {system.status},
            "siteId": set(system.site_ids),
            "companyId": state.companies_of(system),
            "bpId": {system.settings["bpId"]},
        }
        has_flags = {
            "isShared": system.settings["isShared"],
            "isCentrex": system.is_centrex,
            "isSharedOrCentrex": system.settings["isShared"] or system.is_centrex,
            "isOxoManaged": system.is_oxo_managed,
        }
        created = iso(system.created)
        return (
            name in system.settings["name"].lower()
            and all(not wanted or wanted & has_values[field] for field, wanted in values.items())
            and all(wanted in {None, has_flags[field]} for field, wanted in flags.items())
            and (since or created) <= created <= (until or created)
        )

    return matches


def _require_consistent(state: State, request: Request, body: dict[str, Any], site: Site) -> None:
    """Raise for flags that exclude each other.  [F: PostSystems of OPENAPI, createSystem of SDK]"""
    if body.get("isCentrex") and body.get("isShared"):
        raise invalid(problem("isShared", "isShared can't be true if isCentrex is true.", True))
    if body.get("isOxoManaged"):
        if body["type"] != "oxo":
            raise invalid(problem("isOxoManaged", "Only settable if type is oxo.", True))
        if any(s.is_oxo_managed and site.company_id in state.companies_of(s) for s in state.systems.values()):
            raise coded(409000, f"Company {site.company_id} has an OXO Managed system already.")
    _require_same_tenancy(site, body.get("isCentrex", False))
    _require_may_set_partner(state, request, body)


def _require_same_tenancy(site: Site, is_centrex: bool) -> None:
    """Raise 403710 if only one of site and system is multi-tenant.  [F: PostSystems]"""
    if site.is_centrex != is_centrex:
        details = (
            "Inconsistent link. A multi-tenant company must only use a multi-tenant system "
            f"(site.isCentrex={str(site.is_centrex).lower()}, system.isCentrex={str(is_centrex).lower()})"
        )
        raise coded(403710, details, {"siteCentrex": site.is_centrex, "systemCentrex": is_centrex})


def _require_may_set_partner(state: State, request: Request, body: dict[str, Any]) -> None:
    """Raise unless bpId comes from a superadmin and names a partner.  [F; the codes I]"""
    if "bpId" not in body:
        return
    if request.by().role != "superadmin":
        raise coded(403000, f"Access denied: user {request.by().login} does not have required role(s) superadmin")
    company = state.companies.get(body["bpId"])
    if company is None or not company.is_bp:
        raise invalid(problem("bpId", "Expected the id of a Business Partner company.", body["bpId"]))


def _partner(state: State, request: Request) -> dict[str, Any]:
    """Return the bpId that a bp_admin's systems get.  [F: PostSystems]"""
    return {"bpId": request.by().company_id} if request.by().role == "bp_admin" else {}


def _unshared(system: System, body: dict[str, Any]) -> dict[str, Any]:
    """Return what a change of isShared brings with it; raises where it is not allowed."""
    if body.get("isShared") and system.is_centrex:
        raise invalid(problem("isShared", "isShared can't be true if isCentrex is true.", True))
    if body.get("isShared") is not False or not system.settings["isShared"]:
        return {}
    if len(system.site_ids) != 1:
        raise coded(409000, f"System {system.id} must be linked to exactly one site.")
    return {"bpId": None}
