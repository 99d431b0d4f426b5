"""The observer: sees every version of every object as the API server publishes it, and holds each to the rules.

Tests wait on it for conditions, so nothing ever polls or sleeps; and whatever any test makes the operator write,
these rules are checked on it:

* every status is sound by `domain.conditions.check`, and its transition times move with its conditions only;
* no status and no message names another namespace of the tests;
* a key is redeemed at most once, and its record never goes back;
* an activation code lets at most one box in;
* no two InternalNumbers of one account ever show the same number.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import aiohttp

from integration.api import Api, Raw
from pbx_operator.api.meta import EVENTS, NAMESPACES, SECRETS, ObjectKey, Resource, ResourceType
from pbx_operator.api.v1alpha1 import KINDS
from pbx_operator.api.v1alpha1.shared import Status
from pbx_operator.cluster import ApiError
from pbx_operator.domain.conditions import check
from pbx_operator.domain.unreadable import OpaqueStatus

DEADLINE = 30.0
"""Seconds after which waiting for a condition fails the test."""
RECONNECT = 0.05
"""Seconds between two tries to reach an API server that is down."""

R = TypeVar("R", bound=Resource)
V = TypeVar("V")
WATCHED: tuple[ResourceType, ...] = (
    *(kind.resource for kind in KINDS),
    SECRETS,
    NAMESPACES,
    EVENTS,
)
_ORDER = {"Issued": 0, "Requested": 0, "Established": 1, "Ended": 2}


def place(raw: Raw) -> ObjectKey:
    return ObjectKey(raw["metadata"].get("namespace", ""), raw["metadata"]["name"])


class Observer:
    """All objects as they are now, everything that happened to them, and what was wrong with it."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._objects: dict[str, dict[ObjectKey, Raw]] = defaultdict(dict)
        self.history: list[tuple[str, str, Raw]] = []
        """Plural, type of the event, object; in order per kind."""
        self.problems: list[str] = []
        self.namespaces: set[str] = set()
        """The namespaces that tests use, so that their names cannot occur by accident."""
        self._versions: dict[str, int] = {}
        self._redeemers: dict[str, str] = {}
        self._devices: dict[tuple[str, int], str] = {}
        self._listed = 0
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Follow all kinds until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for resource in WATCHED:
                tasks.create_task(self._follow(resource))

    async def ready(self) -> None:
        """Wait until everything was listed once."""
        await self.until(lambda: self._listed == len(WATCHED), "the first lists")

    def get(self, model: type[R], key: ObjectKey) -> R | None:
        """Return an object as it is now."""
        raw = self.raw(model.resource, key)
        return None if raw is None else model.model_validate(raw)

    def raw(self, resource: ResourceType, key: ObjectKey) -> Raw | None:
        return self._objects[resource.plural].get(key)

    def all(self, model: type[R], namespace: str | None = None) -> Iterator[R]:
        """Yield all objects of a kind, of one namespace or of all."""
        for key, raw in list(self._objects[model.resource.plural].items()):
            if namespace in (None, key.namespace):
                yield model.model_validate(raw)

    def raws(self, plural: str) -> list[Raw]:
        return list(self._objects[plural].values())

    def versions(self, resource: ResourceType, key: ObjectKey) -> list[Raw]:
        """Return every version of an object that was seen, oldest first."""
        return [raw for plural, _, raw in self.history if plural == resource.plural and place(raw) == key]

    async def until(self, condition: Callable[[], V], what: str, seconds: float = DEADLINE) -> V:
        """Wait until a condition on the objects holds, and return its value."""
        try:
            async with asyncio.timeout(seconds):
                while not (value := condition()):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"not within {seconds:.0f} s: {what}") from None
        return value

    async def caught_up(self, resource: ResourceType, written: Raw) -> None:
        """Wait until a write, of which the API server told us already, was observed as well."""
        uid, version = written["metadata"]["uid"], int(written["metadata"]["resourceVersion"])
        what = f"{resource.kind} {place(written)} is observed"
        await self.until(lambda: self._versions.get(uid, 0) >= version, what)

    async def _follow(self, resource: ResourceType) -> None:
        first = True
        while True:
            with suppress(aiohttp.ClientError, ConnectionError, TimeoutError, ApiServerAwayError):
                version = await self._list(resource)
                self._listed += first
                first = False
                self._news.set()
                async for event in self._api.watch(resource, version):
                    if event["type"] == "ERROR":
                        break
                    self._take(resource.plural, event["type"], event["object"])
            await asyncio.sleep(RECONNECT)

    async def _list(self, resource: ResourceType) -> str:
        """Take the present objects; what is not among them any more was deleted unseen."""
        try:
            listing = await self._api.cluster.list(resource)
        except ApiError as error:
            raise ApiServerAwayError from error
        header = {"apiVersion": resource.api_version, "kind": resource.kind}
        present = {place(raw): {**header, **raw} for raw in listing.items}
        for key, raw in list(self._objects[resource.plural].items()):
            if key not in present:
                self._take(resource.plural, "DELETED", raw)
        for raw in present.values():
            self._take(resource.plural, "MODIFIED", raw)
        return listing.resource_version

    def _take(self, plural: str, type_: str, raw: Raw) -> None:
        key = place(raw)
        old = self._objects[plural].get(key)
        self.history.append((plural, type_, raw))
        self._versions[raw["metadata"]["uid"]] = int(raw["metadata"]["resourceVersion"])
        if type_ == "DELETED":
            self._objects[plural].pop(key, None)
        else:
            self._objects[plural][key] = raw
            self.problems += [f"{raw['kind']} {key}: {problem}" for problem in self._judge(plural, old, raw)]
        self._news.set()

    def _judge(self, plural: str, old: Raw | None, raw: Raw) -> Iterator[str]:
        if plural in ("pbxaccounts", "interlinks", "internalnumbers", "commservers"):
            yield from _judge_status(raw)
            yield from self._judge_privacy(raw)
            if old is not None and old["metadata"]["uid"] == raw["metadata"]["uid"]:
                yield from _judge_times(old, raw)
        if plural == "internalnumbers":
            yield from self._judge_holder(raw)
        if plural == "linkrecords":
            yield from self._judge_record(old, raw)
        if plural == "equipmentrecords":
            yield from self._judge_device(raw)

    def _judge_privacy(self, raw: Raw) -> Iterator[str]:
        own = raw["metadata"]["namespace"]
        text = json.dumps([raw.get("status"), raw["metadata"].get("annotations")])
        domains = {f".{namespace}." for namespace in self.namespaces}
        for domain in domains:  # a peer's SIP domain is public, and by default made of its namespace
            text = text.replace(domain, ".")
        for namespace in self.namespaces - {own}:
            if f'{namespace}"' in text or f"{namespace}/" in text or f"{namespace} " in text:
                yield f"its status names the namespace {namespace}: {text}"

    def _judge_holder(self, raw: Raw) -> Iterator[str]:
        number, key = raw.get("status", {}).get("number"), place(raw)
        account = raw["spec"]["accountRef"]["name"]
        for other, rival in self._objects["internalnumbers"].items():
            same = other != key and other.namespace == key.namespace and rival["spec"]["accountRef"]["name"] == account
            if number is not None and same and rival.get("status", {}).get("number") == number:
                yield f"shows number {number}, which {other.name} shows, too"

    def _judge_record(self, old: Raw | None, raw: Raw) -> Iterator[str]:
        spec = raw["spec"]
        if old is not None and _ORDER[spec["state"]] < _ORDER[old["spec"]["state"]]:
            yield f"went from {old['spec']['state']} back to {spec['state']}"
        redeemer = spec.get("redeemer", {}).get("linkID")
        proven = spec["role"] == "Authority" or "receipt" in spec  # a Replica names its redeemer from the start
        if redeemer is not None and proven and self._redeemers.setdefault(spec["keyID"], redeemer) != redeemer:
            yield f"was redeemed twice: {self._redeemers[spec['keyID']]} and {redeemer}"

    def _judge_device(self, raw: Raw) -> Iterator[str]:
        code, device = (raw["metadata"]["uid"], raw["spec"]["revision"]), raw["spec"].get("device")
        if device is not None and self._devices.setdefault(code, device["publicKey"]) != device["publicKey"]:
            yield f"let two boxes in: {self._devices[code]} and {device['publicKey']}"


class ApiServerAwayError(Exception):
    """The API server does not answer."""


def _judge_status(raw: Raw) -> Iterator[str]:
    metadata = raw["metadata"]
    yield from check(status_of(raw), metadata["generation"], deleting="deletionTimestamp" in metadata)


def _judge_times(old: Raw, raw: Raw) -> Iterator[str]:
    before, after = (_conditions(o) for o in (old, raw))
    for type_, condition in after.items():
        previous = before.get(type_)
        if previous is None:
            continue
        moved = previous["lastTransitionTime"] != condition["lastTransitionTime"]
        if moved and previous["status"] == condition["status"]:
            yield f"lastTransitionTime of {type_} moved although its status stayed {condition['status']}"


def _conditions(raw: Raw) -> dict[str, Any]:
    return {c["type"]: c for c in raw.get("status", {}).get("conditions", [])}


def status_of(raw: Raw) -> OpaqueStatus:
    """Return the status of an object, which may be unreadable otherwise."""
    return OpaqueStatus.model_validate(raw.get("status", {}))


def shown(status: Status, type_: str) -> tuple[str, str] | None:
    """Return status and reason of a condition; None if it is absent."""
    return next(((c.status, c.reason) for c in status.conditions if c.type == type_), None)
