"""Links under any story: users, rivals, crashes, lost answers, late writes and time, in every order.

The engine is the real one; see `simulation`.  After every step the invariants hold, at every rest nothing is left
to do that nobody will do, and in the end everything that was deleted is gone.
"""

from __future__ import annotations

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from builders import DAY, HOUR, MINUTE
from pbx_operator.api.meta import SECRETS
from simulation.world import World, key_named

ACCOUNTS = {"i": "a", "o": "a", "x": "a", "r": "b", "j": "b", "q": "c"}
"""Which account each Interlink belongs to: i, j and o issue (o brings its key along), r, q and x redeem."""
SECRET = {"i": "s", "j": "t"}
"""Where users carry the key of an issuer to."""
names = st.sampled_from(sorted(ACCOUNTS))
windows = st.sampled_from([0, 0, 600])


def manifest(name: str, revision: int) -> dict[str, object]:
    """Return the side of a link that an Interlink takes."""
    if name in ("i", "j"):
        return {"issueKey": {"revision": revision}}
    if name == "o":
        return {
            "issueKey": {
                "fromSecretRef": {"name": "own"},
                "expirationTime": "2026-06-02T12:00:00Z",
                "revision": revision,
            }
        }
    return {"redeemKey": {"secretRef": {"name": "t" if name == "x" else "s"}}}


class Stories(RuleBasedStateMachine):
    """Users and mishaps; Hypothesis writes the stories."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.revision = 1
        for account in "abc":
            self.world.account(account)
        self.world.secret("own", key_named("own"))
        self.world.start()

    # --- users ---

    @rule(name=names, window=windows, retain=st.booleans())
    def create(self, name: str, window: int, retain: bool) -> None:
        spec = {"undoWindowSeconds": window, "onPeerDeletion": "Retain" if retain else "Delete"}
        self.world.interlink(name, ACCOUNTS[name], **spec, **manifest(name, self.revision))

    @rule(issuer=st.sampled_from(["i", "j"]), window=windows)
    def link_up(self, issuer: str, window: int) -> None:
        """Let a link come about undisturbed, as most do."""
        redeemer = {"i": "r", "j": "x"}[issuer]
        for name in (issuer, redeemer):
            self.create(name, window, False)
            self.rest()
            self.world.carry(issuer, SECRET[issuer])

    @rule(name=names, steps=st.integers(0, 30), seed=st.integers(0, 1000))
    def create_again(self, name: str, steps: int, seed: int) -> None:
        """Delete an object and create it anew, more or less at once."""
        self.world.delete(name)
        self.world.run(steps, seed)
        self.world.interlink(name, ACCOUNTS[name], undoWindowSeconds=600, **manifest(name, self.revision))

    @rule(name=names)
    def delete(self, name: str) -> None:
        self.world.delete(name)

    @rule(name=names)
    def force(self, name: str) -> None:
        self.world.force(name)

    @rule(issuer=st.sampled_from(["i", "j"]))
    def carry(self, issuer: str) -> None:
        self.world.carry(issuer, SECRET[issuer])

    @rule()
    def carry_own(self) -> None:
        self.world.secret("s", key_named("own"))

    @rule(name=st.sampled_from(["i", "j", "o"]))
    def raise_revision(self, name: str) -> None:
        self.revision += 1
        self.world.edit(name, **manifest(name, self.revision))

    @rule(name=names, gate=st.sampled_from(["Open", "Closed"]))
    def turn_gate(self, name: str, gate: str) -> None:
        self.world.edit(name, gate=gate)

    @rule(account=st.sampled_from("abc"), ready=st.booleans())
    def change_account(self, account: str, ready: bool) -> None:
        self.world.account(account, ready=ready)

    @rule(account=st.sampled_from("abc"))
    def delete_account(self, account: str) -> None:
        self.world.delete_account(account)

    @rule(account=st.sampled_from("abc"))
    def lose_account(self, account: str) -> None:
        self.world.lose_account(account)

    @rule(secret=st.sampled_from("st"))
    def lose_secret(self, secret: str) -> None:
        self.world.lose_secret(secret)

    @rule(name=names, hold=st.booleans())
    def hold(self, name: str, hold: bool) -> None:
        """Another controller has a finalizer on an object, or takes it off."""
        self.world.hold(name, hold=hold)

    # --- mishaps and time ---

    @rule()
    def crash(self) -> None:
        self.world.crash()
        if not self.world.processes:
            self.world.start()

    @rule()
    def hand_over(self) -> None:
        if len(self.world.processes) == 1:
            self.world.start()

    @rule(steps=st.integers(1, 60), seed=st.integers(0, 1000))
    def go_on(self, steps: int, seed: int) -> None:
        self.world.run(steps, seed)

    @rule(period=st.sampled_from([MINUTE, 5 * MINUTE, 11 * MINUTE, 2 * HOUR, 2 * DAY]))
    def wait(self, period: timedelta) -> None:
        self.world.wait(period)

    @rule()
    def rest(self) -> None:
        self.lead_alone()
        self.world.settle_for(6 * MINUTE)
        self.world.check_rest()

    def lead_alone(self) -> None:
        """Two processes at once remember different things, and so may show them in turns; one soon gives up."""
        while len(self.world.processes) > 1:
            self.world.crash()

    # --- the end ---

    def teardown(self) -> None:
        try:
            self.end()
        finally:
            self.world.close()

    def end(self) -> None:
        """Everything deleted ⇒ everything gone."""
        world = self.world
        self.lead_alone()
        for name in ACCOUNTS:
            world.hold(name, hold=False)
            world.delete(name)
        for account in "abc":
            world.delete_account(account)
        for request in world.late:
            request.arrive()
        world.settle_for(2 * HOUR)
        world.check_rest()
        assert not world.interlinks()
        assert not [r for r in world.records() if r.spec.state != "Ended"]
        assert {raw["metadata"]["name"] for raw in world.api.all(SECRETS)} <= {"own", "s", "t"}
        world.wait(40 * DAY)
        world.settle()
        assert not world.records()


Stories.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestStories = Stories.TestCase
