"""Starts the operator for tests that cannot wait for it, or for its periods.

Called with a JSON object of periods in seconds and the operator's own arguments.  It imports everything, waits
for a line on standard input, and then is the operator: so a process that will be needed can get ready meanwhile.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta


def load(periods: dict[str, timedelta]) -> Callable[[], object]:
    """Import the operator with these periods, each set before the modules that copy it are imported."""
    from pbx_operator.api import conditions

    conditions.GRACE = periods.get("grace", conditions.GRACE)

    from pbx_operator.domain.accounts import status
    from pbx_operator.domain.records import machine

    status.COUNTER_PERIOD = periods.get("counters", status.COUNTER_PERIOD)
    machine.ORPHAN_PERIOD = periods.get("orphan", machine.ORPHAN_PERIOD)

    from pbx_operator.domain.servers import equipment

    equipment.SILENT = periods.get("silent", equipment.SILENT)
    equipment.GONE = periods.get("gone", equipment.GONE)
    equipment.REPORT_PERIOD = periods.get("reports", equipment.REPORT_PERIOD)
    equipment.CHANGE_PERIOD = periods.get("changes", equipment.CHANGE_PERIOD)

    from pbx_operator import device

    if "reports" in periods:
        device.REPORT_SECONDS = periods["reports"].total_seconds()

    from pbx_operator.links import signs

    signs.SYNC_PERIOD = periods.get("syncs", signs.SYNC_PERIOD)

    from pbx_operator.exchange import tls

    if "certificate" in periods:
        tls.REFRESH_SECONDS = periods["certificate"].total_seconds()

    from pbx_operator.engine import sync

    if "prune" in periods:
        sync.PRUNE_SECONDS = sync.LAG_SECONDS = periods["prune"].total_seconds()

    from pbx_operator.engine import identity

    if "identity" in periods:
        identity.USABLE_SECONDS = periods["identity"].total_seconds()

    from pbx_operator.commands.operator import main

    return main


if __name__ == "__main__":
    operator = load({name: timedelta(seconds=seconds) for name, seconds in json.loads(sys.argv.pop(1)).items()})
    sys.stdin.readline()
    operator()
