"""A worker where answering fails unexpectedly, which CoreDNS calls a panic."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from fastdns.corefile import load
from fastdns.memory._store import Store
from fastdns.metrics._stats import Stats
from fastdns.plugins.api import Runtime
from fastdns.process.assembly import Recovery, recovery_of, settings_of
from fastdns.process.descriptors import Files
from fastdns.process.leaving import leave
from fastdns.process.processes import channel_pair
from fastdns.process.sockets import SocketTable, places
from fastdns.process.worker import SLOW_NICE, Slots, WorkerPlan, WorkerProcess
from fastdns.transports.clients import Clients
from fastdns.transports.table import UDP
from tests.support import WEB, Server, free_port, wait_until

pytestmark = pytest.mark.native

QUERY = dns.message.make_query("panic.example.org", "A", use_edns=0)
BLOCK = "{} {{\n bind 127.0.0.1\n {}\n whoami\n}}\n"


class Failing:
    """In the place of a SlowPath."""

    may_wait = False
    waits = 0

    def serve(self, listener: int, message: bytes, *client: Any, **options: Any) -> bytes | None:
        raise ValueError("it went wrong")


def make_process(plugin: str = "") -> Iterator[WorkerProcess]:
    """A worker of one block that has not begun to run, and answers nothing outside its hot thread."""
    config = load(BLOCK.format(f".:{free_port()}", plugin))
    table = SocketTable()
    wanted = places(config.listeners[0])
    table.open(wanted, 1)
    pairs = (tuple(table.of_worker(0, wanted)),)
    ours, theirs = channel_pair()
    memory = Store(1 << 20), Stats(3), Slots(1, 2)
    plan = WorkerPlan(config, pairs, {}, Runtime(), *memory, Files(10), 1 << 20, 100, 100, 0, 1, 1, 100)
    process = WorkerProcess(plan, theirs)
    process.slow = Failing()  # type: ignore[assignment]
    yield process
    process.hot.stop()
    table.keep_only([], 0)
    ours.close()
    theirs.close()


@pytest.fixture
def process(request: pytest.FixtureRequest) -> Iterator[WorkerProcess]:
    yield from make_process(getattr(request, "param", ""))


def server_of(process: WorkerProcess) -> str:
    return f"dns://127.0.0.1:{process.plan.config.listeners[0].port}"


def refused(process: WorkerProcess) -> dns.message.Message:
    reply = process.serve(0, QUERY.to_wire(), b"\x7f\0\0\1", 5353, [].append)
    assert isinstance(reply, bytes)
    return dns.message.from_wire(reply)


def test_the_query_gets_servfail_and_is_counted(process: WorkerProcess, caplog: pytest.LogCaptureFixture) -> None:
    reply = refused(process)
    assert QUERY.is_response(reply) and reply.rcode() == dns.rcode.SERVFAIL
    assert not reply.answer and reply.edns == 0
    assert [record.getMessage() for record in caplog.records] == [
        f"Recovered from panic in server: \"{server_of(process)}\" ValueError('it went wrong')"
    ]
    assert caplog.records[0].levelname == "ERROR" and not caplog.records[0].exc_info
    stats = process.plan.stats
    assert [stats.thread(slot)["panics"] for slot in range(3)] == [0, 0, 1]
    assert not process.done.is_set()


@pytest.mark.parametrize("process", ["errors {\n stacktrace\n }"], indirect=True)
def test_the_log_says_where_with_stacktrace(process: WorkerProcess, caplog: pytest.LogCaptureFixture) -> None:
    refused(process)
    assert "ValueError('it went wrong')\nTraceback (most recent call last):\n" in caplog.text
    assert 'raise ValueError("it went wrong")' in caplog.text


@pytest.mark.parametrize("process", ["debug"], indirect=True)
def test_with_debug_it_is_not_recovered_from(process: WorkerProcess, caplog: pytest.LogCaptureFixture) -> None:
    assert process.serve(0, QUERY.to_wire(), b"\x7f\0\0\1", 5353, [].append) is None
    assert not caplog.records and not process.plan.stats.thread(2)["panics"]
    with pytest.raises(ValueError, match="it went wrong"):
        asyncio.run(process.run())


def test_what_is_not_a_query_gets_silence(process: WorkerProcess) -> None:
    assert process.serve(0, b"", b"\x7f\0\0\1", 5353, [].append) is None
    assert process.serve(0, dns.message.make_response(QUERY).to_wire(), b"\x7f\0\0\1", 5353, [].append) is None


def test_what_a_socket_still_holds_when_it_is_left(process: WorkerProcess) -> None:
    """One query that fails must not keep the others there from their answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        for number in range(2):
            client.sendto(
                dns.message.make_query("a.", "A", id=number).to_wire(),
                ("127.0.0.1", int(server_of(process).rpartition(":")[2])),
            )
        leave(partial(process.serve, 0, transport=UDP), process.plan.pairs[0][0].udp, may_wait=False)
        replies = [dns.message.from_wire(client.recv(512)) for _ in range(2)]
    assert [(reply.id, reply.rcode()) for reply in replies] == [(0, dns.rcode.SERVFAIL), (1, dns.rcode.SERVFAIL)]


