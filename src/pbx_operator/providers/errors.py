"""How a provider fails, for whoever calls it."""

from __future__ import annotations

from pbx_operator.api import provider_reasons
from pbx_operator.domain.faults import Fault, fault

WRONG_URL = "if {field} is not that of the provider's API, delete this object and create another one with the right URL"
"""What helps if the host is another one than was meant: the fields with URLs are immutable."""


class ProviderError(Exception):
    """A provider did not do what it was asked; `fault` says what that means.

    `detail` is for our log alone: it may change from try to try, and tell of our network.  It holds no secrets.
    `told`: the log has it already, since it is about all that use the provider.
    """

    def __init__(self, fault: Fault, detail: str = "", *, told: bool = False) -> None:
        super().__init__(f"{fault.reason.name}: {fault.message}" + (f" ({detail})" if detail else ""))
        self.fault = fault
        self.told = told


def unavailable(problem: str, advice: str = "it is tried again", *, told: bool = False) -> ProviderError:
    """Return the error of a provider that does not answer as it should; `problem` is shown, and the same each time."""
    found = fault("Retry", provider_reasons.PROVIDER_UNAVAILABLE, problem=problem, advice=advice)
    return ProviderError(found, told=told)


def other_form(what: str, field: str) -> ProviderError:
    """Return the error of an answer that is not of the provider's API; `field` is that of the URL."""
    advice = f"it is tried again; {WRONG_URL.format(field=field)}"
    return unavailable(f"the answer has another form than the provider's API: {what}", advice)
