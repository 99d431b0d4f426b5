"""Whichever call is the last of a process, and whenever a CommServer is deleted: no system is lost or there twice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import pytest

from simulation.process import Request
from simulation.servers import Provider, Site

DIED = 40


Act = Callable[[Site], None]


def created(site: Site) -> None:
    site.apply()


def reset(site: Site) -> None:
    site.apply(activation={"revision": 2})


def renamed(site: Site) -> None:
    site.apply(displayName="other")


def deleted(site: Site) -> None:
    site.delete()


def deleted_at(call: int) -> Act:
    """Delete a server after so many calls of its first story."""

    def deleted_at_once(site: Site) -> None:
        site.apply()
        site.settle(lambda task: site.calls == call)
        site.delete()

    return deleted_at_once


MOMENTS = ["before it is sent", "after it was carried out", "when the answer is lost"]


@pytest.mark.parametrize("call", range(12))
@pytest.mark.parametrize("makes_codes", [True, False], ids=["provider's codes", "our codes"])
def test_a_server_that_is_deleted_at_any_moment_leaves_nothing(call: int, makes_codes: bool) -> None:
    for moment in MOMENTS:
        assert any(not dies_at(n, deleted_at(call), moment, makes_codes=makes_codes) for n in range(call, DIED))


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("act", [created, reset, renamed, deleted], ids=lambda act: act.__name__)
@pytest.mark.parametrize("makes_codes", [True, False], ids=["provider's codes", "our codes"])
def test_nothing_is_lost_or_done_twice_whichever_call_is_the_last(act: Act, moment: str, makes_codes: bool) -> None:
    assert any(not dies_at(last, act, moment, makes_codes=makes_codes) for last in range(DIED))


def dies_at(last: int, act: Act, moment: str, *, makes_codes: bool) -> bool:
    """Let the process die at a call and see that all ends well; return whether there was such a call."""
    provider = Provider(makes_codes)
    with closing(Site(provider)) as site:
        if act in (reset, renamed, deleted):
            site.apply()
            site.settle()
            assert provider.connect(site.equipment(), site.secret_code())
        site.calls = 0
        act(site)
        if not site.settle(lambda task: site.calls >= last):
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
        site.settle_for(timedelta(minutes=20))
        check_end(site, provider, act)
    return True


def check_end(site: Site, provider: Provider, act: Act) -> None:
    if act.__name__.startswith("deleted"):
        assert site.server() is None
        assert not provider.systems
        return
    (system,) = provider.systems.values()
    assert site.ready()[0] == "True"
    assert provider.changes.count("create") == 1
    assert site.status().system_id == system.id
    if act is not renamed:
        assert (system.state, site.secret_code()) == ("Pending", system.code), "the code of the Secret opens the way in"
    else:
        assert (system.settings.display_name, system.state) == ("other", "Running")
