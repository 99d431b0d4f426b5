"""What is told once: which changes of a status are news, and that nothing else is."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, at, interlink, record
from link_builders import ISSUER, LINK, REDEEMER, STRANGER, around, looked, ready_account, status_of, swept, wants
from link_builders import with_spec as having
from pbx_operator.api import provider_reasons, reasons
from pbx_operator.api.conditions import Reason
from pbx_operator.api.meta import EVENTS, Condition
from pbx_operator.api.provider_reasons import ACTIVATED, DEGRADED, RUNNING
from pbx_operator.api.reasons import GRACE, Verdict, verdict
from pbx_operator.api.v1alpha1 import Interlink
from pbx_operator.api.v1alpha1.interlink import InterlinkStatus
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordStatus, Replay
from pbx_operator.cluster import Forbidden, Gone
from pbx_operator.domain.conditions import merge, stalled, summarize
from pbx_operator.domain.links.facts import LinkSnapshot
from pbx_operator.domain.links.ready import gone_with_peer
from pbx_operator.domain.plan import DeleteInterlink, StatusUpdate, target_of
from pbx_operator.engine import events
from pbx_operator.engine.events import EventRecorder, news
from pbx_operator.engine.executor import Executor
from pbx_operator.engine.tables import Observation
from pbx_operator.logs import JsonFormatter

Conditions = tuple[Condition, ...]
MISSING = verdict("Ready", "False", reasons.SECRET_MISSING, secret="s", entry="key", next_step="create it")
REDEEMING = verdict("Ready", "False", reasons.REDEEMING, progress="the key is being redeemed")
ESTABLISHED = verdict("Ready", "True", reasons.ESTABLISHED)
LINKED = verdict("Established", "True", reasons.ESTABLISHED)


def shown(*verdicts: Verdict, since: float = 0, before: Conditions = ()) -> Conditions:
    """Return the conditions of a status whose Ready reason has held for so many seconds."""
    ready, *details = verdicts
    late = stalled(ready.reason, before, at(-since), NOW)
    return merge(before, [*summarize(ready, is_stalled=late), *details], 1, NOW)


def told(*story: Conditions) -> list[tuple[str, str]]:
    """Return type and reason of each Event of an object that shows these conditions one after the other."""
    pairs = zip(((), *story), story, strict=False)
    return [(n.type, n.reason) for before, after in pairs for n in news(before, after) if n.type is not None]


class TestReady:
    def test_what_needs_a_person_is_told_when_patience_is_over(self) -> None:
        at_first = shown(MISSING)
        at_last = shown(MISSING, since=GRACE / timedelta(seconds=1), before=at_first)
        green = shown(ESTABLISHED, before=at_last)
        assert told(at_first) == []
        assert told(at_first, at_first, at_last, at_last, green, green) == [
            ("Warning", "SecretMissing"),
            ("Normal", "Established"),
        ]

    def test_what_needs_a_person_at_once_is_told_at_once(self) -> None:
        dead = shown(verdict("Ready", "False", reasons.SELF_LINK, secret="s"))
        assert told(shown(REDEEMING), dead) == [("Warning", "SelfLink")]

    def test_progress_is_for_the_log_alone(self) -> None:
        before, after = shown(REDEEMING), shown(MISSING)
        assert [(n.reason, n.type) for n in news(before, after)] == [("SecretMissing", None)]

    def test_another_problem_is_another_warning(self) -> None:
        facts = {"secret": "s", "identity": "pbx-system/pbx-operator-identity"}
        both = (reasons.SELF_LINK, reasons.IDENTITY_LOST)
        first, second = (shown(verdict("Ready", "False", reason, **facts)) for reason in both)
        assert told(first, second) == [("Warning", "SelfLink"), ("Warning", "IdentityLost")]

    def test_another_way_to_be_ready_is_news(self) -> None:
        issued = shown(verdict("Ready", "True", reasons.KEY_ISSUED, secret="s"))
        assert told(issued, shown(ESTABLISHED)) == [("Normal", "KeyIssued"), ("Normal", "Established")]


class TestConnection:
    """The box of a server and its lines: whoever should look at them hears of it, whatever Ready says."""

    REFUSED = verdict("Ready", "False", provider_reasons.EMERGENCY_CALL, problems="112")

    @staticmethod
    def of(reason: Reason, ready: Verdict | None = None) -> Conditions:
        connected = verdict("Connected", "False" if reason is ACTIVATED else "True", reason, contact="it is silent")
        return shown(ready or verdict("Ready", "True", reason, contact="it is silent"), connected)

    def test_a_server_that_is_out_of_order_is_warned_of_once_though_it_is_ready(self) -> None:
        running, degraded, activated = (self.of(reason) for reason in (RUNNING, DEGRADED, ACTIVATED))
        assert told(running, degraded, degraded, activated, activated, running) == [
            ("Normal", "Running"),
            ("Warning", "Degraded"),
            ("Warning", "Activated"),
            ("Normal", "Running"),
        ]

    def test_it_is_warned_of_while_its_spec_is_refused_too(self) -> None:
        running, degraded, activated = (self.of(reason, self.REFUSED) for reason in (RUNNING, DEGRADED, ACTIVATED))
        assert told(running, degraded, degraded, activated, running) == [
            ("Warning", "EmergencyCall"),
            ("Warning", "Degraded"),
            ("Warning", "Activated"),
        ]

    def test_a_spec_that_is_refused_then_does_not_repeat_it(self) -> None:
        story = self.of(DEGRADED), self.of(DEGRADED, self.REFUSED)
        assert told(*story) == [("Warning", "Degraded"), ("Warning", "EmergencyCall")]


class TestPeer:
    """A peer's installation that is out of reach, of which no patience tells."""

    AWAY = shown(verdict("Ready", "False", reasons.PEER_UNAVAILABLE))
    BUSY = shown(verdict("Ready", "False", reasons.PEER_BUSY, detail="it is ending the link"))
    USED = shown(
        verdict("Ready", "False", reasons.KEY_ALREADY_USED, key_id="k", next_step="put a new key into Secret s")
    )
    ANSWERS, SILENT, UNHEARD = (
        shown(ESTABLISHED, *more)
        for more in (
            [LINKED, verdict("PeerReachable", "True", reasons.PEER_REACHABLE)],
            [LINKED, verdict("PeerReachable", "Unknown", reasons.PEER_UNREACHABLE)],
            [LINKED],
        )
    )

    @pytest.mark.parametrize(
        ("after", "told_then"),
        [
            (shown(ESTABLISHED), ("Normal", "Established")),
            (BUSY, ("Normal", "PeerBusy")),
            (USED, ("Warning", "KeyAlreadyUsed")),
        ],
    )
    def test_a_redeemer_hears_when_the_wait_begins_and_what_comes_after_it(
        self, after: Conditions, told_then: tuple[str, str]
    ) -> None:
        before = shown(REDEEMING)
        assert told(before, self.AWAY, self.AWAY, after, after) == [("Warning", "PeerUnavailable"), told_then]

    def test_a_linked_side_hears_when_its_peer_falls_silent_and_answers_again(self) -> None:
        story = [self.UNHEARD, self.ANSWERS, self.SILENT, self.SILENT, self.ANSWERS, self.ANSWERS]
        assert told(*story)[1:] == [("Warning", "PeerSilent"), ("Normal", "PeerAnswers")]
        assert told(self.UNHEARD, self.SILENT)[1:] == [("Warning", "PeerSilent")]

    def test_a_link_that_was_made_just_now_does_not_begin_with_a_warning(self) -> None:
        """The peer has just redeemed, or linked, whatever was found out of it while there was no link."""
        assert told(self.AWAY, self.SILENT) == [("Warning", "PeerUnavailable"), ("Normal", "Established")]

    def test_a_link_that_is_over_has_no_peer_to_tell_of(self) -> None:
        assert told(self.SILENT, self.USED)[1:] == [("Warning", "KeyAlreadyUsed")]

    def test_many_may_hear_of_it_at_once(self) -> None:
        def outages(before: Conditions, after: Conditions) -> list[str]:
            return [n.reason for n in news(before, after) if n.outage]

        assert outages((), self.AWAY) == ["PeerUnavailable"]
        assert outages(self.ANSWERS, self.SILENT) == ["PeerSilent"]
        assert outages(self.SILENT, self.ANSWERS) == ["PeerAnswers"]
        assert outages(self.AWAY, shown(ESTABLISHED)) == []


