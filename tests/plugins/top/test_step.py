"""The step: which queries are counted, and as what."""

from __future__ import annotations

import time

import dns.message
import pytest

from fastdns.dns.names import wire_name
from fastdns.plugins.any._step import AnyStep
from fastdns.plugins.top._sketch import Sketches, ThreadSketch
from fastdns.plugins.top._step import TopStep
from fastdns.plugins.whoami._step import WhoamiStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import NativeStep, ServerTable

pytestmark = pytest.mark.native

HOUR_NS = 3_600_000_000_000


def counted(*steps: NativeStep) -> tuple[Worker, Sketches, ThreadSketch]:
    sketches = Sketches(1, 64, HOUR_NS)
    worker = Worker(ServerTable([(".", 0, None)], [[TopStep(1), *steps]]))
    thread = ThreadSketch(sketches, 0)
    thread.attach(worker)
    return worker, sketches, thread


def told(sketches: Sketches, kind: str) -> dict[bytes, int]:
    return {data: least for data, _, least, _ in sketches.top(kind, 100, time.monotonic_ns())}


def query(name: str, kind: str = "A") -> bytes:
    return dns.message.make_query(name, kind).to_wire()


def test_clients_and_names_in_any_case_and_of_any_type() -> None:
    worker, sketches, _thread = counted(AnyStep(), WhoamiStep())
    for name, kind, client in (
        ("www.example.org", "A", b"\x0a\0\0\1"),
        ("WWW.Example.ORG", "AAAA", b"\x0a\0\0\1"),
        ("www.example.org", "ANY", b"\x0a\0\0\2"),
        (".", "A", bytes(15) + b"\1"),
    ):
        assert worker.serve(query(name, kind), client=client)
    assert told(sketches, "names") == {wire_name("www.example.org"): 3, b"\0": 1}
    assert told(sketches, "clients") == {b"\x0a\0\0\1": 2, b"\x0a\0\0\2": 1, bytes(15) + b"\1": 1}
    assert told(sketches, "nxdomains") == {}
    assert told(sketches, "slow") == {}, "what is answered from memory is never slow"
    assert sketches.queries(time.monotonic_ns()) == 4


def test_a_query_without_an_answer_counts_too() -> None:
    worker, sketches, _thread = counted()
    assert worker.serve(query("www.example.org"))
    assert told(sketches, "names") == {wire_name("www.example.org"): 1}


def test_what_is_no_query_does_not_count() -> None:
    worker, sketches, _thread = counted(WhoamiStep())
    assert worker.serve(b"\0" * 5) is None
    assert sketches.queries(time.monotonic_ns()) == 0


def test_a_thread_without_a_sketch_serves_all_the_same() -> None:
    worker = Worker(ServerTable([(".", 0, None)], [[TopStep(1), WhoamiStep()]]))
    assert worker.serve(query("www.example.org"))
    worker, _, thread = counted(WhoamiStep())
    del thread
    assert worker.serve(query("www.example.org"))
