"""Objects of Kubernetes as the API server looks at them, before any of them is in a cluster.

Fields and types are those of the API's OpenAPI description, as the models of the client have it. Unknown ones are
errors, as with ``kubectl apply --validate=strict``. Then come rules that no schema says: names, labels, and
references between the objects of one set.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.:]{0,251}[a-z0-9])?")
WORKLOADS = ("Deployment", "DaemonSet")
MODELS = {
    "v1": "V1", "apps/v1": "V1", "policy/v1": "V1", "rbac.authorization.k8s.io/v1": "V1",
    "discovery.k8s.io/v1": "V1", "networking.k8s.io/v1": "V1", "autoscaling/v2": "V2",
}  # fmt: skip
# Of the Prometheus Operator, which no client's model has: the fields of monitoring.coreos.com/v1 that may be used.
MONITORING: dict[str, dict[str, Any]] = {"ServiceMonitor": {
    "namespaceSelector": {"matchNames": list, "any": bool},
    "selector": {"matchLabels": dict, "matchExpressions": list},
    "endpoints": [{
        "port": str, "interval": str, "scrapeTimeout": str, "scheme": str, "honorLabels": bool, "tlsConfig": dict,
        "relabelings": list, "metricRelabelings": list,
    }],
}, "PrometheusRule": {
    "groups": [{
        "name": str,
        "rules": [{
            "record": str, "alert": str, "expr": str, "for": str, "labels": dict, "annotations": dict,
        }],
    }],
}}  # fmt: skip


class _Once(yaml.SafeLoader):
    """Refuses a key that stands twice in one object: of the two, one would silently be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise yaml.constructor.ConstructorError(None, None, f"{twice} twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_objects(text: str) -> list[Object]:
    """The objects of a stream of YAML."""
    return [one for one in yaml.load_all(text, Loader=_Once) if one is not None]


def read_file(path: Path) -> list[Object]:
    """The objects of a file."""
    return read_objects(path.read_text(encoding="utf-8"))


def named(objects: list[Object], kind: str, name: str | None = None) -> Object:
    """The one object of a kind, or that with a name."""
    (found,) = [one for one in objects if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    return found


def problems(one: Object) -> list[str]:
    """What the API server would say of an object: unknown and missing fields, types, names and labels."""
    where = f"{one['kind']} {one['metadata']['name']}"
    if one["apiVersion"] == "monitoring.coreos.com/v1":
        found = unknown_fields("V1ObjectMeta", one["metadata"], f"{where}.metadata")
        found += _differs(MONITORING[one["kind"]], one["spec"], f"{where}.spec")
    else:
        found = unknown_fields(MODELS[one["apiVersion"]] + one["kind"], one, where)
    return found + [f"{where}: {text}" for text in (*refusals(one), *bad_names(one))]


def _differs(shape: Any, value: Any, where: str) -> list[str]:
    """Where a value has not the fields and types of a shape: a type, a list of one shape, or fields with theirs."""
    if isinstance(shape, type):
        return [] if isinstance(value, shape) else [f"{where}: {shape.__name__} expected, not {value!r}"]
    if isinstance(shape, list):
        return [text for at, one in enumerate(value) for text in _differs(shape[0], one, f"{where}[{at}]")]
    found = [f"{where}.{key}: no such field" for key in value if key not in shape]
    return found + [
        text for key, one in value.items() if key in shape for text in _differs(shape[key], one, f"{where}.{key}")
    ]


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
        # object: a number or a string, such as a port or "25%".
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


def bad_names(one: Object) -> Iterator[str]:
    """Names, labels and annotations that are none."""
    if not SUBDOMAIN.fullmatch(one["metadata"]["name"]):
        yield f"metadata.name: {one['metadata']['name']!r}"
    for metadata in (one["metadata"], pod_of(one).get("metadata", {})):
        for key, value in metadata.get("labels", {}).items():
            if not LABEL_KEY.fullmatch(key) or not LABEL_VALUE.fullmatch(value):
                yield f"metadata.labels: {key}: {value}"
        for key in metadata.get("annotations", {}):
            if not LABEL_KEY.fullmatch(key):
                yield f"metadata.annotations: {key}"


def pod_of(one: Object) -> Object:
    """The template of a workload's pods; nothing of another object."""
    template: Object = one["spec"]["template"] if one["kind"] in WORKLOADS else {}
    return template


def matches(selector: Object, labels: Object) -> bool:
    """Whether a selector's matchLabels select labels."""
    return bool(selector.get("matchLabels")) and selector["matchLabels"].items() <= labels.items()


def inconsistencies(objects: list[Object], elsewhere: set[tuple[str, str]] = frozenset()) -> list[str]:  # type: ignore[assignment]
    """References that lead nowhere, in a set that is applied together; elsewhere are objects that a cluster has."""
    found: list[str] = []
    there = {(one["kind"], one["metadata"]["name"]) for one in objects} | elsewhere
    keys = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects]
    found += [f"{key} twice" for key in {key for key in keys if keys.count(key) > 1}]
    pods = [pod_of(one)["metadata"]["labels"] for one in objects if one["kind"] in WORKLOADS]
    services = [one["metadata"]["labels"] for one in objects if one["kind"] == "Service"]
    # Each needs what it selects, if the set has workloads at all.
    selects = {
        "Service": (lambda spec: {"matchLabels": spec["selector"]}, pods),
        "PodDisruptionBudget": (lambda spec: spec["selector"], pods),
        "NetworkPolicy": (lambda spec: spec["podSelector"], pods),
        "ServiceMonitor": (lambda spec: spec["selector"], services),
    }
    for one in objects:
        where = f"{one['kind']} {one['metadata']['name']}"
        if one["kind"] in selects:
            selector_of, labels = selects[one["kind"]]
            if not any(matches(selector_of(one["spec"]), each) for each in labels):
                found.append(f"{where}: selects nothing")
        elif one["kind"] in WORKLOADS:
            found += [f"{where}: {text}" for text in _of_workload(one, there)]
        elif one["kind"].endswith("RoleBinding"):
            wanted = {(one["roleRef"]["kind"], one["roleRef"]["name"])}
            wanted |= {(subject["kind"], subject["name"]) for subject in one["subjects"]}
            found += [f"{where}: no {missing}" for missing in wanted - there]
        elif one["kind"] == "HorizontalPodAutoscaler":
            target = one["spec"]["scaleTargetRef"]
            found += [f"{where}: no {target}"] if (target["kind"], target["name"]) not in there else []
    return found


def _of_workload(one: Object, there: set[tuple[str, str]]) -> Iterator[str]:
    """What a workload has wrong in itself, and what it needs and is not there."""
    pod = pod_of(one)
    spec, labels = pod["spec"], pod["metadata"]["labels"]
    if not matches(one["spec"]["selector"], labels):
        yield "its selector does not select its pods"
    for constraint in spec.get("topologySpreadConstraints", []):
        if not matches(constraint["labelSelector"], labels):
            yield f"a topology spread constraint does not count its pods: {constraint}"
    if ("ServiceAccount", spec["serviceAccountName"]) not in there | {("ServiceAccount", "default")}:
        yield f"no ServiceAccount {spec['serviceAccountName']}"
    volumes = [volume["name"] for volume in spec.get("volumes", [])]
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    ports = [port for container in containers for port in container.get("ports", [])]
    lists: dict[str, list[Any]] = {
        "volumes": volumes,
        "containers": [container["name"] for container in containers],
        "port names": [port["name"] for port in ports],
        "ports": [(port["containerPort"], port["protocol"]) for port in ports],
    }  # fmt: skip
    for container in containers:
        lists[f"variables of {container['name']}"] = [each["name"] for each in container.get("env", [])]
        lists[f"mounts of {container['name']}"] = [each["mountPath"] for each in container.get("volumeMounts", [])]
    for what, values in lists.items():
        if twice := {value for value in values if values.count(value) > 1}:
            yield f"{what}: {twice} twice"
    for port in ports:
        if len(port["name"]) > 15:
            yield f"port names: {port['name']} has more than 15 characters"
    for container in containers:
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                yield f"no volume {mount['name']}"
    for volume in spec.get("volumes", []):
        if (name := volume.get("configMap", {}).get("name")) and ("ConfigMap", name) not in there:
            yield f"no ConfigMap {name}"
