"""Show accounts of two clusters link their phone systems, on two real control planes on this machine.

The story, and what must be seen in it, is in the package `two_clusters` beside this file.
"""

from __future__ import annotations

import click
from three_offices.running import complaints_of, make_console, perform, tell
from three_offices.stage import set_stage
from two_clusters.story import Story

from pbx_operator.sandbox.ports import unused_port

ROME = ("--sync-interval 1", "--allow-network 127.0.0.0/8")


@click.command()
def main() -> None:
    """Show two clusters link their phone systems; exit with 0 only if every step is as it should be."""
    perform(show)


def show() -> None:
    """Set both stages, tell the story, and end everything."""
    port = unused_port()
    paris = (f"--exchange-endpoint https://127.0.0.1:{port}", f"--exchange-port {port}")
    with (
        set_stage(None, tell, words(paris)) as first,
        set_stage(None, tell, words(ROME)) as second,
        complaints_of(first, second),
    ):
        Story(first, second, (paris, ROME), make_console()).tell()
        click.echo("\nEvery step was as it should be. Taking everything down.")


def words(options: tuple[str, ...]) -> list[str]:
    """Return options as a shell would pass them on."""
    return [word for option in options for word in option.split()]


if __name__ == "__main__":
    main()
