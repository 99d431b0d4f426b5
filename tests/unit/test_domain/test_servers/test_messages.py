"""What a CommServer tells people of its box: how to connect it, what is down, and who else has its equipment ID."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import pytest

from builders import BEFORE, NAMESPACE, NOW
from pbx_operator.api.meta import TEARDOWN_FINALIZER, ObjectKey
from pbx_operator.api.v1alpha1.commserver import Channel, CommServerStatus, ServerState
from pbx_operator.domain.claims import Claim
from pbx_operator.domain.conditions import find
from pbx_operator.domain.servers.facts import ServerAttempts, ServerLook, ServerSnapshot
from pbx_operator.domain.servers.plan import plan_server
from pbx_operator.domain.servers.systems import SystemFacts, settings_of
from pbx_operator.domain.steps import StepAttempts
from server_builders import STOCK, commserver

STOCK_ID = "ALE12-1234.5678.90"


def status(
    state: ServerState,
    *channels: Channel,
    silent: bool = False,
    revision: int = 1,
    rival: ObjectKey | None = None,
    reachable: bool = True,
    **spec: Any,
) -> CommServerStatus:
    """Return what a server shows whose look found it as wanted, or whose equipment ID a rival has."""
    equipment = STOCK_ID if "stock" in spec else "PBX1"
    before = CommServerStatus(equipment_id=equipment if rival is None else None, activation_revision=revision)
    server = commserver(status=before, activation={"revision": revision}, **spec)
    metadata = server.metadata.model_copy(update={"finalizers": (TEARDOWN_FINALIZER,)})
    server = server.model_copy(update={"metadata": metadata})
    system = SystemFacts("e-1", True, state, settings_of(server), "Spent", channels, silent=silent)
    secret: Literal["NotNeeded", "Ours"] = "NotNeeded" if "stock" in spec and revision == 1 else "Ours"
    look = ServerLook(secret, system, NOW + timedelta(minutes=1), revision)
    rivals = (Claim(rival, BEFORE, equipment, equipment),) if rival is not None else ()
    attempts: ServerAttempts = StepAttempts(look)
    snapshot = ServerSnapshot(server.key, server, rivals=rivals, attempts=attempts, reachable=reachable)
    plan = plan_server(snapshot, NOW)
    assert not plan.actions
    (update,) = plan.statuses
    assert isinstance(update.status, CommServerStatus)
    return update.status


def message(shown: CommServerStatus, type_: str) -> str:
    condition = find(shown.conditions, type_)
    assert condition is not None
    return condition.message


def lines(**states: Any) -> list[Channel]:
    return [Channel(name=name, state=state) for name, state in states.items()]


@pytest.mark.parametrize("type_", ["Ready", "Connected"])
class TestConnecting:
    def test_one_that_is_built_to_order_names_its_secret(self, type_: str) -> None:
        assert "of Secret pbx-activation on the box" in message(status("Pending"), type_)

    def test_one_from_stock_knows_its_code(self, type_: str) -> None:
        shown = message(status("Pending", **STOCK), type_)
        assert f"from stock it knows {STOCK_ID}, both equipment ID and activation code" in shown
        assert "Secret" not in shown

    def test_another_code_of_one_from_stock_is_in_its_secret(self, type_: str) -> None:
        assert "of Secret pbx-activation on the box" in message(status("Pending", revision=2, **STOCK), type_)


@pytest.mark.parametrize(("spec", "told"), [({}, "of Secret pbx-activation on the box"), (STOCK, STOCK_ID)])
def test_one_that_is_to_run_first_says_as_well_how_its_box_is_connected(spec: dict[str, Any], told: str) -> None:
    shown = status("Pending", readyWhen="Running", **spec)
    ready = find(shown.conditions, "Ready")
    assert ready is not None
    assert (ready.reason, told in ready.message) == ("AwaitingConnection", True)


@pytest.mark.parametrize(
    ("channels", "told"),
    [({"sip": "Up"}, "the server is connected"), ({}, "the server is connected, and reports no channels")],
)
def test_a_box_without_channels_is_said_to_have_none(channels: dict[str, str], told: str) -> None:
    shown = status("Running", *lines(**channels))
    assert (message(shown, "Ready"), message(shown, "Connected")) == (told, told)


@pytest.mark.parametrize("type_", ["Ready", "Connected"])
class TestNoExchange:
    """An operator that was started without the exchange knows at once that no box can report to it."""

    @pytest.mark.parametrize("state", ["Running", "Degraded", "Activated"])
    def test_the_box_is_not_blamed(self, type_: str, state: ServerState) -> None:
        shown = status(state, *lines(sip="Up"), silent=state != "Running", reachable=False)
        told = message(shown, type_)
        assert "no exchange that boxes can reach: start it with --exchange-endpoint" in told
        assert "power" not in told
        ready = find(shown.conditions, "Ready")
        assert ready is not None
        assert (ready.status, ready.reason) == ("True", state)

    def test_a_box_of_another_provider_does_not_need_it(self, type_: str) -> None:
        login, application = {"name": "login"}, {"name": "application"}
        place = {"company": "c", "credentialsSecretRef": login, "applicationSecretRef": application}
        shown = status("Activated", reachable=False, provider={"type": "Rainbow", "rainbow": place})
        told = message(shown, type_)
        assert told == "the server was connected once, and is not now; check its power and its network"


@pytest.mark.parametrize("type_", ["Ready", "Connected"])
class TestDegraded:
    def test_lines_that_are_down_are_named_in_order(self, type_: str) -> None:
        shown = message(status("Degraded", *lines(xmpp="Down", http="Up", csta="Down")), type_)
        assert "channels are down: csta, xmpp; check these lines" in shown
        assert "silent" not in shown

    def test_of_many_lines_some_are_named(self, type_: str) -> None:
        many = [Channel(name=f"t{number}", state="Down") for number in range(6)]
        assert "down: t0, t1, t2, t3 and 2 more;" in message(status("Degraded", *many), type_)

    @pytest.mark.parametrize("state", ["Up", "Down"])
    def test_a_box_that_is_silent_is_said_to_be(self, type_: str, state: str) -> None:
        """Of its lines nobody knows any more."""
        shown = message(status("Degraded", *lines(sip=state), silent=True), type_)
        assert "has been silent for minutes" in shown
        assert "sip" not in shown

    @pytest.mark.parametrize("state", ["Degraded", "Activated"])
    def test_a_box_may_be_silent_because_the_exchange_has_moved(self, type_: str, state: ServerState) -> None:
        shown = message(status(state, silent=True), type_)
        assert "whether the exchange's address has changed: compare with Secret pbx-activation" in shown

    def test_one_from_stock_has_no_secret_to_compare_with(self, type_: str) -> None:
        assert "Secret" not in message(status("Degraded", silent=True, **STOCK), type_)


@pytest.mark.parametrize(
    ("channels", "shown"), [({"csta": "Up", "sip": "Down", "xmpp": "Up"}, "2/3"), ({"sip": "Down"}, "0/1"), ({}, None)]
)
def test_channels_that_are_up_are_counted(channels: dict[str, str], shown: str | None) -> None:
    assert status("Degraded", *lines(**channels)).channels_up == shown


@pytest.mark.parametrize("state", ["Degraded", "Activated"])
def test_of_a_silent_box_nobody_knows_how_many_are_up(state: ServerState) -> None:
    assert status(state, *lines(sip="Up"), silent=True).channels_up is None


@pytest.mark.parametrize("type_", ["Ready", "Provisioned"])
class TestEquipmentInUse:
    def test_a_rival_of_the_same_namespace_is_named(self, type_: str) -> None:
        shown = message(status("Pending", rival=ObjectKey(NAMESPACE, "first"), **STOCK), type_)
        assert f"equipment ID {STOCK_ID} belongs to CommServer first" in shown
        assert "spec.stock" in shown

    def test_a_rival_of_another_namespace_is_not(self, type_: str) -> None:
        shown = message(status("Pending", rival=ObjectKey("elsewhere", "first"), **STOCK), type_)
        assert "belongs to another CommServer of this cluster" in shown
        assert "first" not in shown
        assert "elsewhere" not in shown
