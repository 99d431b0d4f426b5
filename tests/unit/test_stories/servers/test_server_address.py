"""The exchange that boxes connect to: without one no server is declared, and activation Secrets follow its address."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from builders import NAMESPACE
from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.domain.conditions import find
from pbx_operator.domain.steps import POLL_PERIOD
from server_builders import STOCK
from simulation.process import ADDRESS
from simulation.servers import Provider, Site

SECRET = ObjectKey(NAMESPACE, "pbx-activation")
RAINBOW: dict[str, Any] = {
    "provider": {
        "type": "Rainbow",
        "rainbow": {
            "company": "Hotel",
            "credentialsSecretRef": {"name": "login"},
            "applicationSecretRef": {"name": "application"},
        },
    }
}
MOVES = {
    "endpoint": {**ADDRESS, "endpoint": "https://elsewhere.example:8443"},
    "pin": {**ADDRESS, "pin": "sha256:another"},
    "instance": {**ADDRESS, "instance": "there"},
}


@pytest.fixture
def provider() -> Provider:
    return Provider(makes_codes=False)


def restart(site: Site, address: Mapping[str, str]) -> None:
    """Start the operator anew, with this exchange or with none."""
    site.address = address
    site.restart()
    site.settle()


def reason(site: Site, type_: str) -> tuple[str, str] | None:
    found = find(site.status().conditions, type_)
    return (found.status, found.reason) if found is not None else None


def secret(site: Site) -> dict[str, str]:
    found = site.secret()
    assert found is not None
    return found


class TestWithoutExchange:
    @pytest.mark.parametrize("spec", [{}, STOCK, {**STOCK, "activation": {"revision": 2}}])
    def test_nothing_is_done_until_there_is_one(self, site: Site, provider: Provider, spec: dict[str, Any]) -> None:
        restart(site, {})
        site.apply(**spec)
        site.settle_for(POLL_PERIOD * 2)
        assert reason(site, "Ready") == ("False", "ExchangeMissing")
        assert reason(site, "Stalled") == ("True", "ExchangeMissing")
        assert reason(site, "Accepted") == ("True", "Accepted")
        ready = find(site.status().conditions, "Ready")
        assert ready is not None
        assert "--exchange-endpoint https://" in ready.message
        assert (provider.changes, site.secret()) == ([], None)
        restart(site, ADDRESS)
        assert (reason(site, "Ready"), reason(site, "Stalled")) == (("True", "Declared"), None)
        assert provider.changes == ["create"]

    def test_one_that_waits_for_its_box_says_so_and_keeps_its_code(self, site: Site, provider: Provider) -> None:
        site.apply()
        site.settle()
        before = secret(site)
        restart(site, {})
        assert reason(site, "Ready") == ("False", "ExchangeMissing")
        assert (secret(site), provider.changes) == (before, ["create"])

    def test_one_whose_box_is_in_keeps_its_state(self, site: Site, provider: Provider) -> None:
        site.apply()
        site.settle()
        (system,) = provider.systems.values()
        assert provider.connect(system.equipment_id, system.code)
        site.settle_for(POLL_PERIOD * 2)
        before = secret(site)
        restart(site, {})
        site.settle_for(POLL_PERIOD * 2)
        assert (reason(site, "Ready"), site.status().state) == (("True", "Running"), "Running")
        assert secret(site) == before
        assert "no exchange that boxes can reach: start it with --exchange-endpoint" in site.message()
        restart(site, ADDRESS)
        assert site.message() == "the server is connected"
        restart(site, {})
        site.apply(activation={"revision": 2})
        site.settle()
        assert reason(site, "Ready") == ("False", "ExchangeMissing"), "no box can come after this one"

    def test_it_can_be_deleted(self, site: Site, provider: Provider) -> None:
        site.apply()
        site.settle()
        restart(site, {})
        site.delete()
        site.settle_for(timedelta(minutes=5))
        assert (site.server(), provider.systems) == (None, {})

    def test_one_at_rainbow_needs_none(self, site: Site) -> None:
        restart(site, {})
        site.apply(**RAINBOW)
        site.settle()
        assert reason(site, "Ready") == ("True", "Declared")


class TestMove:
    @pytest.mark.parametrize("moved", MOVES.values(), ids=MOVES)
    @pytest.mark.parametrize("connected", [True, False])
    @pytest.mark.parametrize("spec", [{}, {**STOCK, "activation": {"revision": 2}}], ids=["built to order", "stock"])
    def test_the_secret_follows_and_keeps_its_code(
        self, site: Site, provider: Provider, moved: dict[str, str], connected: bool, spec: dict[str, Any]
    ) -> None:
        site.apply(**spec)
        site.settle()
        before, (system,) = secret(site), provider.systems.values()
        assert ADDRESS.items() <= before.items()
        if connected:
            assert provider.connect(system.equipment_id, before["activationCode"])
        restart(site, moved)
        assert secret(site) == {**before, **moved}
        assert provider.changes == ["create"]
        written = len(site.process.wire.written)
        site.settle_for(POLL_PERIOD * 3)
        assert len(site.process.wire.written) == written, "it is written once"

    def test_one_without_an_address_gets_it(self, site: Site) -> None:
        site.apply()
        site.settle()
        before, raw = secret(site), site.api.get(SECRETS, SECRET)
        site.api.delete(SECRETS, SECRET)
        entries = {name: value for name, value in raw["data"].items() if name not in ADDRESS}
        owned = {key: value for key, value in raw["metadata"].items() if key != "uid"}
        site.api.create(SECRETS, {**raw, "metadata": owned, "data": entries})
        site.settle_for(POLL_PERIOD * 2)
        assert secret(site) == before

    def test_from_stock_before_any_reset_there_is_no_secret_to_write(self, site: Site) -> None:
        site.apply(**STOCK)
        site.settle()
        restart(site, MOVES["endpoint"])
        assert site.secret() is None

    def test_one_at_rainbow_has_no_address(self, site: Site) -> None:
        site.apply(**RAINBOW)
        site.settle()
        before = secret(site)
        restart(site, MOVES["endpoint"])
        assert secret(site) == before
        assert not before.keys() & ADDRESS.keys()

    def test_a_secret_of_somebody_else_is_left_alone(self, site: Site) -> None:
        site.apply()
        site.settle()
        site.api.delete(SECRETS, SECRET)
        site.keep("pbx-activation", note="mine")
        restart(site, MOVES["endpoint"])
        assert (site.secret(), reason(site, "Ready")) == ({"note": "mine"}, ("False", "SecretNameTaken"))
