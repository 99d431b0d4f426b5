"""The workflows as data, and what they run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML

from support import ROOT

FOLDER = ROOT / ".github"
FILES = sorted((FOLDER / "workflows").glob("*.yaml"))
ACTIONS = sorted((FOLDER / "actions").glob("*/action.yaml"))

Data = dict[str, Any]


def read(path: str) -> Data:
    """Return a file of the repository."""
    data: Data = YAML(typ="safe").load(ROOT / path)
    return data


WORKFLOWS = {file.stem: read(f".github/workflows/{file.name}") for file in FILES}
JOBS: list[tuple[str, Data]] = [
    (f"{name}/{job}", body) for name, workflow in WORKFLOWS.items() for job, body in workflow["jobs"].items()
]
"""Every job with its name, the workflow's first."""


def legs(job: Data) -> list[Data]:
    """Return what the job's matrix has for each run; one run with nothing if there is none."""
    matrix = job.get("strategy", {}).get("matrix", {})
    return list(matrix.get("include", [{}]))


def commands(job: Data) -> Iterator[str]:
    """Yield every command of the job, with the values of each run."""
    for step in job.get("steps", []):
        for leg in legs(job):
            yield with_values(step.get("run", ""), leg)


def with_values(text: str, leg: Data) -> str:
    """Return the text with what the matrix has for this run."""
    return re.sub(r"\$\{\{ matrix\.(\w+) \}\}", lambda found: str(leg[found[1]]), text)


def made(job: Data) -> set[str]:
    """Return the targets of make that the job runs."""
    found = (re.findall(r"^make (.+)$", command, re.MULTILINE) for command in commands(job))
    return {target for lines in found for line in lines for target in line.split()}
