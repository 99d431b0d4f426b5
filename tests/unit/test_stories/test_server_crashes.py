"""Whatever call is the last of a process, a server is created once, and the code of its Secret opens the way in.

The engine's own parts, on a simulated API server and provider.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from pbx_operator.domain.conditions import check, find
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
from simulation.servers import Provider, Site


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("act", SERVER_ACTS, ids=lambda act: act.__name__)
@pytest.mark.parametrize("makes_codes", [True, False], ids=["provider's codes", "our codes"])
def test_nothing_is_lost_or_done_twice_whichever_call_is_the_last(
    act: ServerAct, moment: Moment, makes_codes: bool
) -> None:
    def begin() -> Site:
        site = Site(Provider(makes_codes))
        site.apply()
        if act is not created:
            site.settle()
            (equipment,) = site.provider.systems
            assert site.provider.connect(equipment, secret_code(site))
        return site

    tried = whichever_call_is_the_last(begin, act, moment, timedelta(minutes=20), lambda site: check_end(site, act))
    assert tried > 0


def check_end(site: Site, act: ServerAct) -> None:
    if act is deleted:
        assert site.server() is None
        assert not site.provider.systems
        return
    (system,) = site.provider.systems.values()
    server = site.server()
    assert server is not None
    assert not check(server.status, server.metadata.generation)
    ready = find(server.status.conditions, "Ready")
    assert ready is not None
    assert ready.status == "True", ready.message
    assert site.provider.changes.count("create") == 1
    assert server.status.system_id == system.id
    if act is not renamed:
        assert (system.state, secret_code(site)) == ("Pending", system.code), "the code of the Secret opens the way in"
    else:
        assert (system.settings.display_name, system.state) == ("other", "Running")


def secret_code(site: Site) -> str:
    secret = site.secret()
    assert secret is not None
    return secret["activationCode"]
