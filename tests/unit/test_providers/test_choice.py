"""Which provider is asked, and that none outside is while this cluster may be a clone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from builders import NAMESPACE
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1.pbxaccount import TelecomCenterProvider
from pbx_operator.network.addresses import NetworkRules
from pbx_operator.providers.choice import CustomerProviders, Outside, SystemProviders
from pbx_operator.providers.errors import ProviderError
from pbx_operator.providers.http import Dialler
from pbx_operator.providers.rainbow import RainbowSystems
from pbx_operator.providers.systems import SystemProvider
from pbx_operator.providers.telecom_center import TelecomCenter
from provider_secrets import Secrets
from server_builders import commserver

BUILTIN = cast(SystemProvider, object())
LOGIN = {"credentialsSecretRef": {"name": "login"}}
RAINBOW = {"type": "Rainbow", "rainbow": {"company": "c", **LOGIN, "applicationSecretRef": {"name": "application"}}}
PLACE = TelecomCenterProvider.model_validate(LOGIN)
ACCOUNT = ObjectKey(NAMESPACE, "acme")


@dataclass
class Installation:
    confirmed: bool = True


def choice(installation: Installation) -> tuple[SystemProviders, CustomerProviders]:
    outside = Outside(Dialler(NetworkRules()), installation, ObjectKey("pbx-system", "identity"))
    return SystemProviders(Secrets(), outside, BUILTIN), CustomerProviders(Secrets(), outside)


def test_the_provider_is_the_one_of_the_spec() -> None:
    systems, customers = choice(Installation())
    assert systems(commserver()) is BUILTIN
    assert isinstance(systems(commserver(provider=RAINBOW)), RainbowSystems)
    assert isinstance(customers(ACCOUNT, PLACE), TelecomCenter)


def test_a_cluster_that_may_be_a_clone_asks_nobody_outside() -> None:
    installation = Installation(confirmed=False)
    systems, customers = choice(installation)
    for call in (lambda: systems(commserver(provider=RAINBOW)), lambda: customers(ACCOUNT, PLACE)):
        with pytest.raises(ProviderError) as raised:
            call()
        assert (raised.value.fault.kind, raised.value.fault.reason.name) == ("Retry", "ClusterUnconfirmed")
    assert systems(commserver()) is BUILTIN, "its records are in this cluster"
    installation.confirmed = True
    assert isinstance(systems(commserver(provider=RAINBOW)), RainbowSystems)
