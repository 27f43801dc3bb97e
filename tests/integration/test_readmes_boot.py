"""Every Corefile of the plugins' READMEs starts and answers, on ports that are free here."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import ssl
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from fastdns.bench.apiserver.process import Process
from fastdns.corefile import Listener, ServerConfig, load
from fastdns.tls import bare_client_context
from tests.corefile.test_readmes import ENVIRON, examples
from tests.integration.hosted import LIBRARIES, provider_of
from tests.plugins.dnssec.keyfiles import KSK, make_key
from tests.plugins.etcd.support import ETCD, Etcd
from tests.plugins.forward.certificates import Authority
from tests.plugins.geoip.writer import CITIES, database
from tests.plugins.nomad.agent import Agent
from tests.plugins.tls.authority import AcmeAuthority
from tests.support import Server, free_port, has_address, wait_until
from tests.transports.http_clients import Http2Socket, has_nghttp2, post_fields

# The ports that plugins take where an example names none.
DEFAULT_PORTS = {"health": 8080, "pprof": 6053, "ready": 8181, "prometheus": 9153}
# How to reach an API server: the test's own takes the place of all that.
CONNECTION = ("endpoint", "tls", "kubeconfig")
BOOTS = [
    pytest.param(text, id=f"{page.parent.name}:{line}")
    for page, line, text in examples()
    if page.parent.parent.name == "plugins"
]


@pytest.fixture(scope="module")
def api_server() -> Iterator[Process]:
    with Process(services=10, endpoints=2, pods=True, imports=True) as process:
        yield process


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with Etcd(tmp_path_factory.mktemp("etcd")) as etcd:
        yield etcd


@pytest.fixture(scope="module")
def nomad() -> Iterator[Agent]:
    with Agent() as agent:
        yield agent


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def remapped(text: str, folder: Path) -> str:
    """The same Corefile on ports of the loopback that are free, with the files that it names."""
    ports: dict[str, str] = {}

    def port(match: re.Match[str]) -> str:
        return match[1] + ports.setdefault(match[2], str(free_port()))

    lines = []
    for line in text.splitlines():
        words = line.split()
        if words and words[0] in DEFAULT_PORTS and (len(words) == 1 or words[1] == "{"):
            line = line.replace(words[0], f"{words[0]} localhost:{free_port()}", 1)
        elif words and (words[0] in DEFAULT_PORTS or line.rstrip().endswith("{")) and not line.startswith("    }"):
            line = re.sub(r"(:)(\d+)(?=[\s{,]|$)", port, line)
        elif words[:2] == ["transfer", "from"]:
            line = re.sub(r"[\d.]+$", f"127.0.0.1:{free_port()}", re.sub(r"from .* ", "from ", line))
        lines.append(line)
    return "\n".join(lines).replace("/etc/fastdns", str(folder)) + "\n"


def connected(text: str, kubeconfig: Path) -> str:
    """The same Corefile with our API server in each kubernetes block that has no manifests."""
    lines = []
    for line in text.splitlines():
        if line.split()[:1] in ([name] for name in CONNECTION):
            continue
        if line.split()[:1] == ["kubernetes"]:
            rest = [] if line.endswith("{") else ["    }"]
            lines += [line if not rest else f"{line} {{", f"        kubeconfig {kubeconfig}", *rest]
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def followed(text: str, plugin: str, option: str, url: str) -> str:
    """The same Corefile with a server of ours in each block of a plugin that follows one."""
    text = re.sub(rf"^ +{option} .*\n", "", text, flags=re.MULTILINE)
    return re.sub(rf"^( +{plugin} .*)\{{\n", rf"\1{{\n        {option} {url}\n", text, flags=re.MULTILINE)


def skip_what_cannot_be(config: ServerConfig) -> None:
    """Skip examples that need what is not here."""
    for listener in config.listeners:
        if listener.address and not has_address(listener.address):
            pytest.skip(f"this host has no {listener.address}")


def asked(listener: Listener, config: ServerConfig) -> Iterator[str]:
    """A name in each zone that a listener serves; of all names kubernetes has those of its cluster only, and nomad
    those with two labels more than its zone."""
    for zone, block in listener.zones:
        if "nomad" in config.blocks[block].plugins:
            yield f"a.b.{zone}"
            continue
        options = config.blocks[block].plugins.get("kubernetes")
        yield f"a.{zone}" if zone != "." else "a." if options is None else f"a.{options.primary}"


def rcode_over_quic(name: str, listener: Listener) -> dns.rcode.Rcode:
    """Ask over QUIC, or over HTTP/3."""
    from tests.transports.h3_client import H3Client
    from tests.transports.quic_client import QuicClient

    query = dns.message.make_query(name, "A", id=0).to_wire()
    if listener.transport == "quic":
        [reply] = QuicClient(listener.port).connect().ask(query)
        return dns.message.from_wire(reply[2:]).rcode()
    asking = H3Client(listener.port)
    asking.connect()
    _, _, content = asking.response(asking.request(b"POST", b"/dns-query", query))
    return dns.message.from_wire(content).rcode()


def client(folder: Path) -> ssl.SSLContext:
    """A client with a certificate of the example's authority."""
    context = bare_client_context()
    context.check_hostname = False
    context.load_verify_locations(folder / "ca.pem")
    context.load_cert_chain(folder / "client.crt", folder / "client.key")
    return context


