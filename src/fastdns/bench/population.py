"""The names of the clusters that a Corefile serves from manifests.

The Corefile and the manifests are read with the server's code. This is the only part of the load generator that
imports code of the server, and only for ``--corefile``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdns.bench.errors import BenchError, BenchUsageError
from fastdns.bench.messages import Query
from fastdns.errors import FastdnsError

if TYPE_CHECKING:
    from fastdns.plugins.kubernetes.objects import Endpoint, EndpointSlice

KINDS = ("service", "headless", "srv", "ptr")
SERVICE_LABEL = "kubernetes.io/service-name"
HEADLESS = "None"
FAMILIES = {4: "A", 6: "AAAA"}


@dataclass(slots=True)
class Population:
    """Queries by kind, services as pods call them, and every name that exists.

    A service is asked for by the types of its addresses. Names are fully qualified.
    """

    queries: dict[str, list[Query]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    existing: set[str] = field(default_factory=set)
    # What pods call a service: (name, namespace) by its fully qualified name.
    services: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, kind: str, name: str, qtype: str) -> None:
        """One more query."""
        self.queries[kind].append(Query(name, qtype))
        self.existing.add(name.rstrip(".").lower())

    def existing_name(self, name: str) -> bool:
        """Whether a fully qualified name is one of the clusters'."""
        return name.rstrip(".").lower() in self.existing


def read_population(path: Path) -> Population:
    """The names of all clusters of a Corefile. Raises BenchError."""
    from fastdns.corefile import load_file
    from fastdns.plugins.kubernetes.manifests.files import SUFFIXES
    from fastdns.plugins.kubernetes.manifests.parsing import decoded, parse_manifests
    from fastdns.plugins.kubernetes.sink import Resource

    population = Population()
    try:
        blocks = load_file(str(path), default_port=53).with_plugin("kubernetes")
        for _, config in blocks:
            files: list[Path] = []
            for manifests in map(Path, config.manifests):
                files += sorted(one for one in manifests.iterdir() if one.suffix in SUFFIXES) if (
                    manifests.is_dir()) else [manifests]  # fmt: skip
            found = [one for file in files for one in parse_manifests(decoded(file.read_bytes(), file), str(file))]
            services = [one.obj for one in found if one.key[0] == Resource.SERVICE]
            slices: dict[tuple[str, str], list[Any]] = {}
            for one in found:
                service = (one.obj.metadata.labels or {}).get(SERVICE_LABEL)
                if one.key[0] == Resource.SLICE and service:
                    slices.setdefault((one.obj.metadata.namespace, service), []).append(one.obj)
            add_cluster(population, config, services, slices)
    except OSError as error:
        raise BenchError(f"{error.filename}: {error.strerror}") from None
    except FastdnsError as error:
        raise BenchError(str(error)) from None
    if not any(population.queries.values()):
        raise BenchError(f"{path}: no kubernetes block with manifests that have a Service")
    return population


def add_cluster(population: Population, config: Any, services: Iterable[Any], slices: dict[Any, Any]) -> None:
    """The names of one kubernetes block."""
    zone = config.primary
    for service in services:
        meta, spec = service.metadata, service.spec
        if config.namespaces and meta.namespace not in config.namespaces:
            continue
        if spec.type == "ExternalName":
            continue
        name = f"{meta.name}.{meta.namespace}.svc.{zone}"
        population.services[name] = (meta.name, meta.namespace)
        of_service = slices.get((meta.namespace, meta.name), [])
        if spec.clusterIP == HEADLESS or HEADLESS in (spec.clusterIPs or ()):
            add_headless(population, name, of_service, not config.noendpoints)
            ports = [port for one in of_service for port in one.ports or ()]
        else:
            for address in spec.clusterIPs or ([spec.clusterIP] if spec.clusterIP else []):
                population.add("service", name, family_of(address))
                population.add("ptr", reverse(address), "PTR")
            ports = list(spec.ports or ())
        named = {(port.name, (port.protocol or "TCP").lower()) for port in ports if port.name}
        for port, protocol in sorted(named):
            population.add("srv", f"_{port}._{protocol}.{name}", "SRV")


def add_headless(population: Population, name: str, slices: Iterable[EndpointSlice], endpoints: bool) -> None:
    """A headless service: all its addresses, and each endpoint's own name."""
    families = set()
    for one in slices:
        for endpoint in one.endpoints or ():
            if endpoint.conditions is not None and endpoint.conditions.ready is False:
                continue
            for address in endpoint.addresses or ():
                families.add(family_of(address))
                if endpoints:
                    population.add("headless", f"{label_of(endpoint, address)}.{name}", family_of(address))
                    population.add("ptr", reverse(address), "PTR")
    for family in sorted(families):
        population.add("headless", name, family)


def family_of(address: str) -> str:
    """A or AAAA. Raises BenchError."""
    try:
        return FAMILIES[ipaddress.ip_address(address).version]
    except ValueError as error:
        raise BenchError(f"manifests: {error}") from None


def reverse(address: str) -> str:
    """The name of an address's PTR record."""
    return ipaddress.ip_address(address).reverse_pointer + "."


def label_of(endpoint: Endpoint, address: str) -> str:
    """An endpoint's own label: its hostname, or its address with dashes."""
    return endpoint.hostname or address.replace(".", "-").replace(":", "-")


def choose(population: Population, kinds: tuple[str, ...] | None) -> list[Query]:
    """The queries of these kinds, in the order of KINDS. Raises BenchUsageError, BenchError."""
    for kind in kinds or ():
        if kind not in KINDS:
            raise BenchUsageError(f"--kinds: of {', '.join(KINDS)} expected, got {kind!r}")
    chosen = [query for kind in KINDS if not kinds or kind in kinds for query in population.queries[kind]]
    if not chosen:
        raise BenchError(f"the Corefile's clusters have no names of kind {', '.join(kinds or KINDS)}")
    return chosen


def as_pods_ask(population: Population, queries: Iterable[Query], namespace: str) -> list[Query]:
    """The queries of pods in a namespace: services by their short names, each for A and AAAA, as libraries ask."""
    asked: dict[Query, None] = {}
    for query in queries:
        service = population.services.get(query.name)
        if service is None or query.type not in ("A", "AAAA"):
            asked[query] = None
            continue
        name, its_namespace = service
        short = name if its_namespace == namespace else f"{name}.{its_namespace}"
        asked[Query(short, "A")] = asked[Query(short, "AAAA")] = None
    return list(asked)
