"""Nameservers that somebody else writes down, and link-local ones, on a network of the test's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import dns.rdatatype
import pytest

from tests.integration.namespaces import Namespace, missing
from tests.plugins.forward.engine.support import Asked, Reply, Upstream, a, good, response, saying
from tests.support import Server, wait_until

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1 fe80::1%eth0
    errors
    health [fe80::1%eth0]:HEALTH_PORT
    prometheus 127.0.0.1:METRICS_PORT
    forward . FORWARD
}
"""
SCOPED = "fe80::2%eth0"


@pytest.fixture(scope="module")
def networks() -> Iterator[tuple[Namespace, Namespace]]:
    """The server's network, and another one behind a cable. Both ends of it are named eth0."""
    if reason := missing():
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        here, there = Namespace(), Namespace()
        stack.callback(here.close)
        stack.callback(there.close)
        there.ip(
            # So that the number of the interface is not the same on both sides.
            "link add br9 type bridge", f"link add eth0 type veth peer name eth0 netns {here.path}",
            "link set eth0 up", "address add fe80::2/64 dev eth0 nodad", "address add 10.9.0.2/24 dev eth0",
        )  # fmt: skip
        here.ip("link set eth0 up", "address add fe80::1/64 dev eth0 nodad", "address add 10.9.0.1/24 dev eth0")
        yield here, there


@contextlib.contextmanager
def upstream(there: Namespace, host: str, port: int = 0) -> Iterator[Upstream]:
    """An upstream on the other side of the cable."""
    with contextlib.ExitStack() as stack:
        with there.inside():
            up = Upstream(saying("192.0.2.7"), tcp=saying("192.0.2.8"), host=host, port=port)
            stack.enter_context(up)
        yield up


@contextlib.contextmanager
def server(here: Namespace, folder: Path, forward: str, extra: str = "") -> Iterator[Server]:
    corefile = COREFILE.replace("FORWARD", forward) + extra
    with here.inside(), Server(folder, corefile, manifests="", workers=1) as running:
        yield running


def test_a_link_local_upstream_resolves(networks: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    """Its interface was dropped, so that every query to it failed."""
    here, there = networks
    with upstream(there, SCOPED) as up, server(here, tmp_path, f"[{SCOPED}]:{up.port}") as fastdns:
        assert fastdns.addresses("www.example.org.") == ["192.0.2.7"]
        assert fastdns.addresses("www.example.org.", tcp=True) == ["192.0.2.8"]
        to = f"[{SCOPED}]:{up.port}"
        assert fastdns.total("coredns_proxy_request_duration_seconds_count", to=to) == 2
        with there.inside():
            answer = fastdns.query("www.example.org.", at="fe80::1%eth0")
            assert "192.0.2.7" in answer.to_text(), "bind takes an interface, too"
            answer = fastdns.query("www.example.org.", at="fe80::1%eth0", tcp=True)
            assert "192.0.2.8" in answer.to_text()
        assert "fe80::1%eth0" in fastdns.log
        wait_until(lambda: fastdns.total("coredns_health_request_duration_seconds_count") > 0, 5.0, "own probe")
        assert "Local health request" not in fastdns.log, "health takes an interface, too"


def test_all_ways_to_a_link_local_upstream(networks: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    """Over streams, from a link-local address, as the resolver of an upstream's name, and by the loop plugin."""
    here, there = networks

    def script(asked: Asked) -> Reply:
        if asked.name == "up.example." and asked.message.question[0].rdtype == dns.rdatatype.A:
            return a(response(asked.message), "10.9.0.2")
        return response(asked.message) if asked.name == "up.example." else good(asked)

    with upstream(there, SCOPED) as up, upstream(there, "10.9.0.2") as resolved:
        up.script = script
        forward = f"[{SCOPED}]:{up.port} {{\n force_tcp\n source_address fe80::1%eth0\n}}\nloop"
        extra = (
            f"b.example:DNS_PORT {{\n bind 127.0.0.1 fe80::1%eth0\n forward . up.example:{resolved.port} {{\n"
            f" resolver [{SCOPED}]:{up.port}\n}}\n}}\n"
        )
        with server(here, tmp_path, forward, extra) as fastdns:
            assert fastdns.addresses("www.example.org.") == ["192.0.2.8"]
            assert fastdns.addresses("www.b.example.") == ["192.0.2.7"]
            kinds = lambda: {asked.message.question[0].rdtype for asked in up.asked}  # noqa: E731
            wait_until(lambda: dns.rdatatype.HINFO in kinds(), 5.0, "a probe")


def test_a_resolv_conf_with_bad_lines(networks: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    """It ended the start; while we ran, it kept a good new server from being used."""
    here, there = networks
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 10.9.0.2\nnameserver dns.example.org\nnameserver fe80::2\n")
    with (
        upstream(there, "10.9.0.2", 53) as first,
        upstream(there, SCOPED, 53) as second,
        server(here, tmp_path, str(resolv)) as fastdns,
    ):
        assert fastdns.addresses("a.example.org.") == ["192.0.2.7"]
        assert len(first.asked) == 1
        assert fastdns.total("fastdns_lines_skipped_total", file=str(resolv)) == 2
        resolv.write_text(f"nameserver 10.9.0.2.3\nnameserver dns.example.org\nnameserver {SCOPED}\n")
        fastdns.wait_for_log("Reloading complete", 15.0)
        assert fastdns.addresses("b.example.org.") == ["192.0.2.7"]
        assert len(second.asked) == 1
        # A file without a good line leaves the last ones.
        resolv.write_text("nameserver dns.example.org\n")
        fastdns.wait_for_log("no upstream is left", 15.0)
        assert fastdns.addresses("c.example.org.") == ["192.0.2.7"]
        assert fastdns.log.count("WARNING] plugin/forward") == 4, "each is said once, where it stands"
        assert fastdns.total("fastdns_lines_skipped_total", file=str(resolv)) == 4
