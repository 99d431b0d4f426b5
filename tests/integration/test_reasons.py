"""Every row of the table of reasons has been met on a real API server: each reason has a story.

A story claims its reasons, and proves them itself, row by row, whenever it runs (`reason_stories`).  So it is
enough to compare the claims with the table, and no order of tests matters.
"""

from __future__ import annotations

from integration import (
    test_boxes,
    test_numbers,
    test_reasons_accounts,
    test_reasons_customers,
    test_reasons_installations,
    test_reasons_interlinks,
    test_reasons_peers,
    test_reasons_rainbow,
    test_reasons_servers,
    test_rivals,
)
from integration.reason_stories import claims_of
from pbx_operator.api import gate_reasons, provider_reasons, rainbow_reasons, reasons
from pbx_operator.api.reasons import REASONS

MODULES = (
    test_boxes,
    test_numbers,
    test_reasons_accounts,
    test_reasons_customers,
    test_reasons_installations,
    test_reasons_interlinks,
    test_reasons_peers,
    test_reasons_rainbow,
    test_reasons_servers,
    test_rivals,
)
_ROWS = vars(reasons) | vars(gate_reasons) | vars(provider_reasons) | vars(rainbow_reasons)


def test_every_reason_has_a_story() -> None:
    claimed = {reason for module in MODULES for reason in claims_of(module)}
    names = {value: name for name, value in _ROWS.items() if value in REASONS}
    untold = [names[reason] for reason in REASONS if reason not in claimed]
    assert not untold, f"no test of {[m.__name__ for m in MODULES]} claims, with @shows, the reasons {untold}"
    assert claimed == set(REASONS), "a story claims a reason that is not in the table"
