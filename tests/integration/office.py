"""A reseller's employee who declares servers at Rainbow in a namespace of a world."""

from __future__ import annotations

import base64
import itertools
from typing import Any

from integration.api import Raw
from integration.harness import World
from pbx_operator.api.meta import RECONCILE_ANNOTATION, SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import CommServer
from server_builders import BTCO
from simulators.rainbow import RainbowSimulator, Reseller, System

_TOKENS = itertools.count(1)


class Office:
    """A namespace with the Secrets of a login."""

    def __init__(self, world: World, rainbow: RainbowSimulator, customer: Reseller, namespace: str) -> None:
        self.world, self.rainbow, self.customer, self.namespace = world, rainbow, customer, namespace

    async def write(self, name: str, **entries: str) -> None:
        """Apply a Secret."""
        data = {entry: base64.b64encode(text.encode()).decode() for entry, text in entries.items()}
        metadata = {"name": name, "namespace": self.namespace}
        await self.world.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})

    async def write_login(self, password: str) -> None:
        await self.write("login", username=self.customer.admin.login, password=password, url=self.rainbow.url)

    def server(
        self, name: str = "pbx", login: str = "login", place: dict[str, Any] | None = None, **spec: Any
    ) -> CommServer:
        """Return a server at Rainbow; `place` has what is special there."""
        rainbow = {
            "url": self.rainbow.url,
            "company": self.customer.customer.name,
            "credentialsSecretRef": {"name": login},
            "applicationSecretRef": {"name": "application"},
            **(place or {}),
        }
        provider = {"type": "Rainbow", "rainbow": rainbow}
        return CommServer.model_validate(
            {"metadata": {"name": name, "namespace": self.namespace}, "spec": {**BTCO, "provider": provider, **spec}}
        )

    async def prepare(self) -> None:
        """Write the Secrets that servers name."""
        await self.write_login(self.customer.admin.password)
        await self.write("application", id=self.customer.application.id, secret=self.customer.application.secret)

    async def look(self, server: CommServer) -> None:
        """Ask the operator to look now."""
        patch = {"metadata": {"annotations": {RECONCILE_ANNOTATION: str(next(_TOKENS))}}}
        await self.world.stage.api.cluster.patch(server.resource, server.key, patch)

    async def state(self, server: CommServer, wanted: str) -> None:
        """Wait until the status shows a state."""
        await self.world.until(
            lambda: (now := self.world.now(server)) is not None and now.status.state == wanted, f"state {wanted}"
        )

    async def secret(self, revision: int = 1) -> dict[str, str]:
        """Wait for the activation Secret of a revision, and return what it says."""

        def read() -> dict[str, str] | None:
            raw: Raw = self.world.raw(SECRETS, ObjectKey(self.namespace, "pbx-activation")) or {}
            entries = {name: base64.b64decode(text).decode() for name, text in raw.get("data", {}).items()}
            return entries if entries.get("revision") == str(revision) else None

        return await self.world.until(read, f"the Secret with revision {revision}") or {}

    def system(self, equipment_id: str) -> System:
        found = self.rainbow.state.by_pbx_id(equipment_id)
        assert found is not None
        return found