def test_who_has_connected_when_a_listener_is_left(process: WorkerProcess) -> None:
    """Nobody has accepted them yet, and nobody else will."""
    to = process.plan.pairs[0][0].tcp.getsockname()
    framed = len(QUERY.to_wire()).to_bytes(2, "big") + QUERY.to_wire()

    async def leave() -> list[bytes]:
        loop = asyncio.get_running_loop()
        process.clients = Clients(loop, 10, process.plan.stats, 2)
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(socket.create_connection(to)) for _ in range(3)]
            for client in clients[1:]:
                client.sendall(framed)
            process.listen(loop)
            process.stop_listening()
            process.clients.drain()
            # Also what comes after the listener is gone.
            clients[0].sendall(framed)
            for client in clients:
                client.setblocking(False)
            async with asyncio.timeout(5):
                return [await loop.sock_recv(client, 512) for client in clients]

    for framed_reply in asyncio.run(leave()):
        reply = dns.message.from_wire(framed_reply[2:])
        assert QUERY.is_response(reply) and reply.rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize(
    ("plugins", "stacktrace", "debug"),
    [
        (("", ""), False, False),
        (("errors", ""), False, False),
        (("errors {\n stacktrace\n }", "errors"), True, False),
        (("errors", "errors {\n stacktrace\n }"), True, False),
        (("debug", ""), False, True),
        (("", "debug"), False, True),
    ],
    ids=str,
)
def test_any_block_of_the_listener_decides(plugins: tuple[str, str], stacktrace: bool, debug: bool) -> None:
    config = load("".join(map(BLOCK.format, ("a.:1053", "b.:1053"), plugins)) + BLOCK.format("c.:1054", ""))
    one, other = config.listeners
    assert recovery_of("one", settings_of(config, one)) == Recovery("one", stacktrace, debug)
    assert recovery_of("other", settings_of(config, other)) == Recovery("other", False, False)


# ------------------------------------------------------------------------------------------------- a whole server

