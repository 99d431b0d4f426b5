"""What people see of links, dial answers and steps of a translation."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from builders import NOW, account, interlink, linked, number, settled, snapshot
from pbx_operator.api.meta import Condition
from pbx_operator.api.v1alpha1.interlink import InterlinkStatus, Peer
from pbx_operator.api.v1alpha1.internalnumber import (
    Application,
    Destination,
    ExternalNumber,
    ServerDestination,
    SIPAddress,
)
from pbx_operator.cli.tables import clean, make_console, print_answers, print_links, print_steps
from pbx_operator.domain.dialplan.reader import Answer, DialPlan, PrefixProblem
from pbx_operator.domain.numbering.explanation import Step


def link(name: str, state: Any, reason: str, message: str, **facts: Any) -> Any:
    ready = Condition(type="Ready", status="True", reason=reason, message=message, last_transition_time=NOW)
    return interlink(name, "amsterdam", status=InterlinkStatus(state=state, conditions=(ready,), **facts))


LINKS = [
    link("to-tim", "Established", "Established", "linked", gate="Open", peer=Peer(account="tim")),
    link("to-john", "Pending", "KeyIssued", "the key is in Secret to-john-key; waiting for the peer", gate="Closed"),
    link("to-eve", "Ended", "EndedByPeer", "the peer ended the link", gate="Closed", peer=Peer(account="eve")),
    interlink("unseen", "amsterdam"),
]


def seen(width: int, **options: Any) -> Console:
    return Console(file=io.StringIO(), width=width, highlight=False, **options)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def lines_of(console: Console) -> list[str]:
    return [line.rstrip() for line in text_of(console).splitlines()]


def test_links_in_a_table() -> None:
    console = seen(140)
    print_links(console, LINKS)
    head, eve, john, tim, unseen = lines_of(console)
    assert head.split() == ["NAME", "ACCOUNT", "PEER", "GATE", "REASON", "MESSAGE"]
    assert tim.split() == ["🟢", "to-tim", "amsterdam", "tim", "Open", "Established", "linked"]
    assert john.startswith("⚪")
    assert john.endswith("the key is in Secret to-john-key; waiting for the peer")
    assert eve.startswith("✖")
    assert unseen.startswith("⚪")
    assert "not seen by the operator yet" in unseen


@pytest.mark.parametrize("width", [30, 60, 89])
def test_links_on_a_narrow_terminal_keep_their_words(width: int) -> None:
    console = seen(width)
    print_links(console, LINKS[:1])
    assert max(len(line) for line in lines_of(console)) <= width
    text = " ".join(text_of(console).split())
    assert text == "🟢 to-tim amsterdam → tim gate Open Established: linked"


def test_without_unicode_the_circles_are_ascii() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print_links(Console(file=stream, width=140), LINKS)
    stream.flush()
    stream.seek(0)
    assert [line[0] for line in stream.read().splitlines()[1:]] == ["x", "o", "*", "o"]


def test_colour_only_on_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_links(coloured := seen(140, force_terminal=True, color_system="standard"), LINKS)
    assert "\x1b[32m" in text_of(coloured)
    monkeypatch.setenv("NO_COLOR", "1")
    print_links(plain := seen(140, force_terminal=True, color_system="standard"), LINKS)
    assert "\x1b[32m" not in text_of(plain)


def test_a_pipe_gets_one_uncoloured_line_per_link() -> None:
    console = make_console(io.StringIO())
    long = link("long", "Pending", "KeyIssued", "word " * 60)
    print_links(console, [long])
    assert len(lines_of(console)) == 2
    assert "\x1b" not in text_of(console)


def answers(*digits: str) -> list[Answer]:
    links = (linked("x", "300=Tim", "200", dial_prefix="8"), linked("shut", "400", gate="Closed"))
    now = settled(snapshot(account(), number("200"), links=links))
    assert now.account is not None
    plan = DialPlan(now.account, now.slices, [each.interlink for each in now.links])
    return [plan.answer(d) for d in digits]


def test_answers_in_a_table() -> None:
    print_answers(console := seen(160), answers("112", "200", "300", "400", "999"))
    head, emergency, own, hidden, peer, closed, shut, nothing = lines_of(console)
    assert head.split() == ["DIALED", "ANSWER", "REACHES", "BECAUSE"]
    assert emergency.startswith("112 ")
    assert "the emergency service" in emergency
    assert "own number" in own
    assert "phone n200" in own
    assert "passed over" in hidden
    assert "dial 8200 to reach it" in hidden
    assert "300@x.peers.example via x" in peer
    assert "no match" in closed
    assert "the gate of Interlink shut is closed" in shut
    assert "no match" in nothing


def test_a_prefix_that_does_not_work_has_a_row() -> None:
    refused = PrefixProblem("x", "8", "dialPrefix 8 is taken")
    print_answers(console := seen(140), [Answer("8300", "NoMatch", prefix_problems=(refused,))])
    row = lines_of(console)[-1].split("   ")
    assert [cell.strip() for cell in row if cell] == ["dial prefix", "8 of Interlink x", "dialPrefix 8 is taken"]


@pytest.mark.parametrize("width", [40, 80])
def test_answers_on_a_narrow_terminal(width: int) -> None:
    print_answers(console := seen(width), answers("200"))
    assert max(len(line) for line in lines_of(console)) <= width
    assert lines_of(console)[:2] == ["200 → own number", "   phone n200"]


@pytest.mark.parametrize(
    ("destination", "shown"),
    [
        (None, "nothing"),
        (Destination(type="SIPURI", sip_uri=SIPAddress(uri="sip:al@example.com")), "sip:al@example.com"),
        (Destination(type="ExternalNumber", external_number=ExternalNumber(e164="+31201234567")), "+31201234567"),
        (
            Destination(type="Application", application=Application(kind="Conference", name="sales")),
            "Conference sales",
        ),
        (Destination(type="CommServer", comm_server=ServerDestination(name="lyon")), "CommServer lyon"),
    ],
)
def test_every_destination_has_a_name(destination: Destination | None, shown: str) -> None:
    print_answers(console := seen(140), [Answer("200", "Own", number="200", destination=destination)])
    assert shown in text_of(console)


def test_nobody_writes_escape_sequences_to_the_terminal() -> None:
    assert clean("Tim\x1b[31m\nAndrews\x07") == "Tim�[31m�Andrews�"
    nasty = Answer("300", "Peer", number="300", display_name="\x1b]0;owned\x07[bold]Tim", interlink="x", target="300@x")
    print_answers(console := seen(140), [nasty])
    assert "\x1b" not in text_of(console)
    assert "[bold]Tim" in text_of(console)


STEP = Step("numberingRules[0]", "Block", 'match "^9[\x1b]$" is found, and nothing is dialled')


def test_steps_in_a_table() -> None:
    console = seen(120)
    print_steps(console, [STEP])
    head, step = lines_of(console)
    assert head.split() == ["STEP", "RESULT", "BECAUSE"]
    assert (
        step == 'numberingRules[0]   blocked   match "^9[\N{REPLACEMENT CHARACTER}]$" is found, and nothing is dialled'
    )


@pytest.mark.parametrize("width", [30, 89])
def test_steps_on_a_narrow_terminal_keep_their_words(width: int) -> None:
    console = seen(width)
    print_steps(console, [STEP])
    assert max(len(line) for line in lines_of(console)) <= width
    text = " ".join(text_of(console).split())
    assert text == 'numberingRules[0] blocked match "^9[\N{REPLACEMENT CHARACTER}]$" is found, and nothing is dialled'
