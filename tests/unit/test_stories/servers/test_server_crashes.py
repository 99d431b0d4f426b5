"""Whichever call is the last of a process, and whenever a server is deleted: it is created once, and goes for good.

The engine's own parts, on a simulated API server and provider.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

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

RECOVERY = timedelta(minutes=20)
each_sort_of_provider = pytest.mark.parametrize("makes_codes", [True, False], ids=["provider's codes", "our codes"])


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("act", SERVER_ACTS, ids=lambda act: act.__name__)
@each_sort_of_provider
def test_nothing_is_lost_or_done_twice_whichever_call_is_the_last(
    act: ServerAct, moment: Moment, makes_codes: bool
) -> None:
    def begin() -> Site:
        site = Site(Provider(makes_codes))
        site.apply()
        if act is not created:
            site.settle()
            assert site.provider.connect(site.equipment(), site.secret_code())
        return site

    assert whichever_call_is_the_last(begin, act, moment, RECOVERY, lambda site: check_end(site, act)) > 0


@pytest.mark.parametrize("call", range(12))
@each_sort_of_provider
def test_a_server_that_is_deleted_at_any_moment_leaves_nothing(call: int, makes_codes: bool) -> None:
    def begin() -> Site:
        site = Site(Provider(makes_codes))
        site.apply()
        return site

    def deleted_early(site: Site) -> None:
        site.settle(lambda task: site.calls == call)
        site.delete()

    for moment in MOMENTS:
        whichever_call_is_the_last(
            begin, deleted_early, moment, RECOVERY, lambda site: check_end(site, deleted), first=call
        )


def check_end(site: Site, act: ServerAct) -> None:
    if act is deleted:
        assert site.server() is None
        assert not site.provider.systems
        return
    (system,) = site.provider.systems.values()
    assert site.ready()[0] == "True"
    assert site.provider.changes.count("create") == 1
    assert site.status().system_id == system.id
    if act is not renamed:
        assert (system.state, site.secret_code()) == ("Pending", system.code), "the code of the Secret opens the way in"
    else:
        assert (system.settings.display_name, system.state) == ("other", "Running")
