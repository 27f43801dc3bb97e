"""The chart: what it renders for sets of values, which values it refuses, and how it compares with the base."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastdns import __version__
from fastdns.cli import main
from tests.deploy.objects import Object, inconsistencies, named, pod_of, problems
from tests.deploy.render import CHART, KUSTOMIZE, VALUES, RefusedError, chart, helm, overlay

SETS = sorted(path.stem for path in VALUES.glob("*.yaml"))
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
# What a set uses that a cluster or an operator has.
ELSEWHERE = {
    "beside": {("ConfigMap", "coredns")},
    "everything": {("ConfigMap", "imports")},
    "outside": {("ServiceAccount", "default")},
}


def test_there_are_eight_sets_and_the_defaults() -> None:
    assert len(SETS) >= 8


@pytest.mark.parametrize("values", [None, *SETS])
def test_every_object_is_what_the_api_takes(values: str | None) -> None:
    objects = chart(values)
    assert [text for one in objects for text in problems(one)] == []
    assert inconsistencies(objects, ELSEWHERE.get(values or "", set())) == []


@pytest.mark.parametrize("values", [None, *SETS])
def test_the_corefile_passes_the_check(
    values: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for one in chart(values):
        if "Corefile" in one.get("data", {}):
            for name, text in one["data"].items():
                (tmp_path / name).write_text(text.replace("/etc/coredns", str(tmp_path)))
            assert main(["check", "-conf", str(tmp_path / "Corefile")]) == 0, capsys.readouterr().err
            return
    assert values in ("beside", "elsewhere")


def test_the_chart_installs_the_version_that_it_is_with() -> None:
    described = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert described["version"] == described["appVersion"] == __version__


def test_helm_finds_no_fault() -> None:
    assert "0 chart(s) failed" in helm("lint", CHART, "--strict")
    assert "level=WARN" not in helm("lint", CHART, "--strict")


# --- beside the base of deploy/kustomize --------------------------------------------------------------------------


def essence(objects: list[Object], corefile: str) -> dict[str, Any]:
    """What two ways of deploying must agree on: all but names, labels, and what selects by these."""
    deployment = named(objects, "Deployment")["spec"]
    pod = pod_of(named(objects, "Deployment"))["spec"]
    (container,) = pod["containers"]
    policy = named(objects, "NetworkPolicy")["spec"]
    return {
        "replicas": deployment["replicas"],
        "unavailable": deployment["strategy"]["rollingUpdate"]["maxUnavailable"],
        "spread": [{**one, "labelSelector": None} for one in pod["topologySpreadConstraints"]],
        "pod": {key: pod[key] for key in pod if key not in ("containers", "topologySpreadConstraints")},
        "container": {
            **{key: container[key] for key in container if key not in ("ports", "image")},
            # Seconds and counts that stand for what is the default anyhow.
            **{key: probe(container[key]) for key in container if key.endswith("Probe")},
        },
        "ports": sorted((one["containerPort"], one["protocol"]) for one in container["ports"]),
        "service": {(one["port"], one["protocol"]) for one in named(objects, "Service")["spec"]["ports"]} - METRICS,
        "rules": named(objects, "ClusterRole")["rules"],
        "budget": named(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"],
        "let in": sorted((one["port"], one["protocol"]) for rule in policy["ingress"] for one in rule["ports"]),
        "directions": policy["policyTypes"],
        "corefile": [line for line in map(str.strip, corefile.splitlines()) if not line.startswith("#")],
    }


# The chart has a Service of its own for metrics, as CoreDNS's has; clusters have the port in that of DNS.
METRICS = {(9153, "TCP")}


def probe(one: Object) -> Object:
    """A probe with what Kubernetes takes where nothing is said."""
    return {"initialDelaySeconds": 0, "successThreshold": 1, **one}


def test_defaults_are_those_of_the_base() -> None:
    ours = essence(chart(), named(chart(), "ConfigMap")["data"]["Corefile"])
    base = essence(overlay("base"), (KUSTOMIZE / "corefile" / "Corefile").read_text())
    for key in base:
        assert ours[key] == base[key], key


# --- beside CoreDNS's chart ---------------------------------------------------------------------------------------

# Every value of CoreDNS's chart 1.46.
COREDNS = (VALUES / "of-coredns.txt").read_text().split()


def value(path: str) -> Any:
    """The default of a value."""
    found: Any = DEFAULTS
    for name in path.split("."):
        found = found[name]
    return found


def test_every_value_of_the_other_chart_is_one_here() -> None:
    assert len(COREDNS) > 100
    for path in COREDNS:
        value(path)


def test_names_and_selectors_are_those_of_the_other_chart() -> None:
    """So that ``helm upgrade`` of a release that was CoreDNS replaces pods, and no field that cannot change."""
    objects = chart("coredns")
    assert {(one["kind"], one["metadata"]["name"]) for one in objects} >= {
        ("Deployment", "coredns"),
        ("ConfigMap", "coredns"),
        ("ServiceAccount", "coredns"),
        ("ClusterRole", "coredns"),
        ("ClusterRoleBinding", "coredns"),
        ("Service", "kube-dns"),
        ("Service", "coredns-metrics"),
        ("PodDisruptionBudget", "coredns"),
    }
    selector = {"app.kubernetes.io/instance": "coredns", "app.kubernetes.io/name": "coredns", "k8s-app": "kube-dns"}
    assert named(objects, "Deployment")["spec"]["selector"] == {"matchLabels": selector}
    service = named(objects, "Service", "kube-dns")["spec"]
    assert (service["selector"], service["clusterIP"]) == (selector, "10.96.0.10")
    assert [port["name"] for port in service["ports"]] == ["udp-53", "tcp-53"]
    assert named(chart(), "Deployment")["spec"]["selector"]["matchLabels"]["k8s-app"] == "coredns"


def test_a_release_of_another_name_has_names_of_its_own() -> None:
    rendered = helm(
        "template", "canary", CHART, "--kube-version", "1.34", "--show-only", "templates/deployment.yaml"
    )
    assert yaml.safe_load(rendered)["metadata"]["name"] == "canary-coredns"


def test_templates_in_values_are_expanded() -> None:
    pod = pod_of(named(chart("coredns"), "Deployment"))["spec"]
    labels = {"app.kubernetes.io/name": "coredns", "app.kubernetes.io/instance": "coredns"}
    (term,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"]["matchLabels"] == labels
    assert pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] == labels


def test_every_difference_is_in_the_readme() -> None:
    readme = (CHART / "README.md").read_text()
    ours = set(leaves(DEFAULTS)) - set(COREDNS)
    missing = {path for path in ours if not any(f"`{name}`" in readme for name in ancestors(path))}
    # These are objects of Kubernetes in values that the other chart has as well.
    known = (
        "resources",
        "securityContext",
        "podSecurityContext",
        "autoscaler.",
        "servers",
        "nodeSelector",
        "prometheus",
    )
    assert {path for path in missing if not path.startswith(known)} == set()


def leaves(values: dict[str, Any], where: str = "") -> list[str]:
    """The paths of values that are no objects with fields."""
    return [
        path
        for key, one in values.items()
        for path in (leaves(one, f"{where}{key}.") if isinstance(one, dict) and one else [f"{where}{key}"])
    ]


def ancestors(path: str) -> list[str]:
    """A path and what it is part of."""
    names = path.split(".")
    return [".".join(names[: at + 1]) for at in range(len(names))]


# --- what each value does -----------------------------------------------------------------------------------------


def test_the_port_stands_behind_each_zone() -> None:
    corefile = named(chart("outside"), "ConfigMap")["data"]["Corefile"]
    assert "example.org.:1053 example.net.:1053 {" in corefile
    assert "dns://.:5353 {" in corefile
    ports = named(chart("outside"), "Service")["spec"]["ports"]
    assert [(one["name"], one["port"], one["targetPort"], one.get("nodePort")) for one in ports] == [
        ("udp-1053", 53, 1053, 30053), ("tcp-1053", 53, 1053, 30053), ("udp-5353", 5353, 5353, None),
        ("tcp-5353", 5353, 5353, None),
    ]  # fmt: skip


def test_schemes_over_tcp_have_no_port_over_udp() -> None:
    settings = ["servers[0].zones[0].scheme=tls://", "servers[0].port=853", "servers[0].plugins[0].name=whoami"]
    ports = named(chart(None, *settings), "Service")["spec"]["ports"]
    assert [(one["name"], one["protocol"]) for one in ports] == [("tcp-853", "TCP")]


def test_only_what_may_be_asked_is_let_in() -> None:
    spec = named(chart("outside"), "NetworkPolicy")["spec"]
    dns, metrics, more = spec["ingress"]
    assert {(one["port"], one["protocol"]) for one in dns["ports"]} == {
        (1053, "UDP"), (1053, "TCP"), (5353, "UDP"), (5353, "TCP"),
    }  # fmt: skip
    assert "from" not in dns
    assert metrics["ports"] == [{"port": 9253, "protocol": "TCP"}] and len(metrics["from"]) == 1
    assert more["ports"][0]["port"] == 8080
    assert (spec["policyTypes"], len(spec["egress"])) == (["Ingress", "Egress"], 1)
    assert "NetworkPolicy" not in {one["kind"] for one in chart(None, "networkPolicy.enabled=false")}


def test_a_server_that_is_no_cluster_service_is_a_workload_like_others() -> None:
    deployment = named(chart("outside"), "Deployment")
    assert "k8s-app" not in pod_of(deployment)["metadata"]["labels"]
    assert "priorityClassName" not in pod_of(deployment)["spec"]
    assert pod_of(deployment)["spec"]["automountServiceAccountToken"] is False
    assert "ClusterRole" not in {one["kind"] for one in chart("outside")}


def test_pods_are_replaced_by_a_change_only_if_nothing_reloads() -> None:
    annotations = pod_of(named(chart("everything"), "Deployment"))["metadata"]["annotations"]
    assert "checksum/config" in annotations and annotations["example.org/pod"] == "1"
    assert "annotations" not in pod_of(named(chart(), "Deployment"))["metadata"]


def test_a_label_of_yours_does_not_break_a_selector() -> None:
    deployment = named(chart("everything"), "Deployment")
    assert pod_of(deployment)["metadata"]["labels"]["k8s-app"] == "coredns"
    assert deployment["metadata"]["labels"]["team"] == "dns"


def test_workers_are_set_once() -> None:
    def environ(*settings: str) -> list[Object]:
        (container,) = pod_of(named(chart(None, *settings), "Deployment"))["spec"]["containers"]
        found: list[Object] = container.get("env", [])
        return found

    assert environ("workers=2") == [{"name": "FASTDNS_WORKERS", "value": "2"}]
    assert environ("workers=0") == []
    own = ["env[0].name=FASTDNS_WORKERS", "env[0].value=six"]
    assert environ(*own) == [{"name": "FASTDNS_WORKERS", "value": "six"}]


def test_number_of_replicas_is_left_to_what_scales() -> None:
    for values in ("hpa", "autoscaler"):
        assert "replicas" not in named(chart(values), "Deployment", "coredns")["spec"]
    config = json.loads(named(chart("autoscaler"), "ConfigMap", "coredns-autoscaler")["data"]["linear"])
    assert config == {
        "coresPerReplica": 128, "nodesPerReplica": 8.5, "min": 3, "max": 30, "includeUnschedulableNodes": True,
        "preventSinglePointFailure": True,
    }  # fmt: skip
    (container,) = pod_of(named(chart("elsewhere"), "Deployment"))["spec"]["containers"]
    assert "--target=Deployment/coredns" in container["command"]


def test_every_name_of_a_value_stands_in_a_template() -> None:
    """None is read and ignored; objects that are passed on as a whole stand for their fields."""
    templates = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    whole = ("resources", "rollingUpdate", "Probe", "ecurityContext", "autoscaler.resources", "nodeSelector")
    unused = {
        path
        for path in leaves(DEFAULTS)
        if not re.search(rf"\b{path.split('.')[-1]}\b", templates) and not any(word in path for word in whole)
    }
    assert unused == {
        # Passed on with the object that they are in.
        "prometheus.service.annotations.prometheus.io/scrape", "prometheus.service.annotations.prometheus.io/port",
        "podDisruptionBudget.maxUnavailable",
    } & unused  # fmt: skip


# --- what is refused ----------------------------------------------------------------------------------------------


# Values, and what the schema says of each at its place. It says all of them at once.
REFUSED = [
    ("replicacount=2", "at '': additional properties 'replicacount' not allowed"),
    ("service.clusterIp=10.96.0.10", "at '/service': additional properties 'clusterIp' not allowed"),
    ("servers[0].plugin=x", "at '/servers/0': additional properties 'plugin' not allowed"),
    (
        "servers[0].plugins[0].parameter=x",
        "at '/servers/0/plugins/0': additional properties 'parameter' not allowed",
    ),
    ("zoneFiles[0].content=x", "at '/zoneFiles/0': additional properties 'content' not allowed"),
    ("autoscaler.nodePerReplica=8", "at '/autoscaler': additional properties 'nodePerReplica' not allowed"),
    ("deployment.dnspolicy=None", "at '/deployment': additional properties 'dnspolicy' not allowed"),
    ("startupProbe.period=1", "at '/startupProbe': additional properties 'period' not allowed"),
    (
        "podDisruptionBudget.maxUnavalable=1",
        "at '/podDisruptionBudget': additional properties 'maxUnavalable' not allowed",
    ),
    ("replicaCount=two", "at '/replicaCount': got string, want integer"),
    ("serviceType=Loadbalancer", "at '/serviceType': value must be one of"),
    ("service.ipFamilyPolicy=DualStack", "at '/service/ipFamilyPolicy': value must be one of"),
    ("servers[0].port=70000", "at '/servers/0/port': maximum: got 70,000, want 65,535"),
    ("rollingUpdate.maxSurge=a quarter", "at '/rollingUpdate/maxSurge': 'a quarter' does not match pattern"),
    ("rbac.pspEnable=true", "at '/rbac/pspEnable': value must be false"),
    ("zoneFiles[0].filename=Corefile", "at '/zoneFiles/0/filename': 'not' failed"),
]


def test_values_that_there_are_not_are_refused() -> None:
    with pytest.raises(RefusedError) as refused:
        chart(None, *(setting for setting, _ in REFUSED))
    lines = str(refused.value).splitlines()
    for setting, said in REFUSED:
        assert any(said in line for line in lines), (setting, lines)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["hpa.enabled=true", "autoscaler.enabled=true"], "enable one of them"),
        (["deployment.dnsPolicy=None"], "must have nameservers"),
    ],
)
def test_values_that_contradict_each_other_are_refused(settings: list[str], said: str) -> None:
    with pytest.raises(RefusedError) as refused:
        chart(None, *settings)
    assert said in str(refused.value)


def undescribed(values: dict[str, Any], schema: dict[str, Any], where: str = "") -> list[str]:
    """Values that the schema does not name, and those that it names and the defaults lack."""
    if "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    properties = schema.get("properties", {})
    if not properties:
        return []
    found = [f"{where}{name}" for name in {*values} ^ {*properties}]
    return found + [
        path
        for name, one in values.items()
        if isinstance(one, dict) and name in properties
        for path in undescribed(one, properties[name], f"{where}{name}.")
    ]


def test_the_schema_names_each_value_and_no_other() -> None:
    assert set(undescribed(DEFAULTS, SCHEMA)) == {
        # Of a chart that has this one as a part.
        "global",
        # Gone from Kubernetes: false is accepted, because values for the other chart have it.
        "rbac.pspEnable",
        # Fields of one object, of which a default would be in the way.
        "podDisruptionBudget.minAvailable", "podDisruptionBudget.unhealthyPodEvictionPolicy",
        "podDisruptionBudget.selector",
    }  # fmt: skip


def test_the_schema_leaves_no_object_open_by_mistake() -> None:
    def opened(schema: dict[str, Any], where: str) -> list[str]:
        found = [where] if "properties" in schema and schema.get("additionalProperties") is not False else []
        for name, one in {**schema.get("properties", {}), **schema.get("definitions", {})}.items():
            found += opened(one, f"{where}.{name}")
        return found + (opened(schema["items"], f"{where}[]") if "items" in schema else [])

    assert opened(SCHEMA, "values") == []
