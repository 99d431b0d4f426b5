"""What a provider of customers is: the protocol between the engine and whoever speaks with one."""

from __future__ import annotations

from typing import Protocol

from pbx_operator.domain.customers.facts import CustomerFacts, CustomerWish
from pbx_operator.domain.differences import Difference


class CustomerProvider(Protocol):
    """Where the customer of an account is; one for each place and login.

    Every call may raise ProviderError, and ApiError while it reads the login.  Every call may be repeated: the
    customer's id is chosen by us.
    """

    async def observe(self, wish: CustomerWish) -> CustomerFacts | None:
        """Return the customer with the wished id; None if there is none."""

    async def create(self, wish: CustomerWish) -> CustomerFacts:
        """Create the customer; return one that is there already as it is, whoever created it."""

    async def update(self, wish: CustomerWish, differences: tuple[Difference, ...]) -> None:
        """Set the settings that differ to what is wanted, and no others."""

    async def delete(self, wish: CustomerWish) -> None:
        """Delete the customer; that it is gone already is a success."""
