"""The Pods: what a cluster with the restricted Pod Security Standard takes, and what kube-linter would look for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import pytest
from helm_chart.rendering import Manifest, ci_values, objects, rendered

from pbx_operator.commands.operator import main
from pbx_operator.process import DRAIN_SECONDS

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def pods(manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return every Pod, or template of Pods, with its metadata."""
    return [each if each["kind"] == "Pod" else each["spec"]["template"] for each in manifests if runs(each)]


def runs(manifest: Manifest) -> bool:
    return manifest["kind"] in ("Pod", "Deployment", "Job")


def deployments(manifests: Iterable[Manifest]) -> list[Manifest]:
    return [each for each in manifests if each["kind"] == "Deployment"]


def container(pod: Manifest) -> Manifest:
    (only,) = pod["spec"]["containers"]
    found: Manifest = only
    return found


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    matches = selector.get("matchLabels", {}).items() <= labels.items()
    return matches and all(labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", []))


def test_pods_are_restricted(render: list[Manifest]) -> None:
    for pod in pods(render):
        security = pod["spec"]["securityContext"]
        assert security == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert container(pod)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod["spec"].keys()
        assert [volume for volume in pod["spec"]["volumes"] if "hostPath" in volume] == []


def test_service_accounts_are_ours_and_tokens_are_asked_for(render: list[Manifest]) -> None:
    accounts = {each["metadata"]["name"]: each for each in render if each["kind"] == "ServiceAccount"}
    assert all(each["automountServiceAccountToken"] is False for each in accounts.values())
    for pod in pods(render):
        assert pod["spec"]["automountServiceAccountToken"] is True
        assert pod["spec"]["serviceAccountName"] in accounts


def test_containers_say_what_they_need_and_which_image(render: list[Manifest]) -> None:
    for pod in pods(render):
        each = container(pod)
        assert {"cpu", "memory"} <= each["resources"]["requests"].keys()
        assert "memory" in each["resources"]["limits"]
        assert "@sha256:" in each["image"] or each["image"].rpartition(":")[2] not in ("", "latest")
        names = [variable["name"] for variable in each["env"]]
        assert len(names) == len(set(names))
        assert [variable for variable in each["env"] if "secretKeyRef" in variable.get("valueFrom", {})] == []


def test_the_pods_of_hooks_have_what_the_values_say_of_the_operators_and_over_it_their_own() -> None:
    values = ci_values()["everything"]
    made = objects(rendered(values))
    (operator,) = pods(deployments(made))
    hooks = pods(each for each in made if each["kind"] in ("Pod", "Job"))
    assert len(hooks) == 2
    for hook in hooks:
        assert hook["spec"]["affinity"] == values["affinity"]
        placement = hook["spec"].keys() - {"containers", "restartPolicy", "affinity"}
        assert {name: hook["spec"][name] for name in placement} == {name: operator["spec"][name] for name in placement}
        assert placement >= {"nodeSelector", "tolerations", "priorityClassName", "volumes"}
        for name in ("env", "volumeMounts"):
            assert container(hook)[name] == container(operator)[name]
        own = values["hooks"]
        assert container(hook)["resources"] == own["resources"]
        assert hook["metadata"]["labels"].items() >= {**values["podLabels"], **own["podLabels"]}.items()
        assert hook["metadata"]["annotations"].items() >= {**values["podAnnotations"], **own["podAnnotations"]}.items()


def test_network_policies_are_of_every_pod_and_none_needs_a_hook_to_be_there(render: list[Manifest]) -> None:
    policies = [each for each in render if each["kind"] == "NetworkPolicy"]
    assert [each for each in policies if "annotations" in each["metadata"]] == []
    for pod in pods(render) if policies else ():
        (policy,) = (each for each in policies if selects(each["spec"]["podSelector"], pod["metadata"]["labels"]))
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize("ports", [{}, {"apiServerPorts": [], "peerPorts": []}], ids=["default", "none"])
def test_no_rule_of_a_network_policy_allows_every_port(ports: Manifest) -> None:
    """A rule without ports is about all of them."""
    values = {**ci_values()["exchange"], "networkPolicy": {"enabled": True, **ports}}
    policies = [each for each in objects(rendered(values)) if each["kind"] == "NetworkPolicy"]
    rules = [rule for each in policies for side in ("ingress", "egress") for rule in each["spec"].get(side, [])]
    assert len(policies) == 3
    assert all(rule["ports"] for rule in rules)


def test_the_test_may_ask_whom_it_asks() -> None:
    made = objects(rendered(ci_values()["exchange"]))
    (policy,) = (each for each in made if each["metadata"]["name"].endswith("-check"))
    asked = {}
    for rule in (rule for rule in policy["spec"]["egress"] if "to" in rule):
        (peer,) = rule["to"]
        (pod,) = (pod for pod in pods(made) if selects(peer["podSelector"], pod["metadata"]["labels"]))
        listening = {port["containerPort"] for port in container(pod)["ports"]}
        asked[container(pod)["name"]] = {port["port"] for port in rule["ports"]}
        assert asked[container(pod)["name"]] <= listening
    assert asked == {"operator": {8080, 9090}, "exchange": {8443}}


def test_deployments_are_probed_where_they_listen(render: list[Manifest]) -> None:
    for each in deployments(render):
        ports = {port["name"] for port in container(each["spec"]["template"])["ports"]}
        assert {container(each["spec"]["template"])[probe]["httpGet"]["port"] for probe in PROBES} <= ports


def test_there_is_time_to_finish(render: list[Manifest]) -> None:
    for each in deployments(render):
        pod = each["spec"]["template"]
        hook = container(pod).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod["spec"]["terminationGracePeriodSeconds"] >= DRAIN_SECONDS + hook + 5


def test_selectors_find_the_pods_of_one_deployment(render: list[Manifest]) -> None:
    templates = pods(deployments(render))
    for each in deployments(render):
        assert selects(each["spec"]["selector"], each["spec"]["template"]["metadata"]["labels"])
    for each in render:
        if each["kind"] in ("Service", "PodDisruptionBudget", "Deployment"):
            selector = each["spec"]["selector"]
            selector = {"matchLabels": selector} if each["kind"] == "Service" else selector
            found = [pod for pod in pods(render) if selects(selector, pod["metadata"]["labels"])]
            assert len(found) == 1
            assert found[0] in templates


def test_services_lead_to_ports_that_exist(render: list[Manifest]) -> None:
    for service in (each for each in render if each["kind"] == "Service"):
        (pod,) = (
            pod for pod in pods(render) if service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        )
        names = {port["name"] for port in container(pod)["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names


def test_more_than_one_replica_spreads_and_survives_drains(render: list[Manifest]) -> None:
    budgets = [each["spec"] for each in render if each["kind"] == "PodDisruptionBudget"]
    for each in deployments(render):
        pod = each["spec"]["template"]
        fitting = [budget for budget in budgets if selects(budget["selector"], pod["metadata"]["labels"])]
        assert len(fitting) == (each["spec"]["replicas"] > 1)
        preferred = pod["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        terms = {each["podAffinityTerm"]["topologyKey"]: each["podAffinityTerm"] for each in preferred}
        assert terms.keys() == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
        assert all(selects(term["labelSelector"], pod["metadata"]["labels"]) for term in terms.values())
    assert all(budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow" for budget in budgets)
    assert all(budget["maxUnavailable"] == 1 for budget in budgets)


def test_only_with_the_lease_the_new_operator_starts_before_the_old_one_ends(render: list[Manifest]) -> None:
    (operator,) = (each for each in deployments(render) if container(each["spec"]["template"])["name"] == "operator")
    elects = "--leader-elect" in container(operator["spec"]["template"])["args"]
    assert operator["spec"]["strategy"]["type"] == ("RollingUpdate" if elects else "Recreate")


@pytest.mark.parametrize("name", sorted(ci_values()))
def test_the_programs_take_what_the_chart_gives_them(name: str, tmp_path: Path) -> None:
    for pod in pods(deployments(objects(rendered(ci_values()[name])))):
        each = container(pod)
        arguments = [part.replace("/etc/pbx-operator/certificate", str(tmp_path)) for part in each["args"]]
        program, *subcommands = each["command"]
        command: click.Command = main.commands[subcommands[0]] if subcommands else main
        above = click.Context(main, **main.context_settings)
        assert command.make_context(program, arguments, parent=above).args == []


def test_the_operator_leaves_the_port_to_the_exchange_and_names_the_same_endpoints() -> None:
    running = pods(deployments(objects(rendered(ci_values()["exchange"]))))
    arguments = {container(pod)["name"]: container(pod)["args"] for pod in running}
    operator, exchange = arguments["operator"], arguments["exchange"]
    endpoints = [part.removeprefix("--endpoint=") for part in exchange if part.startswith("--endpoint=")]
    assert "--exchange-port=0" in operator
    assert [part for part in operator if part.startswith("--exchange-endpoint=")] == [
        f"--exchange-endpoint={endpoint}" for endpoint in endpoints
    ]


def test_monitors_find_the_metrics(render: list[Manifest]) -> None:
    services = [each for each in render if each["kind"] == "Service"]
    running = [each["spec"]["template"] for each in deployments(render)]
    of_metrics = [each for each in services if each["metadata"]["name"].endswith("-metrics")]
    watched = {"ServiceMonitor": of_metrics, "PodMonitor": running}
    for monitor in (each for each in render if each["kind"] in watched):
        selector = monitor["spec"]["selector"]
        found = [each for each in services + pods(render) if selects(selector, each["metadata"]["labels"])]
        targets = watched[monitor["kind"]]
        assert [each for each in found if each in targets] == targets
