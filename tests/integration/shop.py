"""An operator's employee who has customers at telecom.center, in a namespace of a world."""

from __future__ import annotations

import base64
import itertools
from typing import Any

from integration.harness import World
from pbx_operator.api.meta import RECONCILE_ANNOTATION
from pbx_operator.api.v1alpha1 import PBXAccount
from simulators.telecom_center import TelecomCenter

PASSWORD = "correct horse battery"
_TOKENS = itertools.count(1)


class Shop:
    """A namespace with the Secret of a login."""

    def __init__(self, world: World, center: TelecomCenter, namespace: str) -> None:
        self.world, self.center, self.namespace = world, center, namespace
        self._before = len(center.journal.calls)

    async def write_login(self, password: str = PASSWORD) -> None:
        """Apply the Secret with the login."""
        entries = {"username": "operator", "password": password, "url": self.center.url}
        data = {entry: base64.b64encode(text.encode()).decode() for entry, text in entries.items()}
        metadata = {"name": "login", "namespace": self.namespace}
        await self.world.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})

    def account(self, place: dict[str, Any] | None = None, name: str = "a", **spec: Any) -> PBXAccount:
        center = {"url": self.center.url, "credentialsSecretRef": {"name": "login"}, **(place or {})}
        provider = {"type": "TelecomCenter", "telecomCenter": center}
        metadata = {"name": name, "namespace": self.namespace}
        return PBXAccount.model_validate(
            {"metadata": metadata, "spec": {"country": "NL", "provider": provider, **spec}}
        )

    async def look(self, account: PBXAccount) -> None:
        """Ask the operator to look now."""
        patch = {"metadata": {"annotations": {RECONCILE_ANNOTATION: str(next(_TOKENS))}}}
        await self.world.stage.api.cluster.patch(account.resource, account.key, patch)

    async def end(self, account: PBXAccount) -> None:
        await self.world.delete(account)
        await self.world.gone(account)

    @property
    def calls(self) -> list[str]:
        """What was asked since the test began: method, and the status of the answer."""
        return [f"{call.method} {call.status}" for call in self.center.journal.calls[self._before :]]
