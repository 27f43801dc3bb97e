"""What clusters rely on in deploy/: names, labels, ports, probes, permissions, and Corefiles that load."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastdns.cli import SERVE_FLAGS, parse_flags
from fastdns.corefile import load
from fastdns.plugins.kubernetes.manifests.parsing import parse_manifests

ROOT = Path(__file__).parents[2]
OBJECTS: dict[tuple[str, str], dict[str, Any]] = {
    (one["kind"], one["metadata"]["name"]): one
    for one in yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text())
}
POD = OBJECTS["Deployment", "coredns"]["spec"]["template"]
CONTAINER = POD["spec"]["containers"][0]


@pytest.mark.parametrize(
    "kind, name",
    [
        ("ServiceAccount", "coredns"),
        ("ConfigMap", "coredns"),
        ("ClusterRole", "system:coredns"),
        ("ClusterRoleBinding", "system:coredns"),
        ("Deployment", "coredns"),
        ("Service", "kube-dns"),
        ("PodDisruptionBudget", "coredns"),
    ],
)
def test_objects_have_the_names_that_clusters_have(kind: str, name: str) -> None:
    assert (kind, name) in OBJECTS


def test_role_asks_for_no_more_than_coredns_has() -> None:
    rules = OBJECTS["ClusterRole", "system:coredns"]["rules"]
    granted = {(group, one) for rule in rules for group in rule["apiGroups"] for one in rule["resources"]}
    assert granted == {("", "services"), ("", "pods"), ("", "namespaces"), ("discovery.k8s.io", "endpointslices")}
    assert all(sorted(rule["verbs"]) == ["list", "watch"] for rule in rules)


def test_service_selects_the_pods_and_has_both_transports() -> None:
    service = OBJECTS["Service", "kube-dns"]["spec"]
    assert service["selector"] == {"k8s-app": "kube-dns"}
    assert service["selector"].items() <= POD["metadata"]["labels"].items()
    assert {(port["port"], port["protocol"]) for port in service["ports"]} >= {(53, "UDP"), (53, "TCP")}


def test_three_replicas_spread_and_kept_up() -> None:
    deployment = OBJECTS["Deployment", "coredns"]["spec"]
    assert deployment["replicas"] == 3
    terms = POD["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert terms[0]["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    assert OBJECTS["PodDisruptionBudget", "coredns"]["spec"]["maxUnavailable"] == 1


def test_container_has_one_capability_and_writes_nowhere() -> None:
    context = CONTAINER["securityContext"]
    assert context["capabilities"] == {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"] and context["runAsNonRoot"]
    assert not context["allowPrivilegeEscalation"]


def test_probes_ask_what_the_corefile_serves() -> None:
    config = load(OBJECTS["ConfigMap", "coredns"]["data"]["Corefile"], environ={})
    (_, health), (_, ready) = config.with_plugin("health")[0], config.with_plugin("ready")[0]
    assert CONTAINER["livenessProbe"]["httpGet"]["port"] == health.port == 8080
    assert CONTAINER["readinessProbe"]["httpGet"]["port"] == ready.port == 8181
    assert health.host == ready.host == ""
    assert POD["spec"]["terminationGracePeriodSeconds"] > health.lameduck_s + 5


def test_arguments_are_those_of_coredns() -> None:
    mount = CONTAINER["volumeMounts"][0]["mountPath"]
    assert CONTAINER["args"] == ["-conf", f"{mount}/Corefile"]


def test_configmap_has_the_root_corefile() -> None:
    assert OBJECTS["ConfigMap", "coredns"]["data"]["Corefile"] == (ROOT / "Corefile").read_text()


def test_root_corefile_is_the_one_of_the_design() -> None:
    lines = [line.strip() for line in (ROOT / "Corefile").read_text().splitlines()]
    assert [line for line in lines if not line.startswith("#")] == [
        ".:53 {",
        "errors",
        "health {",
        "lameduck 5s",
        "}",
        "ready",
        "kubernetes cluster.local in-addr.arpa ip6.arpa {",
        "pods insecure",
        "fallthrough in-addr.arpa ip6.arpa",
        "}",
        "prometheus :9153",
        "forward . /etc/resolv.conf {",
        "max_concurrent 1000",
        "}",
        "cache 30",
        "loop",
        "reload",
        "loadbalance",
        "}",
    ]


def test_root_corefile_serves_every_name_on_port_53() -> None:
    config = load((ROOT / "Corefile").read_text(), environ={})
    assert {zone for listener in config.listeners for zone, _ in listener.zones} == {"."}
    assert {listener.port for listener in config.listeners} == {53}
    assert [options.zones for _, options in config.with_plugin("kubernetes")] == [
        ("cluster.local.", "in-addr.arpa.", "ip6.arpa.")
    ]
    (_, forward), (_, loadbalance) = config.with_plugin("forward")[0], config.with_plugin("loadbalance")[0]
    assert loadbalance is not None
    assert forward.stanzas[0].effective_policy(take_turns=True) == "round_robin"


@dataclass(frozen=True)
class Manifest:
    """What Deployments that were written for CoreDNS's image have, as far as it asks something of the image."""

    why: str
    args: list[str]
    liveness: tuple[int, str]
    readiness: tuple[int, str]
    corefile: str
    container_ports: tuple[int, ...] = (53, 9153)


