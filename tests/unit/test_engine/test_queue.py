"""The work queue: every key at most once in work, no event lost, appointments kept."""

from __future__ import annotations

import asyncio

import pytest

from pbx_operator.engine.queue import WorkQueue


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue[str]:
    return WorkQueue(clock)


async def test_keys_come_out_in_the_order_in_which_they_became_dirty(queue: WorkQueue[str]) -> None:
    for key in ("b", "a", "c"):
        queue.add(key)
    assert [(await queue.get())[0] for _ in range(3)] == ["b", "a", "c"]


async def test_several_events_before_a_run_are_one_run(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert len(queue) == 2
    assert [(await queue.get())[0] for _ in range(2)] == ["a", "b"]


async def test_an_event_during_a_run_makes_another_run_but_not_a_second_worker(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("b")
    assert (await queue.get())[0] == "b"
    queue.done("a")
    assert (await queue.get())[0] == "a"


async def test_an_event_that_the_run_has_looked_at_makes_no_other_run(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.looked("a")
    queue.done("a")
    assert len(queue) == 0


async def test_an_event_after_the_look_makes_another_run(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.looked("a")
    queue.add("a")
    queue.done("a")
    assert (await queue.get())[0] == "a"


async def test_it_tells_how_long_a_key_has_waited(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add("a")
    clock.now = 3.0
    assert await queue.get() == ("a", 3.0)


async def test_an_appointment_is_kept_and_not_early(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_at("later", 10.0)
    queue.add("now")
    assert (await queue.get())[0] == "now"
    assert len(queue) == 0
    clock.now = 10.0
    assert (await queue.get())[0] == "later"


async def test_the_earlier_of_two_appointments_counts_and_only_once(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_at("a", 20.0)
    queue.add_at("a", 10.0)
    queue.add_at("a", 30.0)
    clock.now = 40.0
    assert (await queue.get())[0] == "a"
    queue.done("a")
    queue.add("end")
    assert (await queue.get())[0] == "end"
    assert len(queue) == 0


async def test_a_waiting_worker_is_woken_by_a_new_key(queue: WorkQueue[str]) -> None:
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert (await waiting)[0] == "a"


async def test_a_waiting_worker_is_woken_by_an_appointment() -> None:
    queue: WorkQueue[str] = WorkQueue(asyncio.get_running_loop().time)
    queue.add_at("soon", asyncio.get_running_loop().time() + 0.01)
    assert (await queue.get())[0] == "soon"


async def test_a_closed_queue_gives_out_nothing_and_is_finished_when_the_work_in_hand_is(
    queue: WorkQueue[str],
) -> None:
    queue.add("a")
    queue.add("b")
    await queue.get()
    queue.close()
    blocked = asyncio.create_task(queue.get())
    finished = asyncio.create_task(queue.finished())
    await asyncio.sleep(0)
    assert not finished.done()
    queue.done("a")
    await finished
    assert not blocked.done()
    blocked.cancel()
