"""Hostile clients of every transport at once; in the long form each flood alone. Names of the cluster are answered
over UDP all the while, honest clients of each transport as well, and afterwards all is as it was before.

How long answers take meanwhile is measured by ``python -m bench.floods``.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dns.message
import pytest

from fastdns.transports.table import DEFAULT_SCHEME
from tests.integration.faults.floods import FLOODS, Flooding
from tests.integration.faults.load import KnownAnswers, name_of
from tests.integration.faults.support import CHAOS_S, NAMES, memory_mib, server, tell
from tests.integration.faults.test_hostile import overflowed
from tests.plugins.forward.certificates import Authority
from tests.support import COREFILE, Server, wait_until
from tests.transports.http_clients import has_nghttp2
from tests.transports.served import STREAMS, certificates, everywhere, port_of, ports, trusting
from tests.transports.speaking import CONNECT, Ended

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not has_nghttp2(), reason="HTTP/2 needs libnghttp2"),
]

SHORT_S = 3.0
# In the short form.
TOGETHER = {
    "https resets", "https continuations", "https huge headers", "https windows of zero", "grpc resets",
    "grpc settings", "tcp messages", "tcp connections", "tcp slow loris", "tls slow loris", "tls hellos",
    "https slow loris", "quic initials", "quic streams", "https3 streams", "https3 slow streams",
}  # fmt: skip
RATE = 1000
# FASTDNS_MAX_TCP_MIB of connections, and what QUIC, TLS and buffers take for the first time.
GROWTH_MIB = 32.0 + 16.0
# Whoever is pushed out by a flood of connections comes again, as resolvers do.
TRIALS = 20
ANSWERED_S = 20.0
# The longest time that a connection has, and what a busy machine adds.
AT_REST_S = 40.0


@dataclass
class World:
    """The server, and the ports of its schemes."""

    fastdns: Server
    at: dict[str, int]
    authority: Authority

    def honest(self) -> None:
        """Ask once over each transport, with some patience."""
        query = dns.message.make_query(name_of(7), "A", id=7).to_wire()
        for row in STREAMS:
            ends = time.monotonic() + ANSWERED_S
            for _ in range(TRIALS):
                assert time.monotonic() < ends, f"no answer over {row.name}"
                with contextlib.suppress(OSError, Ended, TimeoutError, KeyError):
                    port = port_of(row, self.at, self.fastdns.port)
                    with CONNECT[row.name](port, trusting(self.authority), name="dns.example") as connection:
                        connection.ask([query])
                        [reply] = connection.replies(1, 5.0)
                        assert reply[3] & 15 == 0 and reply[6:8] == b"\0\1"
                        break
            else:
                raise AssertionError(f"no answer over {row.name} in {TRIALS} trials")

    def at_rest(self) -> bool:
        """Whether the server has nothing of any client."""
        names = ("fastdns_tcp_connections_open", "fastdns_tcp_held_bytes")
        return not any(self.fastdns.total(name) for name in names)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("floods")
    authority = certificates(folder)
    at = ports()
    with server(folder, everywhere(COREFILE, at), workers=1) as one:
        world = World(one, at, authority)
        # What is loaded for the first client of a transport stays.
        world.honest()
        yield world


ROUNDS = [[name] for name in FLOODS] if CHAOS_S else [[name for name in FLOODS if name in TOGETHER]]


@pytest.mark.parametrize("names", ROUNDS, ids=lambda names: names[0] if len(names) == 1 else "all at once")
def test_flood(world: World, names: Sequence[str]) -> None:
    fastdns = world.fastdns
    wait_until(world.at_rest, AT_REST_S)
    pids, memory, full = fastdns.pids(), memory_mib(fastdns), overflowed(fastdns)
    flooding = Flooding({"tcp": fastdns.port, **world.at}, names)
    ends = time.monotonic() + (CHAOS_S or SHORT_S)
    most = 0.0
    with KnownAnswers(fastdns.port, RATE, NAMES) as load, flooding:
        while time.monotonic() < ends:
            world.honest()
            most = max(most, memory_mib(fastdns))
    sent = sum(sum(counts.values()) for counts in flooding.sent.values())
    tell(load.report, f"{len(names)} floods, {names[0]} first: {sent} sent; {most - memory:+.1f} MiB at the most")
    assert sent
    assert load.report.wrong == 0 and load.report.lost <= overflowed(fastdns) - full
    assert fastdns.pids() == pids and "Traceback" not in fastdns.log
    assert most - memory < GROWTH_MIB
    wait_until(world.at_rest, AT_REST_S)


def test_every_transport_is_flooded() -> None:
    """A new one is attacked as well."""
    scheme = {row.name: "tcp" if row.scheme == DEFAULT_SCHEME else row.scheme for row in STREAMS}
    assert set(scheme.values()) <= {of for of, _ in FLOODS.values()}
