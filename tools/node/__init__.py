"""A Kubernetes node on this machine: kubelet, containerd, scheduler, kube-proxy, a name server and their control plane.

For end-to-end tests where there is no cluster and no container engine: Linux, root, and Debian's packages
(`install-packages.sh`).  Everything runs in namespaces of its own, which end with one process (`isolation`), so that
no process, mount, network or setting is left behind, whatever happens.  `Node` in `node` is what tests use.
"""
