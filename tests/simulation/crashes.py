"""A process that dies at a call: each call of a story in turn is the last, and the next process ends it well.

A call can be lost on its way, or arrive and be the last thing that happened; or the process lives on, and never hears
whether the call arrived, which it did.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Final, Literal, TypeVar

from simulation.process import Request
from simulation.scene import Scene
from simulation.servers import Site

Moment = Literal["before it is sent", "after it was carried out", "when the answer is lost"]
MOMENTS: Final[tuple[Moment, ...]] = ("before it is sent", "after it was carried out", "when the answer is lost")
MOST_CALLS: Final = 60
"""More than any story makes."""

SceneT = TypeVar("SceneT", bound=Scene)


def whichever_call_is_the_last(
    begin: Callable[[], SceneT],
    act: Callable[[SceneT], None],
    moment: Moment,
    recovery: timedelta,
    check: Callable[[SceneT], None],
    first: int = 0,
) -> int:
    """Tell a story as often as it has calls from `first` on, one of them the last each time; return how many there are.

    `begin` makes a new scene, up to where the calls count; `act` changes something.  After the call the scene gets
    `recovery` of its time, and `check` sees that all ended well.
    """
    for last in range(first, MOST_CALLS):
        with closing(begin()) as site:
            site.calls = 0
            act(site)
            if not _dies_at(site, last, moment):
                return last
            site.settle_for(recovery)
            check(site)
    raise AssertionError(f"the story makes more than {MOST_CALLS} calls")


def _dies_at(site: Scene, last: int, moment: Moment) -> bool:
    """Go on up to a call and do what happens there; return whether there was such a call."""
    if not site.settle(lambda task: site.calls >= last):
        return False
    if moment == "before it is sent":
        site.restart()
        return True
    task = site.process.requests()[0]
    assert isinstance(task.waiting, Request)
    task.waiting.arrive()
    if moment == "after it was carried out":
        site.restart()
    else:
        task.waiting.lose()
        task.resume()
    return True


# --- what may be done to a CommServer ---------------------------------------------------------------------------


def created(site: Site) -> None:
    """Nothing more than what was applied."""


def reset(site: Site) -> None:
    site.apply(activation={"revision": 2})


def renamed(site: Site) -> None:
    site.apply(displayName="other")


def deleted(site: Site) -> None:
    site.delete()


ServerAct = Callable[[Site], None]
SERVER_ACTS: Final[tuple[ServerAct, ...]] = (created, reset, renamed, deleted)
