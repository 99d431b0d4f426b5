"""The command line of the benchmark."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import click

from benchmark.federation import SIZES, Quiet, quiet
from benchmark.machine import describe_machine
from benchmark.report import page
from benchmark.scenario import Result, run
from benchmark.stage import ROOT
from benchmark.takeover import Takeover, takeovers
from benchmark.topology import Topology, mesh, ring

PAGE = ROOT / "docs" / "benchmarks.md"
MESH_ACCOUNTS, MESH_NUMBERS = 30, 100


@click.command()
@click.option("--links", default="100,1000,5000", show_default=True, help="Sizes of the rings, separated by commas.")
@click.option("--mesh/--no-mesh", "with_mesh", default=True, show_default=True, help="Measure the mesh, too.")
@click.option(
    "--federation/--no-federation",
    "with_federation",
    default=True,
    show_default=True,
    help="Measure links to other clusters, too.",
)
@click.option("--standby/--no-standby", "with_standby", default=True, show_default=True, help="Measure takeovers, too.")
@click.option("--output", default=PAGE, type=click.Path(path_type=Path, dir_okay=False), help="Where the page goes.")
def main(links: str, with_mesh: bool, with_federation: bool, with_standby: bool, output: Path) -> None:
    """Measure the operator on this machine; write the page after each size, and print it in the end.

    Everything takes some 28 minutes on two quiet cores, `--links 100 --no-mesh --no-federation --no-standby` two.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    topologies = _topologies(links)
    if with_mesh:
        topologies.append(mesh(MESH_ACCOUNTS, MESH_NUMBERS))
    begin, results, quiets, taken = time.monotonic(), list[Result](), list[Quiet](), list[Takeover]()
    facts = asyncio.run(describe_machine())

    def write() -> None:
        output.write_text(page(facts, results, quiets, taken, (time.monotonic() - begin) / 60), encoding="utf-8")

    for topology in topologies:
        results.append(asyncio.run(run(topology)))
        write()
    for size in SIZES if with_federation else ():
        quiets.append(asyncio.run(quiet(*size)))
        write()
    if with_standby:
        taken.extend(asyncio.run(takeovers()))
        write()
    click.echo(output.read_text(encoding="utf-8"))


def _topologies(links: str) -> list[Topology]:
    try:
        return [ring(int(size)) for size in links.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{links!r}: {error}; give numbers such as 100,1000", param_hint="--links") from error