def rcode_over_tls(name: str, at: str, port: int, folder: Path) -> int:
    """What is answered; -1 while there is no certificate, or where the server is too busy."""
    try:
        return dns.query.tls(dns.message.make_query(name, "A"), at, 5, port, ssl_context=client(folder)).rcode()
    except (ssl.SSLError, dns.exception.Timeout):
        return -1


def over_http(http: Http2Socket, transport: str, query: bytes) -> bytes:
    """The reply to a query of less than 128 bytes, over HTTPS or gRPC."""
    if transport == "https":
        return http.response(http.client.post(query)).content
    packet = bytes([0, 0, 0, 0, len(query) + 2, 10, len(query)]) + query
    fields = {**dict(post_fields(packet, "/coredns.dns.DnsService/Query")), "content-type": "application/grpc"}
    reply = http.response(http.client.post(packet, list(fields.items()))).content
    return reply[7 if reply[6] < 128 else 8 :]


@pytest.mark.parametrize("text", BOOTS)
def test_example_boots(tmp_path: Path, text: str, request: pytest.FixtureRequest) -> None:
    (tmp_path / "weights.txt").write_text("www.example.com\n192.0.2.1 3\n192.0.2.2 1\n")
    (tmp_path / "GeoLite2-City.mmdb").write_bytes(database(CITIES))
    (tmp_path / "services.d").mkdir()
    for name in ("db.example.org", "db.template"):
        (tmp_path / name).write_text("@ 60 SOA ns host 1 7200 1800 86400 60\n@ 60 NS ns\nns 60 A 192.0.2.53\n")
    for zone in ("example.org", "cluster.local"):
        if f"/K{zone}" in text:
            key = make_key(tmp_path, f"{zone}.", flags=KSK)
            for suffix in (".key", ".private"):
                Path(f"{key.base}{suffix}").rename(tmp_path / f"K{zone}{suffix}")
    if "key directory" in text:
        (tmp_path / "keys").mkdir()
        for zone in ("example.org.", "example.net."):
            make_key(tmp_path / "keys", zone, flags=KSK)
    acme = None
    if "        acme " in text:
        pytest.importorskip("acme")
        acme = request.getfixturevalue("stack").enter_context(AcmeAuthority(tmp_path))
        text = text.replace("acme dns.example.org", f"acme dns.example.org\n        ca {acme.url}")
        acme.issuer.issue("client")
        shutil.copy(acme.issuer.ca, tmp_path / "ca.pem")
    if "tls cert.pem" in text:
        authority = Authority(tmp_path)
        for file, name in zip(authority.issue("server"), ("cert.pem", "key.pem"), strict=True):
            file.rename(tmp_path / name)
        authority.issue("client")
        authority.ca.rename(tmp_path / "ca.pem")
    corefile = remapped(text, tmp_path)
    if "kubernetes" in corefile and "manifests" not in corefile:
        corefile = connected(corefile, request.getfixturevalue("api_server").kubeconfig)
    if "etcd" in corefile:
        if ETCD is None:
            pytest.skip("etcd is not installed")
        corefile = followed(corefile, "etcd", "endpoint", request.getfixturevalue("etcd").url)
    if "nomad" in corefile:
        corefile = followed(corefile, "nomad", "address", request.getfixturevalue("nomad").url)
    if ("quic://" in corefile or "https3://" in corefile) and find_spec("qh3") is None:
        pytest.skip("qh3 is not installed")
    read = load(corefile, environ=ENVIRON)
    if {"https", "grpc"} & {listener.transport for listener in read.listeners} and not has_nghttp2():
        pytest.skip("there is no libnghttp2")
    skip_what_cannot_be(read)
    if acme is not None:
        acme.dns_port = next(one.port for one in read.listeners if one.transport == "dns")
    environ: dict[str, str] = {}
    if any(read.with_plugin(plugin) for plugin in LIBRARIES):
        provider, environ = provider_of(read, tmp_path)
        request.getfixturevalue("stack").enter_context(provider)
    with Server(tmp_path, corefile, arguments=("-p", "DNS_PORT"), workers=1, environ=environ) as server:
        config = load(server.corefile.read_text(), environ=ENVIRON, default_port=server.port)
        assert config.listeners
        # The upstreams of the examples are not there: what is left to them fails, and errors says so.
        forwards = bool(config.with_plugin("forward") or config.with_plugin("grpc"))
        # Nor are the primaries.
        transfers = bool(config.with_plugin("secondary"))
        expected = {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}
        expected |= {dns.rcode.SERVFAIL} if forwards or transfers else set()
        # These queries are not signed.
        expected |= {dns.rcode.REFUSED} if config.with_plugin("tsig") else set()
        for listener in config.listeners:
            at = listener.address or "127.0.0.1"
            for name in asked(listener, config):
                if listener.transport in ("https", "grpc"):
                    sock: socket.socket = socket.create_connection((at, listener.port), 5)
                    if any(config.blocks[index].settings.tls for _, index in listener.zones):
                        sock = client(tmp_path).wrap_socket(sock)
                    with Http2Socket(sock) as http:
                        content = over_http(http, listener.transport, dns.message.make_query(name, "A").to_wire())
                    assert dns.message.from_wire(content).rcode() in expected, f"{name} at {at}"
                    continue
                if listener.transport in ("quic", "https3"):
                    assert rcode_over_quic(name, listener) in expected, f"{name} at {at}"
                    continue
                if listener.transport == "tls":
                    ask_tls = partial(rcode_over_tls, name, at, listener.port, tmp_path)
                    wait_until(lambda ask=ask_tls: ask() in expected, 30, f"{name} at {at}")  # type: ignore[misc]
                    continue
                # A zone that is signed after the start is looked at again after a minute.
                for tcp in (False, True):
                    ask = partial(server.query, name, at=at, port=listener.port, tcp=tcp)
                    wait_until(lambda ask=ask: ask().rcode() in expected, 75, f"{name} at {at}")  # type: ignore[misc]
        errors = [line for line in server.log.splitlines() if line.startswith("[ERROR]")]
        if config.with_plugin("sign"):
            errors = [line for line in errors if not line.startswith("[ERROR] plugin/file: ")]
        if transfers:
            errors = [line for line in errors if not line.startswith("[ERROR] plugin/secondary: ")]
        if config.with_plugin("dnstap"):
            # Nor are collectors.
            errors = [line for line in errors if "plugin/dnstap: No connection" not in line]
        assert all(forwards and line.startswith("[ERROR] plugin/errors: 2 ") for line in errors)


def test_there_are_examples() -> None:
    assert len(BOOTS) > 15
