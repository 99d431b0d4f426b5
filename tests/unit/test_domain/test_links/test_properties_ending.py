"""How links end, in any scene: plans carried out by a world without an engine, in which nothing else happens."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from builders import DAY, INSTANCE, NOW, at, record
from link_builders import CLUSTER, key_of, looked, wants, with_spec
from pbx_operator.api.meta import TEARDOWN_FINALIZER, ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.domain.links.facts import follows_peer, live, side_of
from pbx_operator.domain.links.plan import plan_link
from pbx_operator.domain.plan import (
    Action,
    AddFinalizer,
    ChangeRecord,
    DeleteInterlink,
    IssueOwnKey,
    MintKey,
    Plan,
    PurgeRecord,
    ReadKey,
    Redeem,
    RemoveFinalizer,
)
from pbx_operator.domain.protocol.keys import link_id
from pbx_operator.domain.records.facts import account_of, closing_of, interlink_of
from pbx_operator.domain.records.machine import Abandon, Adopt, Presence, concerned, transition
from strategies import (
    ACCOUNTS,
    HEALTHY,
    ISSUER_PLACE,
    KEYS,
    OTHER_FINALIZER,
    PLACES,
    REDEEMER_PLACE,
    RESTORED,
    RESTORING,
    Scene,
    calm_scenes,
    ended_scenes,
    later,
    places,
    scenes,
)

anything = scenes() | calm_scenes()
ROUNDS = 12
"""More than anything here takes."""


# --- carrying out -----------------------------------------------------------------------------------------------


def plan(scene: Scene, place: ObjectKey, now: datetime = NOW) -> Plan:
    """Return what is planned for a place; what cannot be read has a plan of its own, which does nothing here."""
    return Plan() if place in scene.unreadable else plan_link(scene.snapshot(place), now)


def carried_out(scene: Scene, action: Action, now: datetime) -> Scene:
    """Return the scene after an action; what begins something new is left undone."""
    match action:
        case ChangeRecord(name, _):
            return _change(scene, action, now) if name in scene.records else scene
        case PurgeRecord(target):
            return replace(scene, records={n: r for n, r in scene.records.items() if n != target.key.name})
        case RemoveFinalizer(target):
            return _let_go(scene, scene.interlinks[target.key])
        case DeleteInterlink(target):
            return _with_metadata(scene, scene.interlinks[target.key], deletion_timestamp=now)
        case AddFinalizer(target):
            link = scene.interlinks[target.key]
            return _with_metadata(scene, link, finalizers=(*link.metadata.finalizers, TEARDOWN_FINALIZER))
        case ReadKey(place):
            seen = looked(scene.secrets.get(place), again=(now - NOW).total_seconds() + 60)
            return replace(scene, attempts={**scene.attempts, place: seen})
        case _:
            return scene


def _change(scene: Scene, action: ChangeRecord, now: datetime) -> Scene:
    made = scene.records[action.record]
    named = concerned(made.spec, action.change)
    if named is None:
        return scene
    link = scene.interlinks.get(named.key)
    owner = account_of(made.spec, action.change.side) if isinstance(action.change, Adopt | Abandon) else None
    absent = owner is not None and owner.key not in scene.accounts and owner.key not in scene.unreadable
    present = Presence(link.metadata.uid if link else None, bool(link and link.metadata.deleting), absent)
    spec = transition(made.spec, action.change, present, now)
    return scene if spec is None else scene.with_record(made.model_copy(update={"spec": spec}))


def _let_go(scene: Scene, link: Interlink) -> Scene:
    left = tuple(f for f in link.metadata.finalizers if f != TEARDOWN_FINALIZER)
    return _with_metadata(scene, link, finalizers=left) if left else scene.without(link.key)


def _with_metadata(scene: Scene, link: Interlink, **facts: object) -> Scene:
    return scene.with_interlink(link.model_copy(update={"metadata": link.metadata.model_copy(update=facts)}))


def settled(scene: Scene, now: datetime = NOW) -> Scene:
    """Carry out what is to be done at both places, and write their statuses, until nothing more changes."""
    for _ in range(ROUNDS):
        before = scene
        for place in PLACES:
            planned = plan(scene, place, now)
            for action in planned.actions:
                scene = carried_out(scene, action, now)
            for update in planned.statuses:
                link = scene.interlinks[place]
                scene = scene.with_interlink(link.model_copy(update={"status": update.status}))
        if scene == before:
            return scene
    raise AssertionError(f"still at work after {ROUNDS} rounds")


# --- an object that goes ----------------------------------------------------------------------------------------


def deleted(scene: Scene, place: ObjectKey, window: int | None = None) -> Scene:
    """Return the scene in which a user has asked for the deletion of an Interlink."""
    link = scene.interlinks[place]
    if window is not None:
        link = with_spec(link, undo_window_seconds=window)
    return _with_metadata(scene, link, deletion_timestamp=NOW, finalizers=(TEARDOWN_FINALIZER,))


class TestDeletion:
    @given(anything, places)
    def test_it_waits_for_nothing_but_its_own_end(self, scene: Scene, place: ObjectKey) -> None:
        """Design 4: deletion never waits for a dead peer; the gate closes, then Ended, then the finalizer goes."""
        assume(place in scene.interlinks)
        scene = deleted(scene, place)
        for _ in range(ROUNDS):
            for action in plan(scene, place).actions:
                if isinstance(action, RemoveFinalizer):
                    self.check_left(scene, scene.interlinks[place])
                    return
                scene = carried_out(scene, action, NOW)
        raise AssertionError("it was never let go")

    def check_left(self, scene: Scene, link: Interlink) -> None:
        """Each link of the object is over, or announced to end."""
        side, uid = side_of(link), link.metadata.uid
        for made in scene.records.values():
            named, announced = interlink_of(made.spec, side), closing_of(made.spec, side)
            if live(made) and named is not None and named.uid == uid:
                assert announced is not None
                assert (announced.uid, announced.reason) == (uid, "Deleted")

    @given(calm_scenes(clusters=(CLUSTER,)))
    def test_a_redeemer_that_is_gone_can_never_win_the_key_that_it_showed(self, scene: Scene) -> None:
        """Design 4, end: its link id is fenced before its finalizer goes; not if its Secret went first."""
        unused = record(HEALTHY.interlinks[ISSUER_PLACE], key="one")
        scene = replace(HEALTHY, records={unused.metadata.name: unused}, attempts=scene.attempts)
        look = scene.snapshot(REDEEMER_PLACE).attempts.look
        assume(look is None or look.key_id == key_of(unused))
        link = scene.interlinks[REDEEMER_PLACE]
        (after,) = settled(deleted(scene, REDEEMER_PLACE)).records.values()
        assert after.spec.fences == (link_id(INSTANCE, key_of(unused), INSTANCE, link.metadata.uid),)

    @given(places, st.integers(1, 604_800), st.integers(0, 700_000))
    def test_the_link_ends_when_the_window_is_over(self, place: ObjectKey, window: int, elapsed: int) -> None:
        """Design 3, undoWindowSeconds: closes the gate at once but ends the link only after the window."""
        scene = settled(deleted(HEALTHY, place, window))
        (made,) = scene.records.values()
        assert place not in scene.interlinks
        assert made.spec.state == "Established"
        (made,) = settled(scene, at(elapsed)).records.values()
        assert (made.spec.state == "Ended") == (elapsed >= window)

    @given(places, st.integers(1, 604_800), st.data())
    def test_within_the_window_it_can_be_taken_up_again(
        self, place: ObjectKey, window: int, data: st.DataObject
    ) -> None:
        """Design 3, undoWindowSeconds: re-creating the Interlink meanwhile takes the link up again."""
        scene, now = settled(deleted(HEALTHY, place, window)), at(data.draw(st.integers(0, window - 1)))
        again = _with_metadata(HEALTHY, HEALTHY.interlinks[place], uid="again").interlinks[place]
        scene = settled(settled(scene.with_interlink(again), now), at(10 * window))
        (made,) = scene.records.values()
        named = interlink_of(made.spec, side_of(again))
        assert (made.spec.state, named.uid if named else None) == ("Established", "again")

    @given(scenes(), places)
    def test_of_an_account_ends_its_links_at_once(self, scene: Scene, place: ObjectKey) -> None:
        """Design 3, PBXAccount: it waits for its records to be Ended, never for Interlink objects.

        Only an object that somebody else's finalizer keeps from going holds up what its predecessors left.
        """
        owner, link = ACCOUNTS[place], scene.interlinks.get(place)
        assume(owner in scene.accounts and place not in scene.unreadable)
        assume(link is None or not link.metadata.deleting or OTHER_FINALIZER not in link.metadata.finalizers)
        account = scene.accounts[owner]
        leaving = account.model_copy(
            update={"metadata": account.metadata.model_copy(update={"deletion_timestamp": NOW})}
        )
        scene = settled(replace(scene, accounts={**scene.accounts, owner: leaving}))
        for made in scene.records.values():
            names = [account_of(made.spec, side) for side in ("issuer", "redeemer")]
            assert not live(made) or owner not in [n.key for n in names if n is not None]


# --- what has ended ---------------------------------------------------------------------------------------------


def ended_for(made: LinkRecord, link: Interlink) -> bool:
    """Whether a record tells this very object that its peer, or the peer's account, is gone."""
    end, named = made.spec.end, interlink_of(made.spec, side_of(link))
    if end is None or named is None or (named.key, named.uid) != (link.key, link.metadata.uid):
        return False
    by_peer = end.by == ("Redeemer" if link.role == "Issuer" else "Issuer")
    return by_peer and end.reason in ("Deleted", "AccountDeleted", "Orphaned")


