"""Corefiles as people have them: each starts and answers.

A folder of ``shapes/`` has a Corefile, the files that it names, and ``questions``: lines
``NAME TYPE[/CLASS] RCODE RDATA...``, where ``*`` stands for any answer. Ports become free ones of the loopback,
upstreams and API servers become the test's own.
"""

from __future__ import annotations

import re
import shutil
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from fastdns.corefile import ServerConfig, load
from tests.integration.test_readmes_boot import remapped
from tests.support import Server, free_port

FOLDER = Path(__file__).parent / "shapes"
SHAPES = sorted(path.name for path in FOLDER.iterdir())
ENVIRON = {"MY_HOST_IP": "127.0.0.1", "SITE": "berlin", "INGRESS_IP": "10.60.0.1", "ZONE": "zone.example"}
# Addresses that a Corefile binds to, and what stands for them here.
BOUND = {"169.254.20.10": "127.0.0.54", "10.96.0.10": "127.0.0.53"}
MANIFESTS = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.20, ports: [{name: http, port: 80, protocol: TCP}]}
---
apiVersion: v1
kind: Service
metadata: {name: lb, namespace: shop}
spec: {type: LoadBalancer, clusterIP: 10.96.0.21, ports: [{name: http, port: 80, protocol: TCP}]}
status: {loadBalancer: {ingress: [{ip: 198.51.100.7}]}}
"""


ANSWERS = {dns.rdatatype.A: "192.0.2.53", dns.rdatatype.PTR: "upstream.example."}


def reply_to(message: bytes) -> bytes:
    """What the upstream of all shapes says: it has every name but those that begin with ``nx.``, and each
    zone, with ``www``."""
    query = dns.message.from_wire(message)
    reply = dns.message.make_response(query, recursion_available=True)
    asked = query.question[0]
    if asked.rdtype in (dns.rdatatype.SOA, dns.rdatatype.AXFR):
        soa = dns.rrset.from_text(asked.name, 60, "IN", "SOA", ". . 1 3600 600 86400 60")
        host = dns.rrset.from_text(dns.name.Name([b"www", *asked.name.labels]), 60, "IN", "A", "192.0.2.53")
        # The end of a transfer is its beginning.
        reply.answer += [soa, host, soa] if asked.rdtype == dns.rdatatype.AXFR else [soa]
    elif asked.name.labels[0] == b"nx":
        reply.set_rcode(dns.rcode.NXDOMAIN)
    elif asked.rdtype in ANSWERS:
        reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", asked.rdtype, ANSWERS[asked.rdtype]))
    return reply.to_wire()


class OverUdp(socketserver.DatagramRequestHandler):
    def handle(self) -> None:
        self.wfile.write(reply_to(self.request[0]))


class OverTcp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while size := self.rfile.read(2):
            reply = reply_to(self.rfile.read(int.from_bytes(size, "big")))
            self.wfile.write(len(reply).to_bytes(2, "big") + reply)
            self.wfile.flush()


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    """The port of the upstream, on 127.0.0.1."""
    port = free_port()
    servers = (
        socketserver.ThreadingUDPServer(("127.0.0.1", port), OverUdp),
        socketserver.ThreadingTCPServer(("127.0.0.1", port), OverTcp),
    )
    for server in servers:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield port
    for server in servers:
        server.shutdown()
        server.server_close()


def placed(text: str, folder: Path, upstream_port: int) -> str:
    """The same Corefile for this host: ports, addresses, folders, upstreams, and manifests for an API server."""
    for theirs, ours in BOUND.items():
        text = text.replace(theirs, ours)
    lines = []
    for line in remapped(text, folder).replace("/etc/coredns", str(folder)).splitlines():
        words = line.split()
        if words[:1] == ["forward"] or words[:2] == ["transfer", "from"]:
            address = r"(?<!/)\b\d+\.\d+\.\d+\.\d+(:\d+)?|/etc/resolv\.conf"
            line = re.sub(address, f"127.0.0.1:{upstream_port}", line)
        lines.append(line)
        if words[:1] == ["kubernetes"]:
            opened = line.endswith("{")
            lines[-1] = line if opened else line + " {"
            lines += [f"manifests {folder / 'cluster.yaml'}", *([] if opened else ["}"])]
    return "\n".join(lines) + "\n"


def place_of(name: str, config: ServerConfig) -> tuple[str, int]:
    """The address and port of the listener whose zone fits a name best."""
    fitting = [
        (len(zone), listener.address or "127.0.0.1", listener.port)
        for listener in config.listeners
        for zone, _ in listener.zones
        if zone == "." or f".{name}.".endswith(f".{zone}")
    ]
    return max(fitting)[1:]


def asked(line: str, config: ServerConfig) -> None:
    """Ask a question of a shape, and compare the reply with what the shape says."""
    name, kind, rcode, *wanted = line.split()
    rrtype, _, rdclass = kind.partition("/")
    query = dns.message.make_query(name, rrtype, rdclass or "IN")
    address, port = place_of(name, config)
    for ask in (dns.query.udp, dns.query.tcp):
        reply = ask(query, address, 5, port=port)
        ends = time.monotonic() + 10
        while dns.rcode.to_text(reply.rcode()) != rcode and time.monotonic() < ends:
            # A zone that is transferred comes after the start.
            time.sleep(0.05)
            reply = ask(query, address, 5, port=port)
        said = [str(data) for rrset in reply.answer for data in rrset]
        assert dns.rcode.to_text(reply.rcode()) == rcode, f"{line}: {reply}"
        if wanted == ["*"]:
            assert said, line
        else:
            assert sorted(" ".join(said).split()) == sorted(wanted), f"{line}: {reply}"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_boots_and_answers(tmp_path: Path, shape: str, upstream: int) -> None:
    shutil.copytree(FOLDER / shape, tmp_path, dirs_exist_ok=True)
    text = placed((FOLDER / shape / "Corefile").read_text(), tmp_path, upstream)
    for imported in (tmp_path / "custom").glob("*"):
        imported.write_text(placed(imported.read_text(), tmp_path, upstream))
    with Server(
        tmp_path, text, manifests=MANIFESTS, arguments=("-p", "DNS_PORT"), workers=1, environ=ENVIRON
    ) as server:
        config = load(server.corefile.read_text(), str(server.corefile), environ=ENVIRON, default_port=server.port)
        for line in (FOLDER / shape / "questions").read_text().splitlines():
            asked(line, config)

