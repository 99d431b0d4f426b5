"""How a provider fails, for whoever calls it."""

from __future__ import annotations

from pbx_operator.api.conditions import Reason
from pbx_operator.domain.faults import FaultKind


class ProviderError(Exception):
    """A provider did not do what it was asked; `kind` says what that means (see `domain/faults`).

    `detail` is the provider's own words, at most 200 characters and without secrets; `retry_after` the seconds that
    it wants to be left alone.  Whether a change was made all the same is not known for `Retry`.
    """

    def __init__(self, kind: FaultKind, reason: Reason, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(f"{reason.name}: {detail}" if detail else reason.name)
        self.kind: FaultKind = kind
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after
