"""trace of a running server: what collectors of each kind are told, and what becomes of it when they fail."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.plugins.forward.engine.support import Upstream
from tests.plugins.trace.collector import Collector
from tests.support import Server, free_port, wait_until

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    metadata
    log . "traced {/trace/traceid}"
    trace KIND 127.0.0.1:COLLECTOR {
        service here
        zipkin_max_batch_interval 50ms
        OPTIONS
    }
    forward . 127.0.0.1:UPSTREAM
}
"""


def corefile(kind: str, collector: int, upstream: int, options: str = "every 1") -> str:
    text = COREFILE.replace("KIND", kind).replace("COLLECTOR", str(collector)).replace("OPTIONS", options)
    return text.replace("UPSTREAM", str(upstream))


def spans_of(collector: Collector) -> list[dict[str, Any]]:
    """What Zipkin was told of, when there is a span of a query."""
    wait_until(lambda: any(span["name"] == "servedns" for span in collector.zipkin()), 20, "a span of a query")
    return collector.zipkin()


def test_zipkin(tmp_path: Path) -> None:
    before = time.time_ns() // 1000
    with (
        Collector() as collector, Upstream() as upstream,
        Server(tmp_path, corefile("zipkin", collector.port, upstream.port), workers=1) as server,
    ):  # fmt: skip
        server.query("A.example.", "A")
        spans = spans_of(collector)
        after = time.time_ns() // 1000
        posted = collector.posted[0]
        assert (posted.path, posted.headers["Content-Type"]) == ("/api/v2/spans", "application/json")
        (root,) = (span for span in spans if span["name"] == "servedns")
        assert root["kind"] == "SERVER"
        assert "parentId" not in root
        assert root["localEndpoint"] == {"serviceName": "here"}
        assert root["remoteEndpoint"]["ipv4"] == "127.0.0.1"
        assert root["tags"] == {
            "coredns.io/name": "a.example.", "coredns.io/type": "A", "coredns.io/rcode": "NOERROR",
            "coredns.io/proto": "udp", "coredns.io/remote": "127.0.0.1",
        }  # fmt: skip
        below = [span for span in spans if span is not root]
        assert {"prometheus", "log", "forward", "forward waits"} <= {span["name"] for span in below}
        assert all(span["parentId"] == root["id"] and span["traceId"] == root["traceId"] for span in below)
        assert len({span["id"] for span in spans}) == len(spans)
        (waits,) = (span for span in below if span["name"] == "forward waits")
        assert waits["kind"] == "CLIENT"
        assert before - 10_000 <= root["timestamp"] <= waits["timestamp"] <= after + 10_000
        assert waits["duration"] <= root["duration"]
        # The value says the same number.
        server.wait_for_log(f"traced {root['traceId']}")
        assert server.total("fastdns_trace_sent_spans_total") == len(collector.zipkin())
        assert server.total("fastdns_trace_dropped_spans_total") == 0
        # What still waits is sent at the end.
        server.query("b.example.", "A")
        assert server.stop() == 0
    assert "b.example." in [span["tags"]["coredns.io/name"] for span in collector.zipkin() if "tags" in span]


def test_datadog(tmp_path: Path) -> None:
    with (
        Collector(200) as collector, Upstream() as upstream,
        Server(
            tmp_path, corefile("datadog", collector.port, upstream.port, "datadog_analytics_rate 0.5"), workers=1
        ) as server,
    ):  # fmt: skip
        server.query("a.example.", "A")
        wait_until(lambda: collector.posted, 20, "a trace")
        posted = collector.posted[0]
        assert (posted.path, posted.headers["X-Datadog-Trace-Count"]) == ("/v0.4/traces", "1")
        (spans,) = posted.said
        root = next(span for span in spans if span["name"] == "servedns")
        assert (root["service"], root["parent_id"], root["error"]) == ("here", 0, 0)
        assert root["meta"]["coredns.io@name"] == "a.example."
        assert root["metrics"]["_dd1.sr.eausr"] == 0.5
        assert all(span["trace_id"] == root["trace_id"] for span in spans)
        assert {span["parent_id"] for span in spans} == {0, root["span_id"]}


def test_otlp(tmp_path: Path) -> None:
    with (
        Collector(200) as collector,
        # Nobody listens there: the reply is SERVFAIL.
        Server(tmp_path, corefile("otlp", collector.port, free_port()), workers=1) as server,
    ):
        server.query("a.example.", "A")
        wait_until(lambda: collector.posted, 20, "a trace")
        posted = collector.posted[0]
        assert posted.path == "/v1/traces"
        (resource,) = posted.said["resourceSpans"]
        assert resource["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "here"}}]
        (scope,) = resource["scopeSpans"]
        root = next(span for span in scope["spans"] if span["name"] == "servedns")
        assert root["kind"] == 2
        assert root["status"] == {"code": 2, "message": "SERVFAIL"}
        assert len(root["traceId"]) == 32 and len(root["spanId"]) == 16
        assert int(root["startTimeUnixNano"]) <= int(root["endTimeUnixNano"])
        assert {"key": "coredns.io/rcode", "value": {"stringValue": "SERVFAIL"}} in root["attributes"]


def test_a_collector_that_fails_delays_nobody(tmp_path: Path) -> None:
    """Spans that it does not take are counted, and the log says why, at a bounded rate."""
    with (
        Collector(503) as collector, Upstream() as upstream,
        Server(tmp_path, corefile("zipkin", collector.port, upstream.port), workers=1) as server,
    ):  # fmt: skip
        for _ in range(3):
            server.query("a.example.", "A")
            wait_until(lambda: len(collector.posted) > 0, 20, "a trace")
            collector.posted.clear()
        wait_until(lambda: server.total("fastdns_trace_failed_spans_total") > 0, 20, "failed spans")
        assert server.log.count("failed to send spans to") == 1
        assert "status 503" in server.log


def test_no_query_is_traced_with_every_0_and_a_backlog_is_bounded(tmp_path: Path) -> None:
    with Collector() as collector, Upstream() as upstream:
        text = corefile("zipkin", free_port(), upstream.port, "zipkin_max_backlog_size 3")
        with Server(tmp_path, text, workers=1) as server:
            for _ in range(5):
                server.query("a.example.", "A")
            wait_until(lambda: server.total("fastdns_trace_dropped_spans_total") > 0, 20, "dropped spans")
            server.write_corefile(corefile("zipkin", collector.port, upstream.port, "every 0"))
            server.reload()
            server.query("a.example.", "A")
            assert server.stop() == 0
        assert not collector.posted
