"""How servers, and what becomes of numbers, look on a terminal."""

from __future__ import annotations

from rich.console import Console

from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.api.v1alpha1.commserver import ServerState, TranslatedNumber
from pbx_operator.cli.tables import table
from pbx_operator.domain.conditions import find

_CIRCLES: dict[ServerState | None, str] = {
    None: "✖",
    "Pending": "⚪",
    "Running": "🟢",
    "Degraded": "🟡",
    "Activated": "🔴",
}


def print_server(console: Console, server: CommServer) -> None:
    """Print a server: its state, its channels, and why it is ready or not."""
    status, ready = server.status, find(server.status.conditions, "Ready")
    channels = ", ".join(f"{channel.name} {channel.state}" for channel in status.connection)
    verdict = (f"{ready.status}: {ready.reason}", ready.message) if ready is not None else ("-", "not seen yet")
    row = (_CIRCLES[status.state], server.metadata.name, status.state or "-", channels or "-", *verdict)
    console.print(table(("", "NAME", "STATE", "CHANNELS", "READY", "MESSAGE"), [row]))


def print_translations(console: Console, server: CommServer) -> None:
    """Print what typical numbers become, and by which rule."""
    rows = [(row.number, row.kind, row.result or "nothing", _cause(server, row)) for row in server.status.translations]
    console.print(table(("DIALED", "KIND", "THE PBX GETS", "BECAUSE OF"), rows))


def _cause(server: CommServer, row: TranslatedNumber) -> str:
    """Return the rule in its own words, if it was one."""
    for index, rule in enumerate(server.spec.numbering_rules):
        if row.by == f"numberingRules[{index}]":
            return f"{row.by}, {rule.description}" if rule.description else row.by
    return row.by