class TestEnded:
    @given(anything, st.lists(later, max_size=3))
    def test_it_never_comes_back(self, scene: Scene, times: list[datetime]) -> None:
        """Invariant 5: no plan, at any time, changes a record that is Ended; it is kept or purged, and no other is."""
        for now in (NOW, *sorted(times)):
            over = {name: made.spec for name, made in scene.records.items() if not live(made)}
            for action in (a for place in PLACES for a in plan(scene, place, now).actions):
                assert not isinstance(action, ChangeRecord) or action.record not in over
                assert not isinstance(action, PurgeRecord) or action.target.key.name in over
            scene = settled(scene, now)
            assert all(scene.records[name].spec == spec for name, spec in over.items() if name in scene.records)

    @given(ended_scenes())
    def test_an_object_is_deleted_only_for_a_link_of_its_own_that_the_peer_ended(self, scene: Scene) -> None:
        """Auto-delete: reasons Deleted, AccountDeleted, Orphaned of the other side, by UID; not if it stays."""
        (made,) = scene.records.values()
        for place, link in scene.interlinks.items():
            for action in plan(scene, place).actions:
                if isinstance(action, DeleteInterlink):
                    wishes = (link.spec.on_peer_deletion, link.spec.deletion_protection)
                    assert (action.target.uid, *wishes) == (link.metadata.uid, "Delete", "Disabled")
                    assert ended_for(made, link)

    @given(ended_scenes())
    def test_an_object_that_follows_its_peer_starts_nothing(self, scene: Scene) -> None:
        """Auto-delete: while such a record names this UID, not even a raised revision or a new key starts a link."""
        (made,) = scene.records.values()
        eager = wants(scene.interlinks[ISSUER_PLACE], revision=3)
        scene = replace(scene.with_interlink(eager), attempts={REDEEMER_PLACE: looked(KEYS[1])})
        for place, link in scene.interlinks.items():
            if ended_for(made, link) and follows_peer(link):
                begun = [a for a in plan(scene, place).actions if isinstance(a, MintKey | IssueOwnKey | Redeem)]
                assert not begun

    @given(ended_scenes(), st.sampled_from([0, 43_200, 86_399, 86_400]))
    def test_it_is_kept_for_a_day_at_least(self, scene: Scene, seconds: int) -> None:
        """Retention: acknowledged 1 d, bring-your-own until its expirationTime + 1 d."""
        (made,) = scene.records.values()
        end, expiry = made.spec.end, made.spec.policy.expiration_time
        assert end is not None
        now = max(end.time, expiry or end.time) + timedelta(seconds=seconds)
        if any(isinstance(a, PurgeRecord) for a in plan(scene, ISSUER_PLACE, now).actions):
            assert now >= end.time + DAY
            assert expiry is None or made.spec.origin == "Generated" or now >= expiry + DAY

    @given(scenes(clusters=(CLUSTER,)) | calm_scenes(clusters=(CLUSTER,)))
    def test_it_is_not_kept_for_ever(self, scene: Scene) -> None:
        """Retention: else 30 d; here the last key expires in 40 days, and the last link has ended by then."""
        assume(not scene.unreadable)
        ended = settled(scene, at(0))
        after = settled(ended, NOW + 90 * DAY)
        assert not {name for name, made in ended.records.items() if not live(made)} & set(after.records)