ROOT_COREFILE = (ROOT / "Corefile").read_text()
# kubeadm's has options of its own.
KUBEADM_COREFILE = ROOT_COREFILE.replace("        fall", "        ttl 30\n        fall").replace(
    "cache 30", "cache 30 {\n        disable success cluster.local\n        disable denial cluster.local\n    }"
)
OTHERS = [
    Manifest(
        "the example of a high-availability setup: /ready on the port of health, no security context",
        ["-conf=/etc/coredns/Corefile"], (8080, "/health"), (8080, "/ready"), ROOT_COREFILE, (53,),
    ),
    Manifest(
        "that of the CoreDNS project, and ours",
        ["-conf", "/etc/coredns/Corefile"], (8080, "/health"), (8181, "/ready"), ROOT_COREFILE,
    ),
    Manifest(
        "kubeadm's",
        ["-conf", "/etc/coredns/Corefile"], (8080, "/health"), (8181, "/ready"), KUBEADM_COREFILE,
        (53, 9153, 8080, 8181),
    ),
]  # fmt: skip


@pytest.mark.parametrize("manifest", OTHERS, ids=lambda one: one.why)
def test_a_manifest_with_only_the_image_changed(manifest: Manifest) -> None:
    flags = parse_flags(manifest.args, SERVE_FLAGS)
    assert flags.get("conf") == "/etc/coredns/Corefile"
    config = load(manifest.corefile, environ={})
    (_, health), (_, ready) = config.with_plugin("health")[0], config.with_plugin("ready")[0]
    (_, prometheus) = config.with_plugin("prometheus")[0]
    # Both paths answer on both listeners: tests/integration/test_drop_in.py.
    for port, path in (manifest.liveness, manifest.readiness):
        assert port in (health.port, ready.port)
        assert path in ("/health", "/ready")
    # Of the pod's address, where kubelet asks.
    assert (health.host, ready.host, prometheus.host) == ("", "", "")
    served = {listener.port for listener in config.listeners} | {health.port, ready.port, prometheus.port}
    assert served >= set(manifest.container_ports)


def test_example_cluster_has_no_mistake_and_ships_with_the_package() -> None:
    example = ROOT / "deploy" / "example" / "cluster.yaml"
    assert len(parse_manifests(example.read_text(), str(example))) > 8
    assert (ROOT / "src" / "fastdns" / "example.yaml").read_text() == example.read_text()


