"""The page: a column per topology, aims met and missed, and nothing where nothing was measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from benchmark.federation import Quiet
from benchmark.figures import Call, Spread
from benchmark.measures import Build, ColdStart, Flips, Singles
from benchmark.rates import Pace, Rates
from benchmark.report import page
from benchmark.scenario import Result
from benchmark.takeover import Takeover
from benchmark.topology import Topology, mesh, ring
from benchmark.world import Costs

FACTS = {"CPU": "a fast one", "Cores": "2"}
PACES = tuple(Pace(rate, client_cpu=0.001, plane_cpu=0.003) for rate in (90.0, 100.0, 120.0))


def costs(links: int, operator_cpu: float = 1.0, **per_link: int) -> Costs:
    """Return what some links cost, by the writes of each resource per link."""
    calls = Counter({Call("PUT", resource): count * links for resource, count in per_link.items()})
    calls[Call("GET", "interlinks")] = 7 * links
    return Costs(calls, operator_cpu, plane_cpu=2.0, client_cpu=0.5)


def result(topology: Topology) -> Result:
    """Return a result that meets every aim."""
    links = len(topology.pairs)
    seconds = Spread.of([0.1, 0.2])
    return Result(
        topology,
        Rates(PACES, PACES),
        Build(links, links / 50, costs(links, interlinks=5, linkrecords=2, secrets=2, dialplanslices=2)),
        Singles(seconds, costs(2, interlinks=10), costs(2, interlinks=4, dialplanslices=2)),
        (Flips(20, seconds, seconds, costs(4, dialplanslices=21)),),
        ColdStart(settled=3.0, reacted=4.0, writes=0, peak_memory=100 * 2**20),
    )


def line(text: str, beginning: str) -> list[str]:
    """Return the cells of the only line of the table that begins so."""
    (found,) = [line for line in text.splitlines() if line.startswith(f"| {beginning} |")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_every_topology_has_a_column_and_every_row_a_cell_in_it() -> None:
    text = page(FACTS, [result(ring(300)), result(mesh(30, 100))], [], [], 12.4)
    assert line(text, "measure") == ["measure", "aim", "300 links", "mesh of 30 × 100 numbers"]
    rows = text.partition("## Figures")[2].partition("##")[0].splitlines()
    assert {row.count("|") for row in rows if row.startswith("|")} == {5}
    assert line(text, "CPU") == ["CPU", "a fast one"]
    assert line(text, "Length of the run") == ["Length of the run", "12 min"]


def test_aims_that_were_met_are_not_marked() -> None:
    text = page(FACTS, [result(ring(300))], [], [], 1)
    assert line(text, "Links per second")[1:] == ["≥ 40", "50.0"]
    assert line(text, "Writes per link")[1:] == ["9", "9.0"]
    assert line(text, "Ending a link, writes")[1:] == ["4", "4.0"]
    assert line(text, "Peak memory, MiB")[1:] == ["≤ 512", "100"]
    assert "Every aim was met." in text
    assert "missed" not in text


def test_a_missed_aim_is_marked_and_listed() -> None:
    good = result(ring(300))
    slow = replace(good, build=replace(good.build, seconds=300.0), cold_start=replace(good.cold_start, writes=3))
    text = page(FACTS, [slow], [], [], 1)
    assert line(text, "Links per second")[2] == "**1.0** (missed)"
    assert line(text, "Cold start: writes")[2] == "**3** (missed)"
    assert "- Links per second (≥ 40): 1.0 with 300 links." in text
    assert "- Cold start: writes (0): 3 with 300 links." in text


def test_the_share_counts_all_writes_against_the_median_plain_rate() -> None:
    text = page(FACTS, [result(ring(300))], [], [], 1)
    assert line(text, "Plain aiohttp, writes/s: median (least–most)")[2] == "100 (90–120)"
    assert line(text, "Share of the plain rate")[2] == "550%"  # 11 writes × 50 links/s against 100 writes/s
    assert line(text, "Share of the plain rate, by CPU time")[2] == "440%"  # 3300 × 4 ms against 3 s


def test_a_fan_out_that_was_not_measured_has_no_figure() -> None:
    text = page(FACTS, [result(ring(300))], [], [], 1)
    assert line(text, "Flip, 20 peers: seconds to the last slice: p50, p99")[2] == "0.100, 0.200"
    assert line(text, "Flip, 100 peers: seconds to the last slice: p50, p99")[2] == "–"


@pytest.mark.parametrize(("cpu", "shown"), [(1.2, "1.20"), (3.0, "**3.00** (missed)")])
def test_costs_are_compared_between_rings_of_the_same_peers(cpu: float, shown: str) -> None:
    small, large, other = result(ring(300)), result(ring(1000)), result(ring(100))
    large = replace(large, singles=replace(large.singles, costs=costs(2, cpu, interlinks=10)))
    text = page(FACTS, [other, small, large], [], [], 1)
    row = line(text, "One link, operator's CPU against the smallest ring of 20 peers")
    assert row[2:] == ["–", "1.00", shown]


def test_what_was_counted_while_nothing_changed_is_one_line_each() -> None:
    quiets = [Quiet(1000, 10, requests=121, writes=0, operator_cpu=1.234), Quiet(1000, 2, 24, 0, 0.5)]
    text = page(FACTS, [result(ring(300))], quiets, [], 1)
    assert "| 1,000 | 10 | 121 | 120 | 0 | 1.23 s |" in text
    assert "| 1,000 | 2 | 24 | 24 | 0 | 0.50 s |" in text


def test_takeovers_are_one_line_each() -> None:
    taken = [Takeover("SIGTERM", Spread.of([1.26, 0.5, 0.71])), Takeover("SIGKILL", Spread.of([11.0, 12.04, 10.5]))]
    text = page(FACTS, [result(ring(300))], [], taken, 1)
    assert line(text, "SIGTERM") == ["SIGTERM", "0.5 s", "0.7 s", "1.3 s"]
    assert line(text, "SIGKILL") == ["SIGKILL", "10.5 s", "11.0 s", "12.0 s"]
