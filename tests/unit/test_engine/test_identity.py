"""The identity of the installation: made once, never replaced, and found again when its Secret comes back."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Mapping
from copy import deepcopy
from typing import Any
from unittest import mock

import pytest

import equipment_builders as equipment
from builders import INSTANCE, NAMESPACE, interlink, record
from pbx_operator.api.meta import NAMESPACES, ObjectKey, ResourceType
from pbx_operator.api.v1alpha1 import EquipmentRecord, LinkRecord
from pbx_operator.cluster import Cluster, Conflict, Gone, Listing, Unavailable
from pbx_operator.domain.protocol.keys import SigningKey, base64url, instance_id
from pbx_operator.domain.protocol.succession import speaks_for
from pbx_operator.engine import identity as identity_module
from pbx_operator.engine.identity import (
    CONFIRM_ANNOTATION,
    Identity,
    IdentityKeeper,
    load_identity,
    rotate_identity,
    usable_identity,
)
from rotated import chain, keys

HOME, ABROAD = "uid-of-this-cluster", "uid-of-another"
EVERYWHERE: frozenset[str] = frozenset()
OWN, OTHER = SigningKey(bytes(32)), SigningKey(bytes(range(32)))
RECORDS = (record(interlink("x", "a")), equipment.record(equipment.declared()))


class Api(Cluster):
    """An API server with the identity Secret, records, and nothing else."""

    def __init__(self) -> None:
        self.secret: dict[str, Any] | None = None
        self.records: list[LinkRecord | EquipmentRecord] = []
        self.away = False
        self.contended = False

    async def get(self, resource: ResourceType, key: ObjectKey) -> dict[str, Any]:
        if self.away:
            raise Unavailable("no answer")
        if resource == NAMESPACES:
            return {"metadata": {"uid": HOME}}
        if self.secret is None:
            raise Gone("not there", status=404)
        return self.secret

    async def list(self, resource: ResourceType, namespace: str = "", *, metadata_only: bool = False) -> Listing:
        return Listing([record.to_json() for record in self.records if record.resource is resource], "1")

    async def create(self, resource: ResourceType, body: Mapping[str, Any]) -> dict[str, Any]:
        assert self.secret is None
        self.secret = dict(body)
        return self.secret

    async def put(self, resource: ResourceType, body: Mapping[str, Any]) -> dict[str, Any]:
        if self.contended:
            raise Conflict("somebody was faster", status=409)
        self.secret = dict(body)
        return self.secret


def secret(key: SigningKey, origin: str = HOME, confirmed: str = "") -> dict[str, Any]:
    data = {"seed": base64url(key.seed), "clusterUID": origin}
    metadata = {"annotations": {CONFIRM_ANNOTATION: confirmed}}
    return {"metadata": metadata, "data": {n: base64.b64encode(v.encode()).decode() for n, v in data.items()}}


def lost() -> Identity:
    return Identity(instance_id(OWN.public), "", None, confirmed=True)


def rotated(line: list[SigningKey], **options: str) -> dict[str, Any]:
    """Return the Secret of an installation that had these keys one after the other."""
    made = secret(line[-1], **options)
    successions = json.dumps([one.to_json() for one in chain(line)]).encode()
    return {**made, "data": {**made["data"], "successions": base64.b64encode(successions).decode()}}


@pytest.fixture
def api() -> Api:
    return Api()


async def test_an_installation_makes_its_identity_once(api: Api) -> None:
    first = await load_identity(api, "ns", EVERYWHERE)
    assert first.usable
    assert first.key is not None
    assert first.instance == instance_id(first.key.public)
    assert await load_identity(api, "ns", EVERYWHERE) == first


async def test_a_namespace_that_is_missing_is_named_with_the_next_step(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "create", mock.AsyncMock(side_effect=Gone("POST secrets: 404", status=404)))
    with pytest.raises(ValueError, match="namespace ns does not exist: kubectl create namespace ns, or choose another"):
        await load_identity(api, "ns", EVERYWHERE)


async def test_an_identity_made_elsewhere_must_be_confirmed(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    api.secret = secret(OWN, ABROAD)
    identity = await load_identity(api, "ns", EVERYWHERE)
    assert not identity.usable
    assert f"kubectl annotate secret -n ns pbx-operator-identity {CONFIRM_ANNOTATION}={HOME}" in caplog.text
    keeper = IdentityKeeper(api, "ns", identity)
    caplog.clear()
    assert not await keeper.look()
    assert caplog.records == []
    api.secret = secret(OWN, ABROAD, confirmed=HOME)
    assert await keeper.look()
    assert identity.usable


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.resource.kind)
async def test_an_installation_with_records_makes_no_other_identity(
    api: Api, caplog: pytest.LogCaptureFixture, record: LinkRecord | EquipmentRecord
) -> None:
    api.records = [record]
    for watched in (EVERYWHERE, frozenset({NAMESPACE})):
        assert await load_identity(api, "ns", watched) == Identity(INSTANCE, "", None, confirmed=True)
    assert api.secret is None
    assert f"does not exist although records of installation {INSTANCE} do" in caplog.text


async def test_who_asks_for_an_identity_before_the_first_start_learns_that_there_will_be_one(api: Api) -> None:
    api.records = [RECORDS[0]]
    for watched, told in (
        (EVERYWHERE, "pbx-operator-identity does not exist: restore it from a backup"),
        (
            frozenset({"elsewhere"}),
            "pbx-operator-identity does not exist yet: the operator makes one at its first start",
        ),
    ):
        with pytest.raises(ValueError, match=told):
            await usable_identity(api, "ns", watched)
    made = await load_identity(api, "ns", frozenset({"elsewhere"}))
    assert await usable_identity(api, "ns", EVERYWHERE) == made


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.resource.kind)
async def test_records_of_what_others_watch_are_not_its_own(api: Api, record: LinkRecord | EquipmentRecord) -> None:
    api.records = [record]
    assert (await load_identity(api, "ns", frozenset({"elsewhere"}))).usable


async def test_a_secret_that_is_lost_is_not_replaced_but_found_again(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    identity = lost()
    keeper = IdentityKeeper(api, "ns", identity)
    assert not await keeper.look()
    assert api.secret is None
    assert caplog.records == []
    api.secret = secret(OWN)
    assert await keeper.look()
    assert identity == Identity(instance_id(OWN.public), OWN.public, OWN, confirmed=True)
    assert "is back" in caplog.text


async def test_a_secret_that_comes_back_in_another_cluster_must_be_confirmed(api: Api) -> None:
    identity = lost()
    keeper = IdentityKeeper(api, "ns", identity)
    api.secret = secret(OWN, ABROAD)
    assert await keeper.look()
    assert (identity.key, identity.usable) == (OWN, False)
    api.secret = secret(OWN, ABROAD, confirmed=HOME)
    assert await keeper.look()
    assert identity.usable


async def test_another_identity_is_not_taken_and_told_once(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    identity = lost()
    keeper = IdentityKeeper(api, "ns", identity)
    api.secret = secret(OTHER)
    for _ in range(3):
        assert not await keeper.look()
    assert identity == lost()
    (record,) = caplog.records
    assert f"holds the identity {instance_id(OTHER.public)}" in record.message
    assert f"this installation is {identity.instance}: restore its own from a backup" in record.message
    api.secret = secret(OWN)
    assert await keeper.look()
    assert identity.usable


async def test_a_secret_that_goes_while_the_operator_runs_is_told_once(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """Its next start could not go on."""
    identity = await load_identity(api, "ns", EVERYWHERE)
    keeper, api.secret = IdentityKeeper(api, "ns", identity), None
    assert not await keeper.look()
    assert not await keeper.look()
    assert (identity.usable, identity.lost) == (True, True)
    (line,) = caplog.messages
    assert line.startswith("Secret ns/pbx-operator-identity is gone: restore it from a backup; this process goes on")


@pytest.mark.parametrize("other", [None, secret(OTHER), {"metadata": {}, "data": {}}], ids=["none", "other", "broken"])
async def test_the_identity_is_lost_until_its_own_secret_is_back(api: Api, other: dict[str, Any] | None) -> None:
    identity = await load_identity(api, "ns", EVERYWHERE)
    keeper, own = IdentityKeeper(api, "ns", identity), api.secret
    assert not identity.lost
    api.secret = other
    await keeper.look()
    assert identity.lost
    api.secret = own
    await keeper.look()
    assert not identity.lost


async def test_a_malformed_secret_is_told_once(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    identity = lost()
    keeper = IdentityKeeper(api, "ns", identity)
    api.secret = {"metadata": {}, "data": {"seed": "?"}}
    for _ in range(3):
        assert not await keeper.look()
    (record,) = caplog.records
    assert "Secret ns/pbx-operator-identity must have the entries seed and clusterUID" in record.message


async def test_an_api_server_that_is_away_changes_nothing(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    identity = lost()
    api.secret, api.away = secret(OWN), True
    keeper = IdentityKeeper(api, "ns", identity)
    assert not await keeper.look()
    assert caplog.records == []
    api.away = False
    assert await keeper.look()


async def refused(api: Api, problem: str) -> None:
    before = deepcopy(api.secret)
    with pytest.raises(ValueError, match=problem):
        await rotate_identity(api, "ns")
    assert api.secret == before


class TestRotation:
    async def test_the_secret_has_another_key_and_the_way_to_it(self, api: Api) -> None:
        first = await load_identity(api, "ns", EVERYWHERE)
        rotated_once = await rotate_identity(api, "ns")
        rotated_twice = await rotate_identity(api, "ns")
        loaded = await load_identity(api, "ns", EVERYWHERE)
        assert loaded == rotated_twice
        assert loaded.instance == first.instance
        assert len({one.public_key for one in (first, rotated_once, loaded)}) == 3
        assert loaded.key is not None
        assert loaded.public_key == loaded.key.public
        assert speaks_for(loaded.public_key, first.instance, loaded.successions)
        assert (len(loaded.successions), loaded.rotations_left) == (2, 14)

    async def test_the_former_seed_is_nowhere(self, api: Api) -> None:
        first = await load_identity(api, "ns", EVERYWHERE)
        await rotate_identity(api, "ns")
        assert api.secret is not None
        assert first.key is not None
        held = [base64.b64decode(value).decode() for value in api.secret["data"].values()]
        assert not [text for text in held if base64url(first.key.seed) in text]

    async def test_what_else_the_secret_holds_stays(self, api: Api) -> None:
        api.secret = secret(OWN, ABROAD, confirmed=HOME)
        await rotate_identity(api, "ns")
        assert (await load_identity(api, "ns", EVERYWHERE)).confirmed
        assert base64.b64decode(api.secret["data"]["clusterUID"]).decode() == ABROAD

    async def test_of_two_at_once_one_wins(self, api: Api) -> None:
        before = api.secret = secret(OWN)
        api.contended = True
        with pytest.raises(Conflict):
            await rotate_identity(api, "ns")
        assert api.secret is before

    async def test_it_is_refused_where_the_identity_is_not_confirmed(self, api: Api) -> None:
        api.secret = secret(OWN, ABROAD)
        await refused(api, "was made in another cluster.*kubectl annotate secret -n ns pbx-operator-identity")

    async def test_and_where_there_is_none(self, api: Api) -> None:
        await refused(api, "Secret ns/pbx-operator-identity does not exist")

    async def test_and_after_the_last_one(self, api: Api) -> None:
        api.secret = rotated(keys("line", 17))
        await refused(api, "was rotated 16 times already")

    @pytest.mark.parametrize("successions", ["{}", "nonsense", "[{}]", None])
    async def test_a_chain_that_does_not_lead_to_the_key_is_no_identity(
        self, api: Api, successions: str | None
    ) -> None:
        line = keys("line", 3)
        api.secret = rotated(line)
        entry = base64.b64encode((successions or "").encode()).decode()
        api.secret["data"]["successions"] = entry or rotated(line[:2])["data"]["successions"]
        with pytest.raises(ValueError, match="seed and successions do not match: restore it"):
            await load_identity(api, "ns", EVERYWHERE)


class TestKeeper:
    async def test_a_rotation_is_taken_up(self, api: Api, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        identity, changes = await load_identity(api, "ns", EVERYWHERE), []
        keeper = IdentityKeeper(api, "ns", identity, lambda: changes.append(identity.public_key))
        assert not await keeper.look()
        now = await rotate_identity(api, "ns")
        assert await keeper.look()
        assert identity == now
        assert changes == [now.public_key]
        assert f"the identity {identity.instance} was rotated; rotations so far: 1" in caplog.text
        assert not await keeper.look()

    async def test_a_former_key_is_not_and_that_is_told_once(self, api: Api, caplog: pytest.LogCaptureFixture) -> None:
        line = keys("line", 3)
        api.secret = rotated(line)
        identity = await load_identity(api, "ns", EVERYWHERE)
        keeper = IdentityKeeper(api, "ns", identity)
        forks = [rotated(line[:1]), rotated(line[:2]), rotated([*line[:2], OTHER]), rotated([line[0], *keys("x", 5)])]
        for fork in forks:
            api.secret = fork
            assert not await keeper.look()
        assert identity.public_key == line[2].public
        (record,) = caplog.records
        assert "holds a former key, which peers do not believe any more: restore its latest backup" in record.message

    async def test_what_is_lost_comes_back_rotated(self, api: Api) -> None:
        line = [OWN, *keys("later", 2)]
        identity = lost()
        api.secret = rotated(line)
        assert await IdentityKeeper(api, "ns", identity).look()
        assert identity.usable
        assert (identity.public_key, len(identity.successions)) == (line[-1].public, 2)

    async def test_it_looks_again_and_again(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(identity_module, "USABLE_SECONDS", 0.0)
        identity = await load_identity(api, "ns", EVERYWHERE)
        taken = asyncio.Event()
        task = asyncio.create_task(IdentityKeeper(api, "ns", identity, taken.set).run())
        for _ in range(2):
            now = await rotate_identity(api, "ns")
            await asyncio.wait_for(taken.wait(), 10)
            assert identity == now
            taken.clear()
        task.cancel()
