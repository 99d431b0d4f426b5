"""A namespace of its own for one test, as a user with kubectl sees it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from contract.admission import JSON
from pbx_operator.sandbox import ControlPlane
from support import kubectl


@dataclass(frozen=True)
class Tenant:
    """One namespace of a control plane."""

    control_plane: ControlPlane
    namespace: str

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl in the namespace."""
        return kubectl(self.control_plane, "-n", self.namespace, *arguments, stdin=stdin)

    def apply(self, manifest: JSON, *options: str) -> None:
        self.kubectl("apply", *options, "-f", "-", stdin=json.dumps(manifest))

    def get(self, *what: str) -> Any:
        """Return an object, or a List of objects."""
        return json.loads(self.kubectl("get", *what, "-o", "json"))

    def set_status(self, manifest: JSON, status: JSON) -> None:
        """Write a status, as the operator does."""
        place = (manifest["kind"], manifest["metadata"]["name"])
        patch = json.dumps({"status": status})
        self.kubectl("patch", *place, "--subresource=status", "--type=merge", "--patch-file=/dev/stdin", stdin=patch)

    def diff(self, *arguments: str, stdin: str = "") -> str:
        """Return what `kubectl diff` prints; empty if applying would change nothing."""
        done = subprocess.run(
            [self.control_plane.kubectl, "-n", self.namespace, "diff", *arguments],
            env=self.control_plane.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        return done.stdout
