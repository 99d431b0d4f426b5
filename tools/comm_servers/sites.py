"""A terminal for communication servers: waits until one is as it should be, and shows it."""

from __future__ import annotations

from three_offices.stage import NotAsExpectedError, eventually
from three_offices.telling import Terminal

from comm_servers.marks import verdict
from pbx_operator.api.v1alpha1 import CommServer

SHOW = "kubectl get commserver {name} -n {name} -o custom-columns-file=examples/comm-servers/columns"
LOOK = """\
kubectl annotate --overwrite commserver {name} -n {name} \\
    pbx-operator.io/reconcile-requested-at="$(date +%s.%N)\""""
CONDITIONS = """\
kubectl get commserver {name} -n {name} -o jsonpath=\\
'{{range .status.conditions[*]}}{{.type}} is {{.status}}: {{.reason}}{{"\\n"}}{{end}}'"""
TRANSLATIONS = """\
kubectl get commserver {name} -n {name} -o jsonpath=\\
'{{range .status.translations[*]}}{{.number}}{{"\\t"}}{{.kind}}{{"\\t"}}{{.result}}{{"\\t"}}{{.by}}{{"\\n"}}{{end}}' |
    expand -t 16"""
EVENTS = "kubectl get events -n {name} -o jsonpath='{{.items[?(@.reason==\"{reason}\")].message}}'"
_NOTHING = "-"


class Site(Terminal):
    """Where somebody works with servers; each is in a namespace of its name."""

    def see(self, name: str, **expected: str) -> CommServer:
        """Wait until a server has this `state`, these `channels` and these reasons of its conditions, and show it.

        Raises NotAsExpectedError.
        """
        server = self.wait_for(name, **expected)
        self.run_and_show(SHOW.format(name=name))
        self.say(verdict(server))
        return server

    def wait_for(self, name: str, **expected: str) -> CommServer:
        """Do as `see`, and show nothing."""
        found: list[CommServer] = []

        def look() -> dict[str, str]:
            found[:] = [server for server in self._stage.objects(CommServer) if server.metadata.name == name]
            facts = _facts(found[0]) if found else {}
            return {fact: facts.get(fact, _NOTHING) for fact in expected}

        eventually(f"the server {name}", expected, look)
        return found[0]

    def show_translations(self, server: CommServer) -> None:
        """Show what a server makes of typical numbers. Raises NotAsExpectedError if it does not say."""
        if not server.status.translations:
            raise NotAsExpectedError(f"what the server {server.metadata.name} makes of numbers", "a table", "nothing")
        self.run_and_show(TRANSLATIONS.format(name=server.metadata.name))

    def show_conditions(self, name: str) -> None:
        """Show all conditions of a server."""
        self.run_and_show(CONDITIONS.format(name=name))

    def look(self, name: str) -> None:
        """Ask the operator to look at a server now, and wait until it has. Raises NotAsExpectedError."""
        self.run(LOOK.format(name=name))
        asked = self._stage.objects(CommServer)
        tokens = {s.metadata.name: s.metadata.reconcile_requested_at or _NOTHING for s in asked}
        self.wait_for(name, looked=tokens[name])

    def see_event(self, name: str, reason: str, message: str) -> None:
        """Wait until there is one Event with this reason, which says this, and show it. Raises NotAsExpectedError."""
        command = EVENTS.format(name=name, reason=reason)
        eventually(f"the Event {reason}", {"it says": message}, lambda: {"it says": self._stage.shell(command)})
        self.type_in(command)
        self.say(message)

    def see_gone(self, name: str) -> None:
        """Wait until a server is gone. Raises NotAsExpectedError."""

        def look() -> dict[str, str]:
            there = {server.metadata.name for server in self._stage.objects(CommServer)}
            return {name: "there" if name in there else "gone"}

        eventually("the server", {name: "gone"}, look)

    def say(self, text: str) -> None:
        """Print text, in lines that fit."""
        self._teller.show(lambda console: console.print(text, markup=False, emoji=False))


def _facts(server: CommServer) -> dict[str, str]:
    """Return what matters of a server by the name of what it is about."""
    status = server.status
    facts = {condition.type: condition.reason for condition in status.conditions}
    facts["state"] = status.state or _NOTHING
    facts["channels"] = ", ".join(f"{channel.name} {channel.state}" for channel in status.connection) or _NOTHING
    facts["looked"] = status.last_handled_reconcile_at or _NOTHING
    return facts
