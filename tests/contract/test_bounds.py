"""Every bound of every field of every spec, broken one by one: refused, naming the field and the value.

The samples set every field; the breaks follow from the schema, so that no bound is left out.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from contract.admission import JSON, Admission
from contract.rows_commserver import FULL as SERVER
from contract.rows_dialplanslice import OFFER, OWN, OWN_ROWS, PEER
from contract.rows_equipmentrecord import FULL as EQUIPMENT
from contract.rows_interlink import BROUGHT, REDEEMING
from contract.rows_interlink import FULL as INTERLINK
from contract.rows_internalnumber import FULL as NUMBERS
from contract.rows_linkrecord import FULL as RECORD
from contract.rows_linkrecord import FULL_REPLICA as REPLICA
from contract.rows_pbxaccount import CUSTOMER
from contract.rows_pbxaccount import FULL as ACCOUNT
from schemas import every_field, kinds

SAMPLES: tuple[JSON, ...] = (
    ACCOUNT,
    CUSTOMER,
    INTERLINK,
    BROUGHT,
    REDEEMING,
    *NUMBERS,
    SERVER,
    RECORD,
    REPLICA,
    EQUIPMENT,
    OWN,
    OWN | {"spec": OWN["spec"] | {"rows": list(OWN_ROWS)}},
    PEER,
    OFFER,
)
INDEX = re.compile(r"\[\d+\]")
BOUNDS = ("enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "format", "maxItems", "type")


class Break(NamedTuple):
    """A value, or the lack of one, that breaks one bound of a sample; `answer` is part of the refusal."""

    sample: JSON
    path: str
    bound: str
    value: object
    answer: str

    @property
    def place(self) -> tuple[str, str, str]:
        """Return kind, path in the schema, and bound."""
        return self.sample["kind"], INDEX.sub("[]", self.path), self.bound

    def __str__(self) -> str:
        return " ".join(self.place)


def breaks_of(sample: JSON) -> Iterator[Break]:
    schema = kinds()[sample["kind"]]["properties"]["spec"]
    for path, field, value in _walk("spec", schema, sample["spec"]):
        for bound, wrong, answer in _wrong_values(field, value):
            yield Break(sample, path, bound, wrong, answer)
        for name in field.get("required", []):
            yield Break(sample, f"{path}.{name}", "required", None, "Required value")


def _walk(path: str, schema: JSON, value: Any) -> Iterator[tuple[str, JSON, Any]]:
    """Yield path, schema and value of everything that a sample sets."""
    yield path, schema, value
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _walk(f"{path}.{name}", schema["properties"][name], member)
    if isinstance(value, list):
        for index, member in enumerate(value):
            yield from _walk(f"{path}[{index}]", schema["items"], member)


def _wrong_values(schema: JSON, value: Any) -> Iterator[tuple[str, object, str]]:
    """Yield bound, wrong value and answer; the wrong value is quoted wherever the API server can."""
    wrong_type = 5 if schema["type"] == "string" else "text"
    yield "type", wrong_type, "must be of type"
    if "enum" in schema:
        yield "enum", "Nonsense", 'Unsupported value: "Nonsense": supported values: "' + schema["enum"][0]
    if "pattern" in schema:
        yield "pattern", "\n", f"\"\\n\": %s in body should match '{schema['pattern']}'"
    elif "maxLength" in schema and "format" not in schema:
        yield (
            "maxLength",
            "x" * (schema["maxLength"] + 1),
            f"Too long: may not be more than {schema['maxLength']} bytes",
        )
    if "minLength" in schema:
        yield "minLength", "", f"should be at least {schema['minLength']} chars long"
    if schema.get("format") == "date-time":
        yield "format", "tomorrow", '"tomorrow": %s in body must be of type date-time'
    if "minimum" in schema:
        yield (
            "minimum",
            schema["minimum"] - 1,
            f"{schema['minimum'] - 1}: %s in body should be greater than or equal to",
        )
        yield "maximum", schema["maximum"] + 1, f"{schema['maximum'] + 1}: %s in body should be less than or equal to"
    if value and "maxItems" in schema:
        yield "maxItems", value[:1] * (schema["maxItems"] + 1), f"must have at most {schema['maxItems']} items"
    if value and schema.get("x-kubernetes-list-type") == "set":
        yield "set", [value[0], value[0]], f"Duplicate value: {json.dumps(value[0])}"


BREAKS = {found.place: found for sample in SAMPLES for found in breaks_of(sample)}


@pytest.mark.parametrize("broken", BREAKS.values(), ids=str)
def test_a_broken_bound_is_refused(broken: Break, admission: Admission) -> None:
    refusals = admission.create(_broken(broken))
    field = f"{broken.path}[1]" if broken.bound == "set" else broken.path
    answer = broken.answer.replace("%s", field)
    assert any(refusal.field == field and answer in refusal.answer for refusal in refusals), refusals


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["kind"])
def test_the_samples_are_accepted(sample: JSON, admission: Admission) -> None:
    assert admission.create(sample) == []


def test_no_bound_is_left_out() -> None:
    wanted = set()
    for field in every_field():
        if field.path != "spec" and not field.path.startswith("spec."):
            continue
        bounds = {bound for bound in BOUNDS if bound in field.schema}
        if bounds & {"pattern", "format"} and field.schema["type"] == "string":
            bounds.discard("maxLength")
        if field.schema["type"] == "integer":
            bounds.discard("format")
        if field.schema.get("x-kubernetes-list-type") == "set":
            bounds.add("set")
        wanted |= {(field.kind, field.path, bound) for bound in bounds}
        wanted |= {(field.kind, f"{field.path}.{name}", "required") for name in field.schema.get("required", [])}
    assert BREAKS.keys() == wanted


def _broken(broken: Break) -> JSON:
    """Return the sample with the wrong value in its place; None removes the field."""
    manifest = copy.deepcopy(broken.sample)
    steps: list[Any] = [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", broken.path)]
    target: Any = manifest
    for step in steps[:-1]:
        target = target[step]
    if broken.value is None:
        del target[steps[-1]]
    else:
        target[steps[-1]] = broken.value
    return manifest
