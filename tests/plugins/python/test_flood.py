"""A flood of queries for a slow step in Python: bounded, the rest turned away at once, and other zones well."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from tests.plugins.python.support import install, path_to
from tests.support import WEB, Server, wait_until

pytestmark = [pytest.mark.alone, pytest.mark.native]

COREFILE = """\
cluster.local:DNS_PORT {
    bind 127.0.0.1
    kubernetes cluster.local {
        manifests "MANIFESTS"
    }
    prometheus 127.0.0.1:METRICS_PORT
}
outer.test:DNS_PORT {
    bind 127.0.0.1
    outer 2
    prometheus 127.0.0.1:METRICS_PORT
}
"""
QUERIES = 10_000
PLACES = 512
CLIENTS = 40


def flood(port: int, queries: int) -> tuple[int, int]:
    """As many queries at once, from CLIENTS addresses of the loopback. Returns how many were answered and refused.

    Datagrams that the kernel has dropped are sent again.
    """
    wire = dns.message.make_query("sleep-500.outer.test.", "TXT").to_wire()[2:]
    each = queries // CLIENTS
    sockets = []
    for number in range(CLIENTS):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((f"127.0.1.{number + 1}", 0))
        one.connect(("127.0.0.1", port))
        one.setblocking(False)
        sockets.append(one)
    left = [set(range(each)) for _ in sockets]
    answers = refused = 0
    ends = time.monotonic() + 60
    for again in range(100):
        for number in range(each):
            for one, waiting in zip(sockets, left, strict=True):
                if number in waiting:
                    one.send(number.to_bytes(2, "big") + wire)
            if number % 16 == 15:
                # The socket of the server holds so much.
                time.sleep(0.001)
        quiet = time.monotonic() + 3
        while time.monotonic() < min(quiet, ends) and any(left):
            time.sleep(0.01)
            for one, waiting in zip(sockets, left, strict=True):
                while True:
                    try:
                        reply = one.recv(4096)
                    except OSError:
                        break
                    number = int.from_bytes(reply[:2], "big")
                    if number in waiting:
                        waiting.discard(number)
                        answers += reply[3] & 15 == dns.rcode.NOERROR
                        refused += reply[3] & 15 == dns.rcode.SERVFAIL
        if not any(left):
            break
        assert again < 99 and time.monotonic() < ends, f"{sum(map(len, left))} without a reply"
    for one in sockets:
        one.close()
    return answers, refused


def worker_kib(server: Server) -> int:
    """Memory of the worker that is its own."""
    status = Path(f"/proc/{server.pids().workers['worker 1']}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("Private_"))


@pytest.mark.unsanitized("measures memory, of which a sanitizer keeps much")
def test_a_flood_for_a_slow_step(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    environ = path_to(install(packages)) | {"FASTDNS_MAX_PYTHON_QUERIES": str(PLACES)}
    with Server(tmp_path, COREFILE, workers=1, environ=environ) as server:
        assert server.query("say-x.outer.test.", "TXT").rcode() == dns.rcode.NOERROR
        times: list[float] = []
        done = threading.Event()

        def others() -> None:
            """Names of the cluster, one after the other."""
            while not done.is_set():
                begun = time.monotonic()
                assert server.query(WEB).answer
                times.append(time.monotonic() - begun)
                time.sleep(0.002)

        other = threading.Thread(target=others)
        other.start()
        answers, refused = flood(server.port, QUERIES)
        done.set()
        other.join()
        assert answers + refused == QUERIES and answers >= PLACES // 2
        first_kib = worker_kib(server)
        shed = server.total("fastdns_python_step_shed_total", plugin="outer")
        assert shed >= refused > 0, "each that was refused is counted, and those that were sent again"
        failed = sum(server.total("fastdns_queries_failed_total", reason=reason) for reason in (
            "in_flight", "client_share", "step_timeout"
        ))  # fmt: skip
        late = server.total("fastdns_python_step_queries_total", plugin="outer", result="timeout")
        assert failed == shed + late
        # Nobody else's names wait for Python: a query that did would take half a second.
        times.sort()
        assert len(times) > 50 and times[int(len(times) * 0.99)] < 0.5, times[-5:]
        wait_until(lambda: server.total("fastdns_python_step_waiting") == 0)
        # Memory is what the places take, however often.
        flood(server.port, QUERIES)
        assert worker_kib(server) < first_kib + 4096
        assert server.query("say-x.outer.test.", "TXT").rcode() == dns.rcode.NOERROR
