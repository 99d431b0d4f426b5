"""Which provider a CommServer or the customer of an account has: the one that its spec names."""

from __future__ import annotations

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.api.v1alpha1.pbxaccount import TelecomCenterProvider
from pbx_operator.cluster import Cluster
from pbx_operator.providers.customers import CustomerProvider
from pbx_operator.providers.http import Dialler
from pbx_operator.providers.rainbow import RainbowSystems, Sessions
from pbx_operator.providers.systems import SystemProvider
from pbx_operator.providers.telecom_center import Logins, TelecomCenter


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


class CustomerProviders:
    """Returns where the customer of an account is; the logins are shared by all."""

    def __init__(self, cluster: Cluster, dialler: Dialler) -> None:
        self._cluster = cluster
        self._telecom_center = Logins(dialler)

    def __call__(self, account: ObjectKey, place: TelecomCenterProvider) -> CustomerProvider:
        """Return the provider of an account's customer."""
        return TelecomCenter(self._cluster, self._telecom_center, account, place)
