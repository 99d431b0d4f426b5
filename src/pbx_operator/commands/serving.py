"""How commands run that go on until a signal: with metrics, and with an exit status that says how it ended."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from prometheus_client import start_http_server

from pbx_operator.cluster import CredentialsError

_log = logging.getLogger(__name__)


def run(serve: Callable[[], Coroutine[Any, Any, None]], metrics_port: int, port_options: str) -> None:
    """Serve until a signal; exit with 1 if that is not possible (any more)."""
    try:
        _serve_metrics(metrics_port)
        asyncio.run(serve())
    except asyncio.CancelledError:
        return  # a signal asked for the end
    except CredentialsError as error:
        _log.critical("cannot log in to the cluster: %s", error)
    except OSError as error:
        _log.critical("cannot listen: %s; choose other ports with %s", error, port_options)
    except ExceptionGroup as error:
        _log.critical("the engine broke", exc_info=error)
    sys.exit(1)


def _serve_metrics(port: int) -> None:
    """Raise OSError if the port is taken, with the port in its text as asyncio has it."""
    try:
        start_http_server(port)
    except OSError as error:
        raise OSError(error.errno, f"port {port}: {error.strerror}") from error
