"""Accounts with customers at telecom.center, with the operator's own client, and a process that may die at every call.

Only the network is missing: a call reaches the simulator of telecom.center in one step, or does not.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from builders import NAMESPACE, NOW
from pbx_operator.api.meta import Condition, ObjectKey
from pbx_operator.api.v1alpha1 import PBXAccount
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccountStatus, TelecomCenterProvider
from pbx_operator.cluster import Unavailable
from pbx_operator.domain.conditions import check, find
from pbx_operator.domain.faults import Fault
from pbx_operator.network.addresses import NetworkRules
from pbx_operator.providers.customers import CustomerProvider
from pbx_operator.providers.endpoints import ApiEndpoint
from pbx_operator.providers.errors import ProviderError, unavailable
from pbx_operator.providers.http import Account, Accounts, Answer, Call, Dialler
from pbx_operator.providers.telecom_center import Logins, TelecomCenter
from simulation.process import Process, Request
from simulation.scene import Scene
from simulators import telecom_center

_NO_NETWORK = Dialler(NetworkRules())
PLACE: dict[str, Any] = {"credentialsSecretRef": {"name": "login"}}
NAMED = {"customerID": "7"}
DOWN = unavailable("it is down", "wait", field="spec.provider.telecomCenter.url").fault


class Center(telecom_center.TelecomCenter):
    """The simulator without its server."""

    def __init__(self, taken_id: Literal[409, 422] = 409) -> None:
        super().__init__("operator", "correct horse", taken_id=taken_id)
        self.asked: list[str] = []
        """The calls that arrived: method, and the status of the answer."""
        self.fails: Fault | None = None
        """What each call ends with, as long as that is set."""

    def take(self, call: Call) -> Answer:
        """Answer a call. Raises ProviderError."""
        if self.fails is not None:
            raise ProviderError(self.fails)
        headers = {"Accept": call.media_type, "Content-Type": call.media_type, "Host": "telecom.center", **call.headers}
        content = b"" if call.body is None else json.dumps(call.body).encode()
        response = self.at_once(call.method, call.path, headers, content)
        self.asked.append(f"{call.method} {response.status}")
        text = response.text if response.content_type == call.media_type else None
        return Answer(response.status, json.loads(text) if text else None)

    @property
    def writes(self) -> list[str]:
        """The calls that were to change something."""
        return [call for call in self.asked if not call.startswith("GET")]


class DirectAccount(Account):
    """The way to the simulator; an answer may be lost."""

    def __init__(self, center: Center) -> None:
        super().__init__(_NO_NETWORK, ApiEndpoint("https://telecom.example", "", "spec.provider.telecomCenter"))
        self._center = center

    async def call(self, call: Call) -> Answer:
        try:
            answer: Answer = await Request(
                f"{call.method} {call.path}", call.method != "GET", lambda: self._center.take(call), NOW
            )
        except Unavailable as error:
            raise ProviderError(DOWN) from error
        return answer


class CustomerSite(Scene):
    """A cluster with accounts, and the operator's login at telecom.center in the Secret `login`."""

    def __init__(self, center: Center, password: str = "correct horse") -> None:
        self.center = center
        super().__init__()
        self.keep("login", username="operator", password=password)

    def begin(self) -> Process:
        """Return a process that remembers no login."""
        logins = Logins(Accounts(lambda _url: DirectAccount(self.center)), lambda: (self.now - NOW).total_seconds())

        def customers(account: ObjectKey, place: TelecomCenterProvider) -> CustomerProvider:
            return TelecomCenter(self.process.wire, logins, account, place)

        return self.new_process(customers=customers)

    def apply(self, name: str = "acme", place: dict[str, Any] | None = None, **spec: Any) -> None:
        """Create an account with a customer, or change fields of its spec; `place` are fields of the provider's."""
        key = ObjectKey(NAMESPACE, name)
        if place is not None or self.account(name) is None:
            provider = {"type": "TelecomCenter", "telecomCenter": {**PLACE, **(place or {})}}
            spec = {"provider": provider, **spec}
        if self.account(name) is not None:
            self.api.edit(PBXAccount.resource, key, **spec)
        else:
            metadata = {"name": name, "namespace": NAMESPACE}
            self.api.create(PBXAccount.resource, {"metadata": metadata, "spec": {"country": "NL", **spec}})

    def delete(self, name: str = "acme") -> None:
        """Delete an account."""
        self.api.delete(PBXAccount.resource, ObjectKey(NAMESPACE, name))

    def account(self, name: str = "acme") -> PBXAccount | None:
        """Return an account."""
        raw = self.api.find(PBXAccount.resource, ObjectKey(NAMESPACE, name))
        return PBXAccount.model_validate(raw) if raw is not None else None

    def status(self, name: str = "acme") -> PBXAccountStatus:
        """Return the status of an account that is there."""
        account = self.account(name)
        assert account is not None
        return account.status

    def condition(self, type_: str, name: str = "acme") -> Condition:
        """Return a condition of an account."""
        account = self.account(name)
        assert account is not None
        assert not check(account.status, account.metadata.generation)
        found = find(account.status.conditions, type_)
        assert found is not None
        return found

    def shown(self, type_: str, name: str = "acme") -> tuple[str, str]:
        """Return status and reason of a condition."""
        found = self.condition(type_, name)
        return found.status, found.reason

    def customer(self) -> str:
        """Return the customer that is shown."""
        found = self.status().customer_id
        assert found is not None
        return found
