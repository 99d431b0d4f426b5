"""Signs of life of peers that only dial: one Lease each, renewed twice a minute at most."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW
from pbx_operator.api.meta import ObjectKey, ResourceType
from pbx_operator.cluster import AlreadyExists, ApiError, Cluster, Conflict, Gone, Unavailable
from pbx_operator.links.signs import SYNC_PERIOD, SignsOfLife

JSON = dict[str, Any]
PEER = "p" * 26
INDEX = st.integers(0, 50)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Leases(Cluster):
    """An API server that has Leases; `failing` is raised by every call that writes."""

    def __init__(self) -> None:
        self.kept: dict[str, JSON] = {}
        self.written = 0
        self.failing: ApiError | None = None

    async def get(self, resource: ResourceType, key: ObjectKey) -> JSON:
        if key.name not in self.kept:
            raise Gone(f"{key} is not there", status=404)
        return self.kept[key.name]

    async def create(self, resource: ResourceType, body: Mapping[str, Any]) -> JSON:
        return self._write(body)

    async def put(self, resource: ResourceType, body: Mapping[str, Any]) -> JSON:
        return self._write(body)

    def _write(self, body: Mapping[str, Any]) -> JSON:
        if self.failing is not None:
            raise self.failing
        self.written += 1
        self.kept[body["metadata"]["name"]] = dict(body)
        return dict(body)


class Exchange:
    """A process that hears peers, or looks when they were heard."""

    def __init__(self, leases: Leases) -> None:
        self.now = NOW
        self.signs = SignsOfLife(leases, "pbx-system", lambda: self.now)


@pytest.fixture
def leases() -> Leases:
    return Leases()


@pytest.fixture
def exchange(leases: Leases) -> Exchange:
    return Exchange(leases)


async def test_nobody_knows_of_a_peer_that_never_spoke(exchange: Exchange) -> None:
    assert await exchange.signs.is_silent(PEER) is None


async def test_it_is_renewed_twice_a_minute_however_often_it_speaks(leases: Leases, exchange: Exchange) -> None:
    for second in range(180):
        exchange.now = NOW + second * SECOND
        await exchange.signs.heard(PEER)
    assert leases.written == 6


async def test_another_process_sees_it_and_when_it_falls_silent(leases: Leases, exchange: Exchange) -> None:
    await exchange.signs.heard(PEER)
    operator = Exchange(leases)
    operator.now = NOW + 3 * MINUTE
    assert await operator.signs.is_silent(PEER) is False
    operator.now += SECOND
    assert await operator.signs.is_silent(PEER) is True
    exchange.now = operator.now
    await exchange.signs.heard(PEER)
    assert await operator.signs.is_silent(PEER) is False


@given(pauses=st.lists(st.floats(0, 1.2 * SYNC_PERIOD.total_seconds()), min_size=1, max_size=50), lost=st.sets(INDEX))
async def test_a_peer_is_not_missed_for_one_sync_that_was_lost(pauses: list[float], lost: set[int]) -> None:
    """However long it waits, as far as it may, and whatever else it says meanwhile."""
    exchange = Exchange(Leases())
    await exchange.signs.heard(PEER)
    for number, pause in enumerate(pauses):
        exchange.now += pause * SECOND
        assert await exchange.signs.is_silent(PEER) is False
        if number not in lost or number - 1 in lost:
            await exchange.signs.heard(PEER)


async def test_the_lease_says_whose_it_is(leases: Leases, exchange: Exchange) -> None:
    await exchange.signs.heard(PEER)
    (lease,) = leases.kept.values()
    assert (lease["metadata"]["namespace"], lease["metadata"]["name"]) == ("pbx-system", f"pbx-peer-{PEER}")
    assert (lease["spec"]["holderIdentity"], lease["spec"]["renewTime"]) == (PEER, "2026-06-01T12:00:00.000000Z")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (AlreadyExists("another was faster", status=409), False),
        (Conflict("another was faster", status=409), False),
        (Unavailable("no answer"), True),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_note_that_is_lost_stops_nobody(
    leases: Leases, exchange: Exchange, caplog: pytest.LogCaptureFixture, error: ApiError, told: bool
) -> None:
    leases.failing = error
    await exchange.signs.heard(PEER)
    assert bool(caplog.records) == told
