"""The command line of the sandbox: `python -m pbx_operator.sandbox up|down|status|run`."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pbx_operator.sandbox.controlplane import ControlPlane, component_problems, start_detached, take_down
from pbx_operator.sandbox.errors import SandboxError
from pbx_operator.sandbox.processes import tied
from pbx_operator.sandbox.registry import running

if TYPE_CHECKING:
    from types import FrameType

    from pbx_operator.sandbox.registry import SandboxState

_name_option = click.option("--name", default="default", show_default=True, help="Which sandbox, if there are several.")
_data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Where to keep its files: a directory that does not exist yet, and is removed in the end.",
)


class _Group(click.Group):
    """Prints a SandboxError as click prints its own errors."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SandboxError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run a Kubernetes control plane (API server, etcd, controller manager) on this machine, without nodes."""


@main.command()
@_name_option
@_data_dir_option
def up(name: str, data_dir: Path | None) -> None:
    """Start a sandbox in the background and print the path of its kubeconfig."""
    state = start_detached(name, data_dir)
    click.echo(state.kubeconfig)
    click.echo(f"sandbox {name!r} is ready at {state.url}; a fitting kubectl is {state.kubectl}", err=True)


@main.command()
@_name_option
def down(name: str) -> None:
    """Stop a sandbox and remove its files."""
    take_down(name)


@main.command()
@click.option("--name", help="Only this one. Default: all that run.")
def status(name: str | None) -> None:
    """List the running sandboxes: health, files, processes and ports."""
    states = [state for state in running() if name in (None, state.name)]
    for state in states:
        click.echo(_describe(state))
    if name is not None and not states:
        raise click.ClickException(f"sandbox {name!r} is not running")
    if not states:
        click.echo("no sandbox is running", err=True)


@main.command(context_settings={"allow_interspersed_args": False})
@_data_dir_option
@click.argument("command", nargs=-1, required=True)
def run(data_dir: Path | None, command: tuple[str, ...]) -> None:
    """Start a sandbox, run COMMAND with KUBECONFIG and PATH set, take it down, exit with COMMAND's code."""
    with ControlPlane.start(data_dir=data_dir) as control_plane:
        code = _run_command(command, control_plane.environment())
    sys.exit(code)


def _describe(state: SandboxState) -> str:
    facts = {
        "url": state.url,
        "kubeconfig": str(state.kubeconfig),
        "data": str(state.data_dir),
        "supervisor": f"process {state.supervisor_pid}",
    }
    problems = component_problems(state)
    for name, component in state.components.items():
        process = f"process {component.pid}, " if component.pid else ""
        facts[name] = f"{process}port {component.port}, {problems.get(name, 'ready')}"
    width = max(map(len, facts))
    lines = [f"  {label:{width}}  {fact}" for label, fact in facts.items()]
    return "\n".join([f"{state.name}: {'not ready' if problems else 'ready'}", *lines])


def _run_command(command: tuple[str, ...], environ: dict[str, str]) -> int:
    """Run a command, pass signals on to it, and return its code as a shell would."""
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        # A terminal sends Ctrl-C to the command as well; twice would cut its clean-up short.
        if number == signal.SIGINT and sys.stdin.isatty():
            return
        if process is None:
            early.append(number)
        else:
            process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    process = subprocess.Popen(tied(command, signal.SIGTERM), env=environ)
    for signalled in early:
        process.send_signal(signalled)
    code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    main(prog_name="python -m pbx_operator.sandbox")
