"""Builders of objects as a real API server has them, in their real size, with managedFields.

Each gives a dictionary of its own, in the order in which Go serializes the type, ready for ``Store.put``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

Object = dict[str, Any]
# name, protocol, number
PortSpec = tuple[str, str, int]

HTTP: tuple[PortSpec, ...] = (("http", "TCP", 80),)
_TIME = "2026-11-23T05:47:51Z"
_PORT_FIELDS = ("name", "port", "protocol", "targetPort")


def service(
    name: str,
    namespace: str = "default",
    *,
    cluster_ips: Sequence[str] = (),
    external_name: str = "",
    ports: Sequence[PortSpec] = HTTP,
    labels: dict[str, str] | None = None,
    selector: dict[str, str] | None = None,
    publish_not_ready: bool = False,
    type: str = "",
    created: str = _TIME,
) -> Object:
    """A Service: without ``cluster_ips`` headless, with ``external_name`` an ExternalName."""
    spec: Object = {}
    if external_name:
        spec = {"type": "ExternalName", "sessionAffinity": "None", "externalName": external_name}
        fields = ("f:externalName", "f:sessionAffinity", "f:type")
        ports = ()
    else:
        addresses = list(cluster_ips) or ["None"]
        families = ["IPv6" if ":" in address else "IPv4" for address in cluster_ips] or ["IPv4", "IPv6"]
        spec["ports"] = [
            {**({"name": port} if port else {}), "protocol": protocol, "port": number, "targetPort": number}
            for port, protocol, number in ports
        ]
        if not ports:
            del spec["ports"]
        if selector:
            spec["selector"] = selector
        spec |= {
            "clusterIP": addresses[0],
            "clusterIPs": addresses,
            "type": type or "ClusterIP",
            "sessionAffinity": "None",
        }
        if publish_not_ready:
            spec["publishNotReadyAddresses"] = True
        spec |= {
            "ipFamilies": families,
            "ipFamilyPolicy": "RequireDualStack" if len(families) > 1 else "SingleStack",
            "internalTrafficPolicy": "Cluster",
        }
        fields = (
            *(("f:clusterIP",) if families == ["IPv4"] or not cluster_ips else ()),
            "f:internalTrafficPolicy",
            *(() if families == ["IPv4"] or not cluster_ips else ("f:ipFamilies", "f:ipFamilyPolicy")),
            *(("f:publishNotReadyAddresses",) if publish_not_ready else ()),
            *(("f:selector",) if selector else ()),
            "f:sessionAffinity",
            "f:type",
        )
    meta = _meta(name, namespace, created, labels, None)
    meta["managedFields"] = _service_fields(tuple(ports), fields, tuple(labels or ()), created)
    return _object("Service", "v1", meta, spec=spec, status={"loadBalancer": {}})


def endpoint(
    *addresses: str,
    ready: bool | None = True,
    serving: bool | None = None,
    terminating: bool | None = None,
    hostname: str = "",
    pod: str = "",
    pod_namespace: str = "",
    pod_uid: str = "",
    node: str = "",
    zone: str = "",
) -> Object:
    """One endpoint of a slice."""
    conditions = {"ready": ready, "serving": serving, "terminating": terminating}
    entry: Object = {
        "addresses": list(addresses),
        "conditions": {name: value for name, value in conditions.items() if value is not None},
    }
    if hostname:
        entry["hostname"] = hostname
    if pod:
        entry["targetRef"] = {"kind": "Pod", "namespace": pod_namespace or "default", "name": pod}
        if pod_uid:
            entry["targetRef"]["uid"] = pod_uid
    if node:
        entry["nodeName"] = node
    if zone:
        entry["zone"] = zone
    return entry


def slice_(
    name: str,
    namespace: str = "default",
    *,
    service: str = "",
    endpoints: Iterable[Object | str] | None = None,
    ports: Sequence[PortSpec] | None = HTTP,
    family: str = "",
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    owner_uid: str = "",
    headless: bool = False,
    created: str = _TIME,
) -> Object:
    """An EndpointSlice; with ``owner_uid`` it looks as the endpoint slice controller writes it."""
    entries = None if endpoints is None else [endpoint(e) if isinstance(e, str) else e for e in endpoints]
    if not family:
        family = "IPv6" if entries and ":" in entries[0]["addresses"][0] else "IPv4"
    all_labels = dict(labels or {})
    if owner_uid:
        all_labels["endpointslice.kubernetes.io/managed-by"] = "endpointslice-controller.k8s.io"
    if service:
        all_labels["kubernetes.io/service-name"] = service
    if headless:
        all_labels["service.kubernetes.io/headless"] = ""
    meta = _meta(name, namespace, created, all_labels, annotations)
    if owner_uid:
        meta["generateName"] = f"{service}-"
        meta["ownerReferences"] = [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "name": service,
                "uid": owner_uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
    meta["managedFields"] = _slice_fields(tuple(all_labels), tuple(annotations or ()), owner_uid, created)
    return _object(
        "EndpointSlice",
        "discovery.k8s.io/v1",
        meta,
        addressType=family,
        endpoints=entries,
        ports=None
        if ports is None
        else [{"name": port, "protocol": protocol, "port": number} for port, protocol, number in ports],
    )


def namespace(
    name: str, *, labels: dict[str, str] | None = None, phase: str = "Active", created: str = _TIME
) -> Object:
    """A Namespace."""
    all_labels = {"kubernetes.io/metadata.name": name, **(labels or {})}
    meta = _meta(name, "", created, all_labels, None)
    meta["managedFields"] = [_managed("v1", created, {"f:metadata": {"f:labels": _set(all_labels)}})]
    return _object("Namespace", "v1", meta, spec={"finalizers": ["kubernetes"]}, status={"phase": phase})


def pod(
    name: str,
    namespace: str = "default",
    *,
    ip: str = "",
    phase: str = "Running",
    node: str = "n1",
    labels: dict[str, str] | None = None,
    created: str = _TIME,
) -> Object:
    """A Pod of one container."""
    meta = _meta(name, namespace, created, labels, None)
    meta["managedFields"] = [
        _managed("v1", created, {**_labels_set(labels), "f:spec": _POD_SPEC_FIELDS}),
        {**_managed("v1", created, {"f:status": _pod_status_fields(ip)}), "subresource": "status"},
    ]
    tolerations = [
        {
            "key": f"node.kubernetes.io/{key}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 300,
        }
        for key in ("not-ready", "unreachable")
    ]
    spec = {
        "containers": [
            {
                "name": "c",
                "image": "x",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "Always",
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "nodeName": node,
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": tolerations,
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }
    status: Object = {"phase": phase}
    if ip:
        status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    status["qosClass"] = "BestEffort"
    return _object("Pod", "v1", meta, spec=spec, status=status)


def service_import(
    name: str,
    namespace: str = "default",
    *,
    ips: Sequence[str] = (),
    ports: Sequence[PortSpec] = HTTP,
    labels: dict[str, str] | None = None,
    clusters: Sequence[str] = ("cluster-a",),
    created: str = _TIME,
) -> Object:
    """A multicluster ServiceImport: without ``ips`` headless."""
    meta = _meta(name, namespace, created, labels, None)
    api_version = "multicluster.x-k8s.io/v1alpha1"
    fields: Object = {"f:spec": {".": {}, "f:ips": {}, "f:ports": {}, "f:type": {}}}
    meta["managedFields"] = [_managed(api_version, created, fields)]
    spec: Object = {"type": "ClusterSetIP" if ips else "Headless"}
    if ips:
        spec["ips"] = list(ips)
    spec["ports"] = [
        {**({"name": port} if port else {}), "protocol": protocol, "port": number}
        for port, protocol, number in ports
    ]
    status = {"clusters": [{"cluster": cluster} for cluster in clusters]}
    return _object("ServiceImport", api_version, meta, spec=spec, status=status)


def _object(kind: str, api_version: str, metadata: Object, **rest: Any) -> Object:
    return {"kind": kind, "apiVersion": api_version, "metadata": metadata, **rest}


def _meta(
    name: str, namespace: str, created: str, labels: dict[str, str] | None, annotations: dict[str, str] | None
) -> Object:
    meta: Object = {"name": name}
    if namespace:
        meta["namespace"] = namespace
    meta["creationTimestamp"] = created
    if labels:
        meta["labels"] = dict(labels)
    if annotations:
        meta["annotations"] = dict(annotations)
    return meta


def _set(names: Iterable[str]) -> Object:
    """A set of fields as FieldsV1 writes it."""
    return {".": {}, **{f"f:{name}": {} for name in sorted(names)}}


def _labels_set(labels: Iterable[str] | None) -> Object:
    return {"f:metadata": {"f:labels": _set(labels)}} if labels else {}


def _managed(api_version: str, time: str, fields: Object, manager: str = "unknown") -> Object:
    return {
        "manager": manager,
        "operation": "Update",
        "apiVersion": api_version,
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }


# Equal managed fields are shared between objects: nobody changes them in place.
@lru_cache(maxsize=256)
def _service_fields(
    ports: tuple[PortSpec, ...], fields: tuple[str, ...], labels: tuple[str, ...], created: str
) -> list[Object]:
    spec: Object = {name: {} for name in fields}
    if ports:
        entries: Object = {".": {}}
        for name, protocol, number in sorted(ports, key=lambda port: (port[2], port[1])):
            key = f'k:{{"port":{number},"protocol":"{protocol}"}}'
            entries[key] = {
                ".": {},
                **{f"f:{field}": {} for field in _PORT_FIELDS if field != "name" or name},
            }
        spec["f:ports"] = entries
    return [_managed("v1", created, {**_labels_set(labels), "f:spec": dict(sorted(spec.items()))})]


@lru_cache(maxsize=256)
def _slice_fields(
    labels: tuple[str, ...], annotations: tuple[str, ...], owner_uid: str, created: str
) -> list[Object]:
    metadata: Object = {}
    if annotations:
        metadata["f:annotations"] = _set(annotations)
    if owner_uid:
        metadata["f:generateName"] = {}
    if labels:
        metadata["f:labels"] = _set(labels)
    if owner_uid:
        metadata["f:ownerReferences"] = {".": {}, f'k:{{"uid":"{owner_uid}"}}': {}}
    fields: Object = {"f:addressType": {}, "f:endpoints": {}}
    if metadata:
        fields["f:metadata"] = metadata
    fields["f:ports"] = {}
    manager = "kube-controller-manager" if owner_uid else "unknown"
    return [_managed("discovery.k8s.io/v1", created, fields, manager)]


_POD_SPEC_FIELDS: Object = {
    "f:containers": {
        'k:{"name":"c"}': {
            ".": {},
            "f:image": {},
            "f:imagePullPolicy": {},
            "f:name": {},
            "f:resources": {},
            "f:terminationMessagePath": {},
            "f:terminationMessagePolicy": {},
        }
    },
    "f:dnsPolicy": {},
    "f:enableServiceLinks": {},
    "f:nodeName": {},
    "f:restartPolicy": {},
    "f:schedulerName": {},
    "f:securityContext": {},
    "f:terminationGracePeriodSeconds": {},
}


def _pod_status_fields(ip: str) -> Object:
    if not ip:
        return {"f:phase": {}}
    ips: Object = {".": {}, f'k:{{"ip":"{ip}"}}': {".": {}, "f:ip": {}}}
    return {"f:phase": {}, "f:podIP": {}, "f:podIPs": ips}
