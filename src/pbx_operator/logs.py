"""Log lines as JSON objects, one each, with the fields that name an object where there is one.

Nothing of the process is written in another form: warnings and the traceback of a crash are log lines as well.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType

from pbx_operator.domain.plan import Target

LEVELS = ("debug", "info", "warning", "error")
"""How important lines may have to be to be written; what ends a process is written at each of them."""
FIELDS = ("kind", "reason")
"""Extra fields of a record that go into the line as they are."""

_log = logging.getLogger(__name__)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON.

    The extra field `object`, a Target, becomes kind, namespace and name.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        given = record.__dict__
        line |= {field: given[field] for field in FIELDS if field in given}
        target = given.get("object")
        if isinstance(target, Target):
            line |= {"kind": target.resource.kind, "namespace": target.key.namespace, "name": target.key.name}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(level: str) -> None:
    """Send the log lines of the process from this level on, one of LEVELS, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.setLevel(level.upper())  # loggers below have levels of their own
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    sys.excepthook = _log_crash
    threading.excepthook = _log_crash_of_thread
    for noisy in ("kopf.objects", "kopf.activities", "kopf._core.engines.activities", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.critical("the process ends: %s: %s", kind.__name__, error, exc_info=(kind, error, trace))


def _log_crash_of_thread(crash: threading.ExceptHookArgs) -> None:
    error = crash.exc_value if crash.exc_value is not None else crash.exc_type()
    _log.critical("a thread ends: %s: %s", crash.exc_type.__name__, error, exc_info=error)
