"""Show communication servers being declared, connected and let go, on a real control plane on this machine.

The story, and what must be seen in it, is in the package `comm_servers` beside this file.  The simulator of Rainbow is
one of the tests, so their folder must be on PYTHONPATH; `make demo-commserver` puts it there.
"""

from __future__ import annotations

import click
from comm_servers.beside import Beside, Line
from comm_servers.rainbow import Rainbow, certified_by
from comm_servers.story import Story
from three_offices.running import complaints_of, failure_as_exit_code, heed_signals, make_console, tell
from three_offices.stage import set_stage

from pbx_operator.sandbox.ports import unused_port


@click.command()
def main() -> None:
    """Show communication servers; exit with 0 only if every step is as it should be."""
    heed_signals()
    with failure_as_exit_code():
        show()


def show() -> None:
    """Set the stage, tell the story, and end everything."""
    port = unused_port()
    exchange = ("--exchange-endpoint", f"https://127.0.0.1:{port}", "--exchange-port", str(port))
    operator = (*exchange, "--allow-network", "127.0.0.0/8")
    with (
        set_stage(None, tell, operator, trusting=True) as stage,
        complaints_of(stage),
        Beside() as beside,
        Line(beside, unused_port()) as line,
        Rainbow(beside, certified_by(stage.authority)) as rainbow,
    ):
        Story(stage, operator, line, rainbow, make_console()).tell()
        click.echo("\nEvery step was as it should be. Taking everything down.")


if __name__ == "__main__":
    main()
