"""Systems at Rainbow: the provider of a CommServer whose spec names a Rainbow company.

It translates and carries out, and decides nothing.  A system is ours if the status has its id; or if its box has not
connected yet, its activation code is ours, and it is at our site, as after a crash right behind its creation.
"""

from __future__ import annotations

from pbx_operator.api import provider_reasons
from pbx_operator.api.v1alpha1.commserver import RAINBOW_URL, RainbowProvider
from pbx_operator.cluster import Cluster
from pbx_operator.domain.differences import Difference
from pbx_operator.domain.faults import fault
from pbx_operator.domain.servers.systems import CodeState, SystemFacts, SystemWish
from pbx_operator.providers.credentials import read_credentials
from pbx_operator.providers.endpoints import ApiEndpoint
from pbx_operator.providers.errors import ProviderError
from pbx_operator.providers.rainbow.client import Client
from pbx_operator.providers.rainbow.documents import System
from pbx_operator.providers.rainbow.refusals import MEMBER
from pbx_operator.providers.rainbow.session import Sessions, secrets_of
from pbx_operator.providers.rainbow.translation import changes, connection, creation, settings_of, state_of, time_of


class RainbowSystems:
    """The systems of one company, with the login that a CommServer names; implements SystemProvider."""

    def __init__(self, cluster: Cluster, sessions: Sessions, place: RainbowProvider) -> None:
        self._cluster = cluster
        self._sessions = sessions
        self._place = place
        self._endpoint = ApiEndpoint(place.url, RAINBOW_URL, MEMBER)

    async def observe(self, wish: SystemWish, code: str | None) -> SystemFacts | None:
        """Return the system with the wished equipment ID; None if this login sees none."""
        client = await self._client(wish)
        system = await client.find()
        if system is None:
            return None
        ours = system.id == wish.system_id or await self._declared_by_us(client, system, code)
        return await self._facts(client, system, code, ours=ours)

    async def create(self, wish: SystemWish, code: str) -> SystemFacts:
        """Declare the system at the site, with this activation code."""
        client = await self._client(wish)
        site_id = await client.site(self._place.company, self._place.site_id)
        system = await client.create(creation(wish, site_id, code))
        return await self._facts(client, system, code, ours=True)

    async def update(self, wish: SystemWish, system_id: str, differences: tuple[Difference, ...]) -> None:
        """Set the settings that differ; an update without any is refused by Rainbow, so none is sent."""
        changed = changes(wish.settings, (difference.field for difference in differences))
        if changed:
            await (await self._client(wish)).update(system_id, changed)

    async def reset(self, wish: SystemWish, system_id: str, code: str) -> str:
        """Return the activation code that Rainbow made; ours is not used."""
        system = await (await self._client(wish)).reset(system_id)
        if not system.password:
            raise _later("it does not tell the new activation code")
        return system.password

    async def current_code(self, wish: SystemWish, system_id: str) -> str | None:
        """Return the activation code, which Rainbow tells until the box has used it.

        Raises ProviderError (`Retry`) if it just did: then no code is needed any more, as the next look will find.
        """
        system = await (await self._client(wish)).system(system_id)
        if not system.waits:
            raise _later("the box has just used its activation code")
        return system.password or None

    async def delete(self, wish: SystemWish, system_id: str) -> None:
        """Delete the system, unless it is gone."""
        await (await self._client(wish)).delete(system_id)

    async def _client(self, wish: SystemWish) -> Client:
        """Read the Secrets, and return the calls of their login."""
        place = self._place
        wanted = secrets_of(place.credentials_secret_ref.name, place.application_secret_ref.name)
        namespace = wish.owner.key.namespace
        credentials = await read_credentials(self._cluster, namespace, self._endpoint, wanted)
        session = self._sessions.of(self._endpoint, credentials)
        return Client(session, credentials, wish.rejected_credentials, wish.equipment_id)

    async def _declared_by_us(self, client: Client, system: System, code: str | None) -> bool:
        if code is None or not system.waits or system.password != code:
            return False
        return await client.site(self._place.company, self._place.site_id) in system.site_ids

    async def _facts(self, client: Client, system: System, code: str | None, *, ours: bool) -> SystemFacts:
        settings = settings_of(system)
        if system.waits:
            same: CodeState = "Current" if system.password in ("", code) else "Changed"
            return SystemFacts(system.id, ours, "Pending", settings, same)
        state = await client.state(system.id)
        channels = connection(state)
        return SystemFacts(system.id, ours, state_of(channels), settings, "Spent", channels, time_of(state))


def _later(detail: str) -> ProviderError:
    return ProviderError(fault("Retry", provider_reasons.PROVISIONING), detail)
