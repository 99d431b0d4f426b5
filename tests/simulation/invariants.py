"""What must hold at every moment of every story, whoever does what in which order."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from datetime import datetime

from pbx_operator.api.meta import SECRETS, ResourceType
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordSpec
from pbx_operator.domain.protocol.keys import MalformedKeyError, base64url, parse_key
from pbx_operator.domain.records.facts import Side, closing_of, expired, interlink_of
from simulation.api import JSON

SIDES: tuple[Side, Side] = ("issuer", "redeemer")


class Invariants(logging.Handler):
    """Watches every change of the cluster and every line of the log; `broken` lists what should not have been."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self.clock = clock
        self.broken: list[str] = []
        self.winners: dict[str, str] = {}
        """By keyID: the link that redeemed it, for ever."""
        self.over: set[str] = set()
        """Keys that have ended, for ever: only one that has expired may be recorded once more, as nobody can use it."""
        self.let_go: set[str] = set()
        """UIDs of Interlinks that the operator let go."""
        self.excused: set[str] = set()
        """UIDs of Interlinks that went without the operator, or whose key was taken away: the orphan rule's job."""
        self._specs: dict[str, LinkRecordSpec] = {}
        self._seeds: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line of the log: none may hold a key, and none may be an error."""
        text = record.getMessage() + str(record.exc_info or "")
        self._check_silence("the log", text)
        if record.levelno >= logging.ERROR:
            self.broken.append(f"an error was logged: {text}")

    def changed(self, resource: ResourceType, old: JSON | None, new: JSON | None) -> None:
        """Take a change of an object."""
        if resource is SECRETS:
            self._learn(new)
            return
        self._check_silence(resource.kind, json.dumps(new))
        if resource is Interlink.resource and old is not None and new is None:
            self.let_go.add(old["metadata"]["uid"])
        if resource is LinkRecord.resource and new is not None:
            self._record(LinkRecordSpec.model_validate(new["spec"]))
        for spec in self._specs.values():
            self._check_released(spec)

    def _learn(self, secret: JSON | None) -> None:
        for value in (secret or {}).get("data", {}).values():
            try:
                self._seeds.add(base64url(parse_key(base64.b64decode(value).decode()).key.seed))
            except MalformedKeyError:
                continue

    def _check_silence(self, where: str, text: str) -> None:
        if any(seed in text for seed in self._seeds):
            self.broken.append(f"{where} holds a key")

    def _record(self, spec: LinkRecordSpec) -> None:
        key = spec.key_id
        self._specs[key] = spec
        if spec.redeemer is not None:
            winner = self.winners.setdefault(key, spec.redeemer.link_id)
            if winner != spec.redeemer.link_id:
                self.broken.append(f"key {key} was redeemed by {winner} and by {spec.redeemer.link_id}")
        if spec.state == "Ended":
            self.over.add(key)
        elif key in self.over and not expired(spec, self.clock()):
            self.broken.append(f"key {key} had ended and is {spec.state} again")

    def _check_released(self, spec: LinkRecordSpec) -> None:
        """An object that the operator let go has ended its link, or announced the end."""
        if spec.state != "Established":
            return
        for side in SIDES:
            named = interlink_of(spec, side)
            gone = named is not None and named.uid in self.let_go - self.excused
            if gone and closing_of(spec, side) is None:
                self.broken.append(f"{side} {named} was let go and key {spec.key_id} is {spec.state}")
