"""A whole server over gRPC: gRPC's own client, and CoreDNS's plugin grpc."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.transports.limits import ListenerLimits
from tests.plugins.beside import COREDNS, Both, CoreDNS
from tests.plugins.forward.certificates import Authority
from tests.support import Server
from tests.transports.http_clients import has_nghttp2

pytestmark = pytest.mark.skipif(not has_nghttp2(), reason="there is no libnghttp2")

CALL = "/coredns.dns.DnsService/Query"
COREFILE = """\
grpc://example.org:DNS_PORT {
    bind 127.0.0.1
    tls server.crt server.key
    grpc_server {
        max_streams 10
        max_connections 20
    }
    template IN A example.org {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
    }
}
"""
PLAIN = """\
grpc://example.org:OTHER_PORT example.org:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    acl example.org {
        drop type TXT
    }
    whoami
}
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("grpc")
    authority = Authority(folder)
    authority.issue("server", ("localhost",))
    with Both(folder, COREFILE) as both:
        yield both


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("plain"), PLAIN, workers=1) as server:
        yield server


@pytest.fixture(scope="module")
def grpc() -> Any:
    return pytest.importorskip("grpc")


def packet(message: bytes) -> bytes:
    """A DnsPacket of a message of up to 16,383 bytes."""
    size = len(message)
    return b"\x0a" + (bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])) + message


def message_of(content: bytes) -> dns.message.Message:
    return dns.message.from_wire(content[2 if content[1] < 128 else 3 :])


def question(kind: str = "A") -> bytes:
    return dns.message.make_query("www.example.org", kind).to_wire()


def test_calls_over_tls(both: Both, grpc: Any) -> None:
    """Twenty at a time on one connection, which may have ten open."""
    roots = (both.fastdns.folder / "ca.crt").read_bytes()
    for port in [both.fastdns.port] + ([both.coredns.port] if both.coredns else []):
        credentials = grpc.ssl_channel_credentials(roots)
        options = [("grpc.ssl_target_name_override", "localhost")]
        with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
            ask = channel.unary_unary(CALL)
            calls = [ask.future(packet(question()), timeout=10) for _ in range(20)]
            for call in calls:
                reply = message_of(call.result())
                assert [str(data) for rrset in reply.answer for data in rrset] == ["192.0.2.1"]
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(CALL + "s")(packet(question()), timeout=10)
            assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
            for content, code in ((b"", "UNKNOWN"), (b"\x0a\x05ab", "INTERNAL"), (packet(bytes(11)), "UNKNOWN")):
                with pytest.raises(grpc.RpcError) as caught:
                    ask(content, timeout=10)
                assert caught.value.code() == grpc.StatusCode[code]


def test_calls_without_tls(plain: Server, grpc: Any) -> None:
    assert "no certificate is named for grpc://" in plain.log
    server = f"grpc://127.0.0.1:{plain.ports['OTHER_PORT']}"
    with grpc.insecure_channel(f"127.0.0.1:{plain.ports['OTHER_PORT']}") as channel:
        ask = channel.unary_unary(CALL)
        reply = message_of(ask(packet(question()), timeout=10))
        assert "127.0.0.1" in {str(data) for rrset in reply.additional for data in rrset}
        with pytest.raises(grpc.RpcError) as caught:
            ask(packet(question("TXT")), timeout=10)
        assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert plain.total("coredns_dns_requests_total", server=server, proto="tcp") >= 1


def test_coredns_asks(plain: Server, tmp_path: Path) -> None:
    """Its plugin grpc is a client of this server."""
    if COREDNS is None:
        pytest.skip("there is no coredns")
    corefile = f".:DNS_PORT {{\n    bind 127.0.0.1\n    grpc . 127.0.0.1:{plain.ports['OTHER_PORT']}\n}}\n"
    with CoreDNS(tmp_path, corefile) as coredns:
        for _ in range(20):
            reply = dns.query.udp(dns.message.make_query("a.example.org", "A"), "127.0.0.1", 5, coredns.port)
            assert "127.0.0.1" in {str(data) for rrset in reply.additional for data in rrset}


def test_curl_is_told_what_is_served(plain: Server) -> None:
    """Whoever comes with HTTP gets a status of HTTP/2, and none of HTTP/1.1."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl")
    url = f"http://127.0.0.1:{plain.ports['OTHER_PORT']}/"
    words = [curl, "-s", "-o", "/dev/null", "-w", "%{http_code}", "--http2-prior-knowledge", url]
    assert subprocess.run(words, capture_output=True, text=True, check=False, timeout=20).stdout == "405"


def test_errors_of_the_corefile() -> None:
    for option, says in {
        "max_streams": "one argument",
        "max_streams x": "max_streams",
        "max_streams -1": "max_streams",
        "max_connections 1\nmax_connections 2": "already defined",
        "streams 1": "streams",
    }.items():
        with pytest.raises(CorefileError, match=says):
            load(f"grpc://. {{\ngrpc_server {{\n{option}\n}}\nwhoami\n}}")
    with pytest.raises(CorefileError, match="only once"):
        load("grpc://. {\ngrpc_server\ngrpc_server\nwhoami\n}")
    settings = load("grpc://. {\ngrpc_server {\nmax_streams 0\nmax_connections 7\n}\nwhoami\n}").blocks[0].settings
    assert settings.grpc == ListenerLimits(7, 0)