class TestGate:
    @staticmethod
    def of(s: LinkSnapshot) -> Conditions:
        return status_of(swept(s)).conditions

    LINKED = around(ISSUER, LINK, peers=[REDEEMER])
    CLOSED = around(having(ISSUER, gate="Closed"), LINK, peers=[REDEEMER])
    UNLISTED = around(wants(ISSUER, allowed_redeemers=(STRANGER,)), LINK, peers=[REDEEMER])

    def test_calls_that_stop_and_may_pass_again(self) -> None:
        is_open, closed = self.of(self.LINKED), self.of(self.CLOSED)
        assert told(is_open, closed, closed, is_open) == [
            ("Normal", "Established"),
            ("Warning", "ClosedHere"),
            ("Normal", "GateOpen"),
        ]

    def test_another_reason_for_a_closed_gate_is_none(self) -> None:
        assert told(self.of(self.LINKED), self.of(self.CLOSED), self.of(self.UNLISTED))[1:] == [
            ("Warning", "ClosedHere")
        ]

    def test_a_link_that_comes_or_goes_is_told_by_ready_alone(self) -> None:
        pending, is_open = self.of(around(ISSUER, record(ISSUER))), self.of(self.LINKED)
        assert told(pending, is_open, pending) == [
            ("Normal", "KeyIssued"),
            ("Normal", "Established"),
            ("Normal", "KeyIssued"),
        ]


