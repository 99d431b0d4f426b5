"""Show three offices link their phone systems, on a real control plane on this machine.

The story, and what must be seen in it, is in the package `three_offices` beside this file.
"""

from __future__ import annotations

import click
from three_offices.running import (
    complaints_of,
    end_command,
    make_console,
    perform,
    program,
    tell,
)
from three_offices.stage import Stage, set_stage
from three_offices.story import Story
from three_offices.telling import INDENT

KEPT = "demo"
"""Name of the sandbox that stays."""


@click.command()
@click.option("--keep", is_flag=True, help="Leave the control plane and the operator running.")
def main(keep: bool) -> None:
    """Show three offices link their phone systems; exit with 0 only if every step is as it should be."""
    perform(lambda: show(keep), KEPT if keep else None)


def show(keep: bool) -> None:
    """Set the stage, tell the story, and end or keep everything."""
    console = make_console()
    with set_stage(KEPT if keep else None, tell) as stage:
        with complaints_of(stage):
            Story(stage, console).tell()
        if keep:
            stage.keep()
            click.echo(invitation(stage))
        else:
            click.echo("\nEvery step was as it should be. Taking everything down; to keep it: make demo KEEP=1")


def invitation(stage: Stage) -> str:
    """Say how to go on with what was left running, and how to end it."""
    pbx = program("pbx")
    return f"""
Every step was as it should be. The control plane and the operator go on running. Accounts count their links up to
30 s later, in the columns ESTABLISHED and PENDING. Try:

{INDENT}export KUBECONFIG={stage.kubeconfig}
{INDENT}export PATH={stage.kubectl.parent}:$PATH
{INDENT}kubectl get pbx -A
{INDENT}{pbx} dial paris 400 -n paris
{INDENT}kubectl patch interlink to-bern -n paris --type=merge -p '{{"spec":{{"gate":"Closed"}}}}'
{INDENT}{pbx} dial paris 400 -n paris
{INDENT}kubectl delete interlink to-paris -n bern
{INDENT}kubectl get interlinks -A
{INDENT}tail {stage.log}

To end both and leave nothing behind:

{INDENT}{end_command(KEPT)}"""


if __name__ == "__main__":
    main()
