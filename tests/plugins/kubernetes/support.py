"""A cluster, its writer and one serving thread in this process: objects in, DNS messages out."""

from __future__ import annotations

import copy
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import msgspec
import yaml

from fastdns.bench.apiserver.protobuf import OBJECTS
from fastdns.memory._store import Store, Writer
from fastdns.plugins.kubernetes._step import KubernetesStep
from fastdns.plugins.kubernetes.answers._options import AnswerOptions
from fastdns.plugins.kubernetes.api.formats import ProtobufFormat
from fastdns.plugins.kubernetes.objects import TYPES
from fastdns.plugins.kubernetes.records._names import address_bytes
from fastdns.plugins.kubernetes.records._sink import ClusterWriter
from fastdns.plugins.kubernetes.selectors import parse_selector
from fastdns.plugins.kubernetes.sink import Resource
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable

NOW = 1_700_000_000
SERVICE_LABEL = "kubernetes.io/service-name"
IMPORT_LABEL = "multicluster.kubernetes.io/service-name"

KINDS = {
    "Service": Resource.SERVICE,
    "EndpointSlice": Resource.SLICE,
    "Namespace": Resource.NAMESPACE,
    "Pod": Resource.POD,
    "ServiceImport": Resource.IMPORT,
}


@dataclass(frozen=True)
class Options:
    """A kubernetes block of a Corefile, and what surrounds it in a test."""

    zones: Sequence[str] = ("cluster.local.", "in-addr.arpa.", "ip6.arpa.")
    ttl: int = 5
    pods: str = "disabled"
    fallthrough: Sequence[str] = ()
    namespaces: Sequence[str] = ()
    namespace_labels: str = ""
    labels: str = ""
    endpoint_pod_names: bool = False
    noendpoints: bool = False
    ignore_empty_service: bool = False
    multicluster: Sequence[str] = ()
    zonal: bool = False
    local: Sequence[str] = ()
    exposed: bool = False
    described: Sequence[str] = ()
    unlisted: Resource | None = None  # a resource that the source has not listed yet

    @property
    def primary(self) -> str:
        """The first zone that is not a reverse one, or else one of the reverse roots."""
        return min(self.zones, key=lambda zone: (zone.endswith(".arpa."), zone.count(".") > 2))


@dataclass(frozen=True)
class Case:
    """A question and everything that its answer holds. Records are in presentation form, as sets a section.

    soa: the zone whose SOA record stands in the authority section (a negative answer).
    coredns: what CoreDNS says, where fastdns differs on purpose; or why it is not asked.
    """

    qname: str
    qtype: str
    answer: Sequence[str] = ()
    additional: Sequence[str] = ()
    soa: str | None = None
    rcode: str = "NOERROR"
    aa: bool = True
    why: str = ""
    coredns: str = ""


@dataclass(frozen=True)
class Theme:
    """Cases that share a cluster and options. other: a second block (zone, options) of the same server."""

    name: str
    options: Options
    objects: str
    cases: Sequence[Case] = field(default_factory=list)
    other: Options | None = None


def negatives(qname: str, qtypes: str, why: str, rcode: str, soa: str, coredns: str) -> list[Case]:
    """One negative case a type of qtypes."""
    return [Case(qname, qtype, soa=soa, rcode=rcode, why=why, coredns=coredns) for qtype in qtypes.split()]


def no_data(qname: str, qtypes: str, why: str, *, soa: str = "cluster.local.", coredns: str = "") -> list[Case]:
    """The name exists without data of these types."""
    return negatives(qname, qtypes, why, "NOERROR", soa, coredns)


def name_error(qname: str, qtypes: str, why: str, *, soa: str = "cluster.local.", coredns: str = "") -> list[Case]:
    """The name does not exist."""
    return negatives(qname, qtypes, why, "NXDOMAIN", soa, coredns)


def server_failure(
    qname: str, qtypes: str, why: str, *, soa: str = "cluster.local.", coredns: str = ""
) -> list[Case]:
    """The name may exist: the cluster is not known yet."""
    return negatives(qname, qtypes, why, "SERVFAIL", soa, coredns)


def refused(qname: str, qtypes: str, why: str) -> list[Case]:
    """No record at all, and no authority."""
    return [Case(qname, qtype, rcode="REFUSED", aa=False, why=why) for qtype in qtypes.split()]


def wire(name: str) -> bytes:
    """A domain name in lowercased wire form."""
    return dns.name.from_text(name.lower()).to_wire()


def label(text: str) -> bytes:
    """A label in lowercased wire form."""
    return bytes((len(text),)) + text.lower().encode()


