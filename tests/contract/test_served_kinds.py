"""What tools see of our kinds on a real API server: kubectl, GitOps tools, `explain`, field selectors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from contract.admission import JSON, changed
from contract.rows_commserver import FULL as COMM_SERVER
from contract.rows_dialplanslice import OFFER
from contract.rows_equipmentrecord import FULL as EQUIPMENT
from contract.rows_interlink import BROUGHT, ISSUING, REDEEMING
from contract.rows_internalnumber import FREE
from contract.rows_linkrecord import FULL as LINK_RECORD
from contract.rows_linkrecord import ISSUED
from contract.rows_pbxaccount import FULL, MINIMAL
from contract.tenant import Tenant
from pbx_operator.api.crd import custom_resource_definitions
from pbx_operator.api.meta import API_VERSION, GROUP, VERSION
from pbx_operator.api.v1alpha1 import KINDS, LinkRecord
from pbx_operator.sandbox import ControlPlane
from support import ROOT, kubectl

OBJECTS: tuple[JSON, ...] = (FULL, BROUGHT, REDEEMING, FREE, COMM_SERVER, ISSUED, EQUIPMENT, OFFER)
"""Objects of every kind that set every selectable field between them."""


@pytest.fixture(scope="module")
def objects(crds_installed: ControlPlane) -> Iterator[Tenant]:
    """Return a namespace that holds the objects."""
    tenant = Tenant(crds_installed, "objects")
    kubectl(crds_installed, "create", "namespace", tenant.namespace)
    manifests = json.dumps({"apiVersion": "v1", "kind": "List", "items": OBJECTS})
    tenant.kubectl("create", "-f", "-", stdin=manifests)
    yield tenant
    tenant.kubectl("delete", "-f", "-", stdin=manifests)


def contains(stored: Any, sent: Any) -> bool:
    """Return whether the stored document has everything that was sent, as it was sent."""
    if isinstance(sent, dict):
        return isinstance(stored, dict) and all(key in stored and contains(stored[key], sent[key]) for key in sent)
    if isinstance(sent, list):
        return len(stored) == len(sent) and all(map(contains, stored, sent))
    return bool(stored == sent)


@pytest.mark.parametrize("crd", custom_resource_definitions(), ids=lambda crd: crd["metadata"]["name"])
def test_the_api_server_keeps_our_definition_as_it_is(crd: JSON, crds_installed: ControlPlane) -> None:
    """Nothing is dropped or rewritten, or GitOps tools would report a difference for ever."""
    stored = json.loads(kubectl(crds_installed, "get", "crd", crd["metadata"]["name"], "-o", "json"))
    assert contains(stored["spec"], crd["spec"])
    conditions = {condition["type"]: condition["status"] for condition in stored["status"]["conditions"]}
    assert conditions["Established"] == conditions["NamesAccepted"] == "True"
    assert conditions.get("NonStructuralSchema", "False") == "False"


def test_applying_the_definitions_again_changes_nothing(tenant: Tenant) -> None:
    assert tenant.diff("--server-side", "-f", str(ROOT / "crds")) == ""


def test_every_served_field_is_described(crds_installed: ControlPlane) -> None:
    document = json.loads(kubectl(crds_installed, "get", "--raw", f"/openapi/v3/apis/{GROUP}/{VERSION}"))
    schemas = document["components"]["schemas"]
    ours = [schema for name, schema in schemas.items() if name.startswith("io.pbx-operator.")]
    assert len([schema for schema in ours if "spec" in schema["properties"]]) == len(KINDS)
    assert [name for schema in ours for name in undescribed(schema)] == []


def undescribed(schema: JSON, path: str = "") -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        if not field.get("description"):
            yield f"{path}.{name}"
        yield from undescribed(field, f"{path}.{name}")
        yield from undescribed(field.get("items", {}), f"{path}.{name}[]")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("pbxaccounts", ["KIND: PBXAccount", "VERSION: v1alpha1", "an isolated phone system"]),
        ("pbxaccounts.spec", ["country <string> -required-"]),
        ("pbxaccounts.spec.country", ["ISO 3166-1 alpha-2 code, for example `NL`"]),
        ("ilk.spec.issueKey", ["write `issueKey: {}`", "expiresAfterSeconds", "300 (5 minutes) to 2592000 (30 days)"]),
        ("interlinks.spec.gate", ["ENUM: Open Closed", "stops calls in both directions", "default `Open`"]),
        ("inum.spec.destination.application.kind", ["Conference", "Voicemail"]),
        ("linkrecords.spec.redeemer", ["linkID", "stored at redemption and never recomputed"]),
        ("dps.spec.rows.dialed", ["what a phone of this account dials"]),
    ],
)
def test_explain_is_readable(path: str, words: list[str], crds_installed: ControlPlane) -> None:
    text = " ".join(kubectl(crds_installed, "explain", path, "--api-version", API_VERSION).split())
    assert [word for word in words if word not in text] == []


def test_defaults_appear_and_an_unseen_object_is_not_ready(tenant: Tenant) -> None:
    tenant.apply(MINIMAL)
    tenant.apply(ISSUING)
    account = tenant.get("pbxa", MINIMAL["metadata"]["name"])
    assert account["status"] == {"observedGeneration": -1}
    assert account["spec"] == {
        "country": "NL",
        "numbering": {"outOfRange": "Warn", "dialing": "EnBloc"},
        "emergency": {"protection": "Enforce"},
        "sharing": {"mode": "All"},
        "provider": {"type": "Builtin"},
        "deletionPolicy": "Delete",
        "driftPolicy": "Enforce",
        "deletionProtection": "Disabled",
    }
    link = tenant.get("ilk", ISSUING["metadata"]["name"])
    assert link["status"] == {"observedGeneration": -1}
    assert link["spec"] == {
        "accountRef": {"name": "amsterdam"},
        "issueKey": {"revision": 1, "readyWhen": "KeyIssued"},
        "priority": 100,
        "gate": "Open",
        "onPeerDeletion": "Delete",
        "undoWindowSeconds": 0,
        "deletionProtection": "Disabled",
    }


def test_null_means_the_default(tenant: Tenant) -> None:
    manifest = changed(MINIMAL, {})
    manifest["spec"]["emergency"] = manifest["spec"]["displayName"] = None
    tenant.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
    spec = tenant.get("pbxa", "amsterdam")["spec"]
    assert spec["emergency"] == {"protection": "Enforce"}
    assert "displayName" not in spec


@pytest.mark.parametrize("options", [(), ("--server-side",)], ids=["client-side", "server-side"])
def test_applying_again_changes_nothing(options: tuple[str, ...], tenant: Tenant) -> None:
    """Once there is a status: the default of an unseen one is not stored, and the next write stores it."""
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": [FULL, ISSUING]})
    for sent in (FULL, ISSUING):
        tenant.apply(sent, *options)
        tenant.set_status(sent, {"observedGeneration": 1})
    before = tenant.get("pbxa,ilk")["items"]
    for _ in range(2):
        tenant.kubectl("apply", *options, "-f", "-", stdin=manifest)
        assert tenant.diff(*options, "-f", "-", stdin=manifest) == ""
    assert tenant.get("pbxa,ilk")["items"] == before


def test_replace_keeps_the_status(tenant: Tenant) -> None:
    tenant.apply(FULL)
    status = {"observedGeneration": 1, "sipDomain": "amsterdam.pbx.example.com"}
    tenant.set_status(FULL, status)
    tenant.kubectl("replace", "-f", "-", stdin=json.dumps(changed(MINIMAL, {"status": {"observedGeneration": 99}})))
    account = tenant.get("pbxa", MINIMAL["metadata"]["name"])
    assert account["status"] == status
    assert account["metadata"]["generation"] == 2


def test_a_foreign_field_is_refused_by_name(tenant: Tenant) -> None:
    manifest = json.dumps(changed(MINIMAL, {"spec": {"county": "NL"}}))
    with pytest.raises(AssertionError, match=r'unknown field \\?"spec\.county\\?"'):
        tenant.kubectl("create", "-f", "-", stdin=manifest)


def test_two_managers_apply_their_own_reserved_prefixes(tenant: Tenant) -> None:
    """Lists of type set merge: a second manager adds, and takes back only what is its own."""

    def with_prefixes(*prefixes: str) -> JSON:
        return changed(MINIMAL, {"spec": {"numbering": {"reservedPrefixes": list(prefixes)}}})

    tenant.apply(with_prefixes("0"), "--server-side", "--field-manager=one")
    tenant.apply(with_prefixes("*7"), "--server-side", "--field-manager=two")
    assert tenant.get("pbxa", "amsterdam")["spec"]["numbering"]["reservedPrefixes"] == ["0", "*7"]
    tenant.apply(MINIMAL, "--server-side", "--field-manager=two")
    assert tenant.get("pbxa", "amsterdam")["spec"]["numbering"]["reservedPrefixes"] == ["0"]


@pytest.mark.parametrize("record", [ISSUED, LINK_RECORD], ids=["Issued", "Ended"])
def test_the_operator_may_write_a_record_back_as_it_read_it(record: JSON, tenant: Tenant) -> None:
    """Reading and writing is no change, not even where another writer spelled a time differently."""
    issued = changed(record, {"spec": {"issuedTime": "2027-01-31T13:00:00.0+01:00"}})
    tenant.kubectl("create", "-f", "-", stdin=json.dumps(issued))
    stored = tenant.get("lrec", record["metadata"]["name"])
    read = LinkRecord.model_validate(stored)
    written = stored | {"spec": read.spec.to_json()}
    tenant.kubectl("replace", "-f", "-", stdin=json.dumps(written))
    assert LinkRecord.model_validate(tenant.get("lrec", record["metadata"]["name"])).spec == read.spec
    tenant.kubectl("delete", "lrec", record["metadata"]["name"])


def test_the_category_lists_every_kind_that_users_write(objects: Tenant) -> None:
    listed = {name.partition(".")[0] for name in objects.kubectl("get", "pbx", "-o", "name").split()}
    assert listed == {kind.definition.singular for kind in KINDS if kind.definition.declared}
    assert listed == {"pbxaccount", "interlink", "internalnumber", "commserver"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.kind)
def test_short_names_show_the_columns(kind: Any, objects: Tenant) -> None:
    for short_name in kind.definition.short_names:
        header = objects.kubectl("get", short_name, "-o", "wide").splitlines()[0].split()
        assert header == ["NAME", *(column.name.upper() for column in kind.definition.columns)]


def test_columns_show_values(objects: Tenant) -> None:
    rows = objects.kubectl("get", "inum", "--no-headers").split()
    assert rows[:4] == [FREE["metadata"]["name"], "200", "amsterdam", "Shared"]


@pytest.mark.parametrize(
    ("kind", "path"),
    [(kind, path) for kind in KINDS for path in kind.definition.selectable_fields],
    ids=lambda value: value if isinstance(value, str) else value.resource.kind,
)
def test_field_selectors_find_and_leave_out(kind: Any, path: str, objects: Tenant) -> None:
    listed = objects.get(kind.resource.plural)["items"]
    values = {item["metadata"]["name"]: value_at(item, path) for item in listed}
    wanted = next(value for value in values.values() if value)

    def selected(selector: str) -> set[str]:
        items = objects.get(kind.resource.plural, "--field-selector", selector)["items"]
        return {item["metadata"]["name"] for item in items}

    assert selected(f"{path[1:]}={wanted}") == {name for name, value in values.items() if value == wanted}
    assert selected(f"{path[1:]}=nothing") == set()


def value_at(item: Any, path: str) -> str:
    for name in path[1:].split("."):
        item = item.get(name, {})
    return item or ""


def test_a_status_is_bounded_too(tenant: Tenant) -> None:
    tenant.apply(MINIMAL)
    condition = {"status": "True", "lastTransitionTime": "2027-01-31T12:00:00Z", "reason": "Serving", "message": ""}
    conditions = [condition | {"type": f"Type{number}"} for number in range(17)]
    with pytest.raises(AssertionError, match="must have at most 16 items"):
        tenant.set_status(MINIMAL, {"conditions": conditions})
