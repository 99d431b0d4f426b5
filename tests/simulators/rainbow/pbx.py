"""The PBX side: how equipment activates itself and how its channels come and go.

The way from the public activation code to a private one is that of the field `status` in OPENAPI: created (the agent
uses the activation code), activating (the platform has proposed a private code), activated (the agent took it).  [F]
"""

from __future__ import annotations

import secrets
from typing import Literal

from simulators.rainbow.state import Channels, State, System


class EquipmentError(Exception):
    """A PBX cannot do this: the platform does not know it, its code is not right, or it is not activated."""


class Equipment:
    """What a person at the PBX, or the PBX itself, does."""

    def __init__(self, state: State) -> None:
        self._state = state

    def connect(
        self,
        pbx_id: str,
        code: str,
        *,
        channels: Channels | None = None,
        until: Literal["activating", "activated"] = "activated",
    ) -> None:
        """Activate a PBX with its activation code; its channels (default: all) come up once it is activated.

        With until="activating" the PBX has not yet accepted its private code; a further call goes on from there.
        Raises EquipmentError for an unknown pbx_id, another code, or a PBX that is activated: its code is used up.
        """
        system = self._state.by_pbx_id(pbx_id)
        if system is None or system.status == "activated" or system.activation_code != code:
            raise EquipmentError(pbx_id)
        if system.status == "created":
            self._enter(system, "activating")
            system.private_code = secrets.token_hex(16)
            system.transaction_id = secrets.token_hex(16)
        if until == "activated":
            self._enter(system, "activated")
            system.set_channels(channels or Channels(conf=True, csta=True, http=True, xmpp=True), self._state.clock())

    def set_channels(self, pbx_id: str, channels: Channels) -> None:
        """Let channels of an activated PBX come up or go down.

        Raises EquipmentError for a PBX that is unknown or not activated: it cannot be connected.
        """
        self._activated(pbx_id).set_channels(channels, self._state.clock())

    def disconnect(self, pbx_id: str) -> None:
        """Let all channels of an activated PBX go down; raises as set_channels."""
        system = self._activated(pbx_id)
        system.set_channels(system.channels.down(), self._state.clock())

    def set_media_pillar(self, pbx_id: str, linked: bool) -> None:
        """Link a Media Pillar (WebRTC gateway) to a system or take it off; raises EquipmentError if it is unknown."""
        system = self._state.by_pbx_id(pbx_id)
        if system is None:
            raise EquipmentError(pbx_id)
        system.has_media_pillar = linked

    def _activated(self, pbx_id: str) -> System:
        system = self._state.by_pbx_id(pbx_id)
        if system is None or system.status != "activated":
            raise EquipmentError(pbx_id)
        return system

    def _enter(self, system: System, status: Literal["activating", "activated"]) -> None:
        system.status = status
        system.status_updated = self._state.clock()
