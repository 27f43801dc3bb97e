"""A server behind proxies: the client's address is the one that the header tells of, over every transport."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from fastdns.tls import bare_client_context
from tests.dns.proxy_headers import header
from tests.plugins.beside import COREDNS, CoreDNS
from tests.plugins.forward.certificates import Authority
from tests.support import Server, free_port, wait_until

TEXT4 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 53\r\n"
COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    proxyproto {
        OPTIONS
    }
    acl {
        block net 192.0.2.66/32
        allow
    }
    whoami
    prometheus 127.0.0.1:METRICS_PORT
}
"""
# Connections from 127.0.0.1 are a proxy's, those from 127.0.0.2 are not.
OPTIONS = "allow 127.0.0.1/32\n        default POLICY\n        udp_session_tracking 60s"
TLS = """\
tls://.:OTHER_PORT {
    bind 127.0.0.1
    tls server.crt server.key
    proxyproto
    whoami
}
"""


def corefile(policy: str = "ignore") -> str:
    return COREFILE.replace("OPTIONS", OPTIONS).replace("POLICY", policy)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    authority.issue("server", ("dns.example",))
    return authority


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("proxyproto")
    for end in ("crt", "key"):
        shutil.copy(authority.directory / f"server.{end}", folder)
    with Server(folder, corefile() + TLS, workers=2) as server:
        yield server


def query(name: str = "a.example.") -> bytes:
    return dns.message.make_query(name, "A").to_wire()


def told(wire: bytes) -> tuple[str, int]:
    """Whom *whoami* takes for the client."""
    reply = dns.message.from_wire(wire)
    addresses = [data.to_text() for rrset in reply.additional for data in rrset if hasattr(data, "address")]
    ports = [data.port for rrset in reply.additional for data in rrset if rrset.rdtype == dns.rdatatype.SRV]
    # CoreDNS's whoami has an IPv4 address of a header as an AAAA record.
    return (
        (addresses[0].removeprefix("::ffff:"), ports[0]) if addresses else (reply.rcode().to_text(reply.rcode()), 0)
    )


