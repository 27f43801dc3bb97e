"""The look at objects itself: what an API server refuses is found."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.deploy.objects import Object, inconsistencies, problems, read_objects, refusals, unknown_fields


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


def test_a_key_that_stands_twice_is_found() -> None:
    with pytest.raises(yaml.constructor.ConstructorError, match="twice"):
        read_objects("metadata: {name: a}\nspec: {}\nmetadata: {name: b}\n")


MONITOR = """\
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: a, labels: {"not a key": "x"}, label: {}}
spec: {selector: {matchLabels: {}}, endpoints: [{port: metrics, intervall: 5s, honorLabels: "yes"}]}
"""


def test_what_a_monitor_does_not_have_is_found() -> None:
    (monitor,) = read_objects(MONITOR)
    assert problems(monitor) == [
        "ServiceMonitor a.metadata.label: V1ObjectMeta has no such field",
        "ServiceMonitor a.spec.endpoints[0].intervall: no such field",
        "ServiceMonitor a.spec.endpoints[0].honorLabels: bool expected, not 'yes'",
        "ServiceMonitor a: metadata.labels: not a key: x",
    ]


def workload(**spec: Any) -> Object:
    """A Deployment that is right but for spec."""
    container = {"name": "c", "volumeMounts": [], "ports": [], **spec.pop("container", {})}
    labels = {"app": "a"}
    pod = {"serviceAccountName": "default", "containers": [container], **spec}
    return {
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def service(selector: dict[str, str]) -> Object:
    """A Service with a selector."""
    return {"kind": "Service", "metadata": {"name": "s", "labels": {}}, "spec": {"selector": selector}}


DNS = {"name": "dns", "containerPort": 53, "protocol": "UDP"}
BINDING = {
    "kind": "RoleBinding",
    "metadata": {"name": "b"},
    "roleRef": {"kind": "Role", "name": "r"},
    "subjects": [{"kind": "ServiceAccount", "name": "x"}],
}


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        ([workload(), workload()], "('Deployment', None, 'd') twice"),
        ([workload(), service({"app": "b"})], "Service s: selects nothing"),
        ([workload(serviceAccountName="x")], "Deployment d: no ServiceAccount x"),
        ([workload(container={"volumeMounts": [{"name": "v", "mountPath": "/"}]})], "Deployment d: no volume v"),
        ([workload(volumes=[{"name": "v", "configMap": {"name": "m"}}])], "Deployment d: no ConfigMap m"),
        (
            [workload(container={"ports": [DNS, {**DNS, "name": "dns-2"}]})],
            "Deployment d: ports: {(53, 'UDP')} twice",
        ),
        (
            [workload(container={"ports": [{**DNS, "name": "a" * 16}]})],
            "Deployment d: port names: aaaaaaaaaaaaaaaa",
        ),
        (
            [workload(container={"env": [{"name": "A"}, {"name": "A"}]})],
            "Deployment d: variables of c: {'A'} twice",
        ),
        (
            [workload(topologySpreadConstraints=[{"labelSelector": {"matchLabels": {"app": "b"}}}])],
            "Deployment d: a topology spread constraint does not count its pods",
        ),
        ([BINDING, {"kind": "Role", "metadata": {"name": "r"}}], "RoleBinding b: no ('ServiceAccount', 'x')"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_references_that_lead_nowhere_are_found(objects: list[Object], said: str) -> None:
    assert [text[: len(said)] for text in inconsistencies(objects)] == [said]
    assert inconsistencies([workload(), service({"app": "a"})]) == []
