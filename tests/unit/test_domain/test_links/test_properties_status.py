"""What an Interlink shows, in any scene: sound, stable, silent about others, and of one mind with its gate."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

from hypothesis import assume, given
from hypothesis import strategies as st

from builders import NOW
from link_builders import looked, ready_account, reason_of, with_spec
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import Interlink
from pbx_operator.api.v1alpha1.interlink import InterlinkStatus
from pbx_operator.domain.conditions import check, find
from pbx_operator.domain.links.facts import established_of, mine
from pbx_operator.domain.links.status import OVER, link_status
from pbx_operator.domain.protocol.keys import Bundle, MalformedKeyError, SigningKey, base64url, key_text, parse_key
from strategies import (
    ACCOUNTS,
    HEALTHY,
    NORTH,
    REDEEMER_PLACE,
    RESTORING,
    SOUTH,
    Scene,
    calm_scenes,
    later,
    places,
    scenes,
)

anything = scenes() | calm_scenes() | scenes(clusters=(RESTORING,))


def shown(
    scene: Scene, place: ObjectKey, now: datetime = NOW, since: tuple[str, datetime] | None = None
) -> tuple[InterlinkStatus, datetime | None]:
    """Return what the Interlink of a place would show, and when patience with that runs out."""
    assume(scene.living(place) is not None)
    s = replace(scene.snapshot(place), since=since)
    assert s.interlink is not None
    return link_status(s, s.interlink, now)


def showing(scene: Scene, place: ObjectKey, status: InterlinkStatus) -> Scene:
    """Return the scene in which the Interlink shows this."""
    return scene.with_interlink(scene.interlinks[place].model_copy(update={"status": status}))


def said(status: InterlinkStatus) -> list[tuple[str, str, str, str]]:
    return [(c.type, c.status, c.reason, c.message) for c in status.conditions]


def true(status: InterlinkStatus, type_: str) -> bool:
    condition = find(status.conditions, type_)
    assert condition is not None
    return condition.status == "True"


class TestContract:
    @given(anything, places, later)
    def test_it_is_sound(self, scene: Scene, place: ObjectKey, now: datetime) -> None:
        """Design 3, rules for all: exactly one of Ready, Reconciling, Stalled; later as well as at first."""
        first, _ = shown(scene, place)
        for status in (first, shown(showing(scene, place, first), place, now, (reason_of(first), NOW))[0]):
            assert check(status, scene.interlinks[place].metadata.generation) == []
            assert InterlinkStatus.model_validate(status.to_json()) == status, "what is stored is what was decided"

    @given(anything, places)
    def test_it_answers_to_the_object_as_it_is(self, scene: Scene, place: ObjectKey) -> None:
        """observedGeneration and lastHandledReconcileAt echo what was looked at."""
        status, _ = shown(scene, place)
        metadata = scene.interlinks[place].metadata
        assert (status.observed_generation, status.last_handled_reconcile_at) == (
            metadata.generation,
            metadata.reconcile_requested_at,
        )

    @given(anything, places)
    def test_it_is_a_fixed_point(self, scene: Scene, place: ObjectKey) -> None:
        """Design 9: what is shown does not change what is to be shown."""
        first, again = shown(scene, place)
        seen = showing(scene, place, first)
        assert shown(seen, place, NOW, (reason_of(first), NOW)) == (first, again)

    @given(scenes(), places, later)
    def test_time_alone_changes_no_word_of_it_before_patience_runs_out(
        self, scene: Scene, place: ObjectKey, now: datetime
    ) -> None:
        """Messages are stable: no times, no ticking counters."""
        first, patience_ends = shown(scene, place)
        assume(patience_ends is None or now < patience_ends)
        seen = showing(scene, place, first)
        assume(not time_matters(scene.interlinks[place], now))
        assert shown(seen, place, now, (reason_of(first), NOW))[0] == first

    @given(anything, anything, places, later)
    def test_a_time_moves_with_the_status_of_its_condition_alone(
        self, past: Scene, scene: Scene, place: ObjectKey, now: datetime
    ) -> None:
        """metav1.Condition: lastTransitionTime moves only with status, whatever else is new."""
        old, _ = shown(past, place)
        assume(scene.living(place) is not None)
        new, _ = shown(showing(scene, place, old), place, now)
        for condition in new.conditions:
            was = find(old.conditions, condition.type)
            assert (condition.last_transition_time == NOW) == (was is not None and was.status == condition.status)


class TestState:
    @given(anything, places)
    def test_the_reason_alone_tells_whether_it_is_over(self, scene: Scene, place: ObjectKey) -> None:
        """One story looks the same wherever it is met; what is over says that a person must act."""
        status, _ = shown(scene, place)
        assert (status.state == "Ended") == (reason_of(status) in {reason.name for reason in OVER})
        if status.state == "Ended":
            assert true(status, "Stalled")
            assert status.gate == "Closed"

    @given(scenes(), places)
    def test_it_is_established_exactly_while_a_link_is_there_and_not_over(self, scene: Scene, place: ObjectKey) -> None:
        status, _ = shown(scene, place)
        s = scene.snapshot(place)
        assert s.interlink is not None
        linked = established_of(mine(s, s.interlink)) is not None
        assert (status.state == "Established") == (linked and status.state != "Ended")


def time_matters(link: Interlink, now: datetime) -> bool:
    """Whether the object asks for a key that would have expired by then."""
    issue = link.spec.issue_key
    return issue is not None and issue.expiration_time is not None and issue.expiration_time <= now


class TestSilence:
    @given(anything, places)
    def test_no_message_names_another_namespace(self, scene: Scene, place: ObjectKey) -> None:
        """Design 3, rules for all; nor does any field, but for the peer's own domain."""
        other = SOUTH if place.namespace == NORTH else NORTH
        for told in (scene, scene.without(ACCOUNTS[place]), tired(scene)):
            status, _ = shown(told, place)
            assert other not in json.dumps(status.model_copy(update={"peer": None}).to_json())

    @given(st.binary(min_size=32, max_size=32), st.integers(0, 60), st.booleans())
    def test_it_never_holds_a_key_that_somebody_mistyped(self, seed: bytes, where: int, bundled: bool) -> None:
        """Design 4, key text: it never appears in a status; here cut short, too long, or with a wrong character."""
        whole = Bundle(SigningKey(seed))
        text = whole.text() if bundled else key_text(SigningKey(seed))
        wrong = "A" if text[-where - 1] != "A" else "B"
        for mistyped in (text[: -where - 1], f"{text}x", f"{text[: -where - 1]}{wrong}{text[len(text) - where :]}"):
            try:
                assert parse_key(mistyped) == whole, "only the name of the checksum may be wrong"
                continue
            except MalformedKeyError as error:
                problem = str(error)
            scene = replace(HEALTHY, records={}, attempts={REDEEMER_PLACE: looked(None, problem=problem)})
            status, _ = shown(scene, REDEEMER_PLACE)
            assert reason_of(status) == "KeyMalformed"
            entered = {mistyped[i : i + 8] for i in range(len("pbxk1."), len(mistyped) - 7)}
            secret = entered | {base64url(seed)[:8], base64url(seed)[-8:]}
            assert not [part for part in secret if part in json.dumps(status.to_json())]


