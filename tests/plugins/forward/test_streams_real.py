"""Asks to servers that others have written: Knot DNS over TCP, Unbound over TCP, TLS and HTTPS."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest

from fastdns.plugins.forward.pool import HITS
from fastdns.plugins.forward.upstreams import Upstream
from tests.plugins.forward.certificates import Authority
from tests.plugins.forward.support import Asker, asking, on_uvloop, until
from tests.support import free_port, wait_until

ZONE = """\
example. 3600 SOA ns.example. admin.example. 1 3600 600 86400 60
example. 3600 NS ns.example.
ns.example. 3600 A 192.0.2.53
www.example. 3600 A 192.0.2.1
"""
BIG = "big.example. 3600 TXT " + " ".join(f'"{"x" * 250}"' for _ in range(60)) + "\n"


@dataclass(frozen=True)
class Running:
    """A server by its ports."""

    tcp: int
    tls: int = 0
    https: int = 0


@contextlib.contextmanager
def started(command: Sequence[object], folder: Path, *ports: int) -> Iterator[None]:
    """A server that listens at its ports, until the block ends."""
    program = shutil.which(str(command[0])) or shutil.which(str(command[0]), path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, *map(str, command[1:])], stdout=log, stderr=log)
    try:
        wait_until(
            lambda: process.poll() is not None or all(map(listens, ports)), 20, (folder / "log").read_text()
        )
        assert process.poll() is None, (folder / "log").read_text()
        yield
    finally:
        process.terminate()
        process.wait(10)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("knot")
    port = free_port()
    (folder / "example.zone").write_text(ZONE + BIG)
    (folder / "knot.conf").write_text(f"""\
server:
  listen: 127.0.0.1@{port}
  rundir: {folder}
  tcp-idle-timeout: 1
database:
  storage: {folder}
zone:
- domain: example.
  file: {folder}/example.zone
  journal-content: none
log:
- target: stderr
  any: warning
""")
    with started(["knotd", "-c", folder / "knot.conf"], folder, port):
        yield Running(port)


@pytest.fixture(scope="module")
def unbound(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("unbound")
    running = Running(free_port(), free_port(), free_port())
    certificate, key = authority.issue("unbound")
    data = "\n".join(f"  local-data: '{line}'" for line in (ZONE + BIG).splitlines())
    (folder / "unbound.conf").write_text(f"""\
server:
  interface: 127.0.0.1@{running.tcp}
  interface: 127.0.0.1@{running.tls}
  interface: 127.0.0.1@{running.https}
  tls-port: {running.tls}
  https-port: {running.https}
  tls-service-key: {key}
  tls-service-pem: {certificate}
  incoming-num-tcp: 1000
  username: ""
  chroot: ""
  directory: {folder}
  pidfile: {folder}/pid
  use-syslog: no
  do-daemonize: no
  module-config: "iterator"
  local-zone: example. static
{data}
remote-control:
  control-enable: no
""")
    ports = running.tcp, running.tls, running.https
    with started(["unbound", "-c", folder / "unbound.conf"], folder, *ports):
        yield running


async def ask(asker: Asker, name: str, kind: str = "A") -> dns.message.Message:
    """Ask, and check that the reply is one to the question."""
    question = dns.message.make_query(name, kind)
    answer = await asker.ask(question.to_wire())
    assert answer.reply is not None, answer.error
    reply = dns.message.from_wire(answer.reply)
    assert question.is_response(reply)
    assert reply.id == question.id
    return reply


async def check(asker: Asker, proto: str) -> None:
    """Small and big, there and not there, one by one and all at once."""
    reply = await ask(asker, "www.example.")
    assert [str(data) for data in reply.answer[0]] == ["192.0.2.1"]
    assert (await ask(asker, "no.example.")).rcode() == dns.rcode.NXDOMAIN
    reply = await ask(asker, "big.example.", "TXT")
    assert len(reply.to_wire()) > 15_000
    assert not reply.flags & dns.flags.TC
    replies = await asyncio.gather(*(ask(asker, "www.example.") for _ in range(500)))
    assert {reply.rcode() for reply in replies} == {dns.rcode.NOERROR}
    assert asker.count(HITS, proto) > 300


def test_knot_over_tcp(knot: Running) -> None:
    @on_uvloop
    async def run() -> None:
        async with asking(Upstream("dns", "127.0.0.1", knot.tcp)) as asker:
            await check(asker, "tcp")

    run()


def test_knot_closes_idle_connections(knot: Running) -> None:
    @on_uvloop
    async def run() -> None:
        async with asking(Upstream("dns", "127.0.0.1", knot.tcp)) as asker:
            await ask(asker, "www.example.")
            await until(lambda: not asker.streams.pools[0].connections)
            await ask(asker, "www.example.")

    run()


@pytest.mark.parametrize(
    ("transport", "proto", "options"),
    [
        ("dns", "tcp", ""),
        ("tls", "tcp-tls", ""),
        ("https", "https", "doh_method POST"),
        ("https", "https", "doh_method GET"),
    ],
)
def test_unbound(unbound: Running, authority: Authority, transport: str, proto: str, options: str) -> None:
    @on_uvloop
    async def run() -> None:
        port = {"dns": unbound.tcp, "tls": unbound.tls, "https": unbound.https}[transport]
        name = None if transport == "dns" else "dns.example"
        async with asking(Upstream(transport, "127.0.0.1", port, name), options, str(authority.ca)) as asker:
            await check(asker, proto)

    run()
