"""What plays ALE Rainbow: the simulator of the tests, over HTTPS on this machine."""

from __future__ import annotations

import ssl
from pathlib import Path
from types import TracebackType
from typing import Self

from comm_servers.beside import HOST, Beside
from pbx_operator.sandbox.pki import CertificateAuthority
from simulators.rainbow import Call, RainbowSimulator, reseller


def certified_by(authority: Path) -> ssl.SSLContext:
    """Return what a server on this machine shows to those who trust the authority in this directory."""
    pair = CertificateAuthority(authority).issue_server([HOST])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


class Rainbow:
    """The cloud while it is entered, with a reseller who has one customer with one site."""

    def __init__(self, beside: Beside, certificate: ssl.SSLContext) -> None:
        self._beside = beside
        self._simulator = RainbowSimulator(tls=certificate)
        self._reseller = reseller(self._simulator.state)

    def __enter__(self) -> Self:
        self._beside.run(self._simulator.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beside.run(self._simulator.__aexit__(kind, problem, trace))

    @property
    def variables(self) -> dict[str, str]:
        """What a person at the reseller knows, as variables of a shell."""
        return {
            "RAINBOW": self._simulator.url,
            "LOGIN": self._reseller.admin.login,
            "PASSWORD": self._reseller.admin.password,
            "APP_ID": self._reseller.application.id,
            "APP_SECRET": self._reseller.application.secret,
        }

    def connect(self, equipment_id: str, code: str) -> None:
        """Connect the box; all its channels come up. Raises EquipmentError if Rainbow does not let it in."""
        self._beside.call(lambda: self._simulator.equipment.connect(equipment_id, code))

    def rename(self, equipment_id: str, name: str) -> None:
        """Let somebody give a server another name in Rainbow's own administration."""
        self._beside.call(lambda: self._settings(equipment_id).update(name=name))

    def names(self) -> dict[str, str]:
        """Return the names of all servers by their equipment IDs."""
        systems = self._simulator.state.systems
        return self._beside.call(lambda: {s.pbx_id: str(s.settings["name"]) for s in systems.values()})

    def logins(self) -> list[Call]:
        """Return all attempts to log in."""
        return self._beside.call(lambda: self._simulator.journal.select(operation="GetBasicLogin"))

    def writes(self) -> list[Call]:
        """Return all calls that were to change something."""
        return self._beside.call(lambda: [call for call in self._simulator.journal.calls if call.is_write])

    def _settings(self, equipment_id: str) -> dict[str, object]:
        system = self._simulator.state.by_pbx_id(equipment_id)
        if system is None:
            raise LookupError(f"Rainbow has no server {equipment_id}")
        return system.settings
