"""A cluster as files: the same names as manifests and as a zone, and the mixes of queries for it."""

from __future__ import annotations

import ipaddress
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastdns.bench.exchange import query

ZONE = "cluster.local"
NAMESPACES = 100
TTL_S = 3600
SERVICES_FROM = int(ipaddress.IPv4Address("10.96.0.1"))
# Names from upstream; the addresses are for benchmarks (RFC 2544).
OUTSIDE = "outside.example"
HOSTS_FROM = int(ipaddress.IPv4Address("198.18.0.1"))
PODS_FROM = int(ipaddress.IPv4Address("10.128.0.1"))
HEADLESS_SHARE = 10  # services with an address for each headless one
HTTP = {"name": "http", "port": 80, "protocol": "TCP"}


@dataclass(frozen=True, slots=True)
class Service:
    """A service: its cluster address, or its endpoints if it is headless."""

    name: str
    namespace: str
    addresses: tuple[str, ...]
    headless: bool = False

    @property
    def fqdn(self) -> str:
        return f"{self.name}.{self.namespace}.svc.{ZONE}"


@dataclass(frozen=True, slots=True)
class Mix:
    """A list of queries, and its description."""

    name: str
    queries: list[bytes]
    says: str


def services(count: int, endpoints: int) -> list[Service]:
    """This many services with an address, and a tenth as many headless ones, each with endpoints."""
    made = [
        Service(f"svc-{i}", f"ns-{i % NAMESPACES}", (str(ipaddress.IPv4Address(SERVICES_FROM + i)),))
        for i in range(count)
    ]
    for i in range(max(1, count // HEADLESS_SHARE)):
        first = PODS_FROM + i * endpoints
        addresses = tuple(str(ipaddress.IPv4Address(first + j)) for j in range(endpoints))
        made.append(Service(f"headless-{i}", f"ns-{i % NAMESPACES}", addresses, headless=True))
    return made


def write_manifests(path: Path, made: list[Service]) -> None:
    """The services and the slices of the headless ones as one list."""
    items: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"ns-{i}"}} for i in range(NAMESPACES)
    ]
    for service in made:
        address = "None" if service.headless else service.addresses[0]
        items.append(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": service.name, "namespace": service.namespace},
                "spec": {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ports": [HTTP]},
            }
        )
        if service.headless:
            label = {"kubernetes.io/service-name": service.name}
            ready = {"ready": True}
            items.append(
                {
                    "apiVersion": "discovery.k8s.io/v1",
                    "kind": "EndpointSlice",
                    "metadata": {"name": service.name, "namespace": service.namespace, "labels": label},
                    "addressType": "IPv4",
                    "endpoints": [{"addresses": [ip], "conditions": ready} for ip in service.addresses],
                    "ports": [HTTP],
                }
            )
    # JSON is YAML.
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=0))


def write_zone(path: Path, made: list[Service]) -> None:
    """The same names as a zone file, with the records that fastdns makes of them.

    The TTL is not fastdns's: a cache in front of the zone shall hold for as long as a run takes.
    """
    lines = [
        f"$ORIGIN {ZONE}.",
        f"$TTL {TTL_S}",
        f"@ SOA ns.dns.{ZONE}. hostmaster.{ZONE}. 1 7200 1800 86400 {TTL_S}",
        f"@ NS ns.dns.{ZONE}.",
        "ns.dns A 127.0.0.1",
    ]
    for service in made:
        owner = f"{service.name}.{service.namespace}.svc"
        lines += [f"{owner} A {address}" for address in service.addresses]
        if not service.headless:
            lines.append(f"_http._tcp.{owner} SRV 0 100 80 {owner}")
    path.write_text("\n".join(lines) + "\n")


def write_local_data(path: Path, made: list[Service]) -> None:
    """The same records as local-data of Unbound."""
    records = [f"{ZONE}. {TTL_S} SOA ns.dns.{ZONE}. hostmaster.{ZONE}. 1 7200 1800 86400 {TTL_S}"]
    for service in made:
        records += [f"{service.fqdn}. {TTL_S} A {address}" for address in service.addresses]
        if not service.headless:
            records.append(f"_http._tcp.{service.fqdn}. {TTL_S} SRV 0 100 80 {service.fqdn}.")
    path.write_text("\n".join(["server:", *(f"local-data: '{record}'" for record in records)]) + "\n")


def hosts(count: int) -> list[tuple[str, str]]:
    """This many names outside of the cluster, with an address each."""
    return [(f"host-{i}.{OUTSIDE}", str(ipaddress.IPv4Address(HOSTS_FROM + i))) for i in range(count)]


def write_outside(path: Path, made: list[tuple[str, str]]) -> None:
    """The hosts as a zone file, for an upstream."""
    lines = [
        f"$ORIGIN {OUTSIDE}.",
        f"$TTL {TTL_S}",
        f"@ SOA ns.{OUTSIDE}. hostmaster.{OUTSIDE}. 1 7200 1800 86400 5",
        f"@ NS ns.{OUTSIDE}.",
        "ns A 127.0.0.1",
        *(f"{name}. A {address}" for name, address in made),
    ]
    path.write_text("\n".join(lines) + "\n")


def asks_for(made: list[tuple[str, str]], seed: int = 1) -> list[bytes]:
    """A query for the A records of each host, in random order."""
    queries = [query(name) for name, _ in made]
    random.Random(seed).shuffle(queries)
    return queries


def mixes(made: list[Service], seed: int = 1) -> list[Mix]:
    """The mixes, each over all services of its kind, in random order."""
    rng = random.Random(seed)
    plain = [service for service in made if not service.headless]
    headless = [service for service in made if service.headless]
    hits = [query(service.fqdn) for service in plain]
    rng.shuffle(hits)

    def searched(service: Service) -> bytes:
        # The name with the search list of a pod in another namespace.
        return query(f"{service.name}.{service.namespace}.ns-{rng.randrange(NAMESPACES)}.svc.{ZONE}")

    def port_of(service: Service) -> bytes:
        return query(f"_http._tcp.{service.fqdn}", "SRV")

    def mixed(service: Service, draw: float) -> bytes:
        if draw < 0.4:
            return query(service.fqdn)
        if draw < 0.7:
            return query(service.fqdn, "AAAA")
        return searched(service) if draw < 0.9 else port_of(service)

    draws = [(i + 0.5) / len(plain) for i in range(len(plain))]
    rng.shuffle(draws)
    order = rng.sample(plain, len(plain))
    mix = [mixed(service, draw) for service, draw in zip(order, draws, strict=True)]
    heads = [query(service.fqdn) for service in headless]
    rng.shuffle(heads)
    absent = [searched(service) for service in rng.sample(plain, len(plain))]
    ports = [port_of(service) for service in rng.sample(plain, len(plain))]
    return [
        Mix("hit", hits, "A of services with an address"),
        Mix("mix", mix, "40% A, 30% AAAA without data, 20% search-path NXDOMAIN, 10% SRV"),
        Mix("nxdomain", absent, "A of what a search list makes of a name"),
        Mix("headless", heads, "A of headless services, all endpoints"),
        Mix("srv", ports, "SRV of a named port"),
    ]