class TestDialPrefix:
    @staticmethod
    def of(prefix: str, **facts: Any) -> Conditions:
        mine = having(ISSUER, dial_prefix=prefix)
        s = around(mine, LINK, peers=[REDEEMER], accounts=[ready_account("a"), ready_account("b")], **facts)
        return status_of(swept(s)).conditions

    def test_refused_or_doubtful_it_is_a_warning(self) -> None:
        story = [self.of("8"), self.of("112"), self.of("112"), self.of("9"), self.of("8")]
        assert told(*story) == [
            ("Normal", "Established"),
            ("Warning", "DialPrefixEmergency"),
            ("Warning", "DialPrefixEmergency"),
        ], "refused, then doubtful"

    def test_so_is_one_that_is_taken(self) -> None:
        assert told(self.of("8"), self.of("8", older_prefix_holder="x"))[1:] == [("Warning", "DialPrefixConflict")]

    def test_what_ready_says_is_said_once(self) -> None:
        refused = verdict("Ready", "False", reasons.EMERGENCY_NUMBER, finding="112")
        accepted = Verdict("Accepted", "False", refused.reason, refused.message)
        assert told(shown(refused, accepted)) == [("Warning", "EmergencyNumber")]


class TestWarnings:
    @staticmethod
    def of(problems: str) -> Conditions:
        doubtful = verdict("Accepted", "True", provider_reasons.ACCEPTED_WITH_WARNINGS, problems=problems)
        accepted = doubtful if problems else verdict("Accepted", "True", reasons.ACCEPTED)
        return shown(verdict("Ready", "True", reasons.SERVING, kind="account"), accepted)

    def test_warnings_are_told_once_and_others_anew(self) -> None:
        first, second, none = self.of("match a"), self.of("match b"), self.of("")
        assert told(first, first, second, none, none) == [
            ("Normal", "Serving"),
            ("Warning", "AcceptedWithWarnings"),
            ("Warning", "AcceptedWithWarnings"),
        ]


class TestDrift:
    @staticmethod
    def of(drift: str) -> Conditions:
        provisioned = verdict("Provisioned", "True", provider_reasons.PROVISIONED)
        drifted = verdict("Provisioned", "True", provider_reasons.DRIFTED, drift=drift)
        return shown(verdict("Ready", "True", reasons.SERVING, kind="account"), drifted if drift else provisioned)

    def test_each_change_at_a_provider_is_a_warning_and_its_end_is_none(self) -> None:
        as_wanted, russian, latvian = self.of(""), self.of("language is 'RU'"), self.of("language is 'LV'")
        story = as_wanted, russian, russian, latvian, as_wanted
        assert told(*story) == [("Normal", "Serving"), ("Warning", "Drifted"), ("Warning", "Drifted")]


def test_a_revision_that_waits_is_told_once() -> None:
    raised = status_of(swept(around(wants(ISSUER, revision=2), LINK, peers=[REDEEMER]))).conditions
    linked = status_of(swept(around(ISSUER, LINK, peers=[REDEEMER]))).conditions
    assert told(linked, raised, raised)[1:] == [("Normal", "RevisionWaits")]


