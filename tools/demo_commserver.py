"""Show communication servers being declared, connected and let go, on a real control plane on this machine.

The story, and what must be seen in it, is in the package `comm_servers` beside this file.  The simulator of Rainbow is
one of the tests, so their folder must be on PYTHONPATH; `make demo-commserver` puts it there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
from comm_servers.beside import Beside, Line
from comm_servers.boxes import START
from comm_servers.rainbow import Rainbow, certified_by
from comm_servers.sites import SHOW
from comm_servers.story import Story
from three_offices.running import (
    complaints_of,
    end_command,
    make_console,
    perform,
    tell,
)
from three_offices.stage import Stage, set_stage
from three_offices.telling import INDENT

from pbx_operator.sandbox.ports import unused_port

KEPT = "demo-commserver"
"""Name of the sandbox that stays."""
LISTEN = "python -m http.server $LINE --bind 127.0.0.1 > $NICE/line.log 2>&1 &"
"""What a person may take for a phone line."""
WAIT = "kubectl wait commserver nice -n nice --timeout=60s --for=jsonpath='{{.status.connection[0].state}}'={state}"


@click.command()
@click.option("--keep", is_flag=True, help="Leave the control plane and the operator running.")
def main(keep: bool) -> None:
    """Show communication servers; exit with 0 only if every step is as it should be."""
    perform(lambda: show(keep), KEPT if keep else None)


def show(keep: bool) -> None:
    """Set the stage, tell the story, and end or keep everything."""
    port = unused_port()
    exchange = ("--exchange-endpoint", f"https://127.0.0.1:{port}", "--exchange-port", str(port))
    operator = (*exchange, "--allow-network", "127.0.0.0/8")
    with (
        set_stage(KEPT if keep else None, tell, operator, trusting=True) as stage,
        complaints_of(stage),
        Beside() as beside,
        Line(beside, unused_port()) as line,
        Rainbow(beside, certified_by(stage.authority)) as rainbow,
    ):
        story = Story(stage, operator, line, rainbow, make_console())
        story.tell()
        if keep:
            stage.keep()
            click.echo(invitation(stage, story.folders["nice"], line.port))
        else:
            click.echo(
                "\nEvery step was as it should be. Taking everything down; to keep it: make demo-commserver KEEP=1"
            )


def invitation(stage: Stage, nice: Path, line: int) -> str:
    """Say how to go on with what was left running, and how to end it."""
    box = START.format(folder="$NICE", key="key")
    commands = (
        f"export KUBECONFIG={stage.kubeconfig}",
        f"export PATH={stage.kubectl.parent}:{Path(sys.executable).parent}:$PATH",
        f"export NICE={nice} LINE={line}",
        f"{LISTEN} LISTENER=$!",
        f"{box} > $NICE/box.log 2>&1 & DEVICE=$!",
        WAIT.format(state="Up"),
        "kill $LISTENER",
        WAIT.format(state="Down"),
        SHOW.format(name="nice"),
        "kubectl get pbx -A",
        "kill $DEVICE",
        f"tail {stage.log}",
    )
    lines = "\n".join(f"{INDENT}{line}" for command in commands for line in command.splitlines())
    return f"""
Every step was as it should be. The control plane and the operator go on running. The boxes, their phone line and the
simulator of Rainbow ended with the demo: after 3 minutes of silence Nice and Lyon are Degraded, after 15 Activated, and
a server that is declared to that Rainbow waits for an answer. Let something listen again, and Nice's box connect with
the key that it has; then cut its line:

{lines}

To end everything and leave nothing behind:

{INDENT}{end_command(KEPT)}"""


if __name__ == "__main__":
    main()
