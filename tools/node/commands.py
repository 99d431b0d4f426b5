"""The command lines of a cluster's programs, in the order of their start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import names
from pbx_operator.sandbox.components import etcd_command

if TYPE_CHECKING:
    from node.files import Identities
    from node.layout import ClusterLayout, NodeLayout
    from pbx_operator.sandbox.binaries import Binaries, NodeBinaries

Command = list[str]

_ETCD_PORT = 2379


def control_plane(cluster: ClusterLayout, binaries: Binaries, identities: Identities) -> dict[str, Command]:
    """Return etcd and the API server, by name."""
    return {
        "etcd": etcd_command(binaries, cluster.folder / "etcd", _ETCD_PORT),
        "kube-apiserver": _apiserver(cluster, binaries, identities),
    }


def controllers(
    cluster: ClusterLayout, binaries: Binaries, node_binaries: NodeBinaries, identities: Identities
) -> dict[str, Command]:
    """Return what works for the whole cluster with the API server, by name."""
    return {
        "kube-controller-manager": _controller_manager(binaries, identities),
        "kube-scheduler": [
            str(node_binaries.kube_scheduler),
            f"--kubeconfig={identities.scheduler}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
        ],
        "names": names.command(
            cluster.url,
            cluster.address,
            identities.authority.certificate,
            identities.name_server.certificate,
            identities.name_server.key,
        ),
    }


def node(
    cluster: ClusterLayout, own: NodeLayout, node_binaries: NodeBinaries, identities: Identities
) -> dict[str, Command]:
    """Return what each node has, by name."""
    return {
        "kube-proxy": [
            str(node_binaries.kube_proxy),
            f"--kubeconfig={identities.proxy}",
            f"--hostname-override={own.name}",
            f"--cluster-cidr={cluster.pod_network}",
            "--proxy-mode=iptables",
            "--conntrack-max-per-core=0",  # that limit belongs to the whole machine
        ],
        "kubelet": [
            str(node_binaries.kubelet),
            f"--config={own.kubelet}",
            f"--kubeconfig={identities.kubelets[own.name]}",
            f"--root-dir={own.folder}/kubelet",
            f"--hostname-override={own.name}",
            f"--node-ip={own.address}",
        ],
    }


def _apiserver(cluster: ClusterLayout, binaries: Binaries, identities: Identities) -> Command:
    """Return an API server as in production: it authorizes nodes, and pods' service accounts are admitted."""
    return [
        str(binaries.kube_apiserver),
        f"--etcd-servers=http://127.0.0.1:{_ETCD_PORT}",
        "--bind-address=0.0.0.0",
        f"--advertise-address={cluster.address}",
        f"--tls-cert-file={identities.server.certificate}",
        f"--tls-private-key-file={identities.server.key}",
        f"--client-ca-file={identities.authority.certificate}",
        f"--kubelet-client-certificate={identities.kubelet_client.certificate}",
        f"--kubelet-client-key={identities.kubelet_client.key}",
        f"--kubelet-certificate-authority={identities.authority.certificate}",
        # By name it would ask the machine's resolver for the node.
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={identities.service_account_key}",
        f"--service-account-signing-key-file={identities.service_account_key}",
        f"--service-cluster-ip-range={cluster.service_network}",
        "--authorization-mode=Node,RBAC",
        f"--audit-policy-file={cluster.audit_policy}",
        f"--audit-log-path={cluster.audit}",
        "--enable-admission-plugins=NodeRestriction",
    ]


def _controller_manager(binaries: Binaries, identities: Identities) -> Command:
    return [
        str(binaries.kube_controller_manager),
        f"--kubeconfig={identities.controller_manager}",
        # Its own user may do little; Kubernetes' bootstrap roles are bound to one account per controller.
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--tls-cert-file={identities.server.certificate}",
        f"--tls-private-key-file={identities.server.key}",
        f"--service-account-private-key-file={identities.service_account_key}",
        f"--root-ca-file={identities.authority.certificate}",
    ]
