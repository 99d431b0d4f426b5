"""Log lines as JSON objects, one each, with the fields that name an object where there is one."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from pbx_operator.domain.plan import Target

FIELDS = ("kind", "reason", "work")
"""Extra fields of a record that go into the line as they are."""


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

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
    """Send all log lines of the process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("kopf.objects", "kopf.activities", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
