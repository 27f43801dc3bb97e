"""The fields of Kubernetes objects that DNS needs, as msgspec structs; every other field is skipped unread.

Shapes: Kubernetes API reference, core/v1 Service, Namespace and Pod, discovery.k8s.io/v1 EndpointSlice,
multicluster.x-k8s.io/v1alpha1 ServiceImport. Lists that the API leaves out or sends as null are None.
"""

from __future__ import annotations

import msgspec

from fastdns.plugins.kubernetes.sink import Resource


class Metadata(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    deletionTimestamp: str | None = None
    # RFC 3339 in JSON; seconds since 1970 where it came as protobuf.
    creationTimestamp: str | None = None


class Port(msgspec.Struct, gc=False):
    name: str | None = None
    protocol: str | None = None
    port: int | None = None


class ServiceSpec(msgspec.Struct, gc=False):
    type: str | None = None
    clusterIP: str | None = None
    clusterIPs: list[str] | None = None
    externalName: str | None = None
    ports: list[Port] | None = None
    externalIPs: list[str] | None = None


class Ingress(msgspec.Struct, gc=False):
    ip: str | None = None
    hostname: str | None = None


class LoadBalancer(msgspec.Struct, gc=False):
    ingress: list[Ingress] | None = None


class ServiceStatus(msgspec.Struct, gc=False):
    loadBalancer: LoadBalancer | None = None


class Service(msgspec.Struct, gc=False):
    metadata: Metadata
    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)
    status: ServiceStatus | None = None


class Conditions(msgspec.Struct, gc=False):
    ready: bool | None = None


class TargetRef(msgspec.Struct, gc=False):
    name: str | None = None


class Endpoint(msgspec.Struct, gc=False):
    addresses: list[str] | None = None
    conditions: Conditions | None = None
    hostname: str | None = None
    targetRef: TargetRef | None = None
    zone: str | None = None


class EndpointSlice(msgspec.Struct, gc=False):
    metadata: Metadata
    addressType: str = ""
    endpoints: list[Endpoint] | None = None
    ports: list[Port] | None = None


class Namespace(msgspec.Struct, gc=False):
    metadata: Metadata


class PodStatus(msgspec.Struct, gc=False):
    podIP: str | None = None
    phase: str | None = None


class Pod(msgspec.Struct, gc=False):
    metadata: Metadata
    status: PodStatus | None = None


class ServiceImportSpec(msgspec.Struct, gc=False):
    type: str | None = None
    ips: list[str] | None = None
    ports: list[Port] | None = None


class ServiceImport(msgspec.Struct, gc=False):
    metadata: Metadata
    spec: ServiceImportSpec = msgspec.field(default_factory=ServiceImportSpec)


KubernetesObject = Service | EndpointSlice | Namespace | Pod | ServiceImport

# The type of the objects of each resource.
TYPES: dict[Resource, type[KubernetesObject]] = {
    Resource.SERVICE: Service,
    Resource.SLICE: EndpointSlice,
    Resource.NAMESPACE: Namespace,
    Resource.POD: Pod,
    Resource.IMPORT: ServiceImport,
    Resource.IMPORT_SLICE: EndpointSlice,
}
