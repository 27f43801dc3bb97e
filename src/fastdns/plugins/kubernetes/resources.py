"""The resources of the API server that a kubernetes block needs, and how they are requested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.plugins.kubernetes.sink import Resource

IMPORT_SERVICE_LABEL = "multicluster.kubernetes.io/service-name"
# Pods that have ended no longer have an address.
LIVE_PODS = "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
IMPORTS = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports"


@dataclass(frozen=True, slots=True)
class Watched:
    """One resource and how it is requested. needed: answers are wrong without it, so requests never stop."""

    resource: Resource
    path: str
    label_selector: str = ""
    field_selector: str = ""
    needed: bool = True
    name: str = ""

    def selectors(self) -> dict[str, str]:
        """The query parameters that narrow a list or watch."""
        found = {}
        if self.label_selector:
            found["labelSelector"] = self.label_selector
        if self.field_selector:
            found["fieldSelector"] = self.field_selector
        return found


def watched_resources(options: Any) -> tuple[Watched, ...]:
    """The resources that the options need."""
    labels, namespace_labels = options.labels or "", options.namespace_labels or ""
    found = [Watched(Resource.SERVICE, "/api/v1/services", labels, name="services")]
    if not options.noendpoints:
        found.append(Watched(Resource.SLICE, SLICES, labels, name="endpointslices"))
    found.append(Watched(Resource.NAMESPACE, "/api/v1/namespaces", namespace_labels, name="namespaces"))
    if options.pods == "verified":
        found.append(Watched(Resource.POD, "/api/v1/pods", labels, LIVE_PODS, name="pods"))
    if options.multicluster:
        import_labels = f"{labels},{IMPORT_SERVICE_LABEL}" if labels else IMPORT_SERVICE_LABEL
        found.append(Watched(Resource.IMPORT, IMPORTS, namespace_labels, needed=False, name="serviceimports"))
        found.append(
            Watched(
                Resource.IMPORT_SLICE,
                SLICES,
                import_labels,
                needed=False,
                name="endpointslices of serviceimports",
            )
        )
    return tuple(found)


def needed_resources(options: Any) -> tuple[Resource, ...]:
    """The resources that must be listed once before the cluster's names count as known."""
    return tuple(watched.resource for watched in watched_resources(options))
