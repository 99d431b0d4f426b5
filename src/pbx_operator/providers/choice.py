"""Which provider a CommServer or the customer of an account has: the one that its spec names.

A provider outside cannot tell a clone of this cluster from the original: both have the same objects and Secrets.  So
nothing is asked there before somebody has said which of them goes on.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol

from pbx_operator.api import reasons
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.api.v1alpha1.pbxaccount import TelecomCenterProvider
from pbx_operator.cluster import Cluster
from pbx_operator.domain.faults import fault
from pbx_operator.providers.customers import CustomerProvider
from pbx_operator.providers.errors import ProviderError
from pbx_operator.providers.http import Account, Accounts, Dialler
from pbx_operator.providers.rainbow import RainbowSystems, Sessions
from pbx_operator.providers.systems import SystemProvider
from pbx_operator.providers.telecom_center import Logins, TelecomCenter


class Installation(Protocol):
    """What this operator knows of itself."""

    @property
    def confirmed(self) -> bool:
        """Whether its identity may be used in this cluster."""


class Outside:
    """Providers outside the cluster; `identity` is the Secret that an administrator confirms."""

    def __init__(self, dialler: Dialler, installation: Installation, identity: ObjectKey) -> None:
        self._dialler = dialler
        self._installation = installation
        self._identity = identity

    def accounts(self) -> Accounts:
        """Return the ways to one sort of provider; nothing is dialled yet."""
        return Accounts(partial(Account, self._dialler))

    def demand(self) -> None:
        """Raise ProviderError (`Retry`) while this cluster may be a clone of another one, which lives."""
        if not self._installation.confirmed:
            raise ProviderError(fault("Retry", reasons.CLUSTER_UNCONFIRMED, identity=self._identity))


class SystemProviders:
    """Returns where a CommServer is declared; the logins are shared by all."""

    def __init__(self, cluster: Cluster, outside: Outside, builtin: SystemProvider) -> None:
        self._cluster = cluster
        self._outside = outside
        self._builtin = builtin
        self._rainbow = Sessions(outside.accounts())

    def __call__(self, server: CommServer) -> SystemProvider:
        """Return the provider of a CommServer. Raises ProviderError if it may not be asked now."""
        rainbow = server.spec.provider.rainbow
        if rainbow is None:
            return self._builtin
        self._outside.demand()
        return RainbowSystems(self._cluster, self._rainbow, rainbow)


class CustomerProviders:
    """Returns where the customer of an account is; the logins are shared by all."""

    def __init__(self, cluster: Cluster, outside: Outside) -> None:
        self._cluster = cluster
        self._outside = outside
        self._telecom_center = Logins(outside.accounts())

    def __call__(self, account: ObjectKey, place: TelecomCenterProvider) -> CustomerProvider:
        """Return the provider of an account's customer. Raises ProviderError if it may not be asked now."""
        self._outside.demand()
        return TelecomCenter(self._cluster, self._telecom_center, account, place)
