"""A release of the chart, made by Helm itself, whose pods run the image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from helm_chart.rendering import CHART, NAMESPACE, RELEASE, Manifest
from helm_python import Config

from e2e.cluster import Cluster

TIMEOUT = 120
"""Seconds that Helm waits for what it has changed."""
OPERATOR, EXCHANGE = f"{RELEASE}-pbx-operator", f"{RELEASE}-pbx-operator-exchange"
"""The names of a release's Deployments, Services and service accounts."""


def with_exchange(namespace: str) -> Manifest:
    """Return values for standby operators and for exchange servers that other pods reach by their Service."""
    return {
        "replicas": 2,
        "exchange": {"enabled": True, "endpoints": [f"https://{EXCHANGE}.{namespace}.svc"]},
    }


VALUES: Manifest = {**with_exchange(NAMESPACE), "crds": {"keep": False}}
"""Of the release that looks after all namespaces."""


@dataclass(frozen=True)
class Release:
    """A release in a namespace of its own."""

    cluster: Cluster
    helm: Config
    namespace: str

    def upgrade(self, values: Manifest, *, seconds: int = TIMEOUT, atomic: bool = False) -> None:
        """Change the values, and wait until every pod is ready; if that fails, go back if it is to be atomic."""
        self.helm.upgrade(
            str(CHART),
            RELEASE,
            values,
            namespace=self.namespace,
            wait="watcher",
            timeout=seconds,
            rollback_on_failure=atomic,
        )

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the release's namespace."""
        return self.cluster.kubectl("--namespace", self.namespace, *arguments)

    def states(self) -> list[str]:
        """Return the status of each revision, the oldest first."""
        return [each["status"] for each in self.helm.history(RELEASE)]

    def pods(self, component: str = "operator") -> dict[str, bool]:
        """Return whether each pod of a component is ready, by its name; what is being deleted is left out."""
        template = (
            "{{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}}"
            '{{range .status.conditions}}{{if eq .type "Ready"}} {{.status}}{{end}}{{end}}{{"\\n"}}{{end}}{{end}}'
        )
        listed = self.kubectl("get", "pods", *self._of(component), "--output", f"go-template={template}")
        return {name: ready == "True" for name, _, ready in (line.partition(" ") for line in listed.splitlines())}

    def logs(self, component: str = "operator") -> str:
        """Return what the pods of a component, which have to run, have logged."""
        return self.kubectl("logs", *self._of(component), "--tail=-1")

    def leader(self) -> str:
        """Return the name of the pod that works, while the others stand by."""
        holder = self.kubectl("get", "lease", "pbx-operator", "--output", "jsonpath={.spec.holderIdentity}")
        return holder.partition("_")[0]

    def nodes(self, component: str) -> list[str]:
        """Return the names of the nodes on which the pods of a component run, one for each pod."""
        path = "jsonpath={.items[*].spec.nodeName}"
        return self.kubectl("get", "pods", *self._of(component), "--output", path).split()

    def await_ready(self) -> None:
        """Wait until each Deployment has all its pods, ready."""
        for name in (OPERATOR, EXCHANGE):
            self.kubectl("rollout", "status", f"deployment/{name}", f"--timeout={TIMEOUT}s")

    @staticmethod
    def _of(component: str) -> tuple[str, str]:
        return "--selector", f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}"


@contextmanager
def released(cluster: Cluster, namespace: str, values: Manifest, *, wait: bool = True) -> Iterator[Release]:
    """Install the chart, and remove it, with its namespace, in the end; with `wait`, all its pods are ready."""
    with Config(kubeconfig_path=str(cluster.kubeconfig), namespace=namespace) as helm:
        release = Release(cluster, helm, namespace)
        try:
            helm.install(
                str(CHART),
                RELEASE,
                values,
                namespace=namespace,
                create_namespace=True,
                wait="watcher" if wait else None,
                timeout=TIMEOUT,
            )
            yield release
        except BaseException:
            print(cluster.state())
            raise
        finally:
            helm.uninstall(RELEASE, ignore_not_found=True, wait="watcher", timeout=TIMEOUT)
            cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found")
