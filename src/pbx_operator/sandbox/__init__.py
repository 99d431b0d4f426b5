"""A real control plane (etcd, kube-apiserver, kube-controller-manager) as plain processes.

For trying the operator without a cluster, for the demo and for tests: `python -m pbx_operator.sandbox` at the
command line, `ControlPlane` in Python.
"""

from pbx_operator.sandbox.controlplane import ControlPlane
from pbx_operator.sandbox.errors import SandboxError

__all__ = ["ControlPlane", "SandboxError"]
