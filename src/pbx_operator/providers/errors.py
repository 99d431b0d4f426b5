"""How a provider fails, for whoever calls it."""

from __future__ import annotations

from dataclasses import replace

from pbx_operator.api import provider_reasons
from pbx_operator.domain.faults import Fault, fault

WRONG_URL = "if {field} is not that of the provider's API, delete this object and create another one with the right URL"
"""What helps if the host is another one than was meant: the fields with URLs are immutable.

A hint, since no host that ever answered is another one than was meant."""


class ProviderError(Exception):
    """A provider did not do what it was asked; `fault` says what that means.

    `detail` is for our log alone: it may change from try to try, and tell of our network.  It holds no secrets.
    `told`: the log has it already, since it is about all that use the provider.
    """

    def __init__(self, fault: Fault, detail: str = "", *, told: bool = False) -> None:
        super().__init__(f"{fault.reason.name}: {fault.message}" + (f" ({detail})" if detail else ""))
        self.fault = fault
        self.told = told


def unavailable(
    problem: str, advice: str = "it is tried again", *, field: str | None = None, told: bool = False
) -> ProviderError:
    """Return the error of a provider that does not answer as it should; `problem` is shown, and the same each time.

    `field` is that of the URL if another host may have been meant, which is told while nothing else is known.
    """
    found = fault("Retry", provider_reasons.PROVIDER_UNAVAILABLE, problem=problem, advice=advice)
    hint = WRONG_URL.format(field=field) if field is not None else ""
    return ProviderError(replace(found, hint=hint), told=told)


def other_form(what: str, field: str) -> ProviderError:
    """Return the error of an answer that is not of the provider's API; `field` is that of the URL."""
    return unavailable(f"the answer has another form than the provider's API: {what}", field=field)
