"""The identity of the installation: made once, never replaced, and found again when its Secret comes back."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from pbx_operator.api.meta import NAMESPACES, ObjectKey, ResourceType
from pbx_operator.cluster import Cluster, Gone, Listing, Unavailable
from pbx_operator.domain.keys import SigningKey, base64url, instance_id
from pbx_operator.engine.identity import CONFIRM_ANNOTATION, Identity, Recovery, load_identity

HOME, ABROAD = "uid-of-this-cluster", "uid-of-another"
OWN, OTHER = SigningKey(bytes(32)), SigningKey(bytes(range(32)))


class Api(Cluster):
    """An API server with the identity Secret, records, and nothing else."""

    def __init__(self) -> None:
        self.secret: dict[str, Any] | None = None
        self.records: list[dict[str, Any]] = []
        self.away = False

    async def get(self, resource: ResourceType, key: ObjectKey) -> dict[str, Any]:
        if self.away:
            raise Unavailable("no answer")
        if resource == NAMESPACES:
            return {"metadata": {"uid": HOME}}
        if self.secret is None:
            raise Gone("not there", status=404)
        return self.secret

    async def list(self, resource: ResourceType, namespace: str = "", *, metadata_only: bool = False) -> Listing:
        return Listing(self.records, "1")

    async def create(self, resource: ResourceType, body: Mapping[str, Any]) -> dict[str, Any]:
        assert self.secret is None
        self.secret = dict(body)
        return self.secret


def secret(key: SigningKey, origin: str = HOME, confirmed: str = "") -> dict[str, Any]:
    data = {"seed": base64url(key.seed), "clusterUID": origin}
    metadata = {"annotations": {CONFIRM_ANNOTATION: confirmed}}
    return {"metadata": metadata, "data": {n: base64.b64encode(v.encode()).decode() for n, v in data.items()}}


def lost() -> Identity:
    return Identity(instance_id(OWN.public), OWN.public, None, confirmed=True)


@pytest.fixture
def api() -> Api:
    return Api()


async def test_an_installation_makes_its_identity_once(api: Api) -> None:
    first = await load_identity(api, "ns")
    assert first.usable
    assert first.key is not None
    assert first.instance == instance_id(first.key.public)
    assert await load_identity(api, "ns") == first


async def test_an_identity_made_elsewhere_must_be_confirmed(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    api.secret = secret(OWN, ABROAD)
    identity = await load_identity(api, "ns")
    assert not identity.usable
    assert f"kubectl annotate secret -n ns pbx-operator-identity {CONFIRM_ANNOTATION}={HOME}" in caplog.text
    recovery = Recovery(api, "ns", identity)
    caplog.clear()
    assert not await recovery.look()
    assert caplog.records == []
    api.secret = secret(OWN, ABROAD, confirmed=HOME)
    assert await recovery.look()
    assert identity.usable


async def test_a_secret_that_is_lost_is_not_replaced_but_found_again(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    identity = lost()
    recovery = Recovery(api, "ns", identity)
    assert not await recovery.look()
    assert api.secret is None
    assert caplog.records == []
    api.secret = secret(OWN)
    assert await recovery.look()
    assert identity == Identity(instance_id(OWN.public), OWN.public, OWN, confirmed=True)
    assert "is back" in caplog.text


async def test_a_secret_that_comes_back_in_another_cluster_must_be_confirmed(api: Api) -> None:
    identity = lost()
    recovery = Recovery(api, "ns", identity)
    api.secret = secret(OWN, ABROAD)
    assert await recovery.look()
    assert (identity.key, identity.usable) == (OWN, False)
    api.secret = secret(OWN, ABROAD, confirmed=HOME)
    assert await recovery.look()
    assert identity.usable


async def test_another_identity_is_not_taken_and_told_once(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    identity = lost()
    recovery = Recovery(api, "ns", identity)
    api.secret = secret(OTHER)
    for _ in range(3):
        assert not await recovery.look()
    assert identity == lost()
    (record,) = caplog.records
    assert f"holds the identity {instance_id(OTHER.public)}" in record.message
    assert f"this installation is {identity.instance}: restore its own from a backup" in record.message
    api.secret = secret(OWN)
    assert await recovery.look()
    assert identity.usable


async def test_a_malformed_secret_is_told_once(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    identity = lost()
    recovery = Recovery(api, "ns", identity)
    api.secret = {"metadata": {}, "data": {"seed": "?"}}
    for _ in range(3):
        assert not await recovery.look()
    (record,) = caplog.records
    assert "Secret ns/pbx-operator-identity must have the entries seed and clusterUID" in record.message


async def test_an_api_server_that_is_away_changes_nothing(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    identity = lost()
    api.secret, api.away = secret(OWN), True
    recovery = Recovery(api, "ns", identity)
    assert not await recovery.look()
    assert caplog.records == []
    api.away = False
    assert await recovery.look()
