"""The rows of the table: which figure is shown for a topology, how, and which aim it has."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmark.figures import Calls, Spread, ratios, reads, writes
from benchmark.measures import Flips
from benchmark.rates import Pace
from benchmark.scenario import FAN_OUTS, Result

LINK_RESOURCES = ("interlinks", "linkrecords", "secrets")
MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure; `met` is None where there is no aim."""

    text: str
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of all topologies; a topology without the figure has no cell."""

    name: str
    aim: str
    cell: Callable[[Result], Cell | None]


def all_rows(results: Sequence[Result]) -> list[Row]:
    """Return the rows in the order of the page; some compare a topology with the others."""
    return [*_size_rows(), *_link_rows(), *_single_rows(results), *_flip_rows(results), *_start_rows()]


def _size_rows() -> list[Row]:
    return [
        Row("Accounts, peers each, numbers each", "", lambda r: Cell(_size(r))),
        Row("Plain aiohttp, writes/s: median (least–most)", "", lambda r: Cell(_range(r.rates.plain))),
        Row("Operator's client, writes/s", "", lambda r: Cell(_range(r.rates.cluster))),
        Row(
            "Operator's client / plain aiohttp, median of pairs",
            "",
            lambda r: Cell(f"{ratios(_rates(r.rates.cluster), _rates(r.rates.plain)).median:.0%}"),
        ),
        Row("CPU per plain write: client, control plane", "", lambda r: Cell(_pace_cpu(r.rates.plain))),
        Row("CPU per write of the operator's client: same", "", lambda r: Cell(_pace_cpu(r.rates.cluster))),
    ]


def _size(r: Result) -> str:
    return f"{len(r.topology.accounts)}, {r.topology.peers}, {r.topology.numbers}"


def _rates(paces: Sequence[Pace]) -> list[float]:
    return [pace.rate for pace in paces]


def _pace_cpu(paces: Sequence[Pace]) -> str:
    client, plane = (Spread.of(cpu).median for cpu in zip(*((p.client_cpu, p.plane_cpu) for p in paces), strict=True))
    return f"{1000 * client:.1f} ms, {1000 * plane:.1f} ms"


def _range(paces: Sequence[Pace]) -> str:
    spread = Spread.of(_rates(paces))
    return f"{spread.median:.0f} ({spread.samples[0]:.0f}–{spread.samples[-1]:.0f})"


def _link_rows() -> list[Row]:
    return [
        Row("Links per second", "≥ 40", lambda r: _at_least(r.build.links / r.build.seconds, 40, ".1f")),
        Row("Share of the plain rate", "≥ 50 %", lambda r: _at_least(_share(r), 0.5, ".0%")),
        Row("Share of the plain rate, by CPU time", "≥ 50 %", lambda r: _at_least(_share_by_cpu(r), 0.5, ".0%")),
        Row("Writes per link", "9", lambda r: _at_most(_per_link(r, *LINK_RESOURCES), 9)),
        Row("Slice writes per link", "2", lambda r: _at_most(_per_link(r, "dialplanslices"), 2)),
        Row("Account status writes per link", "", lambda r: Cell(f"{_per_link(r, 'pbxaccounts'):.1f}")),
        Row("Events per link", "", lambda r: Cell(f"{_per_link(r, 'events'):.1f}")),
        Row("Reads per link", "", lambda r: Cell(f"{reads(r.build.costs.calls) / r.build.links:.1f}")),
        Row(
            "CPU per link: operator, control plane",
            "",
            lambda r: Cell(_cpu(r.build.costs.operator_cpu, r.build.costs.plane_cpu, r.build.links)),
        ),
        Row("Links per second if only the control plane used CPU", "", lambda r: Cell(f"{_ceiling(r):.1f}")),
    ]


def _share(r: Result) -> float:
    return _all_writes(r) / r.build.seconds / Spread.of(_rates(r.rates.plain)).median


def _share_by_cpu(r: Result) -> float:
    """Return what the share would be if nothing but CPU time counted, and nobody else used any."""
    plain = Spread.of(p.client_cpu + p.plane_cpu for p in r.rates.plain).median
    return _all_writes(r) * plain / (r.build.costs.operator_cpu + r.build.costs.plane_cpu)


def _all_writes(r: Result) -> int:
    return writes(r.build.costs.calls) + writes(r.build.costs.calls, "events")


def _ceiling(r: Result) -> float:
    return (os.cpu_count() or 1) * r.build.links / r.build.costs.plane_cpu


def _per_link(r: Result, *resources: str) -> float:
    return writes(r.build.costs.calls, *resources) / r.build.links


def _single_rows(results: Sequence[Result]) -> list[Row]:
    return [
        Row("One link, seconds to Established: p50, p99", "p99 < 1", lambda r: _below(r.singles.seconds, 1)),
        Row(
            "One link, writes (both sides applied at once)",
            "",
            lambda r: Cell(f"{_per_single(r, r.singles.costs.calls):.1f}"),
        ),
        Row("Ending a link, writes", "4", lambda r: _at_most(_per_single(r, r.singles.ending.calls), 4)),
        Row(
            "One link, CPU: operator, control plane",
            "",
            lambda r: Cell(
                _cpu(r.singles.costs.operator_cpu, r.singles.costs.plane_cpu, len(r.singles.seconds.samples))
            ),
        ),
        Row(
            "One link, operator's CPU against the smallest ring of 20 peers",
            "≤ 1.5",
            lambda r: _against_smallest(r, results, _single_cpu),
        ),
    ]


def _per_single(r: Result, calls: Calls) -> float:
    return writes(calls, *LINK_RESOURCES) / r.singles.links


def _single_cpu(r: Result) -> float | None:
    return r.singles.costs.operator_cpu / r.singles.links


def _flip_rows(results: Sequence[Result]) -> list[Row]:
    rows = [row for fan_out in FAN_OUTS for row in _flip_rows_of(fan_out)]
    name = "Flip, 20 peers: operator's CPU against the smallest ring of 20 peers"
    return [*rows, Row(name, "≤ 1.5", lambda r: _against_smallest(r, results, _flip_cpu))]


def _flip_rows_of(fan_out: int) -> Iterable[Row]:
    peers = "1 peer" if fan_out == 1 else f"{fan_out} peers"
    aim = "p99 < 1" if fan_out == 20 else ""

    def last(r: Result) -> Cell | None:
        found = _flips(r, fan_out)
        if found is None:
            return None
        return _below(found.last, 1) if aim else Cell(_spread(found.last))

    def every(r: Result) -> Cell | None:
        found = _flips(r, fan_out)
        return None if found is None else Cell(_spread(found.every))

    def cost(r: Result) -> Cell | None:
        found = _flips(r, fan_out)
        if found is None:
            return None
        written = writes(found.costs.calls, "dialplanslices") / found.changes
        return Cell(f"{written:.1f}; {_cpu(found.costs.operator_cpu, found.costs.plane_cpu, found.changes)}")

    yield Row(f"Flip, {peers}: seconds to the last slice: p50, p99", aim, last)
    yield Row(f"Flip, {peers}: seconds to each slice: p50, p99", "", every)
    yield Row(f"Flip, {peers}: slice writes; CPU: operator, control plane", "", cost)


def _flips(r: Result, fan_out: int) -> Flips | None:
    return next((f for f in r.flips if f.fan_out == fan_out), None)


def _flip_cpu(r: Result) -> float | None:
    found = _flips(r, 20)
    return None if found is None else found.costs.operator_cpu / found.changes


def _start_rows() -> list[Row]:
    return [
        Row("Cold start: seconds until settled", "< 20", lambda r: _at_most(r.cold_start.settled, 20)),
        Row("Cold start: seconds until it reacts", "", lambda r: Cell(f"{r.cold_start.reacted:.1f}")),
        Row("Cold start: writes", "0", lambda r: Cell(str(r.cold_start.writes), r.cold_start.writes == 0)),
        Row("Peak memory, MiB", "≤ 512", lambda r: _at_most(r.cold_start.peak_memory / MEBIBYTE, 512, ".0f")),
    ]


# --- cells --------------------------------------------------------------------------------------------------------


def _at_least(value: float, aim: float, form: str) -> Cell:
    return Cell(f"{value:{form}}", value >= aim)


def _at_most(value: float, aim: float, form: str = ".1f") -> Cell:
    """Compare what is shown, so that a stray request among thousands is not a miss."""
    text = f"{value:{form}}"
    return Cell(text, float(text) <= aim)


def _below(spread: Spread, aim: float) -> Cell:
    return Cell(_spread(spread), spread.percentile(99) < aim)


def _spread(spread: Spread) -> str:
    return f"{spread.median:.3f}, {spread.percentile(99):.3f}"


def _cpu(operator: float, plane: float, units: int) -> str:
    return f"{1000 * operator / units:.0f} ms, {1000 * plane / units:.0f} ms"


def _against_smallest(r: Result, results: Sequence[Result], cost: Callable[[Result], float | None]) -> Cell | None:
    """Compare a cost with that of the first topology whose accounts have as many peers."""
    first = next((o for o in results if o.topology.peers == 20), None)
    mine, other = cost(r), cost(first) if first is not None else None
    if mine is None or other is None or r.topology.peers != 20:
        return None
    return _at_most(mine / other, 1.5, ".2f")
