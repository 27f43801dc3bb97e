"""The step: which queries it chooses, and what it tells of them."""

from __future__ import annotations

import time

import dns.message
import pytest

from fastdns.plugins.any._step import AnyStep
from fastdns.plugins.trace._step import TraceRing, TraceStep
from fastdns.plugins.whoami._step import WhoamiStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable

pytestmark = pytest.mark.native


def traced(every: int) -> tuple[Worker, TraceRing]:
    worker = Worker(ServerTable([(".", 0, None)], [[TraceStep(7, every), AnyStep(), WhoamiStep()]]))
    ring = TraceRing(4711)
    ring.attach(worker)
    return worker, ring


def ask(worker: Worker, count: int, qtype: str = "A") -> None:
    for number in range(count):
        query = dns.message.make_query("Example.org.", qtype, id=number & 0xFFFF)
        assert worker.serve(query.to_wire()) is not None


def test_what_is_told_of_a_query() -> None:
    worker, ring = traced(1)
    before = time.monotonic_ns()
    ask(worker, 1)
    event = ring.take()
    assert event is not None
    block, trace, _, ended, name, qtype, rcode, client, _, transport, spans = event
    assert (block, name, qtype, rcode, transport) == (7, b"\7example\3org\0", 1, 0, 0)
    assert len(trace) == 16 and len(client) in (4, 16)
    # Both steps behind it had their turn, one after the other.
    assert [(step, waits) for step, waits, _, _ in spans] == [(1, False), (2, False)]
    assert before <= spans[0][2] <= spans[0][3] <= spans[1][2] <= spans[1][3] <= ended <= time.monotonic_ns()
    assert ring.take() is None


def test_a_step_that_answers_is_the_last() -> None:
    worker, ring = traced(1)
    ask(worker, 1, "ANY")
    event = ring.take()
    assert event is not None
    assert [step for step, _, _, _ in event[10]] == [1]


@pytest.mark.parametrize(("every", "least", "most"), [(0, 0, 0), (1, 400, 400), (10, 15, 80)])
def test_one_of_so_many_queries_is_chosen(every: int, least: int, most: int) -> None:
    worker, ring = traced(every)
    ask(worker, 400)
    traces = set()
    while (event := ring.take()) is not None:
        traces.add(event[1])
    assert least <= len(traces) <= most


def test_what_finds_no_room_is_counted() -> None:
    worker, ring = traced(1)
    ask(worker, 5000)
    taken = 0
    while ring.take() is not None:
        taken += 1
    assert ring.dropped > 0
    assert taken + ring.dropped == 5000


def test_without_a_ring_nothing_is_traced() -> None:
    worker = Worker(ServerTable([(".", 0, None)], [[TraceStep(0, 1), WhoamiStep()]]))
    ask(worker, 1)
