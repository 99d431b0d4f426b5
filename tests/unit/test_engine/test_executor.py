"""The executor: what the API server answers to a write is what is known from then on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unittest import mock

import pytest

from builders import INSTANCE, NAMESPACE, NOW, SUFFIX
from pbx_operator.api.meta import ObjectKey, ResourceType
from pbx_operator.api.v1alpha1 import DialPlanSlice, PBXAccount
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccountStatus
from pbx_operator.cluster import Unavailable
from pbx_operator.domain.plan import DeleteSlice, StatusUpdate, Target
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine.executor import Executor
from pbx_operator.engine.intake import Intake
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.store import Store
from simulation.api import JSON, Api
from simulation.process import Queue, ignore
from simulation.site import Direct

SLICES = DialPlanSlice.resource
SLICE = ObjectKey(NAMESPACE, "a.own")
ACCOUNTS = PBXAccount.resource
ACCOUNT = ObjectKey(NAMESPACE, "a")
OTHER_FINALIZER = "another.example/keeps"


class Mute(Direct):
    """The way to an API server that does what it is asked, and may keep silent about it."""

    silent = False

    async def put_status(self, resource: ResourceType, body: Mapping[str, Any]) -> JSON:
        answer = await super().put_status(resource, body)
        if self.silent:
            raise Unavailable("no answer")
        return answer


class Bench:
    """An executor on a simulated API server, whose watches tell nothing by themselves."""

    def __init__(self) -> None:
        self.api = Api(lambda: NOW, lambda resource, old, new: None)
        self.store = Store(SUFFIX, Scope(INSTANCE))
        self.intake = Intake(self.store, Queue(lambda: 0.0, accounts=True), Memory(), ignore)
        self.recorder = mock.Mock()
        unused = mock.AsyncMock()
        parts = (unused, unused, self.recorder, unused, unused)
        self.cluster = Mute(self.api)
        self.executor = Executor(self.cluster, self.store, self.intake, *parts)

    def slice(self, *finalizers: str) -> JSON:
        """Create a slice, and let it be seen."""
        metadata = {"name": SLICE.name, "namespace": SLICE.namespace, "finalizers": list(finalizers)}
        spec = {"accountRef": {"name": "a"}, "source": {"type": "Own"}, "rank": "0", "rev": "a" * 26}
        made = self.api.create(SLICES, {"metadata": metadata, "spec": spec})
        self.intake.saw(SLICES, made)
        return made

    def account(self) -> JSON:
        """Create an account, and let it be seen."""
        metadata = {"name": ACCOUNT.name, "namespace": ACCOUNT.namespace}
        made = self.api.create(ACCOUNTS, {"metadata": metadata, "spec": {"country": "NL"}})
        self.intake.saw(ACCOUNTS, made)
        return made

    def update(self, made: JSON) -> StatusUpdate:
        """Return a status for an account to show."""
        target = Target(ACCOUNTS, ACCOUNT, made["metadata"]["uid"])
        return StatusUpdate(target, PBXAccountStatus(sip_domain="x.example"))

    def metadata(self) -> JSON:
        """Return the metadata of the slice as the API server has it."""
        metadata: JSON = self.api.get(SLICES, SLICE)["metadata"]
        return metadata

    def known(self) -> DialPlanSlice | None:
        return self.store.slices.get(SLICE)


class TestDeletion:
    async def test_what_is_gone_does_not_come_back_by_a_late_event(self) -> None:
        bench = Bench()
        made = bench.slice()
        await bench.executor.execute(DeleteSlice(Target(SLICES, SLICE, made["metadata"]["uid"])))
        assert (bench.api.find(SLICES, SLICE), bench.known()) == (None, None)
        bench.intake.saw(SLICES, made | {"metadata": made["metadata"] | {"resourceVersion": "1000"}})
        assert bench.known() is None

    async def test_what_a_finalizer_holds_is_seen_to_go(self) -> None:
        """Its name is not free, and whoever wants it must know."""
        bench = Bench()
        made = bench.slice(OTHER_FINALIZER)
        await bench.executor.execute(DeleteSlice(Target(SLICES, SLICE, made["metadata"]["uid"])))
        known = bench.known()
        assert known is not None
        assert known.metadata.deleting
        last = bench.api.put_finalizers(SLICES, SLICE, {"metadata": {**bench.metadata(), "finalizers": []}})
        bench.intake.deleted(SLICES, SLICE, last["metadata"]["uid"])
        bench.slice()
        known = bench.known()
        assert known is not None
        assert not known.metadata.deleting, "the name was free"


class TestStatus:
    async def test_one_that_is_shown_is_told_once(self) -> None:
        bench = Bench()
        update = bench.update(bench.account())
        assert [await bench.executor.write_status(update) for _ in range(2)] == [True, False]
        bench.recorder.status_written.assert_called_once_with(update, ())

    async def test_one_of_an_object_that_is_gone_is_not_told(self) -> None:
        bench = Bench()
        made = bench.account()
        bench.api.delete(ACCOUNTS, ACCOUNT)
        assert not await bench.executor.write_status(bench.update(made))
        bench.recorder.status_written.assert_not_called()
        assert bench.store.accounts.get(ACCOUNT) is None

    async def test_one_that_was_written_without_an_answer_is_found_before_the_next_plan(self) -> None:
        bench = Bench()
        update = bench.update(bench.account())
        bench.cluster.silent = True
        with pytest.raises(Unavailable):
            await bench.executor.write_status(update)
        bench.recorder.status_written.assert_not_called()
        await bench.executor.settle_doubts()
        known = bench.store.accounts.get(ACCOUNT)
        assert known is not None
        assert known.status == update.status
