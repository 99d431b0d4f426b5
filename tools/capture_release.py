"""Write `tests/releases/<version>`: the definitions of this release, and objects as its operator wrote them.

Tests of later releases start from them, as an upgrade does.  The objects are those of `tests/releases/scene.yaml`, and
what the operator makes of them: statuses, records, slices and Secrets, from a real run in a sandbox.  Only what the
API server keeps for itself is left out.  One of the servers has a box that is connected, whose key is kept, too.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from comm_servers.boxes import START
from three_offices.running import complaints_of, perform, tell
from three_offices.stage import Facts, Stage, eventually, set_stage

from pbx_operator.api.manifest import to_yaml
from pbx_operator.api.v1alpha1 import KINDS
from pbx_operator.sandbox.ports import unused_port

RELEASES = Path(__file__).resolve().parent.parent / "tests" / "releases"
READY = {
    "PBXAccount/paris": "Serving",
    "PBXAccount/rome": "Serving",
    "PBXAccount/bern": "Serving",
    "InternalNumber/mike": "Serving",
    "InternalNumber/john": "Serving",
    "InternalNumber/workshop": "Serving",
    "InternalNumber/safe": "Serving",
    "InternalNumber/hotel": "Serving",
    "InternalNumber/emergency": "EmergencyNumber",
    "Interlink/to-rome": "Established",
    "Interlink/to-paris": "Established",
    "Interlink/to-bern": "Established",
    "Interlink/from-bern": "Established",
    "Interlink/for-bern": "KeyIssued",
    "Interlink/waiting": "SecretMissing",
    "CommServer/lyon": "Declared",
    "CommServer/nice": "Declared",
    "CommServer/menton": "Declared",
    "CommServer/cannes": "EmergencyCall",
}
"""The reason of the condition Ready of each object of the scene."""
AFTERWARDS = {
    **READY,
    "InternalNumber/mike-too": "NumberConflict",
    "Interlink/from-bern": "EndedByPeer",
    "CommServer/menton": "Running",
}
"""The same once the second holder has come, the box is connected, and the tool has ended a link."""
ENDED = "Interlink/to-bern"
COUNTERS = "account paris counts"
COUNTED = "1 established, 1 conflicted"
EXCHANGE = ("--exchange-endpoint", "https://pbx.example.com", "--exchange-port")
"""Keys and activation codes name the exchange by this address; the box of the tool has another one for it."""
BOX_KEY = "box.key"
KEPT_BY_SERVER = ("managedFields", "resourceVersion", "selfLink")


@click.command()
def main() -> None:
    """Capture the release whose version the package has; what was captured of it before is replaced."""
    perform(capture)


def capture() -> None:
    """Set the stage, play the scene, and write what is there then. Raises NotAsExpectedError."""
    port, target = unused_port(), RELEASES / version("pbx-operator")
    with TemporaryDirectory() as box, set_stage(None, tell, (*EXCHANGE, str(port))) as stage:
        with complaints_of(stage):
            stage.shell("kubectl apply -f tests/releases/scene.yaml")
            eventually("the scene", READY, lambda: reasons(stage))
            with connected(stage, Path(box), port):
                play(stage)
            write(stage, target)
        shutil.copy(Path(box) / BOX_KEY, target)


@contextmanager
def connected(stage: Stage, folder: Path, port: int) -> Iterator[None]:
    """Let the box of `menton` run, whose one line is the port of the exchange; its key is made in the folder."""
    text = stage.shell("kubectl get secret menton-activation -n offices -o json")
    for name, value in json.loads(text)["data"].items():
        (folder / name).write_bytes(base64.b64decode(value))
    (folder / "endpoint").write_text(f"https://127.0.0.1:{port}")
    command = START.format(folder="$BOX", key=BOX_KEY)
    box = stage.start(command, {"BOX": str(folder), "LINE": str(port)}, folder / "log")
    try:
        yield
    finally:
        box.terminate()
        box.wait()


def play(stage: Stage) -> None:
    """Bring the scene into the state to be captured. Raises NotAsExpectedError."""
    stage.shell("kubectl apply -f tests/releases/second-holder.yaml")
    stage.shell(f"kubectl delete {ENDED} -n offices")
    stage.stop_operator()
    stage.start_operator()  # catches up with the counters, which it refreshes every 30 s otherwise
    expected = {name: reason for name, reason in AFTERWARDS.items() if name != ENDED} | {COUNTERS: COUNTED}
    eventually("the scene afterwards", expected, lambda: {**reasons(stage), COUNTERS: counters(stage)})


def reasons(stage: Stage) -> Facts:
    """Return the reason of the condition Ready of each object that has one."""
    found = {}
    for raw in listed(stage, "pbxaccounts,internalnumbers,interlinks,commservers"):
        ready = [c["reason"] for c in raw["status"].get("conditions", []) if c["type"] == "Ready"]
        found[f"{raw['kind']}/{raw['metadata']['name']}"] = ready[0] if ready else "nothing"
    return found


def counters(stage: Stage) -> str:
    """Return what the account `paris` counts."""
    status = json.loads(stage.shell("kubectl get pbxaccount paris -n offices -o json"))["status"]
    links, numbers = status.get("interlinks", {}), status.get("internalNumbers", {})
    return f"{links.get('established')} established, {numbers.get('conflicted')} conflicted"


def listed(stage: Stage, what: str) -> list[dict[str, Any]]:
    """Return objects of all namespaces."""
    items: list[dict[str, Any]] = json.loads(stage.shell(f"kubectl get {what} --all-namespaces -o json"))["items"]
    return items


def write(stage: Stage, target: Path) -> None:
    """Write definitions and objects."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(RELEASES.parent.parent / "crds", target / "crds")
    (target / "objects").mkdir()
    for kind in KINDS:
        save(target / "objects" / f"{kind.resource.plural}.yaml", listed(stage, kind.resource.plural))
    save(target / "objects" / "secrets.yaml", listed(stage, "secrets"))


def path_of(raw: dict[str, Any]) -> str:
    """Return namespace and name."""
    return f"{raw['metadata'].get('namespace', '')}/{raw['metadata']['name']}"


def save(file: Path, objects: list[dict[str, Any]]) -> None:
    """Write objects into one file, by namespace and name, without what the API server keeps for itself."""
    for raw in objects:
        raw["metadata"] = {name: value for name, value in raw["metadata"].items() if name not in KEPT_BY_SERVER}
    file.write_text("---\n".join(to_yaml(raw) for raw in sorted(objects, key=path_of)), encoding="utf-8")


if __name__ == "__main__":
    main()
