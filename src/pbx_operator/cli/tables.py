"""How links, dial answers and steps of a translation look on a terminal, for the commands and the demo alike.

Wide terminals get tables, narrow ones blocks.  What is shown may come from another account (a display name), so
everything that is not printable is replaced: nobody writes escape sequences to somebody else's terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pbx_operator.api.v1alpha1.interlink import Interlink, LinkState
from pbx_operator.api.v1alpha1.internalnumber import Destination
from pbx_operator.domain.conditions import find
from pbx_operator.domain.dialplan.reader import Answer, Outcome
from pbx_operator.domain.numbering.explanation import Effect, Step

NARROW = 90
"""Columns below which a table would break its words."""
UNLIMITED = 1000
"""Columns of a pipe or file, where one line is one object."""

_CIRCLES: dict[LinkState, tuple[str, str, str]] = {
    "Pending": ("⚪", "o", "bright_black"),
    "Established": ("🟢", "*", "green"),
    "Ended": ("✖", "x", "red"),
}
"""The circle of a link's state, the same in ASCII, and its colour: grey and green, as people know them."""

_OUTCOMES: dict[Outcome, tuple[str, str]] = {
    "Emergency": ("emergency", "bold red"),
    "Own": ("own number", "green"),
    "Peer": ("link", "green"),
    "NoMatch": ("no match", "yellow"),
}
_EFFECTS: dict[Effect, tuple[str, str]] = {
    "NoMatch": ("no match", "dim"),
    "Rewrite": ("rewritten", "green"),
    "Block": ("blocked", "yellow"),
    "National": ("national", "green"),
    "International": ("international", "green"),
    "AsTyped": ("as typed", "green"),
    "OutsideLine": ("outside line", "green"),
    "AsItIs": ("as it is", "green"),
    "Called": ("called", "bold red"),
    "NotCalled": ("not called", "bold yellow"),
}
_ANSWER_COLUMNS = ("DIALED", "ANSWER", "REACHES", "BECAUSE")
_STEP_COLUMNS = ("STEP", "RESULT", "BECAUSE")
_LINK_COLUMNS = ("", "NAME", "ACCOUNT", "PEER", "GATE", "REASON", "MESSAGE")


def make_console(file: TextIO | None = None) -> Console:
    """Return a console on a stream: no colour unless it is a terminal and NO_COLOR is unset."""
    stream = file or sys.stdout
    return Console(file=stream, highlight=False, width=None if stream.isatty() else UNLIMITED)


def print_links(console: Console, interlinks: Iterable[Interlink]) -> None:
    """Print links: a grey circle while a key waits for the peer, a green one once the accounts are linked."""
    rows = [_link_cells(console, link) for link in sorted(interlinks, key=lambda link: link.key)]
    if console.width >= NARROW:
        console.print(table(_LINK_COLUMNS, rows))
        return
    for circle, name, account, peer, gate, reason, message in rows:
        console.print(Text.assemble(circle, " ", name, f"  {account} → {peer}  gate {gate}"))
        console.print(Padding(Text(f"{reason}: {message}"), (0, 0, 0, 3)))


def print_answers(console: Console, answers: Sequence[Answer]) -> None:
    """Print what happens to dialled digits, why, which links do not get the call, and which prefixes may not work."""
    rows = [row for answer in answers for row in _answer_cells(answer)]
    if console.width >= NARROW:
        console.print(table(_ANSWER_COLUMNS, rows))
        return
    for dialed, outcome, reaches, because in rows:
        console.print(Text.assemble(dialed, " → " if dialed else "  ", outcome))
        console.print(Padding(Text(f"{reaches}\n{because}"), (0, 0, 0, 3)))


def print_steps(console: Console, steps: Sequence[Step]) -> None:
    """Print what becomes of a number that somebody dials."""
    rows = [(step.by, Text(*_EFFECTS[step.effect]), clean(step.explanation)) for step in steps]
    if console.width >= NARROW:
        console.print(table(_STEP_COLUMNS, rows))
        return
    for by, effect, because in rows:
        console.print(Text.assemble(by, "  ", effect))
        console.print(Padding(Text(because), (0, 0, 0, 3)))


def clean(text: str) -> str:
    """Replace everything that a terminal could take for a command."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Return a table in which only the last column wraps; no cell is markup."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns[:-1]:
        table.add_column(column, no_wrap=True)
    table.add_column(columns[-1], overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return table


def _link_cells(console: Console, link: Interlink) -> tuple[Text, str, str, str, str, str, str]:
    status = link.status
    emoji, plain, colour = _CIRCLES[status.state or "Pending"]
    ready = find(status.conditions, "Ready")
    peer = status.peer.account if status.peer is not None else None
    return (
        Text(emoji if console.encoding.startswith("utf") else plain, style=colour),
        link.metadata.name,
        link.spec.account_ref.name,
        peer or "-",
        status.gate or "-",
        ready.reason if ready is not None else "-",
        clean(ready.message) if ready is not None else "not seen by the operator yet",
    )


def _answer_cells(answer: Answer) -> Iterator[tuple[str, Text, str, str]]:
    """Yield the row of an answer, then one for each link that is passed over and for each prefix with a problem."""
    label, colour = _OUTCOMES[answer.outcome]
    yield clean(answer.digits), Text(label, style=colour), _reached(answer), clean(answer.explanation)
    for passed in answer.passed_over:
        yield "", Text("passed over", style="dim"), f"{passed.target} via {passed.interlink}", clean(passed.detail)
    for problem in answer.prefix_problems:
        prefix = f"{problem.prefix} of Interlink {problem.interlink}"
        yield "", Text("dial prefix", style="yellow"), prefix, clean(problem.detail)


def _reached(answer: Answer) -> str:
    match answer.outcome:
        case "Emergency":
            return "the emergency service"
        case "Own":
            return _destination(answer.destination)
        case "Peer":
            return f"{answer.target} via {answer.interlink}"
        case "NoMatch":
            return "-"


def _destination(destination: Destination | None) -> str:
    """Return where an own number rings."""
    if destination is None:
        return "nothing"
    if destination.phone is not None:
        return f"phone {destination.phone.username}"
    if destination.sip_uri is not None:
        return clean(destination.sip_uri.uri)
    if destination.external_number is not None:
        return destination.external_number.e164
    if destination.comm_server is not None:
        return f"CommServer {destination.comm_server.name}"
    application = destination.application
    return f"{application.kind} {application.name}" if application is not None else destination.type
