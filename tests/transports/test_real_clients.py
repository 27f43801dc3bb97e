"""Clients that others have written, where they are installed: kdig, stubby, resolved, Go's libraries, Chromium."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import pytest

from fastdns.transports.table import HTTPS, HTTPS3, QUIC, TLS, Transport
from tests.plugins.forward.certificates import Authority
from tests.support import Server, free_port, wait_until
from tests.transports.served import NAME, SECURE, STREAMS, certificates, each, everywhere, port_of, ports

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    template IN A page.example {
        answer "{{ .Name }} 60 IN A 127.0.0.1"
    }
    template IN ANY page.example {
        rcode NOERROR
    }
    template IN A {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
    }
    template IN TXT {
        answer "{{ .Name }} 60 IN TXT LONG"
    }
}
"""
LONG = " ".join(["x" * 250] * 20)
# How kdig and the client in Go call a transport.
KDIG = {"tcp": "+tcp", "tls": "+tls", "https": "+https", "quic": "+quic"}
GO = ("tls", "https")
# .ci/run does not install it: its package takes over /etc/resolv.conf.
RESOLVED = Path("/lib/systemd/systemd-resolved")


@dataclass
class World:
    """The server; at: ports of schemes."""

    server: Server
    at: dict[str, int]
    authority: Authority

    def port(self, row: Transport) -> int:
        return port_of(row, self.at, self.server.port)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("clients")
    authority = certificates(folder)
    at = ports()
    with Server(folder, everywhere(COREFILE.replace("LONG", LONG), at), workers=1) as server:
        yield World(server, at, authority)


def command(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name}")
    return found


def told(*words: object, limit_s: float = 30.0) -> str:
    """What a program prints."""
    words = tuple(map(str, words))
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=limit_s).stdout


@each(row for row in STREAMS if row.name in KDIG)
def test_kdig(world: World, row: Transport) -> None:
    """Several queries on one connection, and a reply that is larger than a datagram."""
    kdig = command("kdig")
    option = KDIG[row.name]
    if option not in told(kdig, "--help").replace("+[no]", "+"):
        pytest.skip(f"this kdig has no {option}")
    trust = [f"+tls-ca={world.authority.ca}", f"+tls-hostname={NAME}"] if row in SECURE else []
    # What to trust would mean TLS over TCP, if no option came after it.
    at = [kdig, "@127.0.0.1", "-p", world.port(row), *trust, option]
    said = told(*at, "+keepopen", "a.example", "A", "b.example", "TXT")
    assert said.count("status: NOERROR") == 2 and "192.0.2.1" in said and said.count("x" * 250) == 20, said


@pytest.fixture(scope="module")
def goclient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("go") / "goclient"
    source = Path(__file__).parent / "goclient" / "main.go"
    environ = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off"}
    subprocess.run([command("go"), "build", "-o", built, source], env=environ, check=True, timeout=110)
    return built


@each(row for row in STREAMS if row.name in GO)
def test_go(world: World, row: Transport, goclient: Path) -> None:
    """Go's resolver asks for A and AAAA at a time; its HTTP client speaks HTTP/2."""
    queries = [f"{name}.example." for name in "abc"]
    if row is not TLS:
        wires = [dns.message.make_query(name, "TXT").to_wire() for name in queries]
        queries = [base64.urlsafe_b64encode(wire).rstrip(b"=").decode() for wire in wires]
    said = told(goclient, row.name, f"127.0.0.1:{world.port(row)}", world.authority.ca, NAME, *queries).split()
    if row is TLS:
        assert said == ["[192.0.2.1]"] * 3
        return
    for name, line in zip("abc", said, strict=True):
        reply = dns.message.from_wire(base64.urlsafe_b64decode(line + "=="))
        assert str(reply.question[0].name) == f"{name}.example." and len(reply.answer[0]) == 1