def load_objects(text: str) -> list[dict[str, Any]]:
    """The documents of a YAML stream; each that has ``items`` stands for them."""
    found = []
    for document in yaml.safe_load_all(text):
        if document:
            found.extend(document.get("items", [document]))
    return found


def resources_of(document: dict[str, Any], options: Options) -> list[Resource]:
    """The resources that a source with these options would take the object for."""
    resource = KINDS[document["kind"]]
    meta = document["metadata"]
    labels = meta.get("labels") or {}
    if (
        options.labels
        and resource in (Resource.SERVICE, Resource.SLICE, Resource.POD)
        and not parse_selector(options.labels).matches(labels)
    ):
        return []
    if (
        options.namespace_labels
        and resource in (Resource.NAMESPACE, Resource.IMPORT)
        and not parse_selector(options.namespace_labels).matches(labels)
    ):
        return []
    if resource == Resource.SLICE:
        found = [] if options.noendpoints else [Resource.SLICE]
        if options.multicluster and IMPORT_LABEL in labels:
            found.append(Resource.IMPORT_SLICE)
        return found
    if resource == Resource.IMPORT and not options.multicluster:
        return []
    if resource == Resource.POD and options.pods != "verified":
        return []
    return [resource]


def needed(options: Options) -> list[Resource]:
    """The resources that must be listed before the block is synced."""
    found = [Resource.SERVICE, Resource.NAMESPACE]
    if not options.noendpoints:
        found.append(Resource.SLICE)
    if options.pods == "verified":
        found.append(Resource.POD)
    if options.multicluster:
        found += [Resource.IMPORT, Resource.IMPORT_SLICE]
    return found


def make_step(options: Options, source: int) -> KubernetesStep:
    """The step that the options describe."""
    return KubernetesStep(make_answer_options(options, source))


def make_answer_options(options: Options, source: int) -> AnswerOptions:
    """How names are answered, as the options describe it."""
    return AnswerOptions(
        source=source,
        zones=[(wire(zone), zone in options.multicluster) for zone in options.zones],
        primary=wire(options.primary),
        ttl_s=options.ttl,
        pods=options.pods,
        fall=[wire(zone) for zone in options.fallthrough],
        namespaces=[label(name) for name in options.namespaces],
        local=[address_bytes(text) for text in options.local],
        ignore_empty_service=options.ignore_empty_service,
        zonal=options.zonal,
    )


def by_struct(resource: Resource, document: dict[str, Any]) -> Any:
    """An object as JSON brings it."""
    return msgspec.convert(copy.deepcopy(document), TYPES[resource], strict=False)


def by_protobuf(resource: Resource, document: dict[str, Any]) -> Any:
    """A slice as protobuf brings it; any other object as JSON does."""
    if resource not in (Resource.SLICE, Resource.IMPORT_SLICE):
        return by_struct(resource, document)
    # Protobuf has 32 bits for the number of a port: one that takes more is as wrong as this one.
    ports = [
        port | ({} if -(2**31) <= port.get("port", 0) < 2**31 else {"port": 65536})
        for port in document.get("ports") or []
    ]
    return ProtobufFormat(resource).object_of(OBJECTS["EndpointSlice"](0, document | {"ports": ports}))


# How documents become the objects that the writer is given; fixtures set it.
FORM = by_struct


