"""The files that the programs of a cluster read: certificates, kubeconfigs and configurations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.layout import PAUSE_IMAGE, PLUGINS
from node.names import DOMAIN
from pbx_operator.sandbox.pki import CertificateAuthority, KeyPair, create_service_account_key

if TYPE_CHECKING:
    from pathlib import Path

    from node.layout import ClusterLayout, NodeLayout


@dataclass(frozen=True)
class Identities:
    """The certificates and kubeconfigs of a cluster's programs."""

    authority: KeyPair
    server: KeyPair
    kubelet_client: KeyPair
    name_server: KeyPair
    service_account_key: Path
    controller_manager: Path
    kubelets: dict[str, Path]
    """By the name of the node."""
    proxy: Path
    scheduler: Path


def make_identities(cluster: ClusterLayout) -> Identities:
    """Make a new authority, and with it whatever the programs need to trust each other."""
    folder, url = cluster.folder / "pki", cluster.url
    folder.mkdir()
    authority = CertificateAuthority.create(folder)
    create_service_account_key(folder / "service-account.key")
    administrator = authority.issue_client("admin", ["system:masters"])
    authority.write_kubeconfig(cluster.kubeconfig, url, "admin", administrator)
    nodes = [name for node in cluster.nodes for name in (node.name, node.address)]
    return Identities(
        authority=authority.files,
        server=authority.issue_server(
            [*nodes, cluster.api_service, "127.0.0.1", "localhost", "kubernetes.default.svc"]
        ),
        kubelet_client=authority.issue_client("kube-apiserver-kubelet-client", ["system:masters"]),
        name_server=authority.issue_client("name-server", ["system:masters"]),
        service_account_key=folder / "service-account.key",
        controller_manager=authority.kubeconfig_for(url, "system:kube-controller-manager"),
        kubelets={
            node.name: authority.kubeconfig_for(url, f"system:node:{node.name}", ["system:nodes"])
            for node in cluster.nodes
        },
        proxy=authority.kubeconfig_for(url, "system:kube-proxy"),
        scheduler=authority.kubeconfig_for(url, "system:kube-scheduler"),
    )


def write_files(cluster: ClusterLayout, identities: Identities) -> None:
    """Write what the API server and, on each node, the kubelet, containerd and the network plugins read."""
    cluster.audit_policy.write_text(json.dumps(_audit_policy()), encoding="utf-8")
    for node in cluster.nodes:
        (node.folder / "resolv.conf").touch()
        node.kubelet.write_text(json.dumps(_kubelet(cluster, node, identities), indent=2), encoding="utf-8")
        node.containerd.write_text(_containerd(node), encoding="utf-8")
        (node.folder / "cni").mkdir()
        (node.folder / "cni" / "10-bridge.conflist").write_text(json.dumps(_pod_network(node)), encoding="utf-8")


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


def _kubelet(cluster: ClusterLayout, node: NodeLayout, identities: Identities) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(identities.authority.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(identities.server.certificate),
        "tlsPrivateKeyFile": str(identities.server.key),
        "containerRuntimeEndpoint": f"unix://{node.socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        # The next two ask for less than the default, for which root of a sandboxed machine may lack the capability.
        "oomScoreAdj": 0,
        "maxOpenFiles": 1024,
        # The machine belongs to others, too: a full disk is not to be repaired by evicting pods and images.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        "clusterDNS": [cluster.address],
        "clusterDomain": DOMAIN,
        "resolvConf": str(node.folder / "resolv.conf"),
    }


def _containerd(node: NodeLayout) -> str:
    """Return the configuration of containerd, in TOML; version 2 is what 1.6 and 1.7 read, and 2.x migrates."""
    return f"""\
version = 2
root = "{node.folder}/containerd"
state = "/run/containerd"
[grpc]
  address = "{node.socket}"
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
    conf_dir = "{node.folder}/cni"
"""


def _pod_network(node: NodeLayout) -> dict[str, object]:
    """Return the network of a node's pods: a bridge, no way out of the machine."""
    addresses = {
        "type": "host-local",
        "dataDir": str(node.folder / "addresses"),
        "ranges": [[{"subnet": node.pod_network}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}
