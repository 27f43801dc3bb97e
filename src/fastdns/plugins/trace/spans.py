"""Spans, and how each kind of collector wants them: Zipkin's API version 2, Datadog's 0.4, and OTLP 1 as JSON.

A trace has a span of the query, named ``servedns`` as in CoreDNS, and below it one of each step that took part,
named as its plugin, and one of each time that a step has waited, for an upstream for example.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fastdns.dns.mnemonics import RCODES, TYPES
from fastdns.plugins.trace.config import DATADOG, OTLP, ZIPKIN, Config

QUERY = "servedns"
SERVER_KIND, CLIENT_KIND, INTERNAL_KIND = "SERVER", "CLIENT", "INTERNAL"
# SpanKind of OTLP
OTLP_KINDS = {INTERNAL_KIND: 1, SERVER_KIND: 2, CLIENT_KIND: 3}
OTLP_ERROR = 2
FAILED = ("SERVFAIL", "REFUSED", "FORMERR", "NOTIMP")


@dataclass(frozen=True, slots=True)
class Span:
    """trace: 16 bytes. number, parent: 1 to 2**64 - 1; 0: there is no parent. Times: nanoseconds since 1970.
    remote: the client."""

    trace: bytes
    number: int
    parent: int
    name: str
    kind: str
    began_ns: int
    ended_ns: int
    tags: dict[str, str] = field(default_factory=dict)
    remote: tuple[str, int] | None = None
    failed: bool = False


def name_text(wire: bytes) -> str:
    """A name in wire form as text; bytes that are not printable as ``\\DDD``."""
    labels = []
    at = 0
    while at < len(wire) and wire[at]:
        label = wire[at + 1 : at + 1 + wire[at]]
        labels.append("".join(chr(c) if 33 <= c <= 126 and c not in b'."\\' else f"\\{c:03}" for c in label))
        at += wire[at] + 1
    return ".".join(labels) + "."


def spans_of(event: tuple[Any, ...], names: Sequence[str], since_1970_ns: int, protos: Sequence[str]) -> list[Span]:
    """The spans of an event of a TraceRing. names: of the block's steps. since_1970_ns: of the clock's 0. protos:
    by the number of a transport."""
    _, trace, began_ns, ended_ns, wire, qtype, rcode, client, port, transport, steps = event
    first = int.from_bytes(trace[8:], "big") or 1
    address = str(ipaddress.ip_address(client))
    said = RCODES.get(rcode, str(rcode))
    tags = {
        "name": name_text(wire), "type": TYPES.get(qtype, f"TYPE{qtype}"), "rcode": said,
        "proto": protos[transport], "remote": address,
    }  # fmt: skip
    spans = [
        Span(
            trace, first, 0, QUERY, SERVER_KIND, began_ns + since_1970_ns, ended_ns + since_1970_ns, tags,
            (address, port), said in FAILED,
        )
    ]  # fmt: skip
    for place, (step, waits, begin, end) in enumerate(steps):
        name = names[step] if step < len(names) else str(step)
        # Numbers next to the first one, of all that there are.
        number = (first + place) % (2**64 - 1) + 1
        spans.append(
            Span(
                trace, number, first, f"{name} waits" if waits else name, CLIENT_KIND if waits else INTERNAL_KIND,
                begin + since_1970_ns, end + since_1970_ns,
            )
        )  # fmt: skip
    return spans


def as_zipkin(spans: Sequence[Span], config: Config) -> list[dict[str, Any]]:
    """https://zipkin.io/zipkin-api, POST /api/v2/spans."""
    found = []
    for span in spans:
        one: dict[str, Any] = {
            "traceId": span.trace.hex(), "id": f"{span.number:016x}", "name": span.name,
            "timestamp": span.began_ns // 1000, "duration": max(1, (span.ended_ns - span.began_ns) // 1000),
            "localEndpoint": {"serviceName": config.service},
        }  # fmt: skip
        if span.parent:
            one["parentId"] = f"{span.parent:016x}"
        if span.kind != INTERNAL_KIND:
            one["kind"] = span.kind
        if span.remote is not None:
            key = "ipv6" if ":" in span.remote[0] else "ipv4"
            one["remoteEndpoint"] = {key: span.remote[0], "port": span.remote[1]}
        if span.tags:
            one["tags"] = {f"coredns.io/{name}": text for name, text in span.tags.items()}
            if span.failed:
                one["tags"]["error"] = span.tags["rcode"]
        found.append(one)
    return found


def as_datadog(spans: Sequence[Span], config: Config) -> list[list[dict[str, Any]]]:
    """A list of traces, each a list of spans: the agent's /v0.4/traces takes JSON as well as msgpack."""
    traces: dict[bytes, list[dict[str, Any]]] = {}
    for span in spans:
        one: dict[str, Any] = {
            "trace_id": int.from_bytes(span.trace[8:], "big"), "span_id": span.number, "parent_id": span.parent,
            "name": span.name, "resource": span.name, "service": config.service, "type": "dns",
            "start": span.began_ns, "duration": span.ended_ns - span.began_ns, "error": int(span.failed),
            "meta": {f"coredns.io@{name}": text for name, text in span.tags.items()}, "metrics": {},
        }  # fmt: skip
        if not span.parent:
            one["meta"]["_dd.p.tid"] = span.trace[:8].hex()
            one["metrics"]["_sampling_priority_v1"] = 1
            if config.analytics_rate:
                one["metrics"]["_dd1.sr.eausr"] = config.analytics_rate
        traces.setdefault(span.trace, []).append(one)
    return list(traces.values())


def as_otlp(spans: Sequence[Span], config: Config) -> dict[str, Any]:
    """ExportTraceServiceRequest as JSON: numbers of 64 bits are strings, those of traces and spans hexadecimal."""

    def attributes(texts: dict[str, str]) -> list[dict[str, Any]]:
        return [{"key": key, "value": {"stringValue": text}} for key, text in texts.items()]

    found = []
    for span in spans:
        one: dict[str, Any] = {
            "traceId": span.trace.hex(), "spanId": f"{span.number:016x}", "name": span.name,
            "kind": OTLP_KINDS[span.kind], "startTimeUnixNano": str(span.began_ns),
            "endTimeUnixNano": str(span.ended_ns),
            "attributes": attributes({f"coredns.io/{name}": text for name, text in span.tags.items()}),
        }  # fmt: skip
        if span.parent:
            one["parentSpanId"] = f"{span.parent:016x}"
        if span.failed:
            one["status"] = {"code": OTLP_ERROR, "message": span.tags["rcode"]}
        found.append(one)
    return {
        "resourceSpans": [{
            "resource": {"attributes": attributes({"service.name": config.service})},
            "scopeSpans": [{"scope": {"name": "fastdns"}, "spans": found}],
        }]
    }  # fmt: skip


FORMATS = {ZIPKIN: as_zipkin, DATADOG: as_datadog, OTLP: as_otlp}


def body_of(spans: Sequence[Span], config: Config) -> bytes:
    """What is posted."""
    return json.dumps(FORMATS[config.kind](spans, config), separators=(",", ":")).encode()
