"""Long stories of two installations in worlds that are too large to be explored: chance leads through them.

The rules are the real ones, as in the worlds that are explored whole, and so is what must hold; each story goes on
until nothing is left to be done.  They are the same stories every time, so that a failure comes from a change.
"""

from __future__ import annotations

from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.federation.explore import Explorer
from model.federation.state import Config, State
from model.search import Step

CONFIGS = st.builds(
    Config,
    st.just("a large world"),
    lives=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    slow=st.integers(0, 3),
    nat=st.booleans(),
    window=st.booleans(),
    retain=st.booleans(),
    brought=st.booleans(),
    crashes=st.integers(0, 3),
    forces=st.integers(0, 2),
    accounts=st.booleans(),
    toggles=st.integers(0, 3),
    rival=st.booleans(),
)
"""All that may happen but for restores and purges, which may rightly part the two sides for good."""
CHOICES = st.lists(st.integers(0, 2**16), min_size=10, max_size=120)
LONGEST_END = 400
"""More steps than any story needs to come to rest."""
TIMES = 20
"""How often time may pass until all is as promised."""


@settings(max_examples=400, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(CONFIGS, CHOICES)
def test_no_story_breaks_a_property(config: Config, choices: list[int]) -> None:
    walk = Walk(config)
    for choice in choices:
        walk.go(choice)
    walk.keep_promises()


class Walk:
    """One story, told step by step."""

    def __init__(self, config: Config) -> None:
        self._world = Explorer(config)
        self._state = self._world.first
        self._story: list[str] = []

    def go(self, choice: int, kinds: tuple[str, ...] = ("progress", "time", "chance")) -> bool:
        """Take one of the steps that are possible, and judge it; return whether there was one."""
        steps = [step for step in self._world.steps(self._state) if step.kind in kinds]
        if steps:
            self._take(steps[choice % len(steps)])
        return bool(steps)

    def rest(self) -> None:
        """Go on until nothing is left to be done; each time something else has its turn."""
        for turn in count():
            if not self.go(turn, ("progress",)):
                break
            assert turn < LONGEST_END, f"it never comes to rest: {self}"
        self._judge(at_rest=True)

    def keep_promises(self) -> None:
        """Come to rest, and let time pass, until all has come about that was promised."""
        open_ones = [promise for promise in self._world.promises() if promise.start(self._state)]
        for _ in range(TIMES):
            self.rest()
            open_ones = [promise for promise in open_ones if not promise.goal(self._state)]
            if not open_ones or not self.go(0, ("time",)):
                break
        assert not open_ones, f"{[promise.name for promise in open_ones]}: {self}"

    def _take(self, step: Step[State]) -> None:
        self._state = step.after
        self._story.append(" ".join(map(str, step.label)))
        assert not list(step.broken), f"{step.broken}: {self}"
        self._judge(at_rest=False)

    def _judge(self, *, at_rest: bool) -> None:
        broken = list(self._world.broken_at(self._state, at_rest=at_rest))
        assert not broken, f"{broken}: {self}"

    def __str__(self) -> str:
        return " > ".join(self._story)
