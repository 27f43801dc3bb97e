"""What clusters rely on in deploy/: names, labels, ports, probes, permissions, and Corefiles that load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastdns.cli import SERVE_FLAGS, parse_flags
from fastdns.corefile import load
from fastdns.sources.manifests import parse_manifests

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
    assert forward.stanzas[0].effective_policy(loadbalance=True) == "round_robin"


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
