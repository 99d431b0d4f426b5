"""Log lines are JSON objects, whatever happens to the process."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import Interlink
from pbx_operator.domain.plan import Target
from pbx_operator.logs import LEVELS, JsonFormatter

CRASHES = {
    "of the process": ("raise ValueError('boom')", "ValueError: boom", 1),
    "of a thread": (
        "import threading; t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()",
        "ZeroDivisionError: division by zero",
        0,
    ),
}


def run(code: str) -> tuple[int, list[dict[str, Any]]]:
    """Run code in a process that logs as the operator does; return its exit code and its log lines."""
    program = f"from pbx_operator import logs; logs.configure('info'); {code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    return done.returncode, [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize("crash", list(CRASHES))
def test_a_crash_is_one_line(crash: str) -> None:
    code, message, status = CRASHES[crash]
    returned, (line,) = run(code)
    assert returned == status
    assert line["level"] == "critical"
    assert message in line["msg"]
    assert line["exception"].startswith("Traceback")
    assert message in line["exception"]


def test_a_warning_is_a_line() -> None:
    _, (line,) = run("import warnings; warnings.warn('old fashioned')")
    assert (line["level"], "old fashioned" in line["msg"]) == ("warning", True)


@pytest.mark.parametrize("level", LEVELS)
def test_lines_below_the_level_are_not_written_whoever_logs_them(level: str) -> None:
    each = "; ".join(f"logging.getLogger('kopf.objects').{name}('x')" for name in LEVELS)
    _, lines = run(f"import logging; logs.configure('{level}'); {each}")
    quiet = LEVELS.index("warning")  # kopf says much
    assert [line["level"] for line in lines] == list(LEVELS[max(quiet, LEVELS.index(level)) :])


def test_a_line_names_its_object_and_reason() -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "it is %s", ("so",), None)
    record.__dict__ |= {"object": Target(Interlink.resource, ObjectKey("a", "b"), "u"), "reason": "Because"}
    line = json.loads(JsonFormatter().format(record))
    assert line.pop("ts").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "x",
        "msg": "it is so",
        "kind": "Interlink",
        "namespace": "a",
        "name": "b",
        "reason": "Because",
    }