def test_image_runs_as_nobody_special_and_starts_fastdns() -> None:
    lines = (ROOT / "deploy" / "Dockerfile").read_text().splitlines()
    assert 'ENTRYPOINT ["/opt/fastdns/bin/fastdns"]' in lines
    assert [line for line in lines if line.startswith("USER ")] == ["USER 65532:65532"]
    assert sum(line.startswith("FROM ") for line in lines) == 2


def unknown_fields(kind: str, value: Any, where: str) -> list[str]:
    """Where a value is none that the Kubernetes API (as the client's models have it) takes for a type."""
    from kubernetes import client

    if (list_of := re.fullmatch(r"[Ll]ist\[(.*)\]", kind)) is not None:
        if not isinstance(value, list):
            return [f"{where}: a list expected"]
        return [text for at, one in enumerate(value) for text in unknown_fields(list_of[1], one, f"{where}[{at}]")]
    if (dict_of := re.fullmatch(r"[Dd]ict[(\[]str, (.*)[)\]]", kind)) is not None:
        if not isinstance(value, dict):
            return [f"{where}: an object expected"]
        return [text for key, one in value.items() for text in unknown_fields(dict_of[1], one, f"{where}.{key}")]
    if kind in ("str", "int", "bool", "object"):
        types = {"str": str, "int": int, "bool": bool, "object": (str, int)}[kind]
        right = isinstance(value, types) and isinstance(value, bool) == (kind == "bool")
        return [] if right else [f"{where}: {kind} expected, not {value!r}"]
    model = getattr(client, kind)
    if not isinstance(value, dict):
        return [f"{where}: {kind} expected, not {value!r}"]
    names = {spelled: name for name, spelled in model.attribute_map.items()}
    found = [f"{where}.{key}: {kind} has no such field" for key in value if key not in names]
    known = {names[key]: one for key, one in value.items() if key in names}
    for name, one in known.items():
        found += unknown_fields(model.openapi_types[name], one, f"{where}.{model.attribute_map[name]}")
    # The models check what is required, each version of the client in words of its own.
    try:
        model(**known)
    except ValueError as error:
        found += [] if found else [f"{where}: {error}"]
    return found


MODELS = {
    "v1": "V1", "apps/v1": "V1", "policy/v1": "V1", "rbac.authorization.k8s.io/v1": "V1",
    "discovery.k8s.io/v1": "V1",
}  # fmt: skip


@pytest.mark.parametrize("name", ["kubernetes.yaml", "example/cluster.yaml"])
def test_manifests_are_what_the_api_takes(name: str) -> None:
    """As ``kubectl apply --validate=strict`` would look at them."""
    for one in yaml.safe_load_all((ROOT / "deploy" / name).read_text()):
        where = f"{one['kind']} {one['metadata']['name']}"
        assert unknown_fields(MODELS[one["apiVersion"]] + one["kind"], one, where) == []


def test_what_the_api_does_not_take_is_found() -> None:
    container = {"name": "c", "ports": [{"containerPort": "53"}], "livenessprobe": {}, "resources": {"limits": {}}}
    bad = {"metadata": {"name": "d"}, "spec": {"containers": [container], "nodeSelector": ["linux"]}}
    assert unknown_fields("V1Pod", bad, "Pod d") == [
        "Pod d.spec.containers[0].livenessprobe: V1Container has no such field",
        "Pod d.spec.containers[0].ports[0].containerPort: int expected, not '53'",
        "Pod d.spec.nodeSelector: an object expected",
    ]
    (missing,) = unknown_fields("V1PodSpec", {"nodeSelector": {}}, "spec")
    assert missing.startswith("spec: ") and "containers" in missing


