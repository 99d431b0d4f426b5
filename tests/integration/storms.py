"""What an API server can do to an operator, again and again, while a story is told."""

from __future__ import annotations

import random
from collections.abc import Callable

from faultproxy import Answer, Call, EventDrop, Fault, FaultProxy

PERIODS = {"prune": 1.0}
"""What no event tells is found by the periodic list, two seconds later at most here."""


def some(share: float, when: Callable[[Call], bool]) -> Callable[[Call], bool]:
    """Match a share of the calls that match: by chance, as a regular pattern could fall into step with the retries."""
    chance = random.Random(1)
    return lambda call: when(call) and chance.random() < share


def by_us(call: Call) -> bool:
    return call.is_write and call.user_agent == "pbx-operator" and call.resource != "events"


STORMS: dict[str, Callable[[FaultProxy], Fault | EventDrop]] = {
    "429": lambda _: Fault(some(0.25, by_us), times=None, then=Answer(429, retry_after=1)),
    "500 before": lambda _: Fault(some(0.25, by_us), times=None, then=Answer(500)),
    "500 after": lambda _: Fault(some(0.25, by_us), times=None, at="after-send", then=Answer(500)),
    "409": lambda _: Fault(some(0.25, by_us), times=None, then=Answer(409, reason="Conflict")),
    "no answer": lambda _: Fault(some(0.25, by_us), times=None, at="after-send", then="drop"),
    "no connection": lambda _: Fault(some(0.15, lambda call: call.verb != "watch"), times=None, then="drop"),
    "watches break": lambda proxy: Fault(by_us, times=None, at="after-reply", do=proxy.close_watches),
    "watches expire": lambda proxy: Fault(some(0.2, by_us), times=None, at="after-reply", do=proxy.expire_watches),
    "watches are silent": lambda _: EventDrop(lambda _: True, times=None),
}
"""Rules that last as long as the story."""