# Read by the interpreter before anything else: names that begin so fail outside the hot thread.
FAULT = """\
import fastdns.transports._framed
import fastdns.transports._slow

class SlowPath(fastdns.transports._slow.SlowPath):
    def serve(self, listener, message, *client, **options):
        if b"panic" in message:
            raise ValueError("it went wrong")
        return super().serve(listener, message, *client, **options)

fastdns.transports._slow.SlowPath = SlowPath
"""
COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    PLUGIN
    prometheus 127.0.0.1:METRICS_PORT
    whoami
}
"""


def faulty(folder: Path, plugin: str) -> Server:
    (folder / "fault").mkdir()
    (folder / "fault/sitecustomize.py").write_text(FAULT)
    path = os.pathsep.join(filter(None, (str(folder / "fault"), os.environ.get("PYTHONPATH"))))
    corefile = COREFILE.replace("PLUGIN", plugin)
    return Server(folder, corefile, workers=1, environ={"PYTHONPATH": path})


def test_a_server_goes_on(tmp_path: Path) -> None:
    with faulty(tmp_path, "errors {\n stacktrace\n }") as server:
        workers = server.pids().workers
        assert server.total("coredns_panics_total") == 0
        for _ in range(3):
            assert server.query("panic.example.org", tcp=True).rcode() == dns.rcode.SERVFAIL
        assert server.query("www.example.org", tcp=True).rcode() == dns.rcode.NOERROR
        assert server.query("panic.example.org").rcode() == dns.rcode.NOERROR
        assert server.total("coredns_panics_total") == 3
        assert server.log.count(f'[ERROR] Recovered from panic in server: "dns://127.0.0.1:{server.port}" ') == 3
        assert "Traceback" in server.log
        assert server.pids().workers == workers


def test_a_server_with_debug_replaces_the_worker(tmp_path: Path) -> None:
    with faulty(tmp_path, "debug") as server:
        workers = server.pids().workers
        with pytest.raises((EOFError, OSError, dns.exception.DNSException)):
            server.query("panic.example.org", tcp=True)
        wait_until(lambda: server.pids().workers not in ({}, workers), why="another worker")
        server.wait_for_log("has died: exit code 1; starting another")
        assert 'raise ValueError("it went wrong")' in server.log
        assert "Recovered" not in server.log
        assert server.query("www.example.org", tcp=True).rcode() == dns.rcode.NOERROR
        assert server.total("coredns_panics_total") == 0
        assert server.total("fastdns_child_deaths_total", role="worker") == 1


# Says what a worker has imported after it was forked, a second after it serves.
IMPORTS = """
import asyncio, sys
from fastdns import cli
from fastdns.process import children, worker
start = worker.worker_main
def main(plan, channel):
    had = set(sys.modules)
    run = worker.WorkerProcess.run
    async def telling(self):
        say = lambda: print("imported:", *sorted(set(sys.modules) - had), flush=True)
        asyncio.get_running_loop().call_later(1, say)
        return await run(self)
    worker.WorkerProcess.run = telling
    return start(plan, channel)
children.worker_main = main
sys.exit(cli.main(sys.argv[1:]))
"""
EVERYTHING = """\
.:DNS_PORT {
    bind 127.0.0.1
    bufsize
    timeouts {
        read 5s
    }
    ready 127.0.0.1:READY_PORT
    health 127.0.0.1:HEALTH_PORT
    prometheus 127.0.0.1:METRICS_PORT
    errors {
        consolidate 1m timeout
    }
    log
    any
    loadbalance
    cache
    kubernetes cluster.local {
        manifests "MANIFESTS"
        fallthrough
    }
    loop
    forward . 127.0.0.1:OTHER_PORT
    whoami
}
"""


def test_a_worker_imports_nothing_after_the_fork(tmp_path: Path) -> None:
    """What it imports it has alone: two small modules took half a MiB of each worker."""
    server = Server(tmp_path, EVERYTHING, workers=1)
    server.command[-4:-2] = ["-c", IMPORTS]
    with server:
        server.wait_for_log("imported:")
        said = next(line for line in server.log.splitlines() if line.startswith("imported:"))
    assert said.split()[1:] == []


def test_the_slow_thread_gives_way_to_the_hot_one(tmp_path: Path) -> None:
    """Both a worker of the start and one that has taken a place."""
    with Server(tmp_path, workers=1) as fastdns:
        nice = os.getpriority(os.PRIO_PROCESS, fastdns.process.pid)
        for _ in range(2):
            pid = fastdns.pids().workers["worker 1"]
            threads = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
            others = {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads if thread != pid}
            # The hot thread answers first.
            wait_until(lambda pid=pid: os.getpriority(os.PRIO_PROCESS, pid) == min(nice + SLOW_NICE, 19))
            assert others == {nice}
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: fastdns.pids().workers.get("worker 1", pid) != pid)
            assert fastdns.query(WEB).rcode() == dns.rcode.NOERROR
