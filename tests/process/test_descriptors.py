"""How a worker's file descriptors are shared out, and what the log says of what it cannot have."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from fastdns.corefile import load
from fastdns.plugins.api import Demand
from fastdns.plugins.forward import descriptors, pool
from fastdns.plugins.forward.descriptors import demands
from fastdns.plugins.forward.routes import Routes, RouteTable
from fastdns.process.descriptors import Files, Needs, complaints, share, supervisor_complaint
from tests.plugins.forward.engine.support import Forwarder, Upstream, forward, good
from tests.support import COREFILE, Server

pytestmark = pytest.mark.native


def needs_with(places: int, clients: int, datagrams: int = 0, framed: int = 0, https: int = 0) -> Needs:
    """Those of a configuration with so many upstreams that are asked that way."""
    of = f"each of {framed + https} upstreams"
    return Needs(places, clients, (
        Demand("sockets", 16, 2 * datagrams, "UDP sockets", of, first=True),
        Demand("streams", 128, framed, "connections", of),
        Demand("http2_streams", 4, https, "connections", of),
    ))  # fmt: skip


# As the issue has it: 15 upstreams, 16 sockets in each of two tables and 128 streams each.
MANY = needs_with(places=2, clients=4096, datagrams=15, framed=15)


def routes_of(text: str) -> Routes:
    return asyncio.run(RouteTable().find(load(f". {{\n{text}\n}}\n")))


def test_the_bounds_are_those_of_the_parts() -> None:
    assert descriptors.MAX_STREAMS == pool.MAX_CONNECTIONS
    assert descriptors.MAX_HTTP2_STREAMS == pool.MAX_HTTP2_CONNECTIONS
    with pytest.raises(ValueError, match=f"1 to {descriptors.MAX_SOCKETS} sockets an upstream"):
        Forwarder("forward . 127.0.0.1", sockets=descriptors.MAX_SOCKETS + 1)


def test_what_a_configuration_needs() -> None:
    routes = routes_of(
        "forward a. 192.0.2.1 192.0.2.2 tls://192.0.2.3\nforward b. https://192.0.2.4 192.0.2.5\n"
        "forward . 192.0.2.1 192.0.2.6 {\nforce_tcp\n}"
    )
    needs = Needs(2, 4096, tuple(demands(routes)))
    assert needs == needs_with(places=2, clients=4096, datagrams=3, framed=6, https=1)
    assert needs.all == 40 + 8 + 4096 + 3 * 32 + 6 * 128 + 4
    assert Needs(1, 100, tuple(demands(Routes()))).all == 40 + 4 + 100


def test_all_fits() -> None:
    files = share(1 << 20, MANY)
    assert files == Files(4096, {"sockets": 16, "streams": 128, "http2_streams": 4})
    assert complaints(1 << 20, MANY, files) == []
    assert share(MANY.all, MANY) == files


@pytest.mark.parametrize("limit", [64, 100, 128, 260, 512, 1024, 2048, 4096, 6000, 6500])
@pytest.mark.parametrize(
    "needs",
    [
        MANY,
        needs_with(places=1, clients=4096),
        needs_with(places=2, clients=4096, datagrams=1, framed=1),
        needs_with(places=2, clients=10, datagrams=128, framed=128),
        needs_with(places=4, clients=4096, https=15),
        needs_with(places=2, clients=4096, framed=15),
    ],
    ids=["many", "no upstream", "one", "most", "https", "tls"],
)
def test_what_is_shared_out_is_there(limit: int, needs: Needs) -> None:
    """15 upstreams, 16 sockets a table and 128 streams each did not fit into the 200 that were kept for them."""
    files = share(limit, needs)
    sockets, streams = files.allowed["sockets"], files.allowed["streams"]
    taken = needs.total(files.clients, files.allowed)
    assert (taken <= limit) == files.enough
    assert files.clients >= 1 and sockets >= 1 and streams >= 1
    assert files.clients <= needs.clients
    said = complaints(limit, needs, files)
    assert bool(said) == (needs.all > limit)
    if not files.enough:
        assert (files.clients, streams) == (1, 1), "nothing less can be had"
        assert sockets == 1 or not needs.demands[0].files_each
        assert "too low" in said[-1]
    elif needs.all > limit:
        # Nothing is wasted: a step more of anything would not fit, but for what divides badly.
        assert taken > 0.8 * limit


def test_what_is_said_of_few() -> None:
    files = share(1024, MANY)
    streams = files.allowed["streams"]
    assert (files.allowed["sockets"], files.clients > 300, streams > 10) == (10, True, True)
    assert complaints(1024, MANY, files) == [
        f"the limit of 1024 file descriptors allows {files.clients} TCP connections per worker instead of 4096; "
        f"raise the limit (ulimit -n) to {MANY.all}, or lower FASTDNS_MAX_TCP_CONNECTIONS",
        f"the limit of 1024 file descriptors allows a worker 10 UDP sockets instead of 16 and {streams} "
        f"connections instead of 128 for each of 15 upstreams; raise the limit (ulimit -n) to {MANY.all}",
    ]


def test_the_supervisor_holds_the_sockets_of_all_workers() -> None:
    assert supervisor_complaint(1 << 20, 1024, 4, 256) == ""
    assert supervisor_complaint(1024, 2, 4, 256) == ""
    said = supervisor_complaint(1024, 128, 4, 256)
    assert said.startswith("1024 file descriptors may be too few for the sockets of 128 workers at 4 addresses; ")
    assert f"to {64 + 1024 + 256 + 256}" in said


@pytest.mark.parametrize("sockets", [1, 3])
def test_no_more_sockets_and_streams_than_are_shared_out(sockets: int) -> None:
    with (
        Upstream(good, tcp=good) as up,
        Forwarder(forward(up.to), sockets=sockets, max_connections=2) as forwarder,
    ):
        for number in range(40):
            assert forwarder.ask(f"n{number}.example.").rcode() == 0
        assert len({asked.peer for asked in up.over(tcp=False)}) == sockets
        assert forwarder.ask_over_tcp().rcode() == 0
        assert [pool.max_connections for pool in forwarder.desk.of(0).pools] == [2]


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not installed")
def test_a_start_says_what_it_cannot_have(tmp_path: Path) -> None:
    upstreams = " ".join(f"127.0.0.1:{port}" for port in range(5301, 5316))
    corefile = COREFILE.replace("    errors\n", f"    errors\n    forward example. {upstreams}\n", 1)
    with Server(tmp_path, corefile, workers=1, prefix=("prlimit", "--nofile=1024")) as server:
        assert "UDP sockets instead of 16 and " in server.log
        assert "instead of 128 for each of 15 upstreams" in server.log
        assert server.addresses() == ["10.96.0.20"]
        server.reload()
        assert server.log.count("for each of 15 upstreams") == 1, "once"
