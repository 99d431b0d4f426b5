"""A customer of a reseller at Rainbow, the Secrets of a namespace, and processes that use them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from builders import NAMESPACE
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1.commserver import RainbowProvider
from pbx_operator.domain.faults import Fault
from pbx_operator.domain.servers.systems import SystemOwner, SystemSettings, SystemWish
from pbx_operator.providers.errors import ProviderError
from pbx_operator.providers.rainbow import RainbowSystems, Sessions
from provider_secrets import LOOPBACK, Secrets, accounts
from simulators.rainbow import ManualClock, RainbowSimulator, Reseller, System

CODE = "our-activation-code"
WISH = SystemWish(
    owner=SystemOwner(ObjectKey(NAMESPACE, "pbx"), "uid"),
    equipment_id="PBXAAAA-BBBB",
    type="OXOConnect",
    settings=SystemSettings("Reception", "FR"),
)


@dataclass
class Bench:
    """The simulator, what is declared in it, and the operator's side."""

    rainbow: RainbowSimulator
    world: Reseller
    clock: ManualClock
    secrets: Secrets = field(default_factory=Secrets)

    def __post_init__(self) -> None:
        self.write_login(self.world.admin.password)
        application = self.world.application
        self.secrets.write("application", id=application.id, secret=application.secret)
        self.restart()

    def write_login(self, password: str) -> None:
        self.secrets.write("login", username=self.world.admin.login, password=password, url=self.rainbow.url)

    def restart(self) -> None:
        """Begin anew as another process, which remembers nothing."""
        self.sessions = Sessions(accounts(LOOPBACK, self.clock), self.clock)

    def provider(self, **place: Any) -> RainbowSystems:
        """Return the provider of a CommServer with this spec.provider.rainbow."""
        spec = {
            "url": self.rainbow.url,
            "company": self.world.customer.name,
            "credentialsSecretRef": {"name": "login"},
            "applicationSecretRef": {"name": "application"},
            **place,
        }
        return RainbowSystems(self.secrets, self.sessions, RainbowProvider.model_validate(spec))

    async def declared(self, wish: SystemWish = WISH, code: str = CODE) -> tuple[SystemWish, System]:
        """Return a wish whose status has the id of its system, and that system."""
        facts = await self.provider().create(wish, code)
        self.rainbow.journal.clear()
        return replace(wish, system_id=facts.system_id), self.rainbow.state.systems[facts.system_id]

    def logins(self) -> int:
        """Return how many logins were tried."""
        return len(self.rainbow.journal.select(operation="GetBasicLogin"))

    def operations(self) -> list[str]:
        """Return what was asked beside logins."""
        return [call.operation for call in self.rainbow.journal.calls if call.operation != "GetBasicLogin"]


async def fault_of(call: Any) -> Fault:
    """Return how a call fails."""
    with pytest.raises(ProviderError) as raised:
        await call
    return raised.value.fault
