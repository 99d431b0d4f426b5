"""How a provider fails, for whoever calls it."""

from __future__ import annotations

from pbx_operator.api import provider_reasons
from pbx_operator.domain.faults import Fault, fault


class ProviderError(Exception):
    """A provider did not do what it was asked; `fault` says what that means.

    `detail` is for our log alone: it may change from try to try, and tell of our network.  It holds no secrets.
    """

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(f"{fault.reason.name}: {fault.message}" + (f" ({detail})" if detail else ""))
        self.fault = fault


def unavailable(detail: str) -> ProviderError:
    """Return the error of a provider that does not answer as it should; the detail is for our log."""
    return ProviderError(fault("Retry", provider_reasons.PROVIDER_UNAVAILABLE), detail)
