"""What of an object of Kubernetes cannot be served, field by field; the API server would have refused it.

The object is mended: what is wrong is taken out, and the rest is served. Rules: Kubernetes, core/v1 and
discovery/v1 validation.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

from fastdns.dns.names import wire_name
from fastdns.plugins.kubernetes.objects import Port
from fastdns.plugins.kubernetes.sink import Resource

MAX_PORT = 65535
HEADLESS = "None"
VERSIONS = {"IPv4": 4, "IPv6": 6}


@dataclass(frozen=True, slots=True)
class Problem:
    """A field that was taken out. path: where it stands, as ``spec.clusterIPs[1]``; what: what it is one of."""

    path: str
    text: str
    what: str


def mend(resource: Resource, obj: Any) -> list[Problem]:
    """Takes out of an object what cannot be served. Returns what that was."""
    problems: list[Problem] = []
    if resource is Resource.SERVICE:
        mend_service(obj.spec, problems)
    elif resource in (Resource.SLICE, Resource.IMPORT_SLICE):
        mend_slice(obj, problems)
    elif resource is Resource.POD and obj.status is not None and obj.status.podIP:
        if not is_address(obj.status.podIP):
            problems.append(no_address("status.podIP", obj.status.podIP))
            obj.status.podIP = None
    elif resource is Resource.IMPORT:
        obj.spec.ips = addresses("spec.ips", obj.spec.ips, problems)
        obj.spec.ports = ports("spec.ports", obj.spec.ports, problems)
    return problems


def mend_service(spec: Any, problems: list[Problem]) -> None:
    spec.ports = ports("spec.ports", spec.ports, problems)
    if spec.type == "ExternalName":
        if spec.externalName and not is_name(spec.externalName):
            text = f"{spec.externalName[:80]!r} is no domain name"
            problems.append(Problem("spec.externalName", text, "names"))
            spec.externalName = None
        return
    if spec.clusterIPs:
        if spec.clusterIPs[0] != HEADLESS:
            spec.clusterIPs = addresses("spec.clusterIPs", spec.clusterIPs, problems)
            if not spec.clusterIPs:
                # It would stand in for them, and is one of them.
                spec.clusterIP = None
    elif spec.clusterIP and spec.clusterIP != HEADLESS and not is_address(spec.clusterIP):
        problems.append(no_address("spec.clusterIP", spec.clusterIP))
        spec.clusterIP = None


def mend_slice(obj: Any, problems: list[Problem]) -> None:
    obj.ports = ports("ports", obj.ports, problems)
    if obj.addressType == "FQDN":
        return
    version = VERSIONS.get(obj.addressType)
    for index, endpoint in enumerate(obj.endpoints or ()):
        endpoint.addresses = addresses(f"endpoints[{index}].addresses", endpoint.addresses, problems, version)


def addresses(
    path: str, found: list[str] | None, problems: list[Problem], version: int | None = None
) -> list[str] | None:
    """Those that are addresses, of one version where it is given."""
    if found is None:
        return None
    kept = []
    for index, text in enumerate(found):
        if is_address(text, version):
            kept.append(text)
        else:
            problems.append(no_address(f"{path}[{index}]", text, version))
    return kept


def ports(path: str, found: list[Port] | None, problems: list[Problem]) -> list[Port] | None:
    """Those whose number is one of a port."""
    if found is None:
        return None
    kept = []
    for index, port in enumerate(found):
        if port.port is None or 0 < port.port <= MAX_PORT:
            kept.append(port)
        else:
            text = f"{port.port} is no port; expected 1 to {MAX_PORT}"
            problems.append(Problem(f"{path}[{index}].port", text, "ports"))
    return kept


def no_address(path: str, text: str, version: int | None = None) -> Problem:
    kind = f"IPv{version}" if version else "IP"
    return Problem(path, f"{text[:80]!r} is no {kind} address", "addresses")


def is_address(text: str, version: int | None = None) -> bool:
    """Whether a text is an address without a scope."""
    is_ipv6 = ":" in text
    try:
        socket.inet_pton(socket.AF_INET6 if is_ipv6 else socket.AF_INET, text)
    except (OSError, ValueError):
        return False
    return version is None or version == (6 if is_ipv6 else 4)


def is_name(text: str) -> bool:
    """Whether a text is a domain name, and no address."""
    if is_address(text):
        return False
    try:
        wire_name(text)
    except ValueError:
        return False
    return True
