"""YAML of the pages for a cluster: fields that exist, values that the chart takes, kustomizations that build."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastdns.cli import main
from tests.deploy.objects import MODELS, Object, inconsistencies, problems
from tests.deploy.render import CHART, KUBERNETES, KUSTOMIZE, VALUES, build, helm
from tests.docs.fences import PAGES, ROOT, Block, blocks_of

YAML = [block for page in PAGES for block in blocks_of(page) if block.language == "yaml"]
OBJECTS = [
    (block, one)
    for block in YAML
    for one in yaml.safe_load_all(block.text)
    if isinstance(one, dict) and {"apiVersion", "kind"} <= one.keys()
]
# Of kinds that no client has a model for: the fields that the pages may use, as their projects document them.
SHAPES: dict[tuple[str, str], dict[str, Any]] = {
    ("kubeadm.k8s.io/v1beta4", "ClusterConfiguration"): {
        "dns": {"imageRepository": str, "imageTag": str, "disabled": bool},
    },
    ("kops.k8s.io/v1alpha2", "Cluster"): {
        "metadata": {"name": str},
        "spec": {"kubeDNS": {"provider": str, "coreDNSImage": str, "externalCoreFile": str}},
    },
    ("helm.cattle.io/v1", "HelmChartConfig"): {
        "metadata": {"name": str, "namespace": str},
        "spec": {"valuesContent": str},
    },
    ("kustomize.config.k8s.io/v1beta1", "Kustomization"): {"resources": list, "images": list, "patches": list},
}


def each(pairs: list[tuple[Block, Object]], *kinds: str) -> list[object]:
    """The objects of some kinds, or all, each named after its place."""
    return [
        pytest.param(one, id=f"{block.place} {one['kind']}")
        for block, one in pairs
        if not kinds or one["kind"] in kinds
    ]


def differs(shape: Any, value: Any, where: str) -> list[str]:
    """Fields that a shape does not have, and values of another type."""
    if isinstance(shape, type):
        return [] if isinstance(value, shape) else [f"{where}: {shape.__name__} expected, not {value!r}"]
    return [
        text
        for key, one in value.items()
        for text in (
            differs(shape[key], one, f"{where}.{key}") if key in shape else [f"{where}.{key}: no such field"]
        )
    ]


@pytest.mark.parametrize("one", each(OBJECTS))
def test_objects_have_fields_that_exist(one: Object) -> None:
    if one["apiVersion"] in MODELS or one["kind"] == "ServiceMonitor":
        assert problems(one) == []
    else:
        fields = {key: value for key, value in one.items() if key not in ("apiVersion", "kind")}
        assert differs(SHAPES[one["apiVersion"], one["kind"]], fields, one["kind"]) == []


def test_a_field_that_there_is_not_is_found() -> None:
    shape = SHAPES["kubeadm.k8s.io/v1beta4", "ClusterConfiguration"]
    assert differs(shape, {"dns": {"imagetag": "v1", "disabled": "no"}}, "X") == [
        "X.dns.imagetag: no such field",
        "X.dns.disabled: bool expected, not 'no'",
    ]


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=block.place) for block in YAML if "values" in block.words]
)
def test_the_chart_takes_the_values(block: Block) -> None:
    assert "kind: Deployment" in helm(
        "template", "coredns", CHART, "--kube-version", KUBERNETES, "--values", "-", stdin=block.text
    )


@pytest.mark.parametrize("one", each(OBJECTS, "HelmChartConfig"))
def test_values_of_rke2_are_values_of_the_chart_that_it_has(one: Object) -> None:
    names = (VALUES / "of-coredns.txt").read_text().split()
    content = yaml.safe_load(one["spec"]["valuesContent"])
    assert {f"{key}.{name}" for key, fields in content.items() for name in fields} <= set(names)


@pytest.mark.parametrize("one", each(OBJECTS, "ConfigMap"))
def test_corefiles_in_configmaps_pass_the_check(
    one: Object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [text for name, text in one["data"].items() if name == "Corefile" or name.endswith(".server")]
    for text in found:
        (tmp_path / "Corefile").write_text(text)
        assert main(["check", "-conf", str(tmp_path / "Corefile")]) == 0, capsys.readouterr().err
    assert found


KUSTOMIZATIONS = [(block, one) for block, one in OBJECTS if one["kind"] == "Kustomization"]


@pytest.mark.parametrize("one", each(KUSTOMIZATIONS))
def test_kustomizations_build(one: Object, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deploy" / "kustomize", tmp_path / "deploy" / "kustomize")
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(one))
    objects = build(tmp_path)
    assert objects
    assert [text for each in objects for text in problems(each)] == []
    elsewhere = {
        ("ConfigMap", "coredns"),
        ("ConfigMap", "rke2-coredns-rke2-coredns"),
        ("ServiceAccount", "coredns"),
    }
    assert inconsistencies(objects, elsewhere) == []


def test_the_page_lists_each_folder() -> None:
    page = (ROOT / "docs/how-to/install.md").read_text()
    listed = [
        line.split("`")[1].removeprefix("deploy/kustomize/") for line in page.splitlines() if "| `deploy/k" in line
    ]
    folders = [path.parent.relative_to(KUSTOMIZE).as_posix() for path in KUSTOMIZE.rglob("kustomization.yaml")]
    # The pods alone are no way of installing.
    assert sorted(listed) == sorted({*folders} - {"deployment"})


def test_the_page_says_what_each_distribution_allows() -> None:
    page = (ROOT / "docs/how-to/migrate-from-coredns.md").read_text()
    for name in ("kubeadm", "kops", "k3s", "RKE2", "EKS", "AKS", "GKE"):
        assert f"\n| [{name}](#{name.lower()}) |" in page and f"\n## {name}\n" in page