STATUSES = [
    status_of(swept(s)).conditions
    for s in (
        around(ISSUER, record(ISSUER)),
        around(wants(ISSUER, revision=2), LINK, peers=[REDEEMER]),
        around(having(ISSUER, gate="Closed", dial_prefix="9"), LINK, peers=[REDEEMER]),
        around(REDEEMER, attempts=looked(None)),
        around(REDEEMER, attempts=looked(None), since=("SecretMissing", at(-120))),
    )
] + [TestPeer.AWAY, TestPeer.BUSY, TestPeer.ANSWERS, TestPeer.SILENT]


@given(st.sampled_from(STATUSES), st.sampled_from(STATUSES))
def test_nothing_is_told_twice(before: Conditions, after: Conditions) -> None:
    """Whoever wrote the status before, this process or an earlier one."""
    assert list(news(after, after)) == []
    assert len({n.reason for n in news(before, after)}) == len(list(news(before, after)))


# --- the recorder -----------------------------------------------------------------------------------------------


LAST_LINK = interlink("last", "a")
LAST = target_of(LAST_LINK)
"""An event about it is the last one that is written."""


@dataclass
class Desk:
    """A recorder, and what it sent to the API server."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    error: Exception | None = None

    def __post_init__(self) -> None:
        cluster = mock.Mock()
        cluster.create = self.create
        self.recorder = EventRecorder(cluster, "this installation", lambda: datetime(2030, 1, 1, tzinfo=UTC))
        self.marked = asyncio.Event()
        self.wanted: int | None = None

    async def create(self, resource: object, body: dict[str, Any]) -> None:
        assert resource is EVENTS
        if body["regarding"]["name"] == LAST.key.name:
            self.marked.set()
            return
        self.sent.append(body)
        if len(self.sent) == self.wanted:
            self.marked.set()
        if self.error is not None:
            raise self.error

    async def deliver(self, until: int | None = None) -> list[tuple[str, str, str]]:
        """Let the recorder write all that waits, or so many; return type, reason and the name of the object."""
        self.wanted = until
        if until is None:
            self.recorder.warn(LAST, gone_with_peer())
        writing = asyncio.create_task(self.recorder.run())
        async with asyncio.timeout(10):
            await self.marked.wait()
        writing.cancel()
        return [(e["type"], e["reason"], e["regarding"]["name"]) for e in self.sent]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(events, "PER_SECOND", 1e6)
    return Desk()


def update(conditions: Conditions) -> StatusUpdate:
    return StatusUpdate(target_of(REDEEMER), InterlinkStatus(conditions=conditions))


async def test_an_event_says_what_the_status_says(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    late = shown(MISSING, since=120)
    desk.recorder.status_written(update(late), shown(MISSING))
    desk.recorder.status_written(update(late), late)
    assert await desk.deliver() == [("Warning", "SecretMissing", "r")]
    (event,) = desk.sent
    assert event["note"] == MISSING.message
    assert event["regarding"]["uid"] == REDEEMER.metadata.uid
    line, *_ = (json.loads(JsonFormatter().format(r)) for r in caplog.records)
    assert (line["level"], line["reason"], line["kind"], line["name"], line["msg"]) == (
        "warning",
        "SecretMissing",
        "Interlink",
        "r",
        MISSING.message,
    )


async def test_what_no_status_shows_is_a_warning_if_somebody_has_to_do_something(desk: Desk) -> None:
    desk.recorder.happened(target_of(REDEEMER), provider_reasons.DRIFT_CORRECTED, drift="name")
    desk.recorder.happened(target_of(ISSUER), provider_reasons.LEFT_AT_PROVIDER, left="system 1", next_step="delete it")
    assert await desk.deliver() == [("Normal", "DriftCorrected", "r"), ("Warning", "Orphaned", "i")]


async def test_an_event_that_is_refused_is_forgotten(desk: Desk) -> None:
    desk.error = Forbidden("the namespace goes")
    desk.recorder.warn(target_of(REDEEMER), gone_with_peer())
    desk.recorder.warn(target_of(ISSUER), gone_with_peer())
    assert await desk.deliver() == [("Warning", "EndedByPeer", "r"), ("Warning", "EndedByPeer", "i")]


async def test_too_many_events_are_dropped_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "QUEUE_LENGTH", 2)
    desk = Desk()
    for link in (ISSUER, LAST_LINK, REDEEMER):
        desk.recorder.warn(target_of(link), gone_with_peer())
    assert await desk.deliver() == [("Warning", "EndedByPeer", "i")]


MANY = [interlink(f"r{n}", "b", redeem="s") for n in range(3)]


def show(desk: Desk, link: Interlink, before: Conditions, after: Conditions) -> None:
    desk.recorder.status_written(StatusUpdate(target_of(link), InterlinkStatus(conditions=after)), before)


async def test_an_outage_of_many_links_lets_all_else_go_first(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And is no line in the log for each of them: whoever dials has told it once."""
    monkeypatch.setattr(events, "QUEUE_LENGTH", 2)
    caplog.set_level(logging.INFO)
    desk = Desk()
    for link in MANY:
        show(desk, link, TestPeer.ANSWERS, TestPeer.SILENT)
    assert caplog.messages == []
    desk.recorder.warn(target_of(ISSUER), gone_with_peer())
    first, *rest = await desk.deliver(until=3)
    assert first == ("Warning", "EndedByPeer", "i")
    assert rest == [("Warning", "PeerSilent", "r0"), ("Warning", "PeerSilent", "r1")], "there was no room for more"


