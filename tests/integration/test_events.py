"""Events about objects with long names and long messages, at a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pbx_operator.api import reasons
from pbx_operator.api.meta import EVENTS, NAMESPACES, ObjectKey, ResourceType
from pbx_operator.api.reasons import Verdict
from pbx_operator.api.v1alpha1 import InternalNumber
from pbx_operator.cluster import ApiError, Cluster, Invalid, request_counter
from pbx_operator.domain.plan import Target
from pbx_operator.engine.events import EventRecorder
from pbx_operator.sandbox import ControlPlane

PLACE = "long-events"
LONG = "a" * 235 + "." + "b" * 17
"""As long as a name may be, with a dot where there is no more room for it in the name of an Event."""


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    requests = request_counter(CollectorRegistry())
    async with Cluster.connect(str(control_plane.kubeconfig), requests=requests) as cluster:
        await cluster.create(NAMESPACES, {"metadata": {"name": PLACE}})
        yield cluster


async def recorded(cluster: Cluster, message: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the Event about an object with a long name. Raises what the API server refuses it with."""
    answer: asyncio.Future[dict[str, Any]] = asyncio.Future()
    create = cluster.create

    async def witnessed(resource: ResourceType, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer.set_result(await create(resource, body))
        except ApiError as error:
            answer.set_exception(error)
        return answer.result()

    monkeypatch.setattr(cluster, "create", witnessed)
    recorder = EventRecorder(cluster, "this installation", lambda: datetime.now(UTC))
    target = Target(InternalNumber.resource, ObjectKey(PLACE, LONG), "uid")
    recorder.warn(target, Verdict("Ready", "True", reasons.SERVING, message))
    writing = asyncio.create_task(recorder.run())
    try:
        return await asyncio.wait_for(answer, 30)
    finally:
        writing.cancel()
        monkeypatch.undo()


async def test_neither_a_long_name_nor_a_long_message_loses_an_event(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = await recorded(cluster, "x" + "é" * 1023, monkeypatch)
    assert (len(LONG), event["regarding"]["name"]) == (253, LONG)
    assert event["metadata"]["name"].startswith("a" * 235 + ".")
    assert event["note"] == "x" + "é" * 511, "1023 bytes: half a character is none"
    event["metadata"] = {"name": "as-long-as-may-be", "namespace": PLACE}
    with pytest.raises(Invalid, match="1024"):
        await cluster.create(EVENTS, {**event, "note": "é" * 513})
    await cluster.create(EVENTS, {**event, "note": "é" * 512})
