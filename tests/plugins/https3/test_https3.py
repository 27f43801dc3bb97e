"""DNS over HTTP/3 of a whole server, beside CoreDNS's: the answers of TCP, statuses, metrics, Corefiles."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import pytest

pytest.importorskip("qh3")

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.transports.limits import ListenerLimits
from tests.plugins.beside import COREDNS, CoreDNS
from tests.plugins.forward.certificates import Authority
from tests.plugins.quic.test_quic import COREFILE, NAME, QUESTIONS, alike, put, question
from tests.support import Server, free_port
from tests.transports.h3_client import H3Client
from tests.transports.support import frame

COREFILE = (
    COREFILE.replace("quic://", "https3://")
    .replace("    quic {\n        max_streams 64\n", "    https3 {\n        max_connections 50\n")
)  # fmt: skip


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    authority.issue("server", (NAME,))
    return authority


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("https3")
    put(authority, folder)
    with Server(folder, COREFILE, workers=2) as server:
        yield server


@pytest.fixture(scope="module")
def coredns(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[int | None]:
    """The port of CoreDNS's HTTP/3, where there is CoreDNS."""
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
def client(server: Server, authority: Authority) -> H3Client:
    return H3Client(server.ports["OTHER_PORT"], str(authority.ca)).connect()  # type: ignore[return-value]


def get(message: bytes) -> bytes:
    return b"/dns-query?dns=" + base64.urlsafe_b64encode(message).rstrip(b"=")


@pytest.mark.parametrize(("name", "kind"), QUESTIONS)
def test_the_answers_of_tcp(server: Server, client: H3Client, coredns: int | None, name: str, kind: str) -> None:
    status, fields, content = client.response(client.request(b"POST", b"/dns-query", question(name, kind)))
    over_tcp = server.query(name, kind, tcp=True)
    over_tcp.id = 0
    assert status == 200 and alike(frame(content)) == alike(frame(over_tcp.to_wire()))
    assert client.response(client.request(b"GET", get(question(name, kind))))[2] == content
    if coredns is not None:
        them: H3Client = H3Client(coredns).connect()  # type: ignore[assignment]
        _, their_fields, theirs = them.response(them.request(b"GET", get(question(name, kind))))
        if dns.message.from_wire(theirs).flags & dns.flags.TC:
            # CoreDNS has the bound of UDP here.
            assert len(theirs) <= 512 < len(content)
        else:
            assert alike(frame(content)) == alike(frame(theirs))
            assert fields[b"content-type"] == their_fields[b"content-type"]


def test_metrics(server: Server, client: H3Client) -> None:
    """CoreDNS's names and labels."""
    listener = f"https3://127.0.0.1:{server.ports['OTHER_PORT']}"

    def counted(status: str) -> float:
        return server.total("coredns_dns_https3_responses_total", server=listener, status=status)

    before = counted("200"), counted("404")
    requests = server.total("coredns_dns_requests_total", server=listener, proto="udp")
    assert client.response(client.request(b"GET", get(question("www.example.org"))))[0] == 200
    assert client.response(client.request(b"GET", b"/"))[0] == 404
    assert (counted("200"), counted("404")) == (before[0] + 1, before[1] + 1)
    assert server.total("coredns_dns_requests_total", server=listener, proto="udp") == requests + 1


def test_a_zone_transfer_is_none(client: H3Client) -> None:
    """A response has one message (RFC 8484 section 6)."""
    stream = client.request(b"POST", b"/dns-query", question("example.org", "AXFR"))
    assert client.response(stream)[0] == 500


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https3", ListenerLimits(200, 256)),
        ("https3 {\nmax_streams 50\nmax_connections 400\n}", ListenerLimits(400, 50)),
        ("https3 {\nmax_streams 0\nmax_connections 0\n}", ListenerLimits(0, 100)),
    ],
)
def test_options(text: str, expected: ListenerLimits) -> None:
    [block] = load(f"https3://. {{\ntls a b\n{text}\n}}\n", environ={}).blocks
    assert block.settings.https3 == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https3 extra", "Corefile:3 - .*no argument"),
        ("https3 {\nmax_streams -1\n}", "max_streams must be a whole number"),
        ("https3 {\nmax_streams 1 2\n}", "Corefile:4"),
        ("https3 {\nmax_streams 1\nmax_streams 2\n}", "Corefile:5 - .*max_streams already defined"),
        ("https3 {\nmax_connections a\n}", "max_connections must be a whole number"),
        ("https3 {\nmax_connections 1\nmax_connections 1\n}", "Corefile:5 - .*max_connections already defined"),
        ("https3 {\nother\n}", "other"),
        ("https3\nhttps3", "Corefile:4 - .*only once"),
    ],
)
def test_mistakes(text: str, expected: str) -> None:
    with pytest.raises(CorefileError, match=expected):
        load(f"https3://. {{\ntls a b\n{text}\n}}\n", environ={})


def test_without_a_certificate(tmp_path: Path) -> None:
    with pytest.raises(CorefileError, match=r"Corefile:1 - .*https3:// needs a certificate"):
        load("https3://. {\nwhoami\n}\n", environ={})
