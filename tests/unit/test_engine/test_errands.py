"""Errands run beside the workers: a peer that does not answer keeps nobody."""

from __future__ import annotations

import asyncio

import pytest

from pbx_operator.engine import errands
from pbx_operator.engine.errands import WAITING_SHARE, Errands

WORKERS = 16


class Peer:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.heard: list[str] = []
        self.over = asyncio.Event()

    async def ask(self) -> None:
        try:
            await self.answers.wait()
        except asyncio.CancelledError:
            self.heard.append("broken off")
            raise
        self.heard.append("answer")
        self.over.set()


async def test_an_errand_that_is_soon_done_is_waited_for() -> None:
    peer = Peer()
    peer.answers.set()
    await Errands(WORKERS).run(peer.ask())
    assert peer.heard == ["answer"]


async def test_a_peer_that_does_not_answer_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands, "PATIENCE", 0.0)
    peer, all_errands = Peer(), Errands(WORKERS)
    await all_errands.run(peer.ask())
    assert peer.heard == []
    peer.answers.set()
    async with asyncio.timeout(10):
        await peer.over.wait()
    assert peer.heard == ["answer"]


async def test_of_many_that_are_not_answered_a_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands, "PATIENCE", 1000.0)
    peer, all_errands = Peer(), Errands(WORKERS)
    patient = [asyncio.create_task(all_errands.run(peer.ask())) for _ in range(WORKERS // WAITING_SHARE)]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await all_errands.run(peer.ask())
    assert not any(task.done() for task in patient)
    peer.answers.set()
    async with asyncio.timeout(10):
        await asyncio.gather(*patient)


async def test_of_few_workers_none_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands, "PATIENCE", 1000.0)
    peer, all_errands = Peer(), Errands(workers=WAITING_SHARE - 1)
    async with asyncio.timeout(10):
        await all_errands.run(peer.ask())
    assert peer.heard == []
    await all_errands.end()


async def test_what_runs_at_the_end_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands, "PATIENCE", 0.01)
    peer, all_errands = Peer(), Errands(WORKERS)
    await all_errands.run(peer.ask())
    await all_errands.end()
    assert peer.heard == ["broken off"]
