"""A whole server over HTTPS: real clients, the same answers and statuses as CoreDNS's, metrics, certificates."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.tls import bare_client_context
from fastdns.transports.limits import ListenerLimits
from tests.plugins.beside import Both
from tests.plugins.forward.certificates import Authority
from tests.support import Server, free_port, wait_until
from tests.transports.http_clients import (
    Http2Socket,
    Response,
    get_target,
    has_nghttp2,
    http1_post,
    http1_request,
    http1_responses,
)

NAME = "dns.example"
COREFILE = """\
https://example.org:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS
    tls server.crt server.key
    https {
        max_connections 50
    }
    acl example.org {
        drop type TXT
    }
    template IN A example.org {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
    }
    template IN ANY example.org {
        rcode NXDOMAIN
        authority "example.org 50 IN SOA ns.example.org. host.example.org. 1 2 3 4 90"
    }
}
"""
PLAIN = """\
https://example.org:OTHER_PORT example.org:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    log . "{remote} {proto} {size} {rcode}"
    whoami
}
"""


pytestmark = pytest.mark.skipif(not has_nghttp2(), reason="there is no libnghttp2")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    authority.issue("server", (NAME,))
    authority.issue("other", (NAME,))
    return authority


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("https")
    authority.put(folder)
    theirs = COREFILE.replace("METRICS", str(free_port()))
    with Both(folder, COREFILE.replace("METRICS", "METRICS_PORT"), coredns=theirs) as both:
        yield both


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("plain"), PLAIN, workers=1) as server:
        yield server


def connected(authority: Authority, port: int, *protocols: str) -> ssl.SSLSocket:
    context = bare_client_context()
    context.load_verify_locations(authority.ca)
    context.set_alpn_protocols(protocols or ("h2",))
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 5), server_hostname=NAME)


def question(kind: str = "A", name: str = "www.example.org") -> bytes:
    return dns.message.make_query(name, kind, id=0).to_wire()


def read_all(sock: socket.socket) -> bytes:
    """What comes, to the end of a whole response."""
    data = b""
    while b"\r\n\r\n" not in data or not http1_responses(data)[-1].ended:
        part = sock.recv(65536)
        if not part:
            break
        data += part
    return data


def asked(authority: Authority, port: int, version: int, message: bytes, method: str = "POST") -> Response:
    """The response to one request."""
    if version == 2:
        with Http2Socket(connected(authority, port)) as http:
            assert http.sock.selected_alpn_protocol() == "h2"  # type: ignore[attr-defined]
            return http.response(http.client.post(message) if method == "POST" else http.client.get(message))
    with connected(authority, port, "http/1.1") as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"
        sock.sendall(http1_post(message) if method == "POST" else http1_request(method, get_target(message)))
        return http1_responses(read_all(sock))[0]


def ports(both: Both) -> list[int]:
    return [both.fastdns.port] + ([both.coredns.port] if both.coredns is not None else [])


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("kind", "rcode", "age_s"), [("A", "NOERROR", 60), ("MX", "NXDOMAIN", 50)])
def test_answers_as_coredns_has_them(
    both: Both, authority: Authority, version: int, method: str, kind: str, rcode: str, age_s: int
) -> None:
    for port in ports(both):
        response = asked(authority, port, version, question(kind), method)
        fields = response.fields
        assert response.status == 200
        assert fields["content-type"] == "application/dns-message"
        assert fields["cache-control"] == f"max-age={age_s}"
        assert fields["content-length"] == str(len(response.content))
        assert "date" in fields
        reply = dns.message.from_wire(response.content)
        assert dns.rcode.to_text(reply.rcode()) == rcode and reply.flags & dns.flags.QR


STATUSES = [
    ("no reply", 500, http1_post(question("TXT"))),
    ("another path", 404, http1_request("GET", "/")),
    ("no message", 400, http1_request("GET", "/dns-query")),
    ("padding", 400, http1_request("GET", "/dns-query?dns=" + base64.urlsafe_b64encode(bytes(14)).decode())),
    ("twice", 400, http1_request("GET", get_target(question()) + "&dns=AAAA")),
    ("a reply", 400, http1_post(b"\0\0\x80" + bytes(9))),
]


@pytest.mark.parametrize(("status", "request_"), [one[1:] for one in STATUSES], ids=[one[0] for one in STATUSES])
def test_statuses_as_coredns_has_them(both: Both, authority: Authority, status: int, request_: bytes) -> None:
    for port in ports(both):
        with connected(authority, port, "http/1.1") as sock:
            sock.sendall(request_)
            assert http1_responses(read_all(sock))[0].status == status


def test_responses_are_counted_by_status(both: Both, authority: Authority) -> None:
    server = f"https://127.0.0.1:{both.fastdns.port}"

    def counted(status: str) -> float:
        return both.fastdns.total("coredns_dns_https_responses_total", server=server, status=status)

    before = {status: counted(status) for status in ("200", "404")}
    requests = both.fastdns.total("coredns_dns_requests_total", server=server, proto="tcp")
    asked(authority, both.fastdns.port, 2, question())
    with connected(authority, both.fastdns.port, "http/1.1") as sock:
        sock.sendall(http1_request("GET", "/"))
        read_all(sock)
    assert counted("200") == before["200"] + 1 and counted("404") == before["404"] + 1
    assert both.fastdns.total("coredns_dns_requests_total", server=server, proto="tcp") == requests + 1


def test_a_changed_certificate_is_taken_up(both: Both, authority: Authority) -> None:
    def served() -> bytes:
        with connected(authority, both.fastdns.port) as sock:
            return sock.getpeercert(binary_form=True) or b""

    before = served()
    with Http2Socket(connected(authority, both.fastdns.port)) as http:
        authority.put(both.fastdns.folder, "other")
        wait_until(lambda: served() != before)
        assert http.response(http.client.post(question())).status == 200
    authority.put(both.fastdns.folder)


def test_connections_over_the_bound_take_places(both: Both, authority: Authority) -> None:
    """max_connections 50: the least recently active connection of the only client is closed."""
    with contextlib.ExitStack() as stack:
        first, *others = [
            stack.enter_context(Http2Socket(connected(authority, both.fastdns.port))) for _ in range(51)
        ]
        assert others[-1].response(others[-1].client.post(question())).status == 200
        first.sock.settimeout(5)
        with contextlib.suppress(OSError):
            while first.sock.recv(65536):
                pass


def test_without_a_certificate(plain: Server) -> None:
    """Plain text, as in CoreDNS; both versions, and the client's address is known."""
    assert "no certificate is named for https://" in plain.log
    port = plain.ports["OTHER_PORT"]
    with Http2Socket(socket.create_connection(("127.0.0.1", port), 5)) as http:
        two = http.response(http.client.get(question("A")))
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(http1_post(question("A")))
        one = http1_responses(read_all(sock))[0]
    for response in (one, two):
        assert response.status == 200
        reply = dns.message.from_wire(response.content)
        assert "127.0.0.1" in {str(data) for rrset in reply.additional for data in rrset}
    plain.wait_for_log("127.0.0.1 tcp 33 NOERROR")


