"""An installation of the operator and its cluster, whose calls are answered at once: for tests of what it does with
the installations of other clusters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from builders import NAMESPACE, NOW
from pbx_operator.api.meta import ObjectKey, ResourceType
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import (
    Contact,
    InterlinkIdentity,
    Issuer,
    LinkRecordSpec,
    NamespacedName,
    Policy,
    SideReport,
    record_name,
)
from pbx_operator.cluster import Cluster, Conflict
from pbx_operator.domain.protocol.keys import Bundle, IssuerAddress, SigningKey, base64url, instance_id, key_id
from pbx_operator.domain.protocol.succession import succeed
from pbx_operator.domain.records.redemption import Redemption
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine.identity import Identity
from pbx_operator.engine.intake import Intake
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.store import Store
from pbx_operator.links.authority import Authority
from pbx_operator.links.records import RecordDesk
from simulation.api import JSON, Api
from simulation.process import Queue, ignore


def signing_key(name: str) -> SigningKey:
    """Return the private key that belongs to a name."""
    return SigningKey(hashlib.sha256(name.encode()).digest())


class Direct(Cluster):
    """The way to an API server that answers at once; `before` sees each write first and may raise."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.before: Callable[[str], object] = lambda what: None
        self.written: list[str] = []

    async def get(self, resource: ResourceType, key: ObjectKey) -> JSON:
        return self._api.get(resource, key)

    async def create(self, resource: ResourceType, body: Mapping[str, Any]) -> JSON:
        return self._write("create", lambda: self._api.create(resource, body))

    async def put(self, resource: ResourceType, body: Mapping[str, Any]) -> JSON:
        return self._write("put", lambda: self._api.put(resource, body))

    async def put_status(self, resource: ResourceType, body: Mapping[str, Any]) -> JSON:
        return self._write("put_status", lambda: self._api.put_status(resource, body))

    async def delete(
        self,
        resource: ResourceType,
        key: ObjectKey,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> JSON | None:
        if resource_version not in (None, self._api.get(resource, key)["metadata"]["resourceVersion"]):
            raise Conflict(f"{resource.plural} {key} was changed meanwhile", status=409)
        self.before("delete")
        held = self._api.delete(resource, key, uid)
        self.written.append("delete")
        return held

    def _write(self, what: str, perform: Callable[[], JSON]) -> JSON:
        self.before(what)
        answer = perform()
        self.written.append(what)
        return answer


class View:
    """What an authority knows of other records: nothing of interest."""

    def pair_linked(self, record: LinkRecordSpec, request: Redemption) -> bool:
        return False

    def namespace_records(self, namespace: str) -> int:
        return 1

    def restoring(self) -> bool:
        return False


class Ears:
    """Remembers which installations spoke."""

    def __init__(self) -> None:
        self.heard_of: list[str] = []

    async def heard(self, peer: str) -> None:
        self.heard_of.append(peer)


class Site:
    """One installation; the same name has the same identity."""

    def __init__(self, name: str) -> None:
        self.now = NOW
        key = signing_key(name)
        self.instance = instance_id(key.public)
        self.identity = Identity(self.instance, key.public, key, confirmed=True)
        self.contact = Contact(endpoints=(f"https://{name}.example.com",), pins=(base64url(b"\0" * 32),))
        self.api = Api(lambda: self.now, lambda *_: None)
        self.cluster = Direct(self.api)
        self.intake = Intake(Store("pbx.example", Scope(self.instance)), Queue(lambda: 0.0), Memory(), ignore)
        self.authority = Authority(self.cluster, self.instance, View(), lambda: self.now, self.intake)
        self.ears = Ears()
        self.desk = RecordDesk(self.authority, self.identity, self.contact, self.ears)

    def rotate(self) -> None:
        """Replace the identity key, as the keeper does when it finds the Secret rotated."""
        old, new = self.identity.key, signing_key(f"{self.instance} {len(self.identity.successions)}")
        assert old is not None
        self.identity.successions = succeed(old, new, self.identity.successions)
        self.identity.key, self.identity.public_key = new, new.public

    def interlink(self, name: str, account: str) -> Interlink:
        """Create an Interlink that issues a key."""
        body = {
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"accountRef": {"name": account}, "issueKey": {}},
        }
        return Interlink.model_validate(self.api.create(Interlink.resource, body))

    def issue(self, name: str, account: str, key: SigningKey, policy: Policy | None = None) -> Bundle:
        """Create an Interlink and the record of its key; return what its Secret would hold."""
        link = self.interlink(name, account)
        owner = NamespacedName(namespace=NAMESPACE, name=account)
        issuer = Issuer(
            instance=self.instance, public_key=self.identity.public_key, account=owner, interlink=identity_of(link)
        )
        spec = LinkRecordSpec(
            instance=self.instance,
            key_id=key_id(key.public),
            key_public=key.public,
            revision=1,
            issued_time=NOW,
            issuer=issuer,
            policy=policy or Policy(),
        )
        body = {"metadata": {"name": record_name(spec.key_id)}, "spec": spec.to_json()}
        self.api.create(LinkRecord.resource, body)
        address = IssuerAddress(
            public_key=self.identity.public_key, account=owner, interlink=identity_of(link), contact=self.contact
        )
        return Bundle(key, self.instance, account, issuer=address)

    def record(self, name: str | None = None) -> LinkRecord:
        """Return a record, by default the only one."""
        found = [LinkRecord.model_validate(raw) for raw in self.api.all(LinkRecord.resource)]
        (record,) = (r for r in found if name in (None, r.metadata.name))
        return record

    def tell(self, told: SideReport) -> None:
        """Let the only record say this to the peer."""
        (raw,) = self.api.all(LinkRecord.resource)
        status = {**raw.get("status", {}), "told": told.to_json()}
        self.api.put_status(LinkRecord.resource, {**raw, "status": status})


def identity_of(link: Interlink) -> InterlinkIdentity:
    """Return how records name an Interlink."""
    return InterlinkIdentity(namespace=link.key.namespace, name=link.key.name, uid=link.metadata.uid)
