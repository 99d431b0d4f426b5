"""Where a provider's API is, with the fields of the spec that say so: what goes wrong there names them."""

from __future__ import annotations

from dataclasses import dataclass

from pbx_operator.api import provider_reasons
from pbx_operator.domain.faults import fault
from pbx_operator.domain.protocol.endpoints import EndpointError, HostPort, parse_endpoint
from pbx_operator.providers.errors import ProviderError


@dataclass(frozen=True, slots=True)
class ApiEndpoint:
    """The endpoint of a provider's API, as an object names it."""

    url: str
    home: str
    """The provider's own URL, to which a login may always be sent."""
    member: str
    """The member of the object that has the field `url`, like `spec.provider.rainbow`."""

    @property
    def field(self) -> str:
        """The field that says where the API is; it is immutable, so a wrong one means another object."""
        return f"{self.member}.url"

    @property
    def form(self) -> str:
        """One text for all spellings of the URL, `host:port`. Raises ProviderError (`InvalidEndpoint`)."""
        return f"{self.target.host}:{self.target.port}"

    @property
    def target(self) -> HostPort:
        """Who is dialled. Raises ProviderError (`InvalidEndpoint`): the API server admits a few URLs that are none."""
        try:
            return parse_endpoint(self.url)
        except EndpointError as error:
            problem = f"{error.shown} {error.mistake}; the provider's own is {self.home}"
            found = fault("Final", provider_reasons.INVALID_ENDPOINT, field=self.field, problem=problem)
            raise ProviderError(found) from error
