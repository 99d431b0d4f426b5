"""Whether a server of a sandbox does its work: asked over HTTP, without credentials, as a kubelet would.

`supervisor` waits for it when it starts a server, and the command line shows it.
"""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING

from pbx_operator.sandbox.components import CONTROLLERS, LOOPBACK, ComponentName

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT = 5.0
_PATHS: dict[ComponentName, str] = {
    "etcd": "/health",
    "kube-apiserver": "/readyz",
    "kube-controller-manager": "/healthz?verbose",
}


def health_problem(component: ComponentName, port: int, ca_certificate: Path) -> str | None:
    """Ask the server on this port whether it is ready: None, or what is in the way."""
    try:
        status, text = _get(component, port, ca_certificate)
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {error}"
    if status != http.HTTPStatus.OK:
        failed = [line for line in text.splitlines() if line.startswith("[-]")]
        return f"HTTP {status} {' '.join(failed)}".rstrip()
    if component == "kube-controller-manager":
        # It serves before it has started its controllers; each is listed from then on.
        missing = [controller for controller in CONTROLLERS if f"[+]{controller} ok" not in text]
        return f"{', '.join(missing)} not started" if missing else None
    return None


def _get(component: ComponentName, port: int, ca_certificate: Path) -> tuple[int, str]:
    if component == "etcd":
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT)
    else:
        context = ssl.create_default_context(cafile=ca_certificate)
        connection = http.client.HTTPSConnection(LOOPBACK, port, timeout=_TIMEOUT, context=context)
    try:
        connection.request("GET", _PATHS[component])
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()
