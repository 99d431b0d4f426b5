"""Which provider a CommServer has: the one that its spec names."""

from __future__ import annotations

from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.cluster import Cluster
from pbx_operator.providers.http import Dialler
from pbx_operator.providers.rainbow import RainbowSystems, Sessions
from pbx_operator.providers.systems import SystemProvider


class SystemProviders:
    """Returns where a CommServer is declared; the logins are shared by all."""

    def __init__(self, cluster: Cluster, dialler: Dialler, builtin: SystemProvider) -> None:
        self._cluster = cluster
        self._builtin = builtin
        self._rainbow = Sessions(dialler)

    def __call__(self, server: CommServer) -> SystemProvider:
        """Return the provider of a CommServer."""
        rainbow = server.spec.provider.rainbow
        return self._builtin if rainbow is None else RainbowSystems(self._cluster, self._rainbow, rainbow)
