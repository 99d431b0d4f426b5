"""Which administrator may do what: roles by operation (x-permissions of OPENAPI) and reach by company.

[F]  superadmin and support reach everything, bp_admin the End Customer companies of its company, organization_admin
the companies of its organisation, company_admin its company, site_admin its site.  A role that is missing is 403000,
a thing out of reach 403301.  GetSystemsId and GetSystemsIdByPbxId document no 403: there a system out of reach is
404000.  [I]
"""

from __future__ import annotations

from typing import Final, get_args

from simulators.rainbow.errors import coded, missing, not_assigned
from simulators.rainbow.fields import Request
from simulators.rainbow.state import Company, Role, Site, State, System, User

EVERYONE: Final[frozenset[str]] = frozenset(get_args(Role))
READERS: Final = EVERYONE - {"user"}
WRITERS: Final = READERS - {"support"}
COMPANY_READERS: Final = READERS - {"site_admin"}
COMPANY_WRITERS: Final = WRITERS - {"site_admin"}


def require_role(user: User, roles: frozenset[str]) -> None:
    """Raise 403000 unless the user has one of these roles.  [F]"""
    if user.role not in roles:
        wanted = ",".join(sorted(roles))
        raise coded(403000, f"Access denied: user {user.login} does not have required role(s) {wanted}")


def administers_company(state: State, user: User, company: Company) -> bool:
    """Return whether what belongs to a company is in reach; a site_admin reaches no whole company."""
    own = state.companies[user.company_id]
    match user.role:
        case "superadmin" | "support":
            return True
        case "bp_admin":
            return company.bp_id == own.id
        case "organization_admin":
            return own.organisation_id is not None and company.organisation_id == own.organisation_id
        case "company_admin":
            return company is own
        case _:
            return False


def administers_site(state: State, user: User, site: Site) -> bool:
    """Return whether a site, and what is linked to it, is in reach."""
    if user.role == "site_admin":
        return user.site_id == site.id
    return administers_company(state, user, state.companies[site.company_id])


def administers_system(state: State, user: User, system: System) -> bool:
    """Return whether one of the system's sites is in reach; without a site its bpId decides.  [I]"""
    if system.site_ids:
        return any(administers_site(state, user, state.sites[site_id]) for site_id in system.site_ids)
    return user.role in {"superadmin", "support"} or system.settings["bpId"] == user.company_id


def company_of(state: State, user: User, company_id: str) -> Company:
    """Return a company in reach; raises 404000 or 403301."""
    company = state.companies.get(company_id)
    if company is None:
        raise missing("Company", company_id)
    if not administers_company(state, user, company):
        raise not_assigned(user.id, "Company", company_id)
    return company


def site_of(state: State, user: User, site_id: str) -> Site:
    """Return a site in reach; raises 404000 or 403301."""
    site = state.sites.get(site_id)
    if site is None:
        raise missing("Site", site_id)
    if not administers_site(state, user, site):
        raise not_assigned(user.id, "Site", site_id)
    return site


def system_to_change(state: State, request: Request, system_id: str) -> System:
    """Return a system in reach; raises 404000 or 403301.  [F: OPENAPI, PutSystems]"""
    system = state.systems.get(system_id)
    if system is None:
        raise missing("System", system_id)
    if not administers_system(state, request.by(), system):
        raise not_assigned(request.by().id, "System", system_id)
    return system


def system_to_read(state: State, request: Request, system: System | None, name: str) -> System:
    """Return a system that is in reach and not lagging; `name` is how it was asked for.  Raises 404000."""
    if system is None or not administers_system(state, request.by(), system) or not state.read([system]):
        raise missing("System", name)
    return system
