"""The discovery documents: /version, /api, /apis and the documents below them."""

from __future__ import annotations

from typing import Any

from fastdns.bench.apiserver.kinds import KINDS, Kind

VERSION: dict[str, str] = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.0",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "go1.26.8",
    "compiler": "gc",
    "platform": "linux/amd64",
}
PROBES = ("/healthz", "/livez", "/readyz")


def document(path: str, installed: set[str], address: str) -> dict[str, Any] | None:
    """The document at a path, or None."""
    kinds = [kind for kind in KINDS.values() if kind.plural in installed]
    groups = {kind.group: kind for kind in kinds if kind.group}
    if path == "/version":
        return dict(VERSION)
    if path == "/api":
        client = {"clientCIDR": "0.0.0.0/0", "serverAddress": address}
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [client]}
    if path == "/apis":
        entries = [_group(kind) for kind in groups.values()]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": entries}
    for kind in groups.values():
        if path == f"/apis/{kind.group}":
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(kind)}
    here = [kind for kind in kinds if kind.path == path]
    if here:
        resources = [_resource(kind) for kind in here]
        head = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": here[0].api_version}
        return {**head, "resources": resources}
    return None


def _group(kind: Kind) -> dict[str, Any]:
    version = {"groupVersion": kind.api_version, "version": kind.version}
    return {"name": kind.group, "versions": [version], "preferredVersion": version}


def _resource(kind: Kind) -> dict[str, Any]:
    return {
        "name": kind.plural,
        "singularName": kind.kind.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": ["get", "list", "watch"],
    }
