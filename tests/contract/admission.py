"""Rows of the admission tables: what is sent to the API server, and its judgement."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from kubernetes import client

from pbx_operator.api.meta import GROUP, VERSION, ResourceType
from pbx_operator.api.v1alpha1 import KINDS

JSON = dict[str, Any]

NAMESPACE = "admission"
_ESCAPES = {"\n": r"\n", '"': r"\"", "\\": r"\\"}
RESOURCES: dict[str, ResourceType] = {kind.resource.kind: kind.resource for kind in KINDS}


@dataclass(frozen=True)
class Refusal:
    """One cause of a refusal: the field as the API server names it, and its whole answer about it."""

    field: str
    answer: str


@dataclass(frozen=True)
class Row:
    """One manifest that is created, or put in place of `before`; without refusals it must be accepted."""

    id: str
    manifest: JSON
    refusals: tuple[Refusal, ...] = ()
    before: JSON | None = None

    @property
    def kind(self) -> str:
        return str(self.manifest["kind"])

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


def invalid(field: str, sentence: str) -> Refusal:
    """Return what the API server answers for a rule or bound that a value breaks."""
    return Refusal(field, f"Invalid value: {sentence}")


def forbidden(field: str, sentence: str) -> Refusal:
    """Return what the API server answers where a value may not be at all, or may not change."""
    return Refusal(field, f"Forbidden: {sentence}")


def mismatch(field: str, value: str, pattern: str) -> Refusal:
    """Return what the API server answers for a text of the wrong form."""
    return invalid(field, f"{_quoted(value)}: {field} in body should match '{pattern}'")


def _quoted(text: str) -> str:
    """Return a text as Go quotes it with %q."""
    return '"' + "".join(c if c.isprintable() and c not in _ESCAPES else _escaped(c) for c in text) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    return _ESCAPES.get(character) or (f"\\x{code:02x}" if character.isascii() else f"\\u{code:04x}")


def changed(manifest: JSON, patch: JSON) -> JSON:
    """Return the manifest with a JSON merge patch applied: None removes."""
    result = copy.deepcopy(manifest)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = changed(result[key], value)
        else:
            result[key] = value
    return result


class Admission:
    """Asks the API server for its judgement; creations and updates are dry runs, so nothing stays."""

    def __init__(self, api: client.CustomObjectsApi) -> None:
        self._api = api

    def judge(self, row: Row) -> list[Refusal]:
        """Return why the API server refuses the row; an empty list if it accepts it."""
        return self.create(row.manifest) if row.before is None else self.update(row.before, row.manifest)

    def create(self, manifest: JSON) -> list[Refusal]:
        """Return why the manifest may not be created."""
        return _refusals(lambda: self._create(manifest, dry_run="All"))

    def update(self, before: JSON, manifest: JSON) -> list[Refusal]:
        """Return why an object made from `before` may not become the manifest."""
        stored = self._create(before)
        try:
            version = stored["metadata"]["resourceVersion"]
            body = changed(manifest, {"metadata": {"resourceVersion": version}})
            return _refusals(lambda: self._replace(body))
        finally:
            self._delete(before)

    def _create(self, manifest: JSON, **options: str) -> JSON:
        return self._call("create", manifest, body=manifest, **options)

    def _replace(self, manifest: JSON) -> JSON:
        return self._call("replace", manifest, name=manifest["metadata"]["name"], body=manifest, dry_run="All")

    def _delete(self, manifest: JSON) -> None:
        self._call("delete", manifest, name=manifest["metadata"]["name"])

    def _call(self, verb: str, manifest: JSON, **options: Any) -> JSON:
        """Call the method of the client for the scope of the manifest's kind; refuse unknown fields."""
        resource = RESOURCES[manifest["kind"]]
        scope = {"namespace": NAMESPACE} if resource.namespaced else {}
        method = getattr(self._api, f"{verb}_{'namespaced' if scope else 'cluster'}_custom_object")
        if verb != "delete":
            options["field_validation"] = "Strict"
        answer: JSON = method(group=GROUP, version=VERSION, plural=resource.plural, **scope, **options)
        return answer


def _refusals(call: Callable[[], object]) -> list[Refusal]:
    """Return the causes of a 422, without the remark that rules were not judged because a type is wrong."""
    try:
        call()
    except client.ApiException as error:
        if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
            raise
        causes = json.loads(error.body or "{}")["details"]["causes"]
        return [Refusal(cause["field"], cause["message"]) for cause in causes if cause["field"] != "<nil>"]
    return []