async def test_of_an_outage_that_is_over_before_its_turn_only_the_end_is_told(desk: Desk) -> None:
    show(desk, MANY[0], TestPeer.ANSWERS, TestPeer.SILENT)
    show(desk, MANY[1], shown(REDEEMING), TestPeer.AWAY)
    show(desk, MANY[2], shown(REDEEMING), TestPeer.AWAY)
    show(desk, MANY[0], TestPeer.SILENT, TestPeer.ANSWERS)
    show(desk, MANY[1], TestPeer.AWAY, shown(ESTABLISHED))
    assert sorted(await desk.deliver(until=3)) == [
        ("Normal", "Established", "r1"),
        ("Normal", "PeerAnswers", "r0"),
        ("Warning", "PeerUnavailable", "r2"),
    ]


async def test_a_replay_is_told_to_the_issuer(desk: Desk) -> None:
    replay = Replay(time=NOW, link_id="l" * 26)
    replayed = LINK.model_copy(update={"status": LinkRecordStatus(replay=replay)})
    desk.recorder.observed(Observation(LINK, replayed))
    desk.recorder.observed(Observation(replayed, replayed))
    desk.recorder.observed(Observation(None, replayed))
    assert await desk.deliver() == [("Warning", "KeyReplay", "i")]
    assert LINK.spec.key_id in desk.sent[0]["note"]


# --- an Interlink that goes with its peer -----------------------------------------------------------------------


@dataclass
class Bench:
    """An executor on an API server that knows one Interlink."""

    link: Interlink = field(default_factory=lambda: interlink("r", "b", redeem="s", uid="v"))

    def __post_init__(self) -> None:
        self.cluster, self.recorder, self.intake = mock.AsyncMock(), mock.Mock(), mock.Mock()
        parts = (self.cluster, mock.Mock(), self.intake, mock.AsyncMock(), mock.AsyncMock())
        self.executor = Executor(*parts, self.recorder, mock.AsyncMock(), mock.AsyncMock())

    async def delete(self) -> None:
        await self.executor.execute(DeleteInterlink(target_of(self.link)))


async def test_whoever_goes_with_its_peer_is_told_why() -> None:
    bench = Bench()
    await bench.delete()
    bench.recorder.warn.assert_called_once_with(target_of(bench.link), gone_with_peer())
    assert gone_with_peer().message == (
        "the peer ended the link; spec.onPeerDeletion is Delete, so this Interlink goes, too"
    )


@pytest.mark.parametrize("error", [Gone("it is gone"), Forbidden("a policy protects it")], ids=str)
async def test_nothing_is_told_of_a_deletion_that_did_not_happen(error: Exception) -> None:
    """One that is refused is tried again and again."""
    bench = Bench()
    bench.cluster.delete.side_effect = error
    with suppress(Forbidden):
        await bench.delete()
    bench.recorder.warn.assert_not_called()
