"""CommServers at Rainbow, with the engine's own parts: what users see, and what Rainbow is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from builders import NAMESPACE
from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.domain.conditions import check, find
from pbx_operator.domain.steps import POLL_PERIOD, RELOOK, SETTLING
from server_builders import STOCK
from simulation.process import Request
from simulation.rainbow import RainbowSite
from simulators.rainbow import System
from simulators.rainbow.system_fields import DEFAULTS

LATER = timedelta(minutes=5)
THEIRS = {"name": "Theirs", "type": "oxo", "country": "FRA"}


@pytest.fixture
def site() -> Iterator[RainbowSite]:
    with closing(RainbowSite()) as site:
        yield site


def shown(site: RainbowSite, condition: str) -> tuple[str, str]:
    """Return status and reason of a condition; the whole status keeps the rules."""
    server = site.server()
    assert server is not None
    assert not check(server.status, server.metadata.generation)
    found = find(server.status.conditions, condition)
    assert found is not None
    return found.status, found.reason


def asked(site: RainbowSite, operation: str) -> int:
    return len(site.rainbow.journal.select(operation=operation))


def test_from_pending_to_running_degraded_and_activated(site: RainbowSite) -> None:
    site.apply(**STOCK)
    site.settle()
    (system,) = site.systems
    assert (shown(site, "Ready"), site.status().state) == (("True", "Declared"), "Pending")
    assert shown(site, "WeakActivationCode")[0] == "True"
    site.rainbow.equipment.connect(system.pbx_id, "ALE12-1234.5678.90")
    site.settle_for(POLL_PERIOD * 2)
    assert (shown(site, "Connected"), site.status().state) == (("True", "Running"), "Running")
    assert [channel.name for channel in site.status().connection] == ["conf", "csta", "http", "xmpp"]
    system.channels.csta = False
    site.settle_for(POLL_PERIOD * 2)
    assert (shown(site, "Ready"), shown(site, "Connected")) == (("True", "Degraded"), ("True", "Degraded"))
    site.rainbow.equipment.disconnect(system.pbx_id)
    site.settle_for(POLL_PERIOD * 2)
    assert (shown(site, "Ready"), shown(site, "Connected")) == (("True", "Activated"), ("False", "Activated"))


def test_nothing_is_written_at_rainbow_while_nothing_differs(site: RainbowSite) -> None:
    site.apply(dialing={"country": "FR", "nationalPrefix": "0", "internationalPrefix": "00", "outboundPrefix": "0"})
    site.settle()
    written = sum(call.is_write for call in site.rainbow.journal.calls)
    site.settle_for(timedelta(hours=12))
    assert sum(call.is_write for call in site.rainbow.journal.calls) == written == 1
    site.restart()
    site.settle_for(timedelta(hours=1))
    assert sum(call.is_write for call in site.rainbow.journal.calls) == 1


def test_a_system_that_somebody_else_declared_is_left_alone(site: RainbowSite) -> None:
    theirs = System("ALE12-1234.5678.90", "their code", [site.reseller.site.id], 0.0, DEFAULTS | THEIRS)
    site.rainbow.state.systems[theirs.id] = theirs
    before = dict(vars(theirs))
    site.apply(**STOCK)
    site.settle_for(LATER)
    assert shown(site, "Ready") == ("False", "SystemNotOurs")
    site.delete()
    site.settle_for(LATER)
    assert site.server() is None
    assert site.systems == [theirs]
    assert vars(theirs) == before


def test_a_stock_system_that_was_declared_by_hand_at_the_site_is_taken_over_until_its_box_connects(
    site: RainbowSite,
) -> None:
    code = "ALE12-1234.5678.90"
    theirs = System(code, code, [site.reseller.site.id], 0.0, DEFAULTS | THEIRS)
    site.rainbow.state.systems[theirs.id] = theirs
    site.apply(**STOCK, displayName="Reception")
    site.settle_for(LATER)
    assert (shown(site, "Ready"), site.status().system_id) == (("True", "Declared"), theirs.id)
    assert theirs.settings["name"] == "Reception"
    assert asked(site, "PostSystems") == 0
    site.delete()
    site.settle_for(LATER)
    assert site.systems == []


def test_a_stock_system_that_was_declared_by_hand_and_is_connected_is_left_until_somebody_deletes_it(
    site: RainbowSite,
) -> None:
    code = "ALE12-1234.5678.90"
    theirs = System(code, code, [site.reseller.site.id], 0.0, DEFAULTS | THEIRS)
    site.rainbow.state.systems[theirs.id] = theirs
    site.rainbow.equipment.connect(code, code)
    site.apply(**STOCK)
    site.settle_for(LATER)
    assert shown(site, "Stalled") == ("True", "SystemNotOurs")
    del site.rainbow.state.systems[theirs.id]
    site.settle_for(POLL_PERIOD * 2)
    assert shown(site, "Ready") == ("True", "Declared")


def test_drift_is_taken_back_field_by_field(site: RainbowSite) -> None:
    site.apply(displayName="Reception")
    site.settle()
    (system,) = site.systems
    system.settings |= {"name": "renamed"}
    site.settle_for(POLL_PERIOD * 2)
    assert system.settings["name"] == "Reception"
    (call,) = site.rainbow.journal.select(operation="PutSystems")
    assert call.body == {"name": "Reception"}


def test_a_wrong_password_is_tried_once_by_all_processes_together(site: RainbowSite) -> None:
    site.reseller.admin.password = "changed there"
    site.apply()
    site.settle_for(LATER)
    assert shown(site, "Ready") == ("False", "CredentialsRejected")
    assert shown(site, "Stalled") == ("True", "CredentialsRejected")
    for _ in range(3):
        site.restart()
        site.settle_for(timedelta(hours=1))
    assert asked(site, "GetBasicLogin") == 1
    site.api.delete(SECRETS, ObjectKey(NAMESPACE, "login"))
    site.settle_for(LATER * 2)
    assert shown(site, "Ready") == ("False", "CredentialsMissing")
    site.keep("login", username=site.reseller.admin.login, password="changed there")
    site.settle_for(LATER * 2)
    assert shown(site, "Ready") == ("True", "Declared")
    assert asked(site, "GetBasicLogin") == 2


def test_a_locked_login_is_shown_as_locked_by_all_processes(site: RainbowSite) -> None:
    site.rainbow.lock(site.reseller.admin)
    site.apply()
    for _ in range(3):
        site.settle_for(LATER)
        assert shown(site, "Stalled") == ("True", "LoginLocked")
        site.restart()
    assert asked(site, "GetBasicLogin") == 1


def test_a_wrong_password_is_tried_once_while_a_server_is_being_deleted(site: RainbowSite) -> None:
    site.apply()
    site.settle()
    site.restart()
    site.reseller.admin.password = "changed there"
    site.delete()
    for _ in range(3):
        site.settle_for(LATER)
        site.restart()
    assert asked(site, "GetBasicLogin") == 2, "one that was right, and one that was wrong"
    assert site.server() is not None


def test_a_server_that_joins_later_does_not_try_what_another_one_saw_refused(site: RainbowSite) -> None:
    site.reseller.admin.password = "changed there"
    site.apply()
    site.settle_for(LATER)
    site.restart()
    site.settle()
    site.apply("another")
    site.settle_for(LATER)
    assert asked(site, "GetBasicLogin") == 1


def test_a_gateway_keeps_a_deleted_server_until_it_is_taken_off(site: RainbowSite) -> None:
    site.apply()
    site.settle()
    (system,) = site.systems
    site.rainbow.equipment.set_media_pillar(system.pbx_id, linked=True)
    site.delete()
    site.settle_for(timedelta(hours=1))
    server = site.server()
    assert server is not None
    assert "refuses to delete a server with a WebRTC gateway" in server.status.conditions[0].message
    assert asked(site, "DeleteSystems") <= 6, "slowly: every 15 minutes"
    site.rainbow.equipment.set_media_pillar(system.pbx_id, linked=False)
    site.settle_for(timedelta(minutes=20))
    assert (site.server(), site.systems) == (None, [])


def test_what_rainbow_shows_late_is_not_declared_twice(site: RainbowSite) -> None:
    site.rainbow.hide_created(3)
    site.apply()
    await_creation(site)
    lose_answer(site)
    site.settle_for(timedelta(minutes=20))
    assert len(site.systems) == 1
    assert shown(site, "Ready") == ("True", "Declared")
    (system,) = site.systems
    secret = site.secret()
    assert secret is not None
    assert secret["activationCode"] == system.activation_code


@pytest.mark.parametrize("dies", [False, True], ids=["the process lives", "the process dies"])
@pytest.mark.parametrize("reads", [1, 5])
def test_a_system_whose_declaration_was_never_answered_is_not_left_behind(
    site: RainbowSite, reads: int, dies: bool
) -> None:
    """The CommServer is deleted meanwhile, and Rainbow takes its time to show the system."""
    site.rainbow.hide_created(reads)
    site.apply()
    await_creation(site)
    if dies:
        (creating,) = site.process.requests()
        assert isinstance(creating.waiting, Request)
        creating.waiting.arrive()
        site.restart()
    else:
        lose_answer(site)
    site.delete()
    site.settle_for(RELOOK / 2)
    server = site.server()
    assert server is not None
    assert len(site.systems) == 1
    assert "whether the system was created" in server.status.conditions[0].message
    site.settle_for(SETTLING + RELOOK)
    assert (site.server(), site.systems) == (None, [])


def test_a_server_whose_declaration_never_arrived_goes_when_rainbow_would_show_it(site: RainbowSite) -> None:
    site.apply()
    await_creation(site)
    site.delete()
    site.restart()
    site.settle_for(SETTLING - RELOOK)
    assert site.server() is not None
    site.settle_for(RELOOK * 2)
    assert (site.server(), site.systems) == (None, [])


def await_creation(site: RainbowSite) -> None:
    assert site.settle(lambda task: "POST /api/rainbow/admin/v1.0/systems" in getattr(task.waiting, "what", ""))


def lose_answer(site: RainbowSite) -> None:
    task = site.process.requests()[0]
    assert isinstance(task.waiting, Request)
    task.waiting.arrive()
    task.waiting.lose()
    task.resume()