class Sender:
    """``with Sender(port) as sender``: one UDP socket of a proxy, or of somebody else."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((source, 0))
        self.sock.connect(("127.0.0.1", port))
        self.peer: tuple[str, int] = self.sock.getsockname()

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *error: object) -> None:
        self.sock.close()

    def ask(self, datagram: bytes, wait_s: float = 5.0) -> tuple[str, int] | None:
        self.sock.settimeout(wait_s)
        self.sock.send(datagram)
        try:
            return told(self.sock.recv(4096))
        except TimeoutError:
            return None


def stream(port: int, *parts: bytes, source: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> list[str]:
    """Send parts over a connection, the last one inside TLS where there is any. Returns whom the replies take for
    the client, and "closed" where fewer come than were asked."""
    found: list[str] = []
    asked = parts[-1].count(b"example")
    with (
        contextlib.suppress(ConnectionError),
        socket.create_connection(("127.0.0.1", port), 5, (source, 0)) as plain,
    ):
        for part in parts[:-1]:
            plain.sendall(part)
            time.sleep(0.002)
        own = plain.getsockname()
        inner: socket.socket = plain
        if tls is not None:
            inner = tls.wrap_socket(plain, server_hostname="dns.example")
        inner.sendall(parts[-1])
        with inner, inner.makefile("rb") as replies:
            while len(found) < asked and (length := replies.read(2)):
                address, number = told(replies.read(struct.unpack("!H", length)[0]))
                found.append("peer" if (address, number) == own else f"{address}#{number}")
    return found if len(found) == asked > 0 else [*found, "closed"]


def framed(message: bytes) -> bytes:
    return struct.pack("!H", len(message)) + message


UDP = [
    (header("192.0.2.7", 4711) + query(), ("192.0.2.7", 4711), "a header"),
    (header("2001:db8::7", 4711) + query(), ("2001:db8::7", 4711), "IPv6"),
    (header("192.0.2.7", 4711, more=b"\x05\x00\x02id") + query(), ("192.0.2.7", 4711), "with values"),
    (query(), "peer", "no header"),
    (header(command=0x20) + query(), "peer", "the proxy itself"),
    (header("192.0.2.66", 1) + query(), ("REFUSED", 0), "acl sees the client"),
    (header("192.0.2.7", 4711)[:-3], None, "cut"),
    (TEXT4 + query(), None, "version 1 over UDP"),
]


@pytest.mark.parametrize(("datagram", "wanted", "why"), UDP, ids=[why for *_, why in UDP])
def test_over_udp(server: Server, datagram: bytes, wanted: object, why: str) -> None:
    with Sender(server.port) as sender:
        assert sender.ask(datagram, 5.0 if wanted else 0.3) == (sender.peer if wanted == "peer" else wanted)


def test_from_others_it_says_nothing(server: Server) -> None:
    with Sender(server.port, "127.0.0.2") as sender:
        assert sender.ask(header("192.0.2.7", 4711) + query()) == sender.peer
    assert stream(server.port, TEXT4 + framed(query()), source="127.0.0.2") == ["peer"]


def test_a_session(server: Server) -> None:
    with Sender(server.port) as sender, Sender(server.port) as other:
        assert sender.ask(header("192.0.2.7", 4711), 0.2) is None
        for _ in range(3):
            assert sender.ask(query()) == ("192.0.2.7", 4711)
        assert other.ask(query()) == other.peer


HEADER = header("192.0.2.7", 4711, family=0x11)
TWICE = 2 * framed(query())
STREAMS = [
    ([TEXT4 + TWICE], ["192.0.2.7#4711"] * 2, "version 1"),
    ([HEADER + TWICE], ["192.0.2.7#4711"] * 2, "version 2"),
    ([HEADER, TWICE], ["192.0.2.7#4711"] * 2, "the header alone first"),
    ([*(bytes([byte]) for byte in TEXT4), TWICE], ["192.0.2.7#4711"] * 2, "byte by byte, version 1"),
    ([*(bytes([byte]) for byte in HEADER), TWICE], ["192.0.2.7#4711"] * 2, "byte by byte, version 2"),
    ([b"PROXY UNKNOWN\r\n" + TWICE], ["peer"] * 2, "unknown"),
    ([TWICE], ["peer"] * 2, "no header"),
    ([HEADER + HEADER + framed(query())], ["closed"], "two headers: the second is a query that never ends"),
    ([header("192.0.2.7", 1, command=0x31) + framed(query())], ["closed"], "another version"),
    ([b"PROXY TCP4 here there 1 2\r\n" + framed(query())], ["closed"], "malformed"),
    ([HEADER + 500 * framed(query())], ["192.0.2.7#4711"] * 500, "more than is read at once"),
]


@pytest.mark.parametrize(("parts", "wanted", "why"), STREAMS, ids=[why for *_, why in STREAMS])
def test_over_tcp(server: Server, parts: list[bytes], wanted: list[str], why: str) -> None:
    assert stream(server.port, *parts) == wanted


def test_over_tls(server: Server, authority: Authority) -> None:
    context = bare_client_context()
    context.load_verify_locations(authority.ca)
    port = server.ports["OTHER_PORT"]
    for head in (HEADER, TEXT4):
        assert stream(port, head, TWICE, tls=context) == ["192.0.2.7#4711"] * 2
    assert stream(port, TWICE, tls=context) == ["peer"] * 2


def test_a_header_that_never_ends(server: Server) -> None:
    """It is closed after the time that a first message has."""
    begun = time.monotonic()
    assert stream(server.port, HEADER[:-1]) == ["closed"]
    assert time.monotonic() - begun < 8


def test_counted(server: Server) -> None:
    def value(name: str, **wanted: str) -> float:
        return sum(
            count
            for (of, labels), count in server.samples().items()
            if of == name and wanted.items() <= dict(labels).items()
        )

    dropped, closed = "fastdns_proxyproto_datagrams_dropped_total", "fastdns_tcp_connections_closed_total"
    listener = f"dns://127.0.0.1:{server.port}"
    before = value(dropped, server=listener, reason="malformed"), value(closed, reason="proxy_header")
    with Sender(server.port) as sender:
        assert sender.ask(TEXT4 + query(), 0.2) is None
    assert stream(server.port, b"PROXY TCP4 here there 1 2\r\n" + framed(query())) == ["closed"]
    wait_until(
        lambda: (
            (value(dropped, server=listener, reason="malformed"), value(closed, reason="proxy_header"))
            == (before[0] + 1, before[1] + 1)
        )
    )
    assert value(dropped, server=listener, reason="rejected") == 0


def test_kdig(server: Server) -> None:
    kdig = shutil.which("kdig")
    if kdig is None or "proxy=" not in subprocess.run([kdig, "--help"], capture_output=True, text=True).stdout:
        pytest.skip("there is no kdig that speaks it")
    for way in ("+notcp", "+tcp"):
        command = [
            kdig, "@127.0.0.1", "-p", str(server.port), way, "+proxy=192.0.2.9#99-192.0.2.53#53", "a.example.",
        ]  # fmt: skip
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout
        assert "192.0.2.9" in told and " 99 ." in told, told


def test_other_policies_by_a_reload(tmp_path: Path) -> None:
    """Sessions end with it: the new workers have seen no header."""
    with (
        Server(tmp_path, corefile("reject"), workers=1) as server,
        Sender(server.port, "127.0.0.2") as stranger,
        Sender(server.port) as proxy,
    ):
        assert stranger.ask(query()) == stranger.peer
        assert stranger.ask(header("192.0.2.7", 4711) + query(), 0.3) is None
        assert proxy.ask(header("192.0.2.7", 4711) + query()) == ("192.0.2.7", 4711)
        assert stream(server.port, HEADER + TWICE, source="127.0.0.2") == ["closed"]
        server.write_corefile(corefile("use"))
        server.reload()
        assert stranger.ask(header("192.0.2.7", 4711) + query()) == ("192.0.2.7", 4711)
        assert proxy.ask(query()) == proxy.peer
        server.write_corefile(corefile("skip"))
        server.reload(count=2)
        # The header is an inverse query with 13 questions.
        assert stranger.ask(header("192.0.2.7", 4711) + query()) == ("NOTIMP", 0)


@pytest.mark.skipif(COREDNS is None, reason="CoreDNS is not on PATH")
def test_beside_coredns(tmp_path: Path, server: Server) -> None:
    differ = {"the proxy itself", "byte by byte, version 1"}
    with CoreDNS(tmp_path, corefile().replace("    prometheus 127.0.0.1:METRICS_PORT\n", "")) as coredns:
        for datagram, wanted, why in UDP:
            with Sender(coredns.port) as sender:
                found = sender.ask(datagram, 5.0 if wanted and why not in differ else 0.3)
                expected = None if why in differ else sender.peer if wanted == "peer" else wanted
                assert found == expected, why
        for parts, wanted, why in STREAMS[:7]:
            assert stream(coredns.port, *parts) == (["closed"] if why in differ else wanted), why


@pytest.mark.skipif(shutil.which("dnsdist") is None, reason="there is no dnsdist")
def test_behind_dnsdist(tmp_path: Path, server: Server) -> None:
    """A proxy that people use: over UDP and TCP, the client's own address and port arrive."""
    port = free_port()
    (tmp_path / "dnsdist.conf").write_text(
        f'setLocal("127.0.0.1:{port}")\n'
        f'newServer({{address="127.0.0.1:{server.port}", useProxyProtocol=true, healthCheckMode="up"}})\n'
    )
    command = ["dnsdist", "--supervised", "-C", str(tmp_path / "dnsdist.conf")]
    with (tmp_path / "log").open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(listens, 20, "dnsdist")
        with Sender(port, "127.0.0.3") as sender:
            assert sender.ask(query()) == sender.peer
        assert stream(port, framed(query()), source="127.0.0.3") == ["peer"]
    finally:
        process.terminate()
        process.wait(10)
