"""The served resources: names, API groups, selectable fields, and an empty object of each."""

from __future__ import annotations

from dataclasses import dataclass

COMMON_FIELDS = ("metadata.name", "metadata.namespace")


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource of the API."""

    plural: str
    kind: str
    group: str
    version: str
    namespaced: bool
    # The text after the metadata in a bookmark: the serialized zero value of the Go type.
    empty: bytes
    # Whether the server counts metadata.generation.
    generation: bool
    # Custom resources are serialized from maps: keys in alphabetical order, kind in each item of a list.
    custom: bool = False
    # Fields that a fieldSelector may name, besides the common ones.
    fields: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self) -> str:
        """The URL path of the resource."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def item_open(self) -> bytes:
        """The beginning of a list item, up to its metadata."""
        return self.object_open if self.custom else b'{"metadata":'

    @property
    def object_open(self) -> bytes:
        """The beginning of a watch event's object, up to its metadata."""
        if self.custom:
            return f'{{"apiVersion":"{self.api_version}","kind":"{self.kind}","metadata":'.encode()
        return f'{{"kind":"{self.kind}","apiVersion":"{self.api_version}","metadata":'.encode()


SERVICES = Kind(
    "services", "Service", "", "v1", True, b',"spec":{},"status":{"loadBalancer":{}}}', False,
    fields=("spec.clusterIP", "spec.type"),
)  # fmt: skip
NAMESPACES = Kind(
    "namespaces", "Namespace", "", "v1", False, b',"spec":{},"status":{}}', False, fields=("status.phase",)
)
PODS = Kind(
    "pods", "Pod", "", "v1", True, b',"spec":{"containers":null},"status":{}}', True,
    fields=(
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
        "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName",
    ),
)  # fmt: skip
SLICES = Kind(
    "endpointslices", "EndpointSlice", "discovery.k8s.io", "v1", True,
    b',"addressType":"","endpoints":null,"ports":null}', True,
)  # fmt: skip
IMPORTS = Kind(
    "serviceimports", "ServiceImport", "multicluster.x-k8s.io", "v1alpha1", True, b"}", True, custom=True
)

KINDS: dict[str, Kind] = {kind.plural: kind for kind in (SERVICES, NAMESPACES, PODS, SLICES, IMPORTS)}
BY_NAME: dict[str, Kind] = {kind.kind: kind for kind in KINDS.values()}
