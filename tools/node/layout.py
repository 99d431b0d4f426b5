"""Where everything of a node is: names, addresses, directories, and the files that its programs read.

The addresses are of 198.18.0.0/15, which RFC 2544 sets aside for tests, so no real network has them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.names import DOMAIN
from pbx_operator.sandbox.pki import CertificateAuthority, KeyPair, create_service_account_key

if TYPE_CHECKING:
    from pathlib import Path

NAME = "pbx-node"
"""The name of the node, and of what it needs outside of its namespaces: a link and a control group."""
HOST_ADDRESS = "198.18.0.1"
NODE_ADDRESS = "198.18.0.2"
PREFIX_LENGTH = 24
POD_NETWORK = "198.18.1.0/24"
SERVICE_NETWORK = "198.18.2.0/24"
API_SERVICE = "198.18.2.1"
"""The first address of the service network, which the API server gives to the Service `kubernetes`."""
URL = f"https://{NODE_ADDRESS}:6443"
PLUGINS = "/usr/lib/cni"
PAUSE_IMAGE = "localhost/pause:1"

_API_NAMES = (NODE_ADDRESS, API_SERVICE, "127.0.0.1", "localhost", "kubernetes.default.svc", NAME)


@dataclass(frozen=True)
class Layout:
    """The directories and files of one node, all below one directory."""

    folder: Path

    @property
    def socket(self) -> Path:
        """Where containerd listens."""
        return self.folder / "containerd.sock"

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

    def log(self, program: str) -> Path:
        """Name the log of a program."""
        return self.folder / f"{program}.log"


@dataclass(frozen=True)
class Identities:
    """The certificates and kubeconfigs of a node's programs."""

    authority: KeyPair
    server: KeyPair
    kubelet_client: KeyPair
    name_server: KeyPair
    service_account_key: Path
    controller_manager: Path
    kubelet: Path
    proxy: Path
    scheduler: Path


def make_identities(layout: Layout) -> Identities:
    """Make a new authority, and with it whatever the programs need to trust each other."""
    folder = layout.folder / "pki"
    folder.mkdir()
    authority = CertificateAuthority.create(folder)
    create_service_account_key(folder / "service-account.key")
    administrator = authority.issue_client("admin", ["system:masters"])
    authority.write_kubeconfig(layout.kubeconfig, URL, "admin", administrator)
    return Identities(
        authority=authority.files,
        server=authority.issue_server(_API_NAMES),
        kubelet_client=authority.issue_client("kube-apiserver-kubelet-client", ["system:masters"]),
        name_server=authority.issue_client("name-server", ["system:masters"]),
        service_account_key=folder / "service-account.key",
        controller_manager=authority.kubeconfig_for(URL, "system:kube-controller-manager"),
        kubelet=authority.kubeconfig_for(URL, f"system:node:{NAME}", ["system:nodes"]),
        proxy=authority.kubeconfig_for(URL, "system:kube-proxy"),
        scheduler=authority.kubeconfig_for(URL, "system:kube-scheduler"),
    )


def write_files(layout: Layout, identities: Identities) -> None:
    """Write the files that the API server, the kubelet, containerd and the network plugins read."""
    (layout.folder / "resolv.conf").touch()
    layout.audit_policy.write_text(json.dumps(_audit_policy()), encoding="utf-8")
    (layout.folder / "kubelet.json").write_text(json.dumps(_kubelet(layout, identities), indent=2), encoding="utf-8")
    (layout.folder / "containerd.toml").write_text(_containerd(layout), encoding="utf-8")
    (layout.folder / "cni").mkdir()
    (layout.folder / "cni" / "10-bridge.conflist").write_text(json.dumps(_pod_network(layout)), encoding="utf-8")


def _audit_policy() -> dict[str, object]:
    """Note what pods ask for, without what they send and get: what Kubernetes' own controllers do is left out."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
            {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        ],
    }


def _kubelet(layout: Layout, identities: Identities) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(identities.authority.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(identities.server.certificate),
        "tlsPrivateKeyFile": str(identities.server.key),
        "containerRuntimeEndpoint": f"unix://{layout.socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{NAME}",
        "failCgroupV1": False,
        "failSwapOn": False,
        # The next two ask for less than the default, for which root of a sandboxed machine may lack the capability.
        "oomScoreAdj": 0,
        "maxOpenFiles": 1024,
        # The machine belongs to others, too: a full disk is not to be repaired by evicting pods and images.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": DOMAIN,
        "resolvConf": str(layout.folder / "resolv.conf"),
    }


def _containerd(layout: Layout) -> str:
    """Return the configuration of containerd, in TOML; version 2 is what 1.6 and 1.7 read, and 2.x migrates."""
    return f"""\
version = 2
root = "{layout.folder}/containerd"
state = "/run/containerd"
[grpc]
  address = "{layout.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{PLUGINS}"
    conf_dir = "{layout.folder}/cni"
"""


def _pod_network(layout: Layout) -> dict[str, object]:
    """Return the network of pods: a bridge, no way out of the machine."""
    addresses = {
        "type": "host-local",
        "dataDir": str(layout.folder / "addresses"),
        "ranges": [[{"subnet": POD_NETWORK}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}