@pytest.fixture(scope="module")
def goquic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It needs a module, and the version of Go that the module needs."""
    built, source = tmp_path_factory.mktemp("go") / "goquic", Path(__file__).parent / "goquic"
    environ = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    go = command("go")
    if subprocess.run(
        [go, "list", "-deps", "."], cwd=source, env=environ, capture_output=True, timeout=60
    ).returncode:
        pytest.skip("Go's module quic-go cannot be had")
    subprocess.run(
        [go, "build", "-buildvcs=false", "-o", built, "."], cwd=source, env=environ, check=True, timeout=110
    )
    return built


class GoQuic:
    """A client that asks one query after the other."""

    def __init__(self, goquic: Path, world: World, row: Transport) -> None:
        address = f"127.0.0.1:{world.port(row)}"
        self.process = subprocess.Popen(
            [goquic, row.name, address, world.authority.ca, NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> GoQuic:
        return self

    def __exit__(self, *raised: object) -> None:
        self.process.kill()
        self.process.communicate()

    def ask(self, name: str, kind: str) -> dns.message.Message | None:
        """None where the server has ended the connection by a reset."""
        assert self.process.stdin is not None and self.process.stdout is not None
        wire = dns.message.make_query(name, kind, id=0).to_wire()
        self.process.stdin.write(base64.urlsafe_b64encode(wire).rstrip(b"=") + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().strip()
        assert line, "it has given up"
        return None if line == b"reset" else dns.message.from_wire(base64.urlsafe_b64decode(line + b"=="))


@each(row for row in STREAMS if row in (QUIC, HTTPS3))
def test_go_over_quic(world: World, row: Transport, goquic: Path) -> None:
    """quic-go: the most used client of DNS over QUIC."""
    with GoQuic(goquic, world, row) as client:
        for name in ("a.example.", "b.example.", "c.example."):
            reply = client.ask(name, "TXT")
            assert reply is not None and str(reply.question[0].name) == name and len(reply.answer[0]) == 1


@each(row for row in STREAMS if row is QUIC)
def test_go_notices_that_its_worker_is_dead(world: World, row: Transport, goquic: Path) -> None:
    """By a stateless reset; what waits for quic-go's idle timeout gives up."""
    with GoQuic(goquic, world, row) as client:
        for _ in range(3):
            assert client.ask("a.example.", "A") is not None
        [killed] = world.server.pids().workers.values()
        os.kill(killed, 9)
        wait_until(lambda: list(world.server.pids().workers.values()) not in ([], [killed]), 15)
        wait_until(lambda: world.server.addresses("a.example.") == ["192.0.2.1"], 15)
        reply = client.ask("b.example.", "A") or client.ask("b.example.", "A")
        assert reply is not None and str(reply.question[0].name) == "b.example."


class Page(BaseHTTPRequestHandler):
    """Says which host was asked for."""

    def do_GET(self) -> None:
        content = f"<html><body>This is {self.headers['Host']}</body></html>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def page() -> Iterator[int]:
    """The port of a web server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        try:
            yield served.server_port
        finally:
            served.shutdown()
            thread.join()


@each(row for row in STREAMS if row in (HTTPS, HTTPS3))
def test_chromium(tmp_path: Path, world: World, row: Transport, page: int) -> None:
    """Secure DNS only: it opens a page whose host nobody else knows. It trusts the authority that its user does."""
    chromium, certutil = command("chromium"), command("certutil")
    profile, trusted = tmp_path / "profile", tmp_path / ".pki/nssdb"
    profile.mkdir()
    trusted.mkdir(parents=True)
    told(certutil, "-d", f"sql:{trusted}", "-N", "--empty-password")
    told(certutil, "-d", f"sql:{trusted}", "-A", "-t", "C,,", "-n", "test", "-i", world.authority.ca)
    at = f"{NAME}:{world.port(row)}"
    secure = {"mode": "secure", "templates": f"https://{at}/dns-query"}
    (profile / "Local State").write_text(json.dumps({"dns_over_https": secure}))
    quic = "--disable-quic" if row is HTTPS else f"--origin-to-force-quic-on={at}"
    words = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", quic, f"--user-data-dir={profile}",
        f"--host-resolver-rules=MAP {NAME} 127.0.0.1", "--dump-dom", f"http://{row.name}.page.example:{page}/",
    ]  # fmt: skip

    def responses() -> float:
        at = {"server": f"{row.scheme}://127.0.0.1:{world.port(row)}", "status": "200"}
        return world.server.total(f"coredns_dns_{row.name}_responses_total", **at)

    before = responses()
    environ = {**os.environ, "HOME": str(tmp_path)}
    said = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert f"This is {row.name}.page.example:{page}" in said.stdout, said
    assert responses() > before


@contextlib.contextmanager
def running(words: Sequence[object], log: Path, folder: Path) -> Iterator[None]:
    """A program, until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen([*map(str, words)], cwd=folder, stdout=output, stderr=output)
    try:
        yield
    except BaseException:
        print(log.read_text(errors="replace"))
        raise
    finally:
        process.kill()
        process.wait()


