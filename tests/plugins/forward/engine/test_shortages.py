"""What this process has too little of (places, descriptors, room on the way out) counts against no upstream."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterator

import dns.flags
import pytest

from fastdns.metrics._stats import upstream_layout
from tests.plugins.forward.engine.support import (
    HOST,
    SLOW,
    Asked,
    Forwarder,
    Reply,
    Upstream,
    addresses,
    echo,
    forward,
    good,
    question,
    response,
    silent,
)
from tests.support import wait_until

pytestmark = pytest.mark.native

DOWN_AFTER = 3


@contextlib.contextmanager
def nothing_opens() -> Iterator[None]:
    """This process can open no descriptor, not even in place of one that it closes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Of the first three none is ever free, and poll wants to be allowed as many as it waits for.
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def of_slow(forwarder: Forwarder, name: str) -> int:
    """A counter of the first upstream, as the event-loop thread counts."""
    values = forwarder.stats.upstream_values(SLOW, forwarder.routes.upstreams[0].slot)
    return int(values[upstream_layout()[name][0]])


def test_probes_that_find_no_descriptor() -> None:
    """They could not be sent, and the upstream was taken for dead: SERVFAIL although there was a way again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind((HOST, 0))
        port = holder.getsockname()[1]
        options = {"health_check": "10ms", "max_fails": DOWN_AFTER, "failfast_all_unhealthy_upstreams": ""}
        with Forwarder(forward(f"{HOST}:{port}", **options)) as forwarder:
            client = forwarder.client()
            client.send(question(0))
            wait_until(lambda: forwarder.out == 1)
            with nothing_opens():
                # Sent again for silence, it is refused: a probe begins, and finds nothing to be sent from.
                holder.close()
                assert client.receive_wire()[3] & 0xF == 2
                assert "upstream_send" in forwarder.failed() or "upstream_refused" in forwarder.failed()
                for number in range(10 * DOWN_AFTER):
                    client.send(question(number))
                    assert client.receive_wire()[3] & 0xF == 2
                    time.sleep(0.01)
            assert "no_healthy_upstream" not in forwarder.failed()
            with Upstream(port=port):
                assert addresses(forwarder.ask()) == ["192.0.2.1"]
                forwarder.settles()


def test_probes_that_find_the_ring_to_the_other_thread_full() -> None:
    options = {
        "force_tcp": "", "read_timeout": "100ms", "health_check": "10ms", "max_fails": DOWN_AFTER,
        "failfast_all_unhealthy_upstreams": "",
    }  # fmt: skip
    with Upstream(silent, tcp=silent) as up, Forwarder(forward(up.to, **options), room=8192) as forwarder:
        client = forwarder.client()
        client.send(question(0))
        assert client.receive_wire()[3] & 0xF == 2
        wait_until(lambda: up.probes)
        forwarder.loop.call_soon_threadsafe(time.sleep, 2.5)
        begun = time.monotonic()
        number = 0
        while time.monotonic() - begun < 2:
            # Until the probe's second is over, and for many of its intervals.
            client.send(question(number := number + 1))
            if number % 64 == 0:
                wait_until(lambda: forwarder.count("queries") >= number)
        assert forwarder.count("streams_shed") > 0
        assert "no_healthy_upstream" not in forwarder.failed()


@pytest.mark.parametrize("waiting", [1, 1024], ids=["no place to wait", "no connection in time"])
def test_a_pool_without_a_place(waiting: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of ours over one connection: the upstream answers, a query each 100 ms."""
    monkeypatch.setattr("fastdns.plugins.forward.pool.MAX_CONNECTIONS", 1)
    monkeypatch.setattr("fastdns.plugins.forward.pool.MAX_WAITING", waiting)
    options = {"force_tcp": "", "read_timeout": "250ms", "health_check": "10ms", "max_fails": DOWN_AFTER}
    with Upstream(silent, tcp=echo) as up, Forwarder(forward(up.to, **options)) as forwarder:
        up.tcp = up.later(echo, 0.1)
        client = forwarder.client()
        for number in range(40):
            client.send(question(number))
        codes = [client.receive_wire()[3] & 0xF for _ in range(40)]
        assert set(codes) == {0, 2}
        assert forwarder.of_upstream("failed_probes") == 0
        assert forwarder.count("streams_shed") > 0
        forwarder.settles()


def test_a_dial_that_finds_no_descriptor() -> None:
    with Upstream(tcp=good) as up, Forwarder(forward(up.to, force_tcp="", health_check="10ms")) as forwarder:
        client = forwarder.client()
        forwarder.call(prepared(forwarder))
        with nothing_opens():
            client.send(question(0))
            assert client.receive_wire()[3] & 0xF == 2
        assert "too many open files" in forwarder.desk.reasons[up.to]
        assert forwarder.failed() == {"in_flight": 1}
        assert addresses(forwarder.ask()) == ["192.0.2.1"]
        assert (up.probes, forwarder.of_upstream("broken")) == ([], 0)


async def prepared(forwarder: Forwarder) -> None:
    """What the first question imports is there."""
    forwarder.desk.of(0)


def test_what_finds_no_room_on_its_way_out_is_sent_soon() -> None:
    """It waited for as long as an upstream may be silent, 400 ms, and was counted as that upstream's silence."""
    with Upstream(echo) as up, Forwarder(forward(up.to), room=4096) as forwarder:
        delivered: list[bytes] = []
        count = 700

        def ask() -> None:
            for number in range(count):
                forwarder.slow.serve(0, question(number), socket.inet_aton(HOST), 53, delivered.append, transport=0)
            forwarder.slow.flush()
            tick()

        def tick() -> None:
            after_s = forwarder.slow.tick()
            if after_s is not None:
                forwarder.loop.call_later(after_s, tick)

        forwarder.loop.call_soon_threadsafe(ask)
        wait_until(lambda: len(delivered) == count)
        assert {reply[3] & 0xF for reply in delivered} == {0}
        assert of_slow(forwarder, "silent") == 0


def test_a_truncated_reply_and_no_descriptor_for_tcp() -> None:
    """That TCP was not tried does not show that it does not work there: the next one is asked for over it."""

    def truncated(asked: Asked) -> Reply:
        return response(asked.message, flags=dns.flags.TC)

    with Upstream(echo, tcp=good) as up, Forwarder(forward(up.to)) as forwarder:
        client = forwarder.client()
        forwarder.call(prepared(forwarder))
        client.send(question(0))
        assert client.receive_wire()[3] & 0xF == 0
        up.script = truncated
        with nothing_opens():
            client.send(question(1))
            assert client.receive().flags & dns.flags.TC
        assert not forwarder.table.shared.avoids_streams(forwarder.routes.upstreams[0].slot)
        assert addresses(forwarder.ask()) == ["192.0.2.1"]
