"""Rainbow as the provider of CommServers, with the engine's own parts, whichever call is the last of a process."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pbx_operator.domain.conditions import find
from pbx_operator.domain.steps import POLL_PERIOD
from server_builders import BTCO, STOCK
from simulation.crashes import (
    MOMENTS,
    SERVER_ACTS,
    Moment,
    ServerAct,
    created,
    deleted,
    renamed,
    whichever_call_is_the_last,
)
from simulation.rainbow import RainbowSite


def code_of(site: RainbowSite) -> str:
    secret = site.secret()
    return "ALE12-1234.5678.90" if secret is None else secret["activationCode"]


def declared(spec: dict[str, Any]) -> RainbowSite:
    """Return a site with a server that nobody has looked at."""
    site = RainbowSite()
    site.apply(**spec)
    return site


def settled(spec: dict[str, Any]) -> RainbowSite:
    """Return a site with a server that runs."""
    site = declared(spec)
    site.settle()
    (system,) = site.systems
    site.rainbow.equipment.connect(system.pbx_id, code_of(site))
    site.settle_for(POLL_PERIOD * 2)
    assert site.status().state == "Running"
    return site


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("act", SERVER_ACTS, ids=lambda act: act.__name__)
@pytest.mark.parametrize("spec", [BTCO, STOCK], ids=["built to order", "stock"])
def test_no_second_system_and_no_lost_code(spec: dict[str, Any], act: ServerAct, moment: Moment) -> None:
    def begin() -> RainbowSite:
        return declared(spec) if act is created else settled(spec)

    tried = whichever_call_is_the_last(begin, act, moment, timedelta(minutes=30), lambda site: check_end(site, act))
    assert tried >= 4, "two Secrets are read, Rainbow is asked, and the object is written"


def check_end(site: RainbowSite, act: ServerAct) -> None:
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