def resolves(address: str, port: int, world: World) -> None:
    """A resolver at a port gets its answers from the server, which has no other port than that of TLS for it."""
    before = world.server.pids().workers

    def answered() -> bool:
        try:
            reply = dns.query.udp(dns.message.make_query("www.example.org", "A"), address, 1, port)
        except (dns.exception.Timeout, OSError):
            time.sleep(0.1)
            return False
        return [str(data) for rrset in reply.answer for data in rrset] == ["192.0.2.1"]

    wait_until(answered, 20)
    for number in range(20):
        reply = dns.query.udp(dns.message.make_query(f"n{number}.example.org", "A"), address, 5, port)
        assert len(reply.answer) == 1
    assert world.server.pids().workers == before


def test_stubby(tmp_path: Path, world: World) -> None:
    """A stub resolver that speaks DNS over TLS only, with one connection for many queries."""
    stubby, port = command("stubby"), free_port()
    (tmp_path / "stubby.yml").write_text(f"""\
resolution_type: GETDNS_RESOLUTION_STUB
dns_transport_list: [GETDNS_TRANSPORT_TLS]
tls_authentication: GETDNS_AUTHENTICATION_REQUIRED
tls_ca_file: "{world.authority.ca}"
tls_query_padding_blocksize: 128
idle_timeout: 10000
listen_addresses: [127.0.0.1@{port}]
appdata_dir: "{tmp_path}"
upstream_recursive_servers:
  - address_data: 127.0.0.1
    tls_port: {world.port(TLS)}
    tls_auth_name: "{NAME}"
""")
    with running([stubby, "-C", tmp_path / "stubby.yml", "-l"], tmp_path / "log", tmp_path):
        resolves("127.0.0.1", port, world)


def test_systemd_resolved(tmp_path: Path, world: World) -> None:
    """In namespaces of its own for files and processes, with a bus of its own."""
    unshare, bus = command("unshare"), command("dbus-daemon")
    if not RESOLVED.exists() or os.geteuid():
        pytest.skip("systemd-resolved and root are needed")
    port = free_port()
    (tmp_path / "resolved.conf").write_text(
        f"[Resolve]\nDNS=127.0.0.1:{world.port(TLS)}#{NAME}\nDNSOverTLS=yes\nDNSSEC=no\nDomains=~.\nCache=no\n"
        f"LLMNR=no\nMulticastDNS=no\nDNSStubListener=no\nDNSStubListenerExtra=127.0.0.7:{port}\n"
    )
    authorities = "/etc/ssl/certs/ca-certificates.crt"
    script = f"""
        set -e
        mount -t tmpfs none /run
        mkdir -p /run/dbus /run/systemd/resolve
        chown systemd-resolve:systemd-resolve /run/systemd/resolve
        cat {authorities} {world.authority.ca} >/run/authorities
        mount --bind /run/authorities {authorities}
        mount --bind {tmp_path}/resolved.conf /etc/systemd/resolved.conf
        {bus} --system --fork --nopidfile
        {RESOLVED}
    """
    namespaces = [unshare, "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    with running([*namespaces, "sh", "-c", script], tmp_path / "log", tmp_path):
        resolves("127.0.0.7", port, world)
