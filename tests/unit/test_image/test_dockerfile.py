"""The Dockerfile says about the process what the archive says."""

from __future__ import annotations

import json
import re

from image.facts import ENTRYPOINT, ENVIRONMENT, PORTS, USER_ID, labels

from support import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
LAST_STAGE = DOCKERFILE.rpartition("\nFROM ")[2]


def instruction(name: str) -> str:
    """Return the arguments of the one instruction of this name in the last stage."""
    (arguments,) = re.findall(rf"^{name} (.*)$", LAST_STAGE, re.MULTILINE)
    return " ".join(arguments.split())


def pairs(text: str) -> dict[str, str]:
    return dict(re.findall(r'(\S+)="([^"]*)"', text))


def test_labels() -> None:
    assert pairs(instruction("LABEL")) == labels()


def test_environment() -> None:
    assert pairs(instruction("ENV")) == ENVIRONMENT


def test_user_ports_and_entry_point() -> None:
    assert instruction("USER") == f"{USER_ID}:{USER_ID}"
    assert instruction("EXPOSE").split() == [f"{port}/tcp" for port in PORTS]
    assert json.loads(instruction("ENTRYPOINT")) == ENTRYPOINT


def test_everything_that_is_copied_is_in_the_build_context() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--from)", line)]
    for source in {source for sources in copied for source in sources}:
        assert (ROOT / source).exists(), source
        assert any(source == path or source.startswith(f"{path}/") for path in sent), source