def tired(scene: Scene) -> Scene:
    """Return the scene in which no account takes links."""
    return replace(scene, accounts={k: ready_account(k.name, k.namespace, ready=False) for k in scene.accounts})


class TestGate:
    @given(anything, places)
    def test_gate_and_condition_say_the_same_and_open_means_linked(self, scene: Scene, place: ObjectKey) -> None:
        """Design 3, Gate: Pending or Ended: Closed; the condition CallsAllowed says why not."""
        status, _ = shown(scene, place)
        assert (status.gate == "Open") == true(status, "CallsAllowed")
        if status.gate == "Open":
            assert status.state == "Established"
            assert true(status, "Ready")
            assert true(status, "Established")

    @given(anything, places)
    def test_ready_needs_an_account_that_is_there_to_stay(self, scene: Scene, place: ObjectKey) -> None:
        """Design 3, PBXAccount: links of a deleted account are AccountDeleted, those of an absent one RefNotFound."""
        link = scene.living(place)
        assume(link is not None)
        assert link is not None
        owner = ObjectKey(place.namespace, link.spec.account_ref.name)
        leaving = ready_account(owner.name, owner.namespace, deleting=True)
        readable = replace(scene, unreadable=scene.unreadable - {owner})
        for lost in (readable.without(owner), replace(readable, accounts={**scene.accounts, owner: leaving})):
            status, _ = shown(lost, place)
            assert not true(status, "Ready")
            assert status.gate == "Closed"

    @given(anything, places)
    def test_ready_does_not_depend_on_the_gate(self, scene: Scene, place: ObjectKey) -> None:
        """Design 3, `spec.gate`: closes calls in both directions, keeps the link; Ready is unchanged."""
        closed, opened = scene, scene
        for link in scene.interlinks.values():
            closed = closed.with_interlink(with_spec(link, gate="Closed"))
            opened = opened.with_interlink(with_spec(link, gate="Open"))
        shut, free = shown(closed, place)[0], shown(opened, place)[0]
        assert shut.gate == "Closed"
        assert [c for c in said(shut) if c[0] != "CallsAllowed"] == [c for c in said(free) if c[0] != "CallsAllowed"]
        assert shut.model_copy(update={"gate": None, "conditions": ()}) == free.model_copy(
            update={"gate": None, "conditions": ()}
        )
