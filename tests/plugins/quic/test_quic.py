"""DNS over QUIC of a whole server, beside CoreDNS's: the answers of TCP, other clients, reloads, deaths."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest

pytest.importorskip("qh3")

from fastdns.corefile import load
from fastdns.errors import CorefileError, FastdnsError
from fastdns.transports.doq import NO_ERROR, PROTOCOL_ERROR
from fastdns.transports.limits import ListenerLimits
from tests.plugins.beside import COREDNS, CoreDNS
from tests.plugins.forward.certificates import Authority
from tests.support import Server, free_port, wait_until
from tests.transports.quic_client import QuicClient
from tests.transports.support import frame

NAME = "dns.example"
COREFILE = """\
quic://example.org:OTHER_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    tls server.crt server.key
    quic {
        max_streams 64
    }
    file zone.txt
    transfer {
        to *
    }
}
example.org:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    file zone.txt
    transfer {
        to *
    }
}
"""
ZONE = """\
@ 3600 IN SOA ns.example.org. admin.example.org. 1 7200 3600 1209600 3600
@ IN NS ns
ns IN A 192.0.2.1
www IN A 192.0.2.7
www IN AAAA 2001:db8::7
alias IN CNAME www
*.wild IN TXT "any"
""" + "".join(f'many IN TXT "{"x" * 200}{number}"\n' for number in range(40))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    authority.issue("server", (NAME,))
    authority.issue("other", (NAME,))
    return authority


def put(authority: Authority, folder: Path, file: str = "server") -> None:
    """A certificate and its key, as the server's; and the zone."""
    authority.put(folder, file)
    (folder / "zone.txt").write_text(ZONE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("quic")
    put(authority, folder)
    with Server(folder, COREFILE, workers=2) as server:
        yield server


@pytest.fixture(scope="module")
def coredns(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[int | None]:
    """The port of CoreDNS's DNS over QUIC, where there is CoreDNS."""
    if COREDNS is None:
        yield None
        return
    folder = tmp_path_factory.mktemp("coredns")
    put(authority, folder)
    port = free_port()
    text = COREFILE.replace("OTHER_PORT", str(port)).replace("METRICS_PORT", str(free_port()))
    with CoreDNS(folder, text):
        yield port


@pytest.fixture(scope="module")
def client(server: Server, authority: Authority) -> QuicClient:
    return QuicClient(server.ports["OTHER_PORT"], str(authority.ca)).connect()


def question(name: str, kind: str = "A") -> bytes:
    query = dns.message.make_query(name, kind)
    query.id = 0
    return query.to_wire()


QUESTIONS = [
    ("www.example.org", "A"),
    ("www.example.org", "AAAA"),
    ("www.example.org", "MX"),
    ("alias.example.org", "A"),
    ("a.wild.example.org", "TXT"),
    ("nothing.example.org", "A"),
    ("many.example.org", "TXT"),
    ("example.org", "SOA"),
    ("elsewhere.example", "A"),
]


def alike(wire: bytes) -> tuple[object, ...]:
    """What two replies have in common: records in any order, and no TTL of a cache."""
    reply = dns.message.from_wire(wire[2:], one_rr_per_rrset=True)
    sections = (reply.question, reply.answer, reply.authority, reply.additional)
    return reply.id, reply.flags, *(sorted(str(one) for one in section) for section in sections)


@pytest.mark.parametrize(("name", "kind"), QUESTIONS)
def test_the_answers_of_tcp(server: Server, client: QuicClient, coredns: int | None, name: str, kind: str) -> None:
    [reply] = client.ask(question(name, kind))
    over_tcp = server.query(name, kind, tcp=True)
    over_tcp.id = 0
    assert alike(reply) == alike(frame(over_tcp.to_wire()))
    if coredns is not None:
        [theirs] = QuicClient(coredns).connect().ask(question(name, kind))
        if dns.message.from_wire(theirs[2:]).flags & dns.flags.TC:
            # CoreDNS has the bound of UDP here.
            assert len(theirs) <= 2 + 512 < len(reply)
        else:
            assert alike(reply) == alike(theirs)


def test_a_zone_transfer(client: QuicClient) -> None:
    """Several messages on one stream (RFC 9250 section 4.2), each with its length."""
    [data] = client.ask(question("example.org", "AXFR"))
    found = []
    while data:
        size = int.from_bytes(data[:2])
        found.append(dns.message.from_wire(data[2 : 2 + size], xfr=True, one_rr_per_rrset=True))
        data = data[2 + size :]
    records = [rrset for message in found for rrset in message.answer]
    assert len(records) == 48 and records[0].to_text() == records[-1].to_text()
    assert {message.id for message in found} == {0}


def test_what_breaks_the_protocol(server: Server, coredns: int | None) -> None:
    for port in filter(None, (server.ports["OTHER_PORT"], coredns)):
        client = QuicClient(port).connect()
        client.stream(frame(b"\0\1" + question("www.example.org")[2:]))
        client.run(lambda client=client: client.over)
        assert client.close_code == PROTOCOL_ERROR


def test_metrics(server: Server) -> None:
    """CoreDNS's names and labels."""
    listener = f"quic://127.0.0.1:{server.ports['OTHER_PORT']}"
    before = server.total("coredns_dns_quic_responses_total", server=listener, status="0x0")
    requests = server.total("coredns_dns_requests_total", server=listener, proto="udp", type="A")
    client = QuicClient(server.ports["OTHER_PORT"]).connect()
    client.ask(*[question("www.example.org")] * 3)
    assert server.total("coredns_dns_quic_responses_total", server=listener, status="0x0") == before + 3
    assert server.total("coredns_dns_requests_total", server=listener, proto="udp", type="A") == requests + 3
    assert server.total("fastdns_tls_handshakes_total", version="1.3", resumed="no") >= 1
    broken = server.total("coredns_dns_quic_responses_total", server=listener, status="0x2")
    client.stream(b"\0")
    client.run(lambda: client.over)
    assert server.total("coredns_dns_quic_responses_total", server=listener, status="0x2") == broken + 1


def test_kdig(server: Server, authority: Authority) -> None:
    kdig = shutil.which("kdig")
    if kdig is None:
        pytest.skip("there is no kdig")
    command = [
        kdig, "@127.0.0.1", "-p", str(server.ports["OTHER_PORT"]), f"+tls-ca={authority.ca}",
        f"+tls-hostname={NAME}", "+quic", "+keepopen", "www.example.org", "A", "many.example.org", "TXT",
    ]  # fmt: skip
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    if "unrecognized" in told.stderr or "not supported" in told.stderr:
        pytest.skip("this kdig has no QUIC")
    assert "QUIC session" in told.stdout and "192.0.2.7" in told.stdout, told
    assert told.stdout.count("status: NOERROR") == 2 and "ANSWER: 40" in told.stdout, told


def test_every_address(tmp_path: Path, authority: Authority) -> None:
    """Of a listener on every address, replies come from the address that was asked."""
    put(authority, tmp_path)
    text = "quic://.:OTHER_PORT {\n    tls server.crt server.key\n    whoami\n}\n.:DNS_PORT {\n    whoami\n}\n"
    with Server(tmp_path, text, workers=1) as server:
        client = QuicClient(server.ports["OTHER_PORT"])
        client.only_from("127.0.0.9")
        [reply] = client.connect().ask(question("a.example"))
        assert len(dns.message.from_wire(reply[2:]).additional) == 2


def test_a_certificate_that_changes(tmp_path: Path, authority: Authority) -> None:
    """New connections get it, open ones stay."""
    put(authority, tmp_path)
    with Server(tmp_path, COREFILE, workers=1) as server:
        port = server.ports["OTHER_PORT"]
        client = QuicClient(port, str(authority.ca)).connect()
        first = client.quic.get_peercert().public_bytes()  # type: ignore[union-attr]
        put(authority, tmp_path, "other")

        def changed() -> bool:
            fresh = QuicClient(port, str(authority.ca)).connect()
            fresh.close()
            return fresh.quic.get_peercert().public_bytes() != first  # type: ignore[union-attr, no-any-return]

        wait_until(changed, 15)
        assert client.ask(question("www.example.org"))[0]


class Asking:
    """A client that asks one question after the other, and connects again where it is told to."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answered = self.connected = 0
        self.codes: list[int | None] = []
        self.lost: list[str] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                client = QuicClient(self.port).connect()
                self.connected += 1
                while not self.stop.is_set():
                    [reply] = client.ask(question("www.example.org"))
                    if reply:
                        self.answered += 1
                    if client.over:
                        self.codes.append(client.close_code)
                        break
            except TimeoutError as error:
                self.lost.append(str(error))

    def __enter__(self) -> Asking:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


def test_reloads(tmp_path: Path, authority: Authority) -> None:
    """Nobody waits in vain: a connection is closed without an error, and the next one is there at once."""
    put(authority, tmp_path)
    with Server(tmp_path, COREFILE, workers=2) as server:
        with Asking(server.ports["OTHER_PORT"]) as one, Asking(server.ports["OTHER_PORT"]) as other:
            wait_until(lambda: one.answered and other.answered)
            server.write_corefile(COREFILE.replace("max_streams 64", "max_streams 65"))
            server.reload()
            wait_until(lambda: one.connected == other.connected == 2)
            before = one.answered, other.answered
            wait_until(lambda: one.answered > before[0] and other.answered > before[1])
        assert one.lost == other.lost == []
        assert one.codes == other.codes == [NO_ERROR]


def test_a_worker_that_is_killed(tmp_path: Path, authority: Authority) -> None:
    """Its connections end soon; those of the other go on."""
    put(authority, tmp_path)
    with Server(tmp_path, COREFILE, workers=2) as server:
        port = server.ports["OTHER_PORT"]
        clients = [QuicClient(port).connect() for _ in range(12)]
        one = next(iter(server.pids().workers.values()))
        os.kill(one, 9)
        wait_until(lambda: len(server.pids().workers) == 2 and one not in server.pids().workers.values())
        wait_until(lambda: bool(server.addresses("www.example.org")))
        answers = [client.ask(question("www.example.org"))[0] for client in clients]
        assert all(reply or client.over for reply, client in zip(answers, clients, strict=True))
        # A retransmission may reach the successor after its first reset was lost.
        assert sum(map(bool, answers)) >= 1
        assert QuicClient(port).connect().ask(question("www.example.org"))[0]


def test_behind_a_proxy(tmp_path: Path, authority: Authority) -> None:
    """PROXY protocol, version 2, before each datagram: the client is who the proxy says."""
    put(authority, tmp_path)
    plugins = "acl {\nblock net 198.51.100.0/24\n}\nproxyproto {\nallow 127.0.0.1/32\n}\nwhoami"
    text = COREFILE.replace("file zone.txt", plugins, 1)
    text = text.replace("    transfer {\n        to *\n    }\n", "", 1)
    with Server(tmp_path, text, workers=1) as server:
        for address, rcode in (("192.0.2.99", dns.rcode.NOERROR), ("198.51.100.9", dns.rcode.REFUSED)):
            client = QuicClient(server.ports["OTHER_PORT"])
            client.prefix = b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c" + struct.pack(
                "!4s4sHH", socket.inet_aton(address), bytes(4), 4711, 853
            )
            [reply] = client.connect().ask(question("www.example.org"))
            message = dns.message.from_wire(reply[2:])
            assert message.rcode() == rcode
            if rcode == dns.rcode.NOERROR:
                assert address in str(message.additional[0])


# Corefiles


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("quic", ListenerLimits(max_streams=256, pool=1024)),
        ("quic {\nmax_streams 16\nworker_pool_size 65536\n}", ListenerLimits(max_streams=16, pool=65536)),
    ],
)
def test_options(text: str, expected: ListenerLimits) -> None:
    [block] = load(f"quic://. {{\ntls a b\n{text}\n}}\n", environ={}).blocks
    assert block.settings.quic == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("quic extra", "Corefile:3 - .*no argument"),
        ("quic {\nmax_streams\n}", "Corefile:4 - .*max_streams"),
        ("quic {\nmax_streams 0\n}", "Corefile:4 - .*max_streams must be a whole number"),
        ("quic {\nmax_streams -1\n}", "max_streams must be a whole number"),
        ("quic {\nmax_streams a\n}", "max_streams must be a whole number"),
        ("quic {\nmax_streams 1 2\n}", "Corefile:4"),
        ("quic {\nmax_streams 1\nmax_streams 2\n}", "Corefile:5 - .*max_streams"),
        ("quic {\nworker_pool_size 0\n}", "worker_pool_size must be a whole number"),
        ("quic {\nworker_pool_size 1\nworker_pool_size 1\n}", "Corefile:5 - .*worker_pool_size"),
        ("quic {\nother\n}", "other"),
        ("quic\nquic", "Corefile:4 - .*only once"),
    ],
)
def test_mistakes(text: str, expected: str) -> None:
    with pytest.raises(CorefileError, match=expected):
        load(f"quic://. {{\ntls a b\n{text}\n}}\n", environ={})


def test_without_a_certificate() -> None:
    """An error, as in CoreDNS; also where another block of the file is right."""
    with pytest.raises(CorefileError, match=r"Corefile:4 - .*quic:// needs a certificate: tls CERT KEY"):
        load(". {\nwhoami\n}\nquic://. {\nwhoami\n}\n", environ={})


def test_without_qh3(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastdns.corefile import config

    monkeypatch.setattr(config, "find_spec", lambda name: None)
    with pytest.raises(CorefileError, match=r"Corefile:1 - .*needs the package qh3.*fastdns\[quic\]"):
        load("quic://. {\ntls a b\nwhoami\n}\n", environ={})


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ("server.crt server.key {\nclient_auth require\n}", "client_auth require: clients cannot be asked"),
        ("server.crt Corefile", "a certificate and its key in PEM format expected"),
    ],
)
def test_certificates_that_quic_cannot_use(tmp_path: Path, authority: Authority, files: str, error: str) -> None:
    from fastdns.check import check

    put(authority, tmp_path)
    (tmp_path / "Corefile").write_text("")
    text = f"quic://.:853 {{\nroot {tmp_path}\ntls {files}\nwhoami\n}}\n"
    report = check(lambda mistakes: load(text, environ={}, mistakes=mistakes))
    [found] = report.mistakes.found
    assert isinstance(found, FastdnsError) and error in str(found) and "Corefile:3" in str(found)