class Block:
    """One kubernetes block: its options, the writer of its records, its step."""

    def __init__(self, store_writer: Writer, options: Options, source: int, **writer_options: Any) -> None:
        self.options = options
        self.source = source
        self.step = make_step(options, source)
        self.now = NOW
        self.writer_options = writer_options
        self.take_over(store_writer)

    def take_over(self, store_writer: Writer) -> None:
        """A new writer of the cluster's records, as after the watcher's death."""
        self.writer = ClusterWriter(
            store_writer,
            self.source,
            needed(self.options),
            endpoint_pod_names=self.options.endpoint_pod_names,
            zonal=self.options.zonal,
            exposed=self.options.exposed,
            described=self.options.described,
            clock=lambda: self.now,
            **self.writer_options,
        )

    def convert(self, document: dict[str, Any]) -> list[tuple[Resource, Any]]:
        """The object as each resource that it is taken for."""
        return [(resource, FORM(resource, document)) for resource in resources_of(document, self.options)]

    def list_all(self, documents: Iterable[dict[str, Any]], only: Iterable[Resource] | None = None) -> None:
        """List every resource (or only some) as the source does at its start."""
        found: dict[Resource, list[Any]] = {}
        for document in documents:
            for resource, obj in self.convert(document):
                found.setdefault(resource, []).append(obj)
        for resource in sorted(needed(self.options)) if only is None else only:
            self.writer.begin(resource)
            for obj in found.get(resource, ()):
                self.writer.upsert(resource, obj)
            self.writer.end(resource)

    def upsert(self, document: dict[str, Any]) -> None:
        """One ADDED or MODIFIED event."""
        for resource, obj in self.convert(document):
            self.writer.upsert(resource, obj)
        self.writer.flush()

    def leave(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        """DELETED events of the watches whose selector a changed object has left."""
        for resource in set(resources_of(old, self.options)) - set(resources_of(new, self.options)):
            self.writer.delete(resource, FORM(resource, old))

    def delete(self, document: dict[str, Any]) -> None:
        """One DELETED event."""
        for resource, obj in self.convert(document):
            self.writer.delete(resource, obj)
        self.writer.flush()


class Cluster:
    """A store, its writer, one or two kubernetes blocks and a serving thread.

    The server has the block's zones, those of ``other`` where there is one, and what ``extra_zones`` (zone ->
    steps) gives. ``before`` and ``after`` are steps around the kubernetes step of the first block.
    """

    def __init__(
        self,
        options: Options | None = None,
        objects: str | list[dict[str, Any]] = "",
        *,
        other: Options | None = None,
        before: Sequence[Any] = (),
        after: Sequence[Any] = (),
        extra_zones: dict[str, Sequence[Any]] | None = None,
        max_bytes: int = 16 << 20,
        source: int = 0,
        **writer_options: Any,
    ) -> None:
        self.options = options or Options()
        self.documents = load_objects(objects) if isinstance(objects, str) else list(objects)
        self.store = Store(max_bytes)
        self.store_writer = Writer(self.store)
        self.block = Block(self.store_writer, self.options, source, **writer_options)
        self.blocks = [self.block]
        if other is not None:
            self.blocks.append(Block(self.store_writer, other, source + 2))
        zones: list[tuple[str, int, None]] = [(zone, 0, None) for zone in self.options.zones]
        chains: list[list[Any]] = [[*before, self.block.step, *after]]
        if other is not None:
            zones += [(zone, 1, None) for zone in other.zones]
            chains.append([self.blocks[1].step])
        for zone, steps in (extra_zones or {}).items():
            zones.append((zone, len(chains), None))
            chains.append(list(steps))
        self.table = ServerTable(zones, chains)
        self.worker = Worker(self.table, self.store, 0)
        for block in self.blocks:
            block.list_all(self.documents, [one for one in needed(block.options) if one != block.options.unlisted])

    def ask_bytes(self, message: bytes, **how: Any) -> bytes | None:
        """The reply to a message, as bytes."""
        return self.worker.serve(message, **how)

    def ask(self, qname: str, qtype: str, *, tcp: bool = True, **edns: Any) -> dns.message.Message:
        """The reply to a question, parsed strictly: no trailing bytes, counts that hold."""
        query = dns.message.make_query(qname, qtype, **edns)
        raw = self.ask_bytes(query.to_wire(), tcp=tcp)
        assert raw is not None, "silence"
        reply = dns.message.from_wire(raw, one_rr_per_rrset=True)
        assert reply.id == query.id
        assert reply.question[0].to_text() == query.question[0].to_text()
        assert struct.unpack_from("!H", raw, 4)[0] == 1
        return reply


def records(section: Iterable[dns.rrset.RRset]) -> list[str]:
    """A section's records in presentation form, sorted."""
    return sorted(
        f"{rrset.name} {rrset.ttl} {dns.rdataclass.to_text(rrset.rdclass)} "
        f"{dns.rdatatype.to_text(rrset.rdtype)} {rdata.to_text()}"
        for rrset in section
        for rdata in rrset
    )


def soa_text(zone: str, ttl: int, serial: int = NOW) -> str:
    """The SOA record of a negative answer: RFC 2308 section 3, at most five minutes."""
    dot = "" if zone == "." else zone
    return (
        f"{zone} {min(ttl, 300)} IN SOA ns.dns.{dot or '.'} hostmaster.{dot or '.'} {serial} 7200 1800 86400 {ttl}"
    ).replace("..", ".")


def expected(case: Case, options: Options, serial: int = NOW) -> dict[str, Any]:
    """What summary must give for a reply to the case."""
    return {
        "rcode": case.rcode,
        "aa": case.aa,
        "answer": sorted(case.answer),
        "authority": [] if case.soa is None else [soa_text(case.soa, options.ttl, serial)],
        "additional": sorted(case.additional),
    }


def summary(reply: dns.message.Message) -> dict[str, Any]:
    """What a reply says."""
    return {
        "rcode": dns.rcode.to_text(reply.rcode()),
        "aa": bool(reply.flags & dns.flags.AA),
        "answer": records(reply.answer),
        "authority": records(reply.authority),
        "additional": records(reply.additional),
    }
