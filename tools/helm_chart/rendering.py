"""What Helm makes of the chart for the values of its folder `ci`: the renders that the tests compare and judge."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from helm_python import Chart
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "charts/pbx-operator"
RELEASE, NAMESPACE = "pbx", "pbx-system"
NOTES, DEFINITIONS = "NOTES.txt", "crds.yaml"

Manifest = dict[str, Any]


def ci_values() -> dict[str, Manifest]:
    """Return the values of each file of the folder `ci`, by what comes before `-values.yaml`."""
    files = sorted((CHART / "ci").glob("*-values.yaml"))
    return {file.name.removesuffix("-values.yaml"): YAML(typ="safe").load(file) or {} for file in files}


def rendered(
    values: Manifest, chart: Path = CHART, *, release: str = RELEASE, namespace: str = NAMESPACE
) -> dict[str, str]:
    """Return the text of every template by its name, without those that make nothing. Raises what Helm refuses."""
    with Chart.load(chart) as loaded:
        texts = loaded.render(values=values, name=release, namespace=namespace)
    return {name.partition("/templates/")[2]: text for name, text in sorted(texts.items()) if text.strip()}


def objects(texts: Mapping[str, str]) -> list[Manifest]:
    """Return the objects of these templates, without the CustomResourceDefinitions: these take long to read."""
    return [each for name, text in texts.items() if name not in (NOTES, DEFINITIONS) for each in _parsed(text)]


def definitions(texts: Mapping[str, str]) -> list[Manifest]:
    """Return the CustomResourceDefinitions."""
    return _parsed(texts.get(DEFINITIONS, ""))


def _parsed(text: str) -> list[Manifest]:
    return [each for each in YAML(typ="safe").load_all(text) if each]


def golden_files(generated: Mapping[str, str]) -> dict[str, str]:
    """Return what each file of the folder `ci` renders to, by path, with the chart's generated files as given.

    The CustomResourceDefinitions are left out: they are compared with `crds` as they are.
    """
    with chart_with(generated) as chart:
        return {f"tests/chart/golden/{name}.yaml": _golden(values, chart) for name, values in ci_values().items()}


@contextmanager
def chart_with(generated: Mapping[str, str]) -> Iterator[Path]:
    """Make a copy of the chart whose generated files are as given, by their paths in the repository."""
    with TemporaryDirectory() as folder:
        chart = Path(folder) / CHART.name
        shutil.copytree(CHART, chart)
        prefix = f"{CHART.relative_to(ROOT).as_posix()}/"
        for path, text in generated.items():
            if path.startswith(prefix):
                target = chart / path.removeprefix(prefix)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
        yield chart


def _golden(values: Manifest, chart: Path) -> str:
    texts = rendered(values, chart)
    notes = "".join(f"# {line}".rstrip() + "\n" for line in texts.pop(NOTES).strip().splitlines())
    parts = [f"---\n# {name}\n{text.strip()}\n" for name, text in texts.items() if name != DEFINITIONS]
    return f"# What Helm prints:\n#\n{notes}{''.join(parts)}"
