"""The processes: how they start while something is missing, and how they end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from unittest import mock

import pytest
from prometheus_client import REGISTRY

from builders import NOW
from pbx_operator import process
from pbx_operator.cluster import ApiError, Cluster, Forbidden, Unavailable
from pbx_operator.engine import lease
from pbx_operator.engine.engine import EngineSettings
from pbx_operator.engine.lease import LEASE, Lease
from pbx_operator.engine.worker import Clocks
from pbx_operator.exchange.beside import ExchangeSettings
from pbx_operator.process import Options

OPTIONS = Options(None, 0, EngineSettings("pbx-system"), ExchangeSettings(), leader_elect=True)
CLOCKS = Clocks(lambda: NOW, time.monotonic)


@pytest.mark.parametrize("what", ["operator", "exchange"])
async def test_a_signal_says_what_ends(what: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    waiting = asyncio.create_task(asyncio.Event().wait())
    process._cancel_by_signal(what, waiting)
    loop = asyncio.get_running_loop()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(30):
            await asyncio.wait((waiting,))
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    assert waiting.cancelled()
    assert caplog.messages == [f"SIGTERM: the {what} ends"]


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (Forbidden("GET /x: 403", status=403), "GET /x: 403; check the operator's ClusterRole (examples/install/rbac"),
        (Forbidden("GET /x: 401", status=401), "GET /x: 401; check the operator's credentials; trying again"),
        (Unavailable("GET /x: 503", status=503), "GET /x: 503; trying again"),
    ],
)
async def test_what_is_refused_at_the_start_is_told_with_the_next_step(
    error: ApiError, step: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process, "RETRY_SECONDS", 0)
    call = mock.AsyncMock(side_effect=[error, "an answer"])
    assert await process._until_answered(call, "looking for the CRDs") == "an answer"
    assert f"looking for the CRDs failed: {step}" in caplog.text


async def test_what_hinders_the_start_is_told_once_and_again_when_it_is_something_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process, "RETRY_SECONDS", 0)
    away, broken = Unavailable("no answer"), ValueError("no UID")
    call = mock.AsyncMock(side_effect=[away, away, broken, broken, away, "an answer"])
    await process._until_answered(call, "looking")
    told = [message.removeprefix("looking failed: ") for message in caplog.messages]
    assert told == [f"{what}; trying again" for what in ("no answer", "no UID", "no answer")]


def leading() -> float | None:
    return REGISTRY.get_sample_value("leader_election_master_status", {"name": LEASE})


async def test_a_lease_that_is_lost_ends_the_process_while_it_starts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(lease, "PAUSE", 0.0)
    monkeypatch.setattr(Lease, "_try", mock.AsyncMock(side_effect=[None, None, "another"]))
    monkeypatch.setattr(os, "_exit", ended.set_result)
    cluster = mock.create_autospec(Cluster, instance=True)
    async with process._turn(OPTIONS, cluster, CLOCKS, process._Health()):
        assert leading() == 1
        async with asyncio.timeout(30):
            assert await ended == 1
        assert leading() == 0
    assert caplog.messages == [
        "another works now, as Lease pbx-system/pbx-operator says: this process ends, so that it can stand by"
    ]


async def test_a_lease_that_is_given_back_was_not_lost(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Lease, "_try", mock.AsyncMock(return_value=None))
    monkeypatch.setattr(os, "_exit", mock.Mock(side_effect=AssertionError("the process ends")))
    cluster = mock.create_autospec(Cluster, instance=True)
    cluster.get.return_value = {"spec": {}}
    async with process._turn(OPTIONS, cluster, CLOCKS, process._Health()):
        assert leading() == 1
    assert (leading(), caplog.messages) == (0, [])
