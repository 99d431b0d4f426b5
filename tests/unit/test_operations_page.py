"""The sizes that administrators go by are those that were measured."""

from __future__ import annotations

import re

from support import ROOT

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
BENCHMARKS = (ROOT / "docs" / "benchmarks.md").read_text()
LINKS = ("100", "1,000", "5,000")


def measured(row: str) -> list[str]:
    """Return the figures of a row of the benchmarks, for each number of links."""
    (cells,) = re.findall(rf"^\| {re.escape(row)} \|(.*)\|$", BENCHMARKS, re.MULTILINE)
    return [cell.replace("**", "").replace("(missed)", "").strip() for cell in cells.split("|")[1:4]]


def test_the_table_of_sizes_shows_what_was_measured() -> None:
    memory, start = measured("Peak memory, MiB"), measured("Cold start: seconds until settled")
    slowest = [pair.split(", ")[1] for pair in measured("One link, seconds to Established: p50, p99")]
    for links, size, settled, link in zip(LINKS, memory, start, slowest, strict=True):
        assert f"| {links} | {size} MiB | {settled} s | {link} s |" in OPERATIONS


def test_the_cpu_of_a_link_is_what_was_measured() -> None:
    (cells,) = re.findall(r"^\| CPU per link: operator, control plane \|(.*)\|$", BENCHMARKS, re.MULTILINE)
    costs = [int(cost) for cost in re.findall(r"(\d+) ms, ", cells)]
    assert f"{min(costs)} to {max(costs)} ms of the operator for each link" in OPERATIONS


def test_the_cost_of_other_clusters_is_what_was_measured() -> None:
    (cost,) = re.findall(r"^\| 1,000 \| 10 \|.*\| ([\d.]+ s) \|$", BENCHMARKS, re.MULTILINE)
    assert f"with 1,000 links to 10 of them, and a sync every 5 seconds, {cost} in a\n  minute" in OPERATIONS


def test_the_memory_of_many_rows_is_what_was_measured() -> None:
    (cells,) = re.findall(r"^\| Peak memory, MiB \|(.*)\|$", BENCHMARKS, re.MULTILINE)
    mesh = cells.split("|")[-1].strip()
    assert f"are 87,000 and take {mesh} MiB" in OPERATIONS
