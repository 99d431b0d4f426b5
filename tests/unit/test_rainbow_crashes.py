"""Rainbow as the provider of CommServers, with the engine's own parts, whichever call is the last of a process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from pbx_operator.domain.conditions import find
from pbx_operator.domain.steps import POLL_PERIOD
from server_builders import BTCO, STOCK
from simulation.process import Request
from simulation.rainbow import RainbowSite

MOST_CALLS = 60
"""More than any story here makes."""
Act = Callable[[RainbowSite], None]


def code_of(site: RainbowSite) -> str:
    secret = site.secret()
    return "ALE12-1234.5678.90" if secret is None else secret["activationCode"]


def settled(spec: dict[str, Any]) -> RainbowSite:
    """Return a site with a server that runs."""
    site = RainbowSite()
    site.apply(**spec)
    site.settle()
    (system,) = site.systems
    site.rainbow.equipment.connect(system.pbx_id, code_of(site))
    site.settle_for(POLL_PERIOD * 2)
    assert site.status().state == "Running"
    return site


def created(site: RainbowSite) -> None:
    site.apply()


def reset(site: RainbowSite) -> None:
    site.apply(activation={"revision": 2})


def renamed(site: RainbowSite) -> None:
    site.apply(displayName="other")


def deleted(site: RainbowSite) -> None:
    site.delete()


@pytest.mark.parametrize("moment", ["before it is sent", "after it was carried out", "when the answer is lost"])
@pytest.mark.parametrize("act", [created, reset, renamed, deleted], ids=lambda act: act.__name__)
@pytest.mark.parametrize("spec", [BTCO, STOCK], ids=["built to order", "stock"])
def test_no_second_system_and_no_lost_code(spec: dict[str, Any], act: Act, moment: str) -> None:
    tried = 0
    while dies_at(tried, spec, act, moment):
        tried += 1
        assert tried < MOST_CALLS
    assert tried >= 4, "two Secrets are read, Rainbow is asked, and the object is written"


def dies_at(last: int, spec: dict[str, Any], act: Act, moment: str) -> bool:
    """Let the process die at a call and see that all ends well; return whether there was such a call."""
    with closing(RainbowSite() if act is created else settled(spec)) as site:
        site.calls = 0
        if act is created:
            site.apply(**spec)
        else:
            act(site)
        if not site.settle(lambda task: site.calls == last):
            return False
        if moment != "before it is sent":
            task = site.process.requests()[0]
            assert isinstance(task.waiting, Request)
            task.waiting.arrive()
            if moment == "when the answer is lost":
                task.waiting.lose()
                task.resume()
        if moment != "when the answer is lost":
            site.restart()
        site.settle_for(timedelta(minutes=30))
        check_end(site, act)
    return True


def check_end(site: RainbowSite, act: Act) -> None:
    assert len([c for c in site.rainbow.journal.select(operation="PostSystems") if c.committed]) == 1
    if act is deleted:
        assert site.server() is None
        assert not site.systems
        return
    (system,) = site.systems
    ready = find(site.status().conditions, "Ready")
    assert ready is not None
    assert ready.status == "True", ready.message
    assert site.status().system_id == system.id
    if act is renamed:
        assert (system.settings["name"], site.status().state) == ("other", "Running")
    else:
        assert (site.status().state, code_of(site)) == ("Pending", system.activation_code)
