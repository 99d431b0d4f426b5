"""The operations on companies, sites and the links between sites and systems (/admin/v1.0)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from simulators.rainbow.access import (
    COMPANY_READERS,
    COMPANY_WRITERS,
    READERS,
    administers_company,
    administers_site,
    company_of,
    site_of,
    system_to_change,
)
from simulators.rainbow.errors import coded, missing
from simulators.rainbow.fields import Endpoint, Query, Request, identifier, one_of, text
from simulators.rainbow.lists import PAGING, page
from simulators.rainbow.state import Company, Site, State, iso
from simulators.rainbow.system_fields import document
from simulators.rainbow.systems import system_page

ROOT: Final = "/api/rainbow/admin/v1.0"
SITE_STATUSES: Final = ("active", "alerting", "hold", "terminated")
COMPANY_FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "small": ("id", "name"),
    "medium": ("id", "name", "status", "country", "visibility"),
    "full": (),
}
"""Of GetCompanies: of the fields of medium and full those that exist here.  [F]"""
SITE_FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "small": ("id", "name"),
    "medium": ("id", "name", "status", "companyId"),
    "full": (),
}
"""Of GetSites and GetCompanySites.  [F]"""
SORT_FIELDS: Final = ("name", "id", "status", "creationDate")
"""name is in an example of OPENAPI [F]; that it is the default, and the others, are inferred [I]."""


def _companies(state: State, request: Request) -> dict[str, Any]:
    """GetCompanies of OPENAPI: the own company and those in reach; `name` is partial and without case.  [F]

    Served filters: name, status, bpId, organisationId, isBP, hasBP; the other documented ones are refused here.
    """
    query = Query(request.query, ("name", "status", "bpId", "organisationId", "isBP", "hasBP", *PAGING))
    user = request.by()
    seen = [c for c in state.companies.values() if c.id == user.company_id or administers_company(state, user, c)]
    found = [_company_document(company) for company in filter(_filter(query), seen)]
    return page(found, query, COMPANY_FORMATS, SORT_FIELDS)


def _company(state: State, request: Request) -> dict[str, Any]:
    """GetCompaniesId of OPENAPI.  [F]"""
    query = Query(request.query, ("format",))
    query.choice("format", COMPANY_FORMATS, "full")
    company_id = request.identifier("companyId")
    if company_id == request.by().company_id:
        return {"data": _company_document(state.companies[company_id])}
    return {"data": _company_document(company_of(state, request.by(), company_id))}


def _company_sites(state: State, request: Request) -> dict[str, Any]:
    """GetCompanySites of OPENAPI.  [F]"""
    company = company_of(state, request.by(), request.identifier("companyId"))
    return _site_page(request, [site for site in state.sites.values() if site.company_id == company.id])


def _sites(state: State, request: Request) -> dict[str, Any]:
    """GetSites of OPENAPI: those in reach.  [F]"""
    return _site_page(request, [s for s in state.sites.values() if administers_site(state, request.by(), s)])


def _site(state: State, request: Request) -> dict[str, Any]:
    """GetSitesId of OPENAPI, which documents no 403: a site out of reach is 404000.  [I]"""
    request.no_query()
    site_id = request.identifier("siteId")
    site = state.sites.get(site_id)
    if site is None or not administers_site(state, request.by(), site):
        raise missing("Site", site_id)
    return {"data": _site_document(site)}


def _create_site(state: State, request: Request) -> dict[str, Any]:
    """PostSites of OPENAPI: name of 1 to 255 characters, status, companyId; the answer is 200.  [F]"""
    request.no_query()
    schema = {"name": text(1, 255), "status": one_of(*SITE_STATUSES), "companyId": identifier}
    body = request.body(schema, tuple(schema))
    site = state.add_site(company_of(state, request.by(), body["companyId"]), body["name"])
    site.status = body["status"]
    return {"data": _site_document(site)}


def _site_systems(state: State, request: Request) -> dict[str, Any]:
    """GetSiteSystems of OPENAPI.  [F]"""
    site = site_of(state, request.by(), request.identifier("siteId"))
    return system_page(state, request, [s for s in state.systems.values() if site.id in s.site_ids])


def _link(state: State, request: Request) -> dict[str, Any]:
    """PostSiteSystems of OPENAPI: link a system to a site, no error if it is linked already.  [F]

    Only one of both multi-tenant is 403709.  [F]
    """
    request.no_query()
    body = request.body({"systemId": identifier}, ("systemId",))
    site = site_of(state, request.by(), request.identifier("siteId"))
    system = system_to_change(state, request, body["systemId"])
    if site.is_centrex != system.is_centrex:
        details = "Inconsistent link. A multi-tenant system must be shared by a multi-tenant companies only"
        raise coded(403709, f"{details} (systemId: {system.id})")
    if site.id not in system.site_ids:
        system.site_ids.append(site.id)
    return {"data": document(system)}


def _unlink(state: State, request: Request) -> dict[str, Any]:
    """DeleteSiteSystems of OPENAPI: the last site stays unless the system is shared or multi-tenant: 409000.  [F]

    x-permissions lists site_admin, the text denies it access: denied here.  [F]  A system that is not linked to the
    site is 404000.  [I]
    """
    request.no_query()
    request.nothing()
    site_id, system_id = request.identifier("siteId"), request.identifier("systemId")
    site = site_of(state, request.by(), site_id)
    system = system_to_change(state, request, system_id)
    if site.id not in system.site_ids:
        raise missing("System", system_id)
    if system.site_ids == [site.id] and not (system.settings["isShared"] or system.is_centrex):
        details = f"System {system_id} must have at least one attachment to a site. Site {site_id} is the last."
        raise coded(409000, details)
    system.site_ids.remove(site.id)
    return {"status": f"Site {site_id} successfully removed", "data": []}


ENDPOINTS: Final = (
    Endpoint("GetCompanies", "GET", f"{ROOT}/companies", COMPANY_READERS, _companies),
    Endpoint("GetCompaniesId", "GET", f"{ROOT}/companies/{{companyId}}", COMPANY_READERS, _company),
    Endpoint("GetCompanySites", "GET", f"{ROOT}/companies/{{companyId}}/sites", COMPANY_READERS, _company_sites),
    Endpoint("GetSites", "GET", f"{ROOT}/sites", READERS, _sites),
    Endpoint("PostSites", "POST", f"{ROOT}/sites", COMPANY_WRITERS, _create_site),
    Endpoint("GetSitesId", "GET", f"{ROOT}/sites/{{siteId}}", READERS, _site),
    Endpoint("GetSiteSystems", "GET", f"{ROOT}/sites/{{siteId}}/systems", READERS, _site_systems),
    Endpoint("PostSiteSystems", "POST", f"{ROOT}/sites/{{siteId}}/systems", COMPANY_READERS, _link),
    Endpoint("DeleteSiteSystems", "DELETE", f"{ROOT}/sites/{{siteId}}/systems/{{systemId}}", COMPANY_READERS, _unlink),
)


def _filter(query: Query) -> Callable[[Company], bool]:
    name = (query.one("name") or "").lower()
    values = {field: set(query.many(field)) for field in ("status", "bpId", "organisationId")}
    flags = {field: query.flag(field) for field in ("isBP", "hasBP")}

    def matches(company: Company) -> bool:
        has_values = {"status": company.status, "bpId": company.bp_id, "organisationId": company.organisation_id}
        has_flags = {"isBP": company.is_bp, "hasBP": company.bp_id is not None}
        return (
            name in company.name.lower()
            and all(not wanted or has_values[field] in wanted for field, wanted in values.items())
            and all(wanted in {None, has_flags[field]} for field, wanted in flags.items())
        )

    return matches


def _company_document(company: Company) -> dict[str, Any]:
    return {
        "id": company.id,
        "name": company.name,
        "country": company.country,
        "status": company.status,
        "visibility": "private",
        "creationDate": iso(company.created),
        "statusUpdatedDate": iso(company.created),
        "organisationId": company.organisation_id,
        "isBP": company.is_bp,
        "bpId": company.bp_id,
        "isCentrex": company.is_centrex,
    }


def _site_page(request: Request, sites: list[Site]) -> dict[str, Any]:
    query = Query(request.query, ("name", "companyId", *PAGING))
    wanted = query.many("companyId")
    found = [
        _site_document(site)
        for site in sites
        if (query.one("name") or "").lower() in site.name.lower() and (not wanted or site.company_id in wanted)
    ]
    return page(found, query, SITE_FORMATS, SORT_FIELDS)


def _site_document(site: Site) -> dict[str, Any]:
    return {
        "id": site.id,
        "name": site.name,
        "latin_name": site.name.lower(),
        "companyId": site.company_id,
        "status": site.status,
        "isCentrex": site.is_centrex,
        "creationDate": iso(site.created),
        "statusUpdatedDate": iso(site.created),
        "settings": {"iceServers": []},
    }
