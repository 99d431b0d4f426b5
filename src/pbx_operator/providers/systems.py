"""What a provider of systems can do: the seam between CommServers and the many ways to run one."""

from __future__ import annotations

from typing import Protocol

from pbx_operator.domain.differences import Difference
from pbx_operator.domain.servers.systems import SystemFacts, SystemWish


class SystemProvider(Protocol):
    """Where a CommServer is declared; one for each place and login.

    Every call may raise ProviderError, and ApiError where the provider keeps its facts in this cluster.  Every call
    may be repeated: what was done already is found again by the equipment ID.  `code` is the activation code that the
    Secret holds; no provider may log it or put it into a text.
    """

    async def observe(self, wish: SystemWish, code: str | None) -> SystemFacts | None:
        """Return the system with the wished equipment ID; None if there is none."""

    async def create(self, wish: SystemWish, code: str) -> SystemFacts:
        """Declare the system with this activation code."""

    async def update(self, wish: SystemWish, system_id: str, differences: tuple[Difference, ...]) -> None:
        """Set the settings that differ to what is wanted, and no others."""

    async def reset(self, wish: SystemWish, system_id: str, code: str) -> str:
        """Make the box connect anew, with another activation code, and return that.

        `code` is a fresh one; a provider that makes its own does not use it.
        """

    async def current_code(self, wish: SystemWish, system_id: str) -> str | None:
        """Return the activation code that the box must use now, as far as the provider tells."""

    async def delete(self, wish: SystemWish, system_id: str) -> None:
        """Delete the system; that it is gone already is a success."""
