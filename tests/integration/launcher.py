"""Starts the operator for tests that cannot wait for it, or for its periods.

Called with a JSON object of periods in seconds and the operator's own arguments.  It imports everything, waits
for a line on standard input, and then is the operator: so a process that will be needed can get ready meanwhile.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta

from pbx_operator.api import reasons

PERIODS = {name: timedelta(seconds=seconds) for name, seconds in json.loads(sys.argv.pop(1)).items()}

if "grace" in PERIODS:  # before the modules that copy the name
    reasons.GRACE = PERIODS["grace"]

from pbx_operator.domain import account_status, record  # noqa: E402 - see above
from pbx_operator.engine import memory, sync  # noqa: E402

if "counters" in PERIODS:
    account_status.COUNTER_PERIOD = PERIODS["counters"]
if "orphan" in PERIODS:
    record.ORPHAN_PERIOD = PERIODS["orphan"]
if "prune" in PERIODS:
    sync.PRUNE_SECONDS = PERIODS["prune"].total_seconds()
if "slow_retry" in PERIODS:
    memory.SLOW_RETRY = PERIODS["slow_retry"]

from pbx_operator.operator import main  # noqa: E402

sys.stdin.readline()
main()
