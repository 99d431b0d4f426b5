"""Where the API server is and who we are.

The `kubernetes` package knows every way to describe that (service account, kubeconfig, exec plugins, OIDC), so
its loaders are used and nothing else of it.  What they loaded is read again once a minute, because the tokens
of service accounts are rotated under a running process.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_incluster_config, load_kube_config

from pbx_operator.cluster.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

REFRESH_SECONDS = 60.0
"""How long a token is used before it is read again; client-go uses the same period."""

_logger = logging.getLogger(__name__)
# The loaders have no type annotations.
_load_kubeconfig: Callable[..., Awaitable[Any]] = load_kube_config
_load_service_account: Callable[..., None] = load_incluster_config


def find_kubeconfig(kubeconfig: str | None) -> str | None:
    """Return the kubeconfig to use: the given one, else $KUBECONFIG, else ~/.kube/config; in a Pod None.

    None stands for the service account of the Pod.
    """
    if path := kubeconfig or os.environ.get("KUBECONFIG"):
        return path
    return None if "KUBERNETES_SERVICE_HOST" in os.environ else str(Path("~/.kube/config").expanduser())


class Credentials:
    """The address of the API server, the TLS settings and a fresh Authorization header."""

    def __init__(self, kubeconfig: str | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._kubeconfig = kubeconfig
        self._clock = clock
        self._refresh_at = 0.0
        self._configuration = Configuration()

    async def load(self) -> None:
        """Read everything; raise CredentialsError, which says what is wrong with which file."""
        configuration = Configuration()
        self._refresh_at = self._clock() + REFRESH_SECONDS
        _require_file(self._kubeconfig)
        try:
            if self._kubeconfig is None:
                _load_service_account(client_configuration=configuration)
            else:
                await _load_kubeconfig(
                    config_file=self._kubeconfig, client_configuration=configuration, persist_config=False
                )
        except Exception as error:  # the loaders raise whatever a malformed file leads to
            raise CredentialsError(f"{self._source}: {type(error).__name__}: {error}") from error
        self._configuration = configuration

    async def authorization(self) -> str | None:
        """Return the Authorization header, or None if a client certificate says who we are."""
        if self._clock() >= self._refresh_at:
            try:
                await self.load()
            except CredentialsError as error:
                _logger.warning("Using the previous credentials for another minute: %s", error)
        token: str | None = self._configuration.api_key.get("BearerToken")
        return token.strip() if token else None

    def distrust(self) -> None:
        """Read everything again before the next call, because the API server did not accept the token."""
        self._refresh_at = 0.0

    @property
    def host(self) -> str:
        """The base URL of the API server, without a slash at the end."""
        return self._configuration.host.rstrip("/")

    @property
    def proxy(self) -> str | None:
        """The URL of the HTTP proxy that the kubeconfig names, if any."""
        return self._configuration.proxy

    @property
    def tls_server_name(self) -> str | None:
        """The name to expect in the server's certificate, if it is not the host."""
        return self._configuration.tls_server_name

    def ssl_context(self) -> ssl.SSLContext:
        """Return the TLS settings; raise CredentialsError if a certificate cannot be used."""
        loaded = self._configuration
        try:
            context = ssl.create_default_context(cafile=loaded.ssl_ca_cert)
            if loaded.cert_file:
                context.load_cert_chain(loaded.cert_file, loaded.key_file)
        except OSError as error:
            raise CredentialsError(f"{self._source}: unusable certificate or key: {error}") from error
        if not loaded.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    @property
    def _source(self) -> str:
        return "service account" if self._kubeconfig is None else f"kubeconfig {self._kubeconfig}"


def _require_file(kubeconfig: str | None) -> None:
    """Refuse a list of paths of which none exists; the loader would only log that."""
    if kubeconfig is not None and not any(
        Path(path).expanduser().is_file() for path in kubeconfig.split(os.pathsep) if path
    ):
        raise CredentialsError(f"kubeconfig {kubeconfig}: no such file; set KUBECONFIG or give another path")
