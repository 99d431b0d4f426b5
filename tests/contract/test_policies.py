"""The admission policies on a real API server: what is refused to whom, what is not, and that each message helps."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from itertools import count

import pytest

from contract.admission import JSON, RESOURCES, changed
from contract.rows_commserver import FULL as COMM_SERVER
from contract.rows_dialplanslice import OWN
from contract.rows_equipmentrecord import DECLARED as EQUIPMENT
from contract.rows_interlink import ISSUING
from contract.rows_linkrecord import ISSUED
from contract.rows_pbxaccount import MINIMAL
from contract.tenant import Tenant
from pbx_operator.api.meta import ALLOW_DELETION_ANNOTATION
from pbx_operator.api.v1alpha1 import KINDS
from pbx_operator.cluster import Forbidden
from pbx_operator.cluster.errors import ADD_WRITER, operator_advice
from pbx_operator.domain.servers.equipment import deletion_of_record
from pbx_operator.sandbox import ControlPlane
from support import ROOT, install_crds, kubectl, until

POLICIES = ROOT / "examples/install/policies.yaml"
SOMEBODY = "somebody"
"""A user who may do everything, as far as RBAC is concerned; as all the users here."""
OPERATOR, EXCHANGE = "pbx-operator", "pbx-exchange"
WRITERS = ("system:serviceaccount:pbx-system:pbx-operator", OPERATOR, EXCHANGE)
RECORDS = (ISSUED, EQUIPMENT)
NUMBERS = count(1)
CHANGES: dict[str, JSON] = {
    "linkrecords": {"policy": {"accountReady": "False"}},
    "equipmentrecords": {"settings": {"displayName": "Hôtel du Port"}},
    "dialplanslices": {"rev": "s" * 26},
}
"""A change of the spec that the definition of the kind allows."""
CHANGE_OF_BOX = f"--patch={json.dumps({'spec': CHANGES['equipmentrecords']})}"


@pytest.fixture(scope="module")
def guarded() -> Iterator[ControlPlane]:
    """Return a control plane of its own, with our kinds and the policies in force."""
    with ControlPlane.start() as control_plane:
        install_crds(control_plane)
        users = [f"--user={user}" for user in (SOMEBODY, *WRITERS)]
        kubectl(control_plane, "create", "clusterrolebinding", "all", "--clusterrole=cluster-admin", *users)
        kubectl(control_plane, "apply", "-f", str(POLICIES))
        until(lambda: all_in_force(control_plane), "every policy refuses what it should")
        yield control_plane


def all_in_force(control_plane: ControlPlane) -> bool:
    """Whether the API server has taken up every policy; nothing is left of the trials."""

    def refuses(*arguments: str, stdin: str = "") -> bool:
        return "denied request" in attempt(control_plane, SOMEBODY, *arguments, "--dry-run=server", stdin=stdin)

    record, account = json.dumps(ISSUED), json.dumps(protected(MINIMAL))
    attempt(control_plane, SOMEBODY, "--namespace=default", "apply", "-f", "-", stdin=account)
    return (
        refuses("delete", "crd", "interlinks.pbx-operator.io")
        and refuses("create", "-f", "-", stdin=record)
        and refuses("--namespace=default", "delete", "pbxa", "amsterdam")
    )


@pytest.fixture
def place(guarded: ControlPlane) -> Tenant:
    """Return a new, empty namespace where the policies are in force."""
    name = f"guarded-{next(NUMBERS)}"
    kubectl(guarded, "create", "namespace", name)
    return Tenant(guarded, name)


def attempt(control_plane: ControlPlane, user: str, *arguments: str, stdin: str = "") -> str:
    """Run kubectl as a user; return why it was refused, or nothing if it was not."""
    done = subprocess.run(
        [control_plane.kubectl, f"--as={user}", *arguments],
        env=control_plane.environment(),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stderr if done.returncode else ""


def protected(manifest: JSON) -> JSON:
    return changed(manifest, {"spec": {"deletionProtection": "Enabled"}})


def place_of(manifest: JSON) -> tuple[str, str]:
    return RESOURCES[manifest["kind"]].plural, manifest["metadata"]["name"]


def command_in(message: str) -> list[str]:
    """Return the arguments of the kubectl command that a message ends with."""
    found = re.search(r"first run: kubectl (.*)", message)
    assert found is not None, message
    return shlex.split(found[1])


def commands_to_delete(record: str) -> list[list[str]]:
    """Return the arguments of the kubectl commands that the operator tells for the record of a box."""
    return [shlex.split(command)[1:] for command in deletion_of_record(record).split(" && ")]


class TestProtectedObjects:
    @pytest.mark.parametrize("manifest", [MINIMAL, ISSUING, COMM_SERVER], ids=lambda manifest: str(manifest["kind"]))
    def test_nobody_deletes_one_until_the_command_in_the_message_was_run(self, manifest: JSON, place: Tenant) -> None:
        place.apply(protected(manifest))
        kind, name = place_of(manifest)
        for user in (SOMEBODY, OPERATOR):
            refusal = attempt(place.control_plane, user, "-n", place.namespace, "delete", kind, name)
            assert f"{manifest['kind']} {name} is protected: its spec.deletionProtection is Enabled" in refusal
        kubectl(place.control_plane, *command_in(refusal))
        assert attempt(place.control_plane, SOMEBODY, "-n", place.namespace, "delete", kind, name) == ""

    def test_a_whole_collection_is_refused_for_one_protected_object(self, place: Tenant) -> None:
        place.apply(protected(MINIMAL))
        path = f"/apis/pbx-operator.io/v1alpha1/namespaces/{place.namespace}/pbxaccounts"
        refusal = attempt(place.control_plane, SOMEBODY, "delete", "--raw", path)
        assert "PBXAccount amsterdam is protected" in refusal
        assert [item["metadata"]["name"] for item in place.get("pbxa")["items"]] == ["amsterdam"]

    def test_others_are_deleted_as_ever(self, place: Tenant) -> None:
        place.apply(MINIMAL)
        place.apply(changed(ISSUING, {"spec": {"deletionProtection": "Disabled"}}))
        place.kubectl("delete", "pbxa,ilk", "--all")
        assert place.get("pbxa,ilk")["items"] == []

    def test_what_is_being_deleted_already_may_be_deleted_again(self, place: Tenant) -> None:
        place.apply(changed(MINIMAL, {"metadata": {"finalizers": ["example.com/held"]}}))
        place.kubectl("delete", "pbxa", "amsterdam", "--wait=false")
        patch(place, {"spec": {"deletionProtection": "Enabled"}})
        place.kubectl("delete", "pbxa", "amsterdam", "--wait=false")
        patch(place, {"metadata": {"finalizers": None}})
        until(lambda: place.get("pbxa")["items"] == [], "the object is gone")

    def test_its_namespace_stays_in_deletion_and_says_why(self, place: Tenant) -> None:
        place.apply(protected(MINIMAL))
        place.apply(ISSUING)
        kubectl(place.control_plane, "delete", "namespace", place.namespace, "--wait=false")
        until(lambda: "PBXAccount amsterdam is protected" in failure_of(place), "the namespace says what holds it")
        assert place.get("pbxa")["items"] != []
        patch(place, {"spec": {"deletionProtection": "Disabled"}})
        until(lambda: place.namespace not in namespaces(place.control_plane), "the namespace is gone")


def patch(place: Tenant, change: JSON) -> None:
    place.kubectl("patch", "pbxa", "amsterdam", "--type=merge", f"--patch={json.dumps(change)}")


def failure_of(place: Tenant) -> str:
    """Return why the content of a namespace cannot be deleted, as its status has it."""
    status = json.loads(kubectl(place.control_plane, "get", "namespace", place.namespace, "-o", "json"))["status"]
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    return str(conditions.get("NamespaceDeletionContentFailure", {}).get("message", ""))


def namespaces(control_plane: ControlPlane) -> list[str]:
    return kubectl(control_plane, "get", "namespaces", "-o", "name").replace("namespace/", "").split()


class TestDefinitions:
    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.kind)
    def test_none_of_ours_is_deleted_by_mistake(self, kind: type, guarded: ControlPlane) -> None:
        resource = RESOURCES[kind.__name__]
        name = f"{resource.plural}.pbx-operator.io"
        refusal = attempt(guarded, SOMEBODY, "delete", "crd", name)
        assert f"deleting CustomResourceDefinition {name} deletes every {resource.kind} of the cluster" in refusal
        assert command_in(refusal) == ["annotate", "crd", name, "pbx-operator.io/allow-deletion=true"]

    def test_one_whose_deletion_was_allowed_is(self, guarded: ControlPlane) -> None:
        name = "internalnumbers.pbx-operator.io"
        kubectl(guarded, *command_in(attempt(guarded, SOMEBODY, "delete", "crd", name)))
        assert attempt(guarded, SOMEBODY, "delete", "crd", name) == ""

    def test_those_of_others_are_no_concern_of_ours(self, guarded: ControlPlane) -> None:
        schema = {"openAPIV3Schema": {"type": "object"}}
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.example.com"},
            "spec": {
                "group": "example.com",
                "names": {"kind": "Thing", "plural": "things"},
                "scope": "Namespaced",
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            },
        }
        kubectl(guarded, "create", "-f", "-", stdin=json.dumps(definition))
        assert attempt(guarded, SOMEBODY, "delete", "crd", "things.example.com") == ""


class TestRecords:
    @pytest.mark.parametrize("manifest", [*RECORDS, OWN], ids=lambda manifest: str(manifest["kind"]))
    def test_only_the_operator_creates_and_changes_them(self, manifest: JSON, place: Tenant) -> None:
        kind, name = place_of(manifest)
        body = json.dumps(manifest)
        refusal = self._as(SOMEBODY, place, "create", "-f", "-", stdin=body)
        assert f"only the operator writes {kind}, and somebody is not among {', '.join(WRITERS)};" in refusal
        assert operator_advice(Forbidden(refusal, status=403)) == ADD_WRITER
        assert "adds it to the writers of ValidatingAdmissionPolicy records.pbx-operator.io" in refusal
        assert self._as(OPERATOR, place, "create", "-f", "-", stdin=body) == ""
        change = ("patch", kind, name, "--type=merge", f"--patch={json.dumps({'spec': CHANGES[kind]})}")
        assert "only the operator" in self._as(SOMEBODY, place, *change)
        assert [self._as(user, place, *change) for user in WRITERS] == ["", "", ""]
        assert self._as(OPERATOR, place, "delete", kind, name) == ""

    @pytest.mark.parametrize("manifest", RECORDS, ids=lambda manifest: str(manifest["kind"]))
    def test_only_the_operator_writes_their_status_and_deletes_them(self, manifest: JSON, place: Tenant) -> None:
        kind, name = place_of(manifest)
        self._as(OPERATOR, place, "apply", "-f", "-", stdin=json.dumps(manifest))
        status = ("patch", kind, name, "--subresource=status", "--type=merge", '--patch={"status":{}}')
        assert "only the operator" in self._as(SOMEBODY, place, *status)
        assert "only the operator" in self._as(SOMEBODY, place, "delete", kind, name)
        assert self._as(EXCHANGE, place, *status) == ""
        assert self._as(OPERATOR, place, "delete", kind, name) == ""

    def test_an_administrator_deletes_the_record_of_a_box_once_the_command_in_the_message_was_run(
        self, place: Tenant
    ) -> None:
        kind, name = place_of(EQUIPMENT)
        self._as(OPERATOR, place, "apply", "-f", "-", stdin=json.dumps(EQUIPMENT))
        refusal = self._as(SOMEBODY, place, "delete", kind, name)
        assert self._as(SOMEBODY, place, *command_in(refusal)) == ""
        assert "only the operator" in self._as(SOMEBODY, place, "patch", kind, name, "--type=merge", CHANGE_OF_BOX)
        assert self._as(SOMEBODY, place, "delete", kind, name) == ""

    def test_the_commands_that_the_operator_tells_delete_a_record(self, place: Tenant) -> None:
        kind, name = place_of(EQUIPMENT)
        self._as(OPERATOR, place, "apply", "-f", "-", stdin=json.dumps(EQUIPMENT))
        assert [self._as(SOMEBODY, place, *command) for command in commands_to_delete(name)] == ["", ""]
        assert "NotFound" in self._as(SOMEBODY, place, "get", kind, name)

    def test_they_do_so_without_the_policies(self, tenant: Tenant) -> None:
        kind, name = place_of(EQUIPMENT)
        tenant.apply(EQUIPMENT)
        for command in commands_to_delete(name):
            tenant.kubectl(*command)
        assert name not in tenant.kubectl("get", kind, "--output=name")

    def test_the_record_of_a_link_has_no_such_way(self, place: Tenant) -> None:
        kind, name = place_of(ISSUED)
        self._as(OPERATOR, place, "apply", "-f", "-", stdin=json.dumps(ISSUED))
        assert self._as(SOMEBODY, place, "annotate", kind, name, f"{ALLOW_DELETION_ANNOTATION}=true") == ""
        refusal = self._as(SOMEBODY, place, "delete", kind, name)
        assert "only the operator" in refusal
        assert "first run" not in refusal
        assert self._as(OPERATOR, place, "delete", kind, name) == ""

    def test_whoever_may_can_write_what_the_garbage_collector_does(self, place: Tenant) -> None:
        assert self._as(OPERATOR, place, "create", "-f", "-", stdin=json.dumps(OWN)) == ""
        _, name = place_of(OWN)
        assert self._as(SOMEBODY, place, "label", "dps", name, "example.com/seen=yes") == ""
        assert self._as(SOMEBODY, place, "delete", "dps", name) == ""

    def test_slices_go_with_their_account_in_every_way(self, place: Tenant) -> None:
        for way in ("background", "foreground"):
            place.apply(MINIMAL)
            owner = {"apiVersion": MINIMAL["apiVersion"], "kind": "PBXAccount", "name": "amsterdam"}
            owner |= {"uid": place.get("pbxa", "amsterdam")["metadata"]["uid"], "blockOwnerDeletion": True}
            owned = changed(OWN, {"metadata": {"ownerReferences": [owner]}})
            assert self._as(OPERATOR, place, "create", "-f", "-", stdin=json.dumps(owned)) == ""
            place.kubectl("delete", "pbxa", "amsterdam", f"--cascade={way}")
            until(lambda: place.get("dps")["items"] == [], "the slice is gone")

    def _as(self, user: str, place: Tenant, *arguments: str, stdin: str = "") -> str:
        return attempt(place.control_plane, user, "-n", place.namespace, *arguments, stdin=stdin)
