"""What clusters rely on in deploy/: names, labels, ports, probes, permissions, and Corefiles that load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath

import pytest

from fastdns.cli import SERVE_FLAGS, parse_flags
from fastdns.corefile import load
from fastdns.plugins.kubernetes.manifests.parsing import parse_manifests
from tests.deploy.objects import Object, problems, read_file
from tests.deploy.render import KUSTOMIZE, ROOT

FILES = [
    path
    for folder in ("base", "deployment")
    for path in sorted((KUSTOMIZE / folder).glob("*.yaml"))
    if path.name != "kustomization.yaml"
]
OBJECTS: dict[tuple[str, str], Object] = {
    (one["kind"], one["metadata"]["name"]): one for path in FILES for one in read_file(path)
}
COREFILE = (KUSTOMIZE / "corefile" / "Corefile").read_text()
POD = OBJECTS["Deployment", "coredns"]["spec"]["template"]
CONTAINER = POD["spec"]["containers"][0]


@pytest.mark.parametrize(
    "kind, name",
    [
        ("ServiceAccount", "coredns"),
        ("ClusterRole", "system:coredns"),
        ("ClusterRoleBinding", "system:coredns"),
        ("Deployment", "coredns"),
        ("Service", "kube-dns"),
        ("PodDisruptionBudget", "coredns"),
        ("NetworkPolicy", "coredns"),
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
    constraints = POD["spec"]["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in constraints] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    # A pod that cannot be spread runs all the same.
    assert {one["whenUnsatisfiable"] for one in constraints} == {"ScheduleAnyway"}
    assert OBJECTS["PodDisruptionBudget", "coredns"]["spec"]["maxUnavailable"] == 1


def test_container_has_one_capability_and_writes_its_snapshot_only() -> None:
    context, pod = CONTAINER["securityContext"], POD["spec"]["securityContext"]
    assert context["capabilities"] == {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
    assert pod["runAsNonRoot"] and pod["runAsUser"] == pod["runAsGroup"] == pod["fsGroup"] == 65532
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    writable = [mount["mountPath"] for mount in CONTAINER["volumeMounts"] if not mount.get("readOnly")]
    ((_, options),) = load(COREFILE, environ={}).with_plugin("kubernetes")
    assert writable == [str(PurePath(options.snapshot).parent)]


def test_probes_ask_what_the_corefile_serves() -> None:
    config = load(COREFILE, environ={})
    (_, health), (_, ready) = config.with_plugin("health")[0], config.with_plugin("ready")[0]
    assert CONTAINER["startupProbe"]["httpGet"] == CONTAINER["livenessProbe"]["httpGet"]
    assert CONTAINER["livenessProbe"]["httpGet"]["port"] == health.port == 8080
    assert CONTAINER["readinessProbe"]["httpGet"]["port"] == ready.port == 8181
    assert health.host == ready.host == ""
    assert POD["spec"]["terminationGracePeriodSeconds"] > health.lameduck_s + 5


def test_arguments_are_those_of_coredns() -> None:
    mount = CONTAINER["volumeMounts"][0]["mountPath"]
    assert CONTAINER["args"] == ["-conf", f"{mount}/Corefile"]


def test_the_corefile_of_a_new_cluster_is_the_root_one_with_a_snapshot() -> None:
    added = """\
        # Kept for the next start of the container, which then answers at once.
        snapshot /var/lib/fastdns/cluster
"""
    assert added in COREFILE
    assert COREFILE.replace(added, "") == (ROOT / "Corefile").read_text()


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


@pytest.mark.parametrize("path", [*FILES, ROOT / "deploy" / "example" / "cluster.yaml"], ids=lambda path: path.name)
def test_manifests_are_what_the_api_takes(path: Path) -> None:
    """The example had two addresses in a Service without ipFamilyPolicy, which a real API server refuses."""
    assert [text for one in read_file(path) for text in problems(one)] == []
