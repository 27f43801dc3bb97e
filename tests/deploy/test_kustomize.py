"""The base and each overlay of deploy/kustomize, as kustomize builds them."""

from __future__ import annotations

import re

import pytest

from fastdns.cli import main
from tests.deploy.objects import Object, inconsistencies, matches, named, pod_of, problems
from tests.deploy.render import KUSTOMIZE, overlay

OVERLAYS = sorted(f"overlays/{path.name}" for path in (KUSTOMIZE / "overlays").iterdir())
FOLDERS = ["base", "corefile", *OVERLAYS]
# What a cluster that runs CoreDNS has, and these use.
COREFILE = {("ConfigMap", "coredns")}
ACCOUNT = {("ServiceAccount", "coredns")}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_object_is_what_the_api_takes(folder: str) -> None:
    assert [text for one in overlay(folder) for text in problems(one)] == []


@pytest.mark.parametrize("folder", ["base", *OVERLAYS])
def test_references_lead_somewhere(folder: str) -> None:
    elsewhere = {"overlays/new-cluster": set(), "overlays/canary": COREFILE | ACCOUNT}.get(folder, COREFILE)
    assert inconsistencies(overlay(folder), elsewhere) == []
    # What stands in for the cluster is needed: none of them brings a Corefile along unseen.
    if elsewhere:
        assert len(inconsistencies(overlay(folder))) == len(elsewhere)


def test_there_are_overlays_for_the_sizes_and_address_families() -> None:
    names = {"canary", "dual-stack", "ipv6", "large", "new-cluster", "node-local", "small"}
    assert {name.removeprefix("overlays/") for name in OVERLAYS} == names


def test_applying_leaves_the_corefile_alone() -> None:
    """Only what is meant for ``kubectl create``, which refuses what exists, has a ConfigMap."""
    with_one = [folder for folder in FOLDERS if any(one["kind"] == "ConfigMap" for one in overlay(folder))]
    assert with_one == ["corefile", "overlays/new-cluster"]
    for folder in with_one:
        assert re.search("`kubectl create -k`", (KUSTOMIZE / folder / "kustomization.yaml").read_text())


def test_the_corefile_of_a_new_cluster_passes_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    data = named(overlay("overlays/new-cluster"), "ConfigMap")["data"]
    assert data == {"Corefile": (KUSTOMIZE / "corefile" / "Corefile").read_text()}
    assert main(["check", "-conf", str(KUSTOMIZE / "corefile" / "Corefile")]) == 0, capsys.readouterr().err


def service(folder: str) -> Object:
    """The spec of the Service of a folder."""
    spec: Object = named(overlay(folder), "Service")["spec"]
    return spec


def test_a_service_that_exists_keeps_its_address() -> None:
    """An address in what is applied would be refused where the cluster's is another."""
    for folder in FOLDERS:
        for one in overlay(folder):
            assert one["kind"] != "Service" or ("clusterIP" in one["spec"]) == (folder == "overlays/new-cluster")
    assert service("overlays/new-cluster")["clusterIP"] == "10.96.0.10"


def test_address_families() -> None:
    assert (service("overlays/ipv6")["ipFamilyPolicy"], service("overlays/ipv6")["ipFamilies"]) == (
        "SingleStack", ["IPv6"],
    )  # fmt: skip
    assert (service("overlays/dual-stack")["ipFamilyPolicy"], service("overlays/dual-stack")["ipFamilies"]) == (
        "PreferDualStack", ["IPv4", "IPv6"],
    )  # fmt: skip


def test_the_canary_is_behind_the_service_and_of_no_other_deployment() -> None:
    (canary,) = overlay("overlays/canary")
    base = named(overlay("base"), "Deployment")
    labels = pod_of(canary)["metadata"]["labels"]
    assert service("base")["selector"].items() <= labels.items()
    assert not matches(canary["spec"]["selector"], pod_of(base)["metadata"]["labels"])
    assert canary["metadata"]["name"] != base["metadata"]["name"]
    assert canary["spec"]["replicas"] == 1
    # kubeadm upgrade lists Deployments with k8s-app=kube-dns, and stops if there are two.
    assert "labels" not in canary["metadata"]


def differences(one: Object, other: Object, where: str = "") -> set[str]:
    """The paths at which two objects differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {
            path for key in {*one, *other} for path in differences(one.get(key), other.get(key), f"{where}/{key}")
        }
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return {path for at in range(len(one)) for path in differences(one[at], other[at], f"{where}/{at}")}
    return set() if one == other else {where}


def test_a_pod_on_each_node_is_the_pod_of_the_deployment_but_for_where_it_runs() -> None:
    objects = overlay("overlays/node-local")
    daemon = named(objects, "DaemonSet")
    assert not {"Deployment", "PodDisruptionBudget"} & {one["kind"] for one in objects}
    assert differences(pod_of(daemon), pod_of(named(overlay("base"), "Deployment"))) == {
        "/metadata/labels/component",
        "/spec/priorityClassName",
        "/spec/tolerations",
        "/spec/topologySpreadConstraints",
        "/spec/containers/0/env/0/value",
        "/spec/containers/0/resources/requests/cpu",
    }
    assert daemon["spec"]["updateStrategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert service("overlays/node-local")["trafficDistribution"] == "PreferSameNode"


@pytest.mark.parametrize("folder", ["overlays/small", "overlays/large"])
def test_sizes_change_numbers_only(folder: str) -> None:
    changed = {
        (one["kind"], re.sub(r"/env/.*", "/env", path))
        for one, other in zip(overlay(folder), overlay("base"), strict=True)
        for path in differences(one, other)
    }
    container = "/spec/template/spec/containers/0"
    assert changed <= {
        ("Deployment", "/spec/replicas"),
        ("Deployment", f"{container}/env"),
        ("Deployment", f"{container}/resources/requests/cpu"),
        ("Deployment", f"{container}/resources/requests/memory"),
        ("Deployment", f"{container}/resources/limits/memory"),
        ("PodDisruptionBudget", "/spec/maxUnavailable"),
    }
    assert ("Deployment", "/spec/replicas") in changed
