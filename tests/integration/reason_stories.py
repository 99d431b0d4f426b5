"""Stories of reasons: tests that show what the table of reasons says, on real objects.

`shows` is how a test claims a reason.  When the test runs, the claim is held against what was observed in its
world: each place in which the table puts the reason, those beside Ready included, and an Event if it has no place.
`test_reasons` holds all claims against the table, so that no reason is without a story.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from functools import wraps
from types import ModuleType
from typing import Any

from integration.harness import World
from pbx_operator.api.meta import Resource
from pbx_operator.api.reasons import Patience, Reason

Story = Callable[..., Coroutine[Any, Any, None]]
Row = tuple[str, str, str]
"""Type, status and reason of a condition, or of an Event."""
_EVENT = (("Event", ""),)

_CLAIMS: dict[Story, tuple[Reason, ...]] = {}


def shows(*wanted: Reason) -> Callable[[Story], Story]:
    """Claim that a test shows these reasons, in its fixture `world`, in every place that the table has for them."""

    def claim(story: Story) -> Story:
        @wraps(story)
        async def checked(world: World, **others: Any) -> None:
            await story(world=world, **others)
            missing = {row for reason in wanted for row in rows_of(reason)} - rows_seen(world)
            assert not missing, f"claimed and not seen: {sorted(missing)}\n{world.describe()}"

        _CLAIMS[checked] = wanted
        return checked

    return claim


def claims_of(module: ModuleType) -> set[Reason]:
    """Return the reasons that the tests of a module claim."""
    tests = [value for name, value in vars(module).items() if name.startswith("test_") and callable(value)]
    return {reason for test in tests for reason in _CLAIMS.get(test, ())}


def rows_of(reason: Reason) -> set[Row]:
    """Return every row that the table has for a reason; one without a place is told by an Event."""
    return {(type_, status, reason.name) for type_, status in reason.places or _EVENT}


def rows_seen(world: World) -> set[Row]:
    """Return every row that any object of a world has shown at any time."""
    history = world.stage.observer.history
    own = [(plural, raw) for plural, _, raw in history if raw["metadata"].get("namespace") in world.namespaces]
    conditions = [c for _, raw in own for c in raw.get("status", {}).get("conditions", [])]
    events = {("Event", "", raw["reason"]) for plural, raw in own if plural == "events"}
    return events | {(c["type"], c["status"], c["reason"]) for c in conditions}


async def expect(world: World, one: Resource, reason: Reason, *words: str) -> None:
    """Wait for the reason, for what it means to tools that wait, and for the words of the message."""
    await world.condition(one, "Ready", "False", reason.name)
    for word in words:
        assert word in world.message(one), world.message(one)
    assert not re.search(r"\d{4}-\d\d-\d\dT|\d\d:\d\d:\d\d", world.message(one)), "messages hold no times"
    companion = "Reconciling" if reason.patience is Patience.PROGRESS else "Stalled"
    await world.condition(one, companion, "True", reason.name)


async def expect_first_progress(world: World, one: Resource, reason: Reason, *words: str) -> None:
    """Expect a reason that may pass by itself: it counts as progress before it counts as stalled."""
    await expect(world, one, reason, *words)
    statuses = [raw.get("status", {}) for raw in world.stage.observer.versions(one.resource, one.key)]
    conditions = [{c["type"]: c["reason"] for c in status.get("conditions", [])} for status in statuses]
    about = [types for types in conditions if types.get("Ready") == reason.name]
    companions = [[type_ for type_ in types if type_ in ("Reconciling", "Stalled")] for types in about]
    assert companions[0] == ["Reconciling"]
    assert companions[-1] == ["Stalled"]
