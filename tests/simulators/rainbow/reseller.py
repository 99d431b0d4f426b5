"""The smallest world in which an administrator can declare a PBX."""

from __future__ import annotations

from dataclasses import dataclass

from simulators.rainbow.state import Application, Company, Site, State, User


@dataclass(frozen=True)
class Reseller:
    """A Business Partner with an administrator and an application, and one customer with one site."""

    company: Company
    admin: User
    application: Application
    customer: Company
    site: Site


def reseller(state: State) -> Reseller:
    """Add a reseller to a state."""
    company = state.add_company("Reseller", is_bp=True)
    customer = state.add_company("Customer", bp=company)
    return Reseller(
        company=company,
        admin=state.add_user("admin@reseller.example", "Right-Passw0rd", "bp_admin", company),
        application=state.add_application("operator"),
        customer=customer,
        site=state.add_site(customer, "Headquarters"),
    )
