"""What the command lines of the demos do alike: they heed signals, fit the terminal, and fail with a reason."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from pbx_operator.sandbox.registry import running
from three_offices.keeper import ROOT
from three_offices.stage import NotAsExpectedError, Stage
from three_offices.telling import INDENT

WIDTH = 100
SIGNALLED = 128
"""What a shell adds to the number of the signal that ended a program."""


def perform(show: Callable[[], None], kept: str | None = None) -> None:
    """Show a demo; `kept` names the sandbox that is to stay. Raises click.ClickException if a step fails."""
    _heed_signals()
    if kept is not None:
        _refuse_another(kept)
    with _failure_as_exit_code():
        show()


def _heed_signals() -> None:
    """End in order when a signal asks for it; also on Ctrl-C, which asyncio.run can lose."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(SIGNALLED + number))


def make_console() -> Console:
    """Return a console that leaves room for the indent."""
    width = min(WIDTH, Console().width) if sys.stdout.isatty() else WIDTH
    return Console(width=width - len(INDENT), highlight=False)


def tell(text: str) -> None:
    """Pass on what happens before there is something to show."""
    click.echo(text, err=True)


def _refuse_another(name: str) -> None:
    """Raise click.ClickException if a demo of this name was left running."""
    if any(state.name == name for state in running()):
        raise click.ClickException(f"the demo is running already; to end it: {end_command(name)}")


def end_command(name: str) -> str:
    """Return the command that ends a demo that was left running."""
    return f"{program('python')} -m pbx_operator.sandbox down --name {name}"


def program(name: str) -> str:
    """Return the path of a program of this virtual environment, as short as it works from the repository."""
    path = Path(sys.executable).parent / name
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


@contextmanager
def _failure_as_exit_code() -> Iterator[None]:
    """Turn a step that is not as it should be into the error of a command."""
    try:
        yield
    except NotAsExpectedError as problem:
        notes = getattr(problem, "__notes__", [])
        raise click.ClickException("\n".join([str(problem), *notes])) from problem


@contextmanager
def complaints_of(*stages: Stage) -> Iterator[None]:
    """If a step is not as it should be, tell what the operators complained of."""
    try:
        yield
    except NotAsExpectedError:
        for stage in stages:
            for warning in stage.warnings():
                tell(f"operator: {warning}")
        raise