def refusals(obj: dict[str, Any]) -> list[str]:
    """What the API server's validation says of a Service or EndpointSlice (pkg/apis/core and discovery)."""
    spec = obj.get("spec", {})
    found: list[str] = []
    port_names: list[str] = []
    if obj["kind"] == "Service":
        ports = spec.get("ports", [])
        port_names = [port.get("name", "") for port in ports]
        addresses = spec.get("clusterIPs", [])
        if spec.get("type") == "ExternalName":
            if addresses or spec.get("clusterIP"):
                found.append("spec.clusterIPs: may not be set when the type is ExternalName")
            if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", spec.get("externalName", "")):
                found.append("spec.externalName: a name of RFC 1123 expected")
            return found
        if not ports and addresses != ["None"]:
            found.append("spec.ports: required value")
        if addresses and spec.get("clusterIP") != addresses[0]:
            found.append("spec.clusterIPs[0]: first value must match clusterIP")
        if addresses != ["None"]:
            versions = [ipaddress.ip_address(address).version for address in addresses]
            families = spec.get("ipFamilies", [f"IPv{version}" for version in versions])
            if len(addresses) > 2 or len(set(versions)) != len(versions):
                found.append("spec.clusterIPs: at most one address of each family")
            if [f"IPv{version}" for version in versions] != families[: len(versions)]:
                found.append("spec.clusterIPs: expected the families of ipFamilies")
            if max(len(addresses), len(families)) > 1 and spec.get("ipFamilyPolicy") not in (
                "RequireDualStack",
                "PreferDualStack",
            ):
                found.append("spec.ipFamilyPolicy: may be RequireDualStack or PreferDualStack with two clusterIPs")
    elif obj["kind"] == "EndpointSlice":
        ports = obj.get("ports", [])
        port_names = [port.get("name", "") for port in ports]
        for endpoint in obj["endpoints"]:
            if not 1 <= len(endpoint["addresses"]) <= 100:
                found.append("endpoints.addresses: 1 to 100 expected")
            for address in map(ipaddress.ip_address, endpoint["addresses"]):
                if f"IPv{address.version}" != obj["addressType"]:
                    found.append(f"endpoints.addresses: {address} is not {obj['addressType']}")
                if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
                    found.append(f"endpoints.addresses: {address} may not be used")
            if not LABEL.fullmatch(endpoint.get("hostname", "a")):
                found.append("endpoints.hostname: a label of RFC 1123 expected")
    else:
        return found
    for port in ports:
        if not 1 <= port["port"] <= 65535 or port.get("protocol", "TCP") not in ("TCP", "UDP", "SCTP"):
            found.append(f"ports: {port} is none")
    if len(port_names) > 1 and (not all(map(LABEL.fullmatch, port_names)) or len({*port_names}) != len(port_names)):
        found.append("ports.name: each its own where there are several")
    return found


LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@pytest.mark.parametrize("name", ["kubernetes.yaml", "example/cluster.yaml"])
def test_manifests_pass_the_apis_validation(name: str) -> None:
    """The example had two addresses in a Service without ipFamilyPolicy, which a real API server refuses."""
    for one in yaml.safe_load_all((ROOT / "deploy" / name).read_text()):
        assert refusals(one) == [], f"{one['kind']} {one['metadata']['name']}"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"]}, "spec.ipFamilyPolicy: may be"),
        (
            {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "10.0.0.2"], "ipFamilyPolicy": "PreferDualStack"},
            "spec.clusterIPs: at most one address of each family",
        ),
        ({"clusterIP": "10.0.0.2", "clusterIPs": ["10.0.0.1"]}, "spec.clusterIPs: first value"),
        (
            {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv6"]},
            "spec.clusterIPs: expected",
        ),
        ({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ports": []}, "spec.ports: required"),
        ({"clusterIP": "10.0.0.1", "ports": [{"port": 0}]}, "ports: "),
        ({"clusterIP": "10.0.0.1", "ports": [{"port": 1}, {"port": 2}]}, "ports.name: "),
        ({"type": "ExternalName", "externalName": "no name"}, "spec.externalName: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_apis_validation_refuses_is_found(spec: dict[str, Any], said: str) -> None:
    found = refusals({"kind": "Service", "spec": {"ports": [{"port": 80}], **spec}})
    assert len(found) == 1 and found[0].replace("[0]", "").startswith(said)