# ----------------------------------------------------------------------------------------------- real clients


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name}")
    return found


def said(*words: str, limit_s: float = 20.0) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=limit_s)
    return done.stdout + done.stderr


@pytest.mark.parametrize("method", ["+https", "+https-get"])
def test_kdig(both: Both, authority: Authority, method: str) -> None:
    words = [
        tool("kdig"), "@127.0.0.1", "-p", str(both.fastdns.port), "+https", method, f"+tls-ca={authority.ca}",
        f"+tls-hostname={NAME}", "+keepopen", "a.example.org", "A", "b.example.org", "MX",
    ]  # fmt: skip
    told = said(*words)
    assert told.count("HTTP session (HTTP/2-") == 2 and "192.0.2.1" in told and "status: NXDOMAIN" in told, told


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_curl(both: Both, authority: Authority, version: str, tmp_path: Path) -> None:
    url = f"https://{NAME}:{both.fastdns.port}{get_target(question())}"
    words = [
        tool("curl"), "-s", version, "--cacert", str(authority.ca), "--resolve",
        f"{NAME}:{both.fastdns.port}:127.0.0.1", "-o", str(tmp_path / "reply"), "-w",
        "%{http_version} %{http_code} %{content_type}", url, "-o", str(tmp_path / "second"), url,
    ]  # fmt: skip
    expected = f"{version[6:]} 200 application/dns-message"
    assert said(*words) == expected * 2
    reply = dns.message.from_wire((tmp_path / "second").read_bytes())
    assert str(reply.answer[0][0]) == "192.0.2.1"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_dnsperf(both: Both, tmp_path: Path, method: str) -> None:
    """Many requests at a time on each connection; none is lost."""
    queries = tmp_path / "queries"
    queries.write_text("a.example.org A\nb.example.org MX\n")
    words = [
        tool("dnsperf"), "-m", "doh", "-s", "127.0.0.1", "-p", str(both.fastdns.port), "-d", str(queries),
        "-n", "500", "-c", "4", "-q", "20", "-O", f"doh-method={method}",
    ]  # fmt: skip
    told = said(*words)
    assert "Queries completed:    1000 (100.00%)" in told and "NOERROR 500" in told and "NXDOMAIN 500" in told, told


# ------------------------------------------------------------------------------------------------ the Corefile


def test_errors_of_the_corefile() -> None:
    for option, says in {
        "max_connections": "one argument",
        "max_connections x": "max_connections",
        "max_connections -1": "max_connections",
        "max_connections 1\nmax_connections 2": "already defined",
        "streams 1": "streams",
    }.items():
        with pytest.raises(CorefileError, match=says):
            load(f"https://. {{\nhttps {{\n{option}\n}}\nwhoami\n}}")
    with pytest.raises(CorefileError):
        load("https://. {\nhttps 1\nwhoami\n}")
    with pytest.raises(CorefileError, match="only once"):
        load("https://. {\nhttps\nhttps\nwhoami\n}")
    config = load("https://. {\nhttps {\nmax_connections 0\n}\nwhoami\n}")
    assert config.blocks[0].settings.https == ListenerLimits(0, 128)
    assert [listener.port for listener in config.listeners] == [443]


@pytest.mark.parametrize("scheme", ["https", "grpc"])
def test_a_host_without_the_library_is_told_what_to_install(tmp_path: Path, scheme: str) -> None:
    """The loader finds a file of that name first, which is none; also where nothing is served."""
    (tmp_path / "libnghttp2.so.14").write_text("no library")
    (tmp_path / "Corefile").write_text(f"{scheme}://.:{free_port()} {{\n    bind 127.0.0.1\n    whoami\n}}\n")
    for words in (["check"], []):
        ended = subprocess.run(
            [sys.executable, "-m", "fastdns", *words, "-conf", "Corefile"],
            cwd=tmp_path, env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert ended.returncode == 1
        assert "install the package libnghttp2-14" in ended.stdout + ended.stderr
