"""Where the API server is and who we are.

The `kubernetes` package knows every way to describe that (service account, kubeconfig, exec plugins, OIDC), so
its loaders are used and nothing else of it.  What they loaded is read again once a minute, because tokens and
certificates are rotated under a running process.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config
from kubernetes.aio.config.kube_config import KubeConfigLoader, KubeConfigMerger

from pbx_operator.cluster.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable

REFRESH_SECONDS = 60.0
"""How long a token is used before it is read again; client-go uses the same period."""

_GIVE_PATH = "give its path with --kubeconfig or KUBECONFIG"

_logger = logging.getLogger(__name__)
# The loaders have no type annotations.
_merge: Callable[[str], Any] = KubeConfigMerger
_loader: Callable[..., Any] = KubeConfigLoader
_load_service_account: Callable[..., None] = load_incluster_config


def find_kubeconfig(kubeconfig: str | None) -> str | None:
    """Return the kubeconfig to use: the given one, else $KUBECONFIG, else ~/.kube/config; in a Pod None.

    None stands for the service account of the Pod.
    """
    if path := kubeconfig or os.environ.get("KUBECONFIG"):
        return path
    return None if "KUBERNETES_SERVICE_HOST" in os.environ else str(Path("~/.kube/config").expanduser())


class Credentials:
    """The address of the API server, the TLS settings and a fresh Authorization header.

    `context` chooses among the contexts of the kubeconfig; None is its current one.
    """

    def __init__(
        self, kubeconfig: str | None, context: str | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.namespace: str | None = None
        """The namespace that the context names, once it is loaded."""
        self._kubeconfig = kubeconfig
        self._context = context
        self._clock = clock
        self._refresh_at = 0.0
        self._configuration = Configuration()
        self._ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._ssl_made_of: tuple[object, ...] = ()

    async def load(self) -> None:
        """Read everything; raise CredentialsError, which says what is wrong with which file."""
        configuration = Configuration()
        self._refresh_at = self._clock() + REFRESH_SECONDS
        _require_file(self._kubeconfig)
        if self._kubeconfig is None and self._context is not None:
            raise CredentialsError(f"context {self._context!r} needs a kubeconfig: {_GIVE_PATH}")
        try:
            if self._kubeconfig is None:
                _load_service_account(client_configuration=configuration)
            else:
                self.namespace = await _load_kubeconfig(self._kubeconfig, self._context, configuration)
        except CredentialsError:
            raise
        except Exception as error:  # the loaders raise whatever a malformed file leads to
            step = f": see what `KUBECONFIG={self._kubeconfig} kubectl config view` says" if self._kubeconfig else ""
            raise CredentialsError(f"{self._source} cannot be used ({_in_words(error)}){step}") from error
        try:
            self._load_tls(configuration)
        except OSError as error:
            raise CredentialsError(f"{self._source}: unusable certificate or key: {error}") from error
        self._configuration = configuration

    def _load_tls(self, loaded: Configuration) -> None:
        """Make an SSL context if what goes into it has changed. Raises OSError, of which SSLError is one."""
        files = (loaded.ssl_ca_cert, loaded.cert_file, loaded.key_file)
        made_of = (loaded.verify_ssl, *(Path(file).read_bytes() if file else None for file in files))
        if made_of == self._ssl_made_of:
            return
        context = ssl.create_default_context(cafile=loaded.ssl_ca_cert)
        if loaded.cert_file:
            context.load_cert_chain(loaded.cert_file, loaded.key_file)
        if not loaded.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self._ssl_context, self._ssl_made_of = context, made_of

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

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """The TLS settings; another object as soon as the certificates or the key are others."""
        return self._ssl_context

    @property
    def _source(self) -> str:
        return "service account" if self._kubeconfig is None else f"kubeconfig {self._kubeconfig}"


async def _load_kubeconfig(paths: str, context: str | None, configuration: Configuration) -> str | None:
    """Read a kubeconfig into a configuration, and return the namespace that its context names.

    Raises CredentialsError if there is no such context, and whatever else a malformed file leads to.
    """
    merged = _merge(paths).config
    name = context or merged.safe_get("current-context")
    chosen = merged["contexts"].get_with_name(name, safe=True)
    if chosen is None:
        problem = f"has no context {name!r}" if name else "has no current context"
        step = f"choose one that `KUBECONFIG={paths} kubectl config get-contexts` lists"
        raise CredentialsError(f"kubeconfig {paths} {problem}: {step}")
    _refuse_impersonation(merged, chosen, paths)
    await _loader(merged, active_context=name, config_base_path=None).load_and_set(configuration)
    namespace: str | None = chosen["context"].safe_get("namespace")
    return namespace


def _refuse_impersonation(merged: Any, context: Any, paths: str) -> None:
    """Raise CredentialsError if the user speaks for another one: the loader would drop that, and with it a limit."""
    name = context["context"].safe_get("user")
    entry = merged["users"].get_with_name(name, safe=True) if name else None
    acts_as = entry["user"].safe_get("as") if entry is not None else None
    if acts_as is not None:
        raise CredentialsError(
            f"kubeconfig {paths}: user {name!r} acts as {acts_as!r}, which is not supported: "
            "give a user that has credentials of its own"
        )


def _in_words(error: Exception) -> str:
    """Return what a loader says, in one line; its own errors explain themselves, others only with their kind.

    It names an entry by its content, which may be a token, so that is cut off.
    """
    text = " ".join(str(error).split())
    return text.partition("/{")[0] if isinstance(error, ConfigException) else f"{type(error).__name__}: {text}"


def _require_file(kubeconfig: str | None) -> None:
    """Refuse a list of paths of which none exists; the loader would only log that."""
    if kubeconfig is not None and not any(
        Path(path).expanduser().is_file() for path in kubeconfig.split(os.pathsep) if path
    ):
        raise CredentialsError(f"kubeconfig {kubeconfig}: no such file; {_GIVE_PATH}")
