"""A listener on every address answers from the one that was asked, whatever the route back."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import pytest

from tests.support import Server, has_address

ADDRESSES = ["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1"]
WILDCARD = ".:DNS_PORT {\n    whoami\n}\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("wildcard"), WILDCARD) as running:
        yield running


@pytest.mark.skipif(not has_address("::1"), reason="this host has no IPv6")
@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])
def test_either_wildcard_serves_both_families(tmp_path: Path, wildcard: str) -> None:
    """As CoreDNS: nobody reached `prometheus 0.0.0.0:9153` in a cluster of IPv6 alone."""
    host = f"[{wildcard}]" if ":" in wildcard else wildcard
    corefile = (
        f".:DNS_PORT {{\n bind {wildcard}\n health {host}:HEALTH_PORT\n ready {host}:READY_PORT\n"
        f" prometheus {host}:METRICS_PORT\n whoami\n}}\n"
    )
    with Server(tmp_path, corefile) as server:
        for address in ("127.0.0.1", "127.0.0.2", "::1"):
            for tcp in (False, True):
                reply = server.query("a.example.org", at=address, tcp=tcp)
                assert reply.additional[0].to_text().split()[4] == ("::1" if ":" in address else "127.0.0.1")
            shown = f"[{address}]" if ":" in address else address
            for port, path in (("HEALTH_PORT", "health"), ("READY_PORT", "ready"), ("METRICS_PORT", "metrics")):
                with urllib.request.urlopen(f"http://{shown}:{server.ports[port]}/{path}", timeout=5) as answer:
                    assert answer.status == 200
        assert server.total("coredns_dns_requests_total", server=f"dns://{host}:{server.port}", family="2") == 2


def skip_without(address: str) -> None:
    if not has_address(address):
        pytest.skip(f"this host has no {address}")


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_asked_at(server: Server, address: str, tcp: bool) -> None:
    """dnspython takes replies from the address that it has asked only."""
    skip_without(address)
    for _ in range(8):
        reply = server.query("a.example.org", at=address, tcp=tcp)
        assert len(reply.additional) == 2


@pytest.mark.parametrize("address", ADDRESSES)
def test_from_an_unconnected_socket(server: Server, address: str) -> None:
    """A client at another address than the one it asks: the route alone would not tell."""
    skip_without(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.bind(("::1" if ":" in address else "127.0.0.3", 0))
        client.settimeout(5)
        for number in range(8):
            client.sendto(dns.message.make_query("a.example.org", "A", id=number).to_wire(), (address, server.port))
            reply, peer = client.recvfrom(4096)
            assert peer[:2] == (address, server.port)
            assert dns.message.from_wire(reply).id == number


def test_many_addresses_in_one_batch(server: Server) -> None:
    """Each reply of a batch has its own source."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        client.settimeout(5)
        asked = {}
        for number in range(200):
            address = f"127.0.{number % 7}.{1 + number % 5}"
            asked[number] = address
            client.sendto(dns.message.make_query("a.example.org", "A", id=number).to_wire(), (address, server.port))
        for _ in range(200):
            reply, peer = client.recvfrom(4096)
            assert peer == (asked.pop(int.from_bytes(reply[:2], "big")), server.port)
    assert not asked


def test_ipv4_is_not_taken_by_ipv6(server: Server) -> None:
    """A client over IPv4 is seen as such, not as ::ffff:127.0.0.1."""
    for tcp in (False, True):
        reply = server.query("a.example.org", at="127.0.0.1", tcp=tcp)
        assert reply.additional[0].to_text().split()[3:] == ["A", "127.0.0.1"]
