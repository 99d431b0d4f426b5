"""What the platform holds: companies, sites, systems, users and applications, and the clock that dates them.

Tests fill it directly; endpoints change it only in one synchronous step, so a call has happened or it has not.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from simulators.rainbow.countries import COUNTRIES

Role = Literal["superadmin", "support", "bp_admin", "organization_admin", "company_admin", "site_admin", "user"]
SystemStatus = Literal["created", "activating", "activated"]


def new_id() -> str:
    """Return an identifier of 24 alphanumeric characters, the form that OPENAPI demands of identifiers.  [F]"""
    return secrets.token_hex(12)


def iso(seconds: float) -> str:
    """Return a moment as the platform writes it: 2017-12-06T18:36:17.904Z.  [F]"""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ManualClock:
    """A clock that stands still until a test advances it."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass(eq=False)
class Company:
    """A Business Partner (`is_bp`) or an End Customer; `bp_id` names the partner of a customer."""

    name: str
    created: float
    country: str = "FRA"
    is_bp: bool = False
    bp_id: str | None = None
    organisation_id: str | None = None
    is_centrex: bool = False
    status: str = "active"
    """initializing, active, alerting, hold or terminated; nobody of a company that is not active can log in."""
    id: str = field(default_factory=new_id)


@dataclass(eq=False)
class Site:
    """A site of a company; systems hang on sites."""

    name: str
    company_id: str
    created: float
    status: str = "active"
    is_centrex: bool = False
    id: str = field(default_factory=new_id)


@dataclass(eq=False)
class Application:
    """An application that users log in with."""

    name: str
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))


@dataclass(eq=False)
class User:
    """A credential and what it may do; tests may change the role at any time."""

    login: str
    password: str
    role: Role
    company_id: str
    created: float
    site_id: str | None = None
    """The site of a site_admin."""
    time_to_live: float | None = None
    """Seconds after its creation until the user has expired."""
    failures: int = 0
    locked_until: float | None = None
    id: str = field(default_factory=new_id)


@dataclass
class Channels:
    """Which connections of a PBX are up; `http` is None for a PBX that has no such channel."""

    conf: bool = False
    csta: bool = False
    http: bool | None = False
    xmpp: bool = False

    def down(self) -> Channels:
        """Return the same channels, all down."""
        return Channels(http=None if self.http is None else False)


@dataclass(eq=False)
class System:
    """A PBX as the platform knows it."""

    pbx_id: str
    activation_code: str
    site_ids: list[str]
    created: float
    settings: dict[str, Any]
    """The fields that an update may change, by their names in the API."""
    is_centrex: bool = False
    is_oxo_managed: bool = False
    status: SystemStatus = "created"
    status_updated: float = 0.0
    private_code: str = ""
    """What replaces the activation code; proposed while activating, accepted once activated."""
    transaction_id: str = ""
    has_media_pillar: bool = False
    channels: Channels = field(default_factory=Channels)
    channels_updated: float = 0.0
    history: list[dict[str, str]] = field(default_factory=list)
    hidden_reads: int = 0
    """How many reads will still not find it."""
    id: str = field(default_factory=new_id)
    pcg_jid: str = field(default_factory=lambda: f"pbxpcg_{secrets.token_hex(16)}")
    pcg_password: str = field(default_factory=lambda: secrets.token_hex(16))

    def set_channels(self, channels: Channels, now: float) -> None:
        """Let channels come up or go down; the history's words are not documented.  [?]"""
        if channels.xmpp != self.channels.xmpp:
            event = "connected" if channels.xmpp else "disconnected"
            self.history.append({"eventType": event, "eventDate": iso(now)})
        self.channels = channels
        self.channels_updated = now


class State:
    """All things of the platform by id; users by login, which is not case sensitive [I]."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.companies: dict[str, Company] = {}
        self.sites: dict[str, Site] = {}
        self.systems: dict[str, System] = {}
        self.users: dict[str, User] = {}
        self.applications: dict[str, Application] = {}
        self.countries: dict[str, str] = dict(COUNTRIES)
        """The served list: ISO 3166-1 alpha-3 code to name."""
        self.visibility_lag = 0
        """How many reads will not find a system that is created from now on."""

    def add_company(
        self, name: str, *, bp: Company | None = None, is_bp: bool = False, organisation_id: str | None = None
    ) -> Company:
        """Add a Business Partner, or an End Customer of the partner `bp`."""
        bp_id = bp.id if bp else None
        company = Company(name, self.clock(), is_bp=is_bp, bp_id=bp_id, organisation_id=organisation_id)
        self.companies[company.id] = company
        return company

    def add_site(self, company: Company, name: str) -> Site:
        """Add a site; it is multi-tenant if its company is.  [F: OPENAPI, PostSites]"""
        site = Site(name, company.id, self.clock(), is_centrex=company.is_centrex)
        self.sites[site.id] = site
        return site

    def add_user(
        self,
        login: str,
        password: str,
        role: Role,
        company: Company,
        *,
        site: Site | None = None,
        time_to_live: float | None = None,
    ) -> User:
        """Add a credential; `site` is for a site_admin, `time_to_live` is in seconds."""
        site_id = site.id if site else None
        user = User(login, password, role, company.id, self.clock(), site_id=site_id, time_to_live=time_to_live)
        self.users[login.lower()] = user
        return user

    def add_application(self, name: str) -> Application:
        """Add an application with a random id and secret."""
        application = Application(name)
        self.applications[application.id] = application
        return application

    def set_password(self, user: User, password: str) -> None:
        """Give a user a new password, which also unlocks the account.  [F: OPENAPI, GetBasicLogin]"""
        user.password, user.failures, user.locked_until = password, 0, None

    def by_pbx_id(self, pbx_id: str) -> System | None:
        """Return the system with an equipment ID, which is unique on the platform.  [F: 409000]"""
        return next((system for system in self.systems.values() if system.pbx_id == pbx_id), None)

    def companies_of(self, system: System) -> set[str]:
        """Return the ids of the companies whose sites the system is linked to."""
        return {self.sites[site_id].company_id for site_id in system.site_ids}

    def read(self, systems: Iterable[System]) -> list[System]:
        """Return those that a read finds now; each that lags behind comes one read nearer to being found."""
        found = []
        for system in systems:
            if system.hidden_reads:
                system.hidden_reads -= 1
            else:
                found.append(system)
        return found