# --- a restore --------------------------------------------------------------------------------------------------


class TestRestore:
    """Design 4, restore: for 10 min no record is created or ended, while records arrive."""

    @given(scenes(clusters=(RESTORING,)))
    def test_nothing_is_begun_ended_or_forgotten(self, scene: Scene) -> None:
        after = settled(scene)
        assert set(after.records) == set(scene.records)
        before = [made for made in scene.records.values() if live(made)]
        assert all(live(after.records[made.metadata.name]) for made in before)
        begun = [a for place in PLACES for a in plan(after, place).actions]
        assert not [a for a in begun if isinstance(a, MintKey | IssueOwnKey | Redeem)]

    @given(scenes(clusters=(RESTORING,)), places)
    def test_what_is_deleted_meanwhile_goes_when_it_is_over(self, scene: Scene, place: ObjectKey) -> None:
        assume(place in scene.interlinks)
        during = settled(deleted(scene, place))
        for made in during.records.values():
            announced = closing_of(made.spec, side_of(scene.interlinks[place]))
            if announced is not None and announced.reason == "Deleted" and announced.since == NOW:
                assert announced.ends_at >= RESTORED
        assert place not in settled(during, RESTORED).interlinks


# --- plans ------------------------------------------------------------------------------------------------------


def told(planned: Plan) -> list[object]:
    """Return what a plan does and shows, without the times that it is made of."""
    done = [(type(a), a.record, type(a.change)) if isinstance(a, ChangeRecord) else a for a in planned.actions]
    conditions = [c for update in planned.statuses for c in update.status.conditions]
    return [*done, *((c.type, c.status, c.reason, c.message) for c in conditions)]


class TestPlans:
    @given(anything, places, later)
    def test_time_changes_nothing_before_the_plan_says_so(self, scene: Scene, place: ObjectKey, now: datetime) -> None:
        """`requeue` is the moment when time alone would change the outcome."""
        s = scene.snapshot(place)
        planned = plan_link(s, NOW)
        if planned.requeue is not None:
            now = min(now, planned.requeue - timedelta(seconds=1))
        if not planned.actions and now > NOW:
            assert told(plan_link(s, now)) == told(planned)

    @given(anything, places)
    def test_the_order_of_what_is_known_does_not_matter(self, scene: Scene, place: ObjectKey) -> None:
        """The Store promises no order, so equal knowledge gives equal plans."""
        turned = replace(scene, records=dict(reversed(list(scene.records.items()))))
        one, other = plan(scene, place), plan(turned, place)
        assert sorted(map(repr, one.actions)) == sorted(map(repr, other.actions))
        assert (one.statuses, one.requeue) == (other.statuses, other.requeue)
