"""Show three offices link their phone systems, on a real control plane on this machine.

The story, and what must be seen in it, is in the package `three_offices` beside this file.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click
from rich.console import Console
from three_offices.keeper import ROOT
from three_offices.stage import NotAsExpectedError, Stage, set_stage
from three_offices.story import INDENT, Story

from pbx_operator.sandbox.registry import running

WIDTH = 100
KEPT = "demo"
"""Name of the sandbox that stays."""
SIGNALLED = 128
"""What a shell adds to the number of the signal that ended a program."""


@click.command()
@click.option("--keep", is_flag=True, help="Leave the control plane and the operator running.")
def main(keep: bool) -> None:
    """Show three offices link their phone systems; exit with 0 only if every step is as it should be."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # also Ctrl-C, which asyncio.run can lose
        signal.signal(number, lambda number, _: sys.exit(SIGNALLED + number))
    if keep and any(state.name == KEPT for state in running()):
        raise click.ClickException(f"the demo is running already; to end it: {end_command()}")
    try:
        show(keep)
    except NotAsExpectedError as problem:
        notes = getattr(problem, "__notes__", [])
        raise click.ClickException("\n".join([str(problem), *notes])) from problem


def show(keep: bool) -> None:
    """Set the stage, tell the story, and end or keep everything."""
    width = min(WIDTH, Console().width) if sys.stdout.isatty() else WIDTH
    console = Console(width=width - len(INDENT), highlight=False)
    with set_stage(KEPT if keep else None, lambda text: click.echo(text, err=True)) as stage:
        try:
            Story(stage, console).tell()
        except NotAsExpectedError:
            for warning in stage.warnings():
                click.echo(f"operator: {warning}", err=True)
            raise
        if keep:
            stage.keep()
            click.echo(invitation(stage))
        else:
            click.echo("\nEvery step was as it should be. Taking everything down; to keep it: make demo KEEP=1")


def invitation(stage: Stage) -> str:
    """Say how to go on with what was left running, and how to end it."""
    pbx = program("pbx")
    return f"""
Every step was as it should be. The control plane and the operator go on running. Try:

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

{INDENT}{end_command()}"""


def end_command() -> str:
    """Return the command that ends a demo that was left running."""
    return f"{program('python')} -m pbx_operator.sandbox down --name {KEPT}"


def program(name: str) -> str:
    """Return the path of a program of this virtual environment, as short as it works from the repository."""
    path = Path(sys.executable).parent / name
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


if __name__ == "__main__":
    main()
