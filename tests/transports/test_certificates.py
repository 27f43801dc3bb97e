"""Certificates of clients and of the server, over each transport that encrypts: one server for all of them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.message
import pytest

from fastdns.servertls import CLIENT_AUTH
from fastdns.transports.table import Transport
from tests.plugins.forward.certificates import Authority
from tests.support import Server
from tests.transports.served import OVER_TCP, SECURE, certificates, each, everywhere, port_of, ports, trusting
from tests.transports.speaking import CONNECT, Ended

# Each way to ask clients for a certificate has ports of its own; and there is one whose certificate has expired.
WAYS = (*CLIENT_AUTH, "expired")
BLOCK = """\
.:PLAIN {
    bind 127.0.0.1
    whoami
}
"""
# What clients show, and whether it is taken.
SHOWN = ("", "client", "stranger", "gone")
TAKEN = {
    "nocert": SHOWN,
    "request": SHOWN,
    "require": ("client", "stranger", "gone"),
    "verify_if_given": ("", "client"),
    "require_and_verify": ("client",),
}
# Over QUIC clients are asked for none, and are no clients of Python's ssl: test_quic.py.
ROWS = [row for row in SECURE if row in OVER_TCP]
SCHEMES = {row.scheme for row in ROWS}
QUERY = dns.message.make_query("www.example.", "A", id=7).to_wire()


@dataclass
class World:
    """The server; at: by way, the ports of schemes."""

    server: Server
    at: dict[str, dict[str, int]]
    authority: Authority

    def answers(self, row: Transport, way: str, context: ssl.SSLContext, **options: str) -> bool:
        """Whether a query is answered; the error of TLS is raised where the client refuses."""
        try:
            with CONNECT[row.name](port_of(row, self.at[way], 0), context, **options) as connection:
                connection.ask([QUERY])
                return connection.replies(1)[0][:2] == QUERY[:2]
        except (Ended, ConnectionError):
            return False


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("certificates")
    authority = certificates(folder)
    authority.issue("expired", ("dns.example",), days=-1)
    authority.issue("client", ("client.example",))
    authority.issue("gone", ("client.example",), days=-1)
    authority.issue("stranger", ("client.example",), own=True)
    at = {way: {scheme: port for scheme, port in ports().items() if scheme in SCHEMES} for way in WAYS}
    blocks = []
    for way in WAYS:
        files = "expired.crt expired.key" if way == "expired" else "server.crt server.key"
        auth = "" if way == "expired" else f" ca.crt {{\n        client_auth {way}\n    }}"
        blocks.append(everywhere(BLOCK.replace("PLAIN", way), at[way], way, f"tls {files}{auth}"))
    # In clear nothing is asked here.
    text = "".join(blocks)
    for way in WAYS:
        text = text.replace(f".:{way} ", "", 1)
    with Server(folder, text, workers=1) as server:
        yield World(server, at, authority)
        assert "Traceback" not in server.log


def test_go_s_ways_are_all_here() -> None:
    assert TAKEN.keys() == CLIENT_AUTH.keys()


@pytest.mark.parametrize("way", TAKEN)
@each(ROWS)
def test_what_clients_show(world: World, row: Transport, way: str) -> None:
    """None, one of the authority's, one that signs itself, and one that has expired."""
    found = [shown for shown in SHOWN if world.answers(row, way, trusting(world.authority, shown))]
    assert tuple(found) == TAKEN[way]


@each(ROWS)
def test_clients_that_refuse_the_server(world: World, row: Transport) -> None:
    """Its name is another one, its authority is not known, or its time is over; the next client is served."""
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)hostname mismatch"):
        world.answers(row, "nocert", trusting(world.authority), name="other.example")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)certificate has expired"):
        world.answers(row, "expired", trusting(world.authority))
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)self-signed"):
        world.answers(row, "nocert", ssl.create_default_context())
    assert world.answers(row, "nocert", trusting(world.authority))
