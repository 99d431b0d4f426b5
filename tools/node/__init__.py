"""Kubernetes on this machine: nodes with kubelet, containerd and kube-proxy, and the control plane of their cluster.

For end-to-end tests where there is no cluster and no container engine: Linux, root, and Debian's packages
(`install-packages.sh`).  A `Host` joins the nodes of one or several clusters by a network; a `Cluster` has nodes; each
`Node` has namespaces of its own (`isolation`), which end with one process, so that no process, mount, network or
setting is left behind, whatever happens.
"""
