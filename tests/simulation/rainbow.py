"""CommServers at Rainbow, with the operator's own client, and a process that may die at every call.

Only the network is missing: a call reaches the simulator of Rainbow in one step, or does not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from builders import NOW
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.cluster import Unavailable
from pbx_operator.network.addresses import NetworkRules
from pbx_operator.providers.endpoints import ApiEndpoint
from pbx_operator.providers.errors import unavailable
from pbx_operator.providers.http import Account, Accounts, Answer, Call, Dialler
from pbx_operator.providers.rainbow import RainbowSystems, Sessions
from pbx_operator.providers.systems import SystemProvider
from simulation.process import Process, Request
from simulation.servers import Provider, Site
from simulators.rainbow import RainbowSimulator, Reseller, System, reseller

_NO_NETWORK = Dialler(NetworkRules())


class DirectAccount(Account):
    """The way to the simulator; an answer may be lost."""

    def __init__(self, rainbow: RainbowSimulator) -> None:
        super().__init__(_NO_NETWORK, ApiEndpoint("https://rainbow.example", "", "spec.provider.rainbow"))
        self._rainbow = rainbow

    async def call(self, call: Call) -> Answer:
        try:
            answer: Answer = await Request(f"{call.method} {call.path}", call.method != "GET", self._perform(call), NOW)
        except Unavailable as error:
            raise unavailable("it is down") from error
        return answer

    def _perform(self, call: Call) -> Callable[[], Answer]:
        def perform() -> Answer:
            query = f"?{urlencode(call.query)}" if call.query else ""
            headers = {"Accept": "application/json", "Content-Type": "application/json", **call.headers}
            content = b"" if call.body is None else json.dumps(call.body).encode()
            response = self._rainbow.at_once(call.method, call.path + query, headers, content)
            assert response.text is not None
            return Answer(response.status, json.loads(response.text))

        return perform


class RainbowSite(Site):
    """A cluster with CommServers at a customer of a reseller."""

    def __init__(self) -> None:
        self.rainbow = RainbowSimulator(clock=lambda: self.now.timestamp())
        super().__init__(Provider())
        self.reseller: Reseller = reseller(self.rainbow.state)
        admin, application = self.reseller.admin, self.reseller.application
        self.keep("login", username=admin.login, password=admin.password)
        self.keep("application", id=application.id, secret=application.secret)

    def begin(self) -> Process:
        """Return a process that remembers no login."""
        accounts = Accounts(lambda _url: DirectAccount(self.rainbow))
        sessions = Sessions(accounts, lambda: (self.now - NOW).total_seconds())

        def provider(server: CommServer) -> SystemProvider:
            assert server.spec.provider.rainbow is not None
            return RainbowSystems(self.process.wire, sessions, server.spec.provider.rainbow)

        return self.new_process(provider)

    def apply(self, name: str = "pbx", **spec: Any) -> None:
        """Create a CommServer at Rainbow, or change fields of its spec."""
        place = {
            "company": "Customer",
            "credentialsSecretRef": {"name": "login"},
            "applicationSecretRef": {"name": "application"},
        }
        super().apply(name, **{"provider": {"type": "Rainbow", "rainbow": place}, **spec})

    @property
    def systems(self) -> list[System]:
        """What Rainbow has."""
        return list(self.rainbow.state.systems.values())
