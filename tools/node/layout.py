"""Where everything of a cluster is: names, addresses and directories.

The addresses are of 198.18.0.0/15, which RFC 2544 sets aside for tests, so no real network has them:

    198.18.0.0/24        nodes, and this machine as 198.18.0.1
    198.18.(16 C).0/20   pods of cluster C, of which node N has 198.18.(16 C + N).0/24
    198.19.C.0/24        Services of cluster C
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

NAME = "pbx-node"
"""What there is outside of namespaces is named so, or begins so: a directory, a link, and control groups."""
FOLDER = Path(tempfile.gettempdir()) / NAME
HOST_ADDRESS = "198.18.0.1"
NODE_NETWORK = "198.18.0.0/24"
PREFIX_LENGTH = 24
PLUGINS = "/usr/lib/cni"
PAUSE_IMAGE = "localhost/pause:1"
_STEP = 16


@dataclass(frozen=True)
class NodeLayout:
    """One node: its name, its addresses, and its directory."""

    folder: Path
    name: str
    address: str
    pod_network: str

    @property
    def socket(self) -> Path:
        """Where containerd listens."""
        return self.folder / "containerd.sock"

    @property
    def kubelet(self) -> Path:
        """What the kubelet reads."""
        return self.folder / "kubelet.json"

    @property
    def containerd(self) -> Path:
        """What containerd reads."""
        return self.folder / "containerd.toml"

    def log(self, program: str) -> Path:
        """Name the log of a program that runs on this node."""
        return self.folder / f"{program}.log"


@dataclass(frozen=True)
class ClusterLayout:
    """One cluster: its nodes, its addresses, and its directory."""

    number: int
    """From 1 to 14, on this machine."""
    size: int
    """How many nodes it has, from 1 to 15."""

    @property
    def folder(self) -> Path:
        """Where everything of this cluster is."""
        return FOLDER / f"cluster-{self.number}"

    @property
    def nodes(self) -> tuple[NodeLayout, ...]:
        """The nodes; the control plane runs on the first."""
        return tuple(self._node(number) for number in range(1, self.size + 1))

    @property
    def address(self) -> str:
        """Where API server and name server listen."""
        return self.nodes[0].address

    @property
    def url(self) -> str:
        """Of the API server."""
        return f"https://{self.address}:6443"

    @property
    def pod_network(self) -> str:
        """All pods."""
        return f"198.18.{_STEP * self.number}.0/20"

    @property
    def service_network(self) -> str:
        """All Services."""
        return f"198.19.{self.number}.0/24"

    @property
    def api_service(self) -> str:
        """The first address of the service network, which the API server gives to the Service `kubernetes`."""
        return f"198.19.{self.number}.1"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfig"

    @property
    def audit_policy(self) -> Path:
        """Which requests the API server notes."""
        return self.folder / "audit-policy.json"

    @property
    def audit(self) -> Path:
        """Where it notes them."""
        return self.folder / "audit.log"

    def _node(self, number: int) -> NodeLayout:
        place = _STEP * self.number + number
        return NodeLayout(
            folder=self.folder / f"node-{number}",
            name=f"{NAME}-{self.number}-{number}",
            address=f"198.18.0.{place}",
            pod_network=f"198.18.{place}.0/24",
        )
