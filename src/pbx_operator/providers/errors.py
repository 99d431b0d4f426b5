"""How a provider fails, for whoever calls it."""

from __future__ import annotations

from pbx_operator.domain.faults import Fault


class ProviderError(Exception):
    """A provider did not do what it was asked; `fault` says what that means."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.reason.name}: {fault.message}")
        self.fault = fault
