"""The query log of a running server: lines on its standard output, as CoreDNS writes them."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import pytest

from tests.support import Load, Server, wait_until

pytestmark = pytest.mark.native

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    log . "{common} {local}"
    prometheus 127.0.0.1:METRICS_PORT
    whoami
}
"""
COMMON = r'\[INFO\] 127\.0\.0\.1:[0-9]+ - [0-9]+ "%s" NOERROR qr,aa,rd 91 0\.[0-9]+s 127\.0\.0\.1'
UDP = re.compile(f"^{COMMON % 'A IN udp.example. udp 29 false 512'}$", re.MULTILINE)
TCP = re.compile(f"^{COMMON % 'AAAA IN tcp.example. tcp 29 false 65535'}$", re.MULTILINE)
TOLD = re.compile(r"\[WARNING\] plugin/log: ([0-9]+) queries not logged: more than 100000 a second, or nobody read")


def test_both_transports_are_logged_soon(tmp_path: Path) -> None:
    with Server(tmp_path, COREFILE) as server:
        for _ in range(20):
            server.query("udp.example.", "A")
        server.query("tcp.example.", "AAAA", tcp=True)
        wait_until(lambda: len(UDP.findall(server.log)) == 20 and TCP.search(server.log), 2, server.log)
        assert "[ERROR]" not in server.log
        assert server.total("fastdns_log_dropped_total") == 0


def test_the_last_queries_of_a_server_that_ends_are_logged(tmp_path: Path) -> None:
    with Server(tmp_path, COREFILE) as server:
        for _ in range(50):
            server.query("udp.example.", "A")
        assert server.stop() == 0
        assert len(UDP.findall(server.log)) == 50


def test_a_reload_loses_no_line(tmp_path: Path) -> None:
    with Server(tmp_path, COREFILE) as server:
        with Load(server.port, 2000, "udp.example.") as load:
            load.run_for(0.5)
            server.write_corefile(COREFILE.replace("{local}", "{local} again"))
            server.reload()
            load.run_for(0.5)
        assert load.lost == 0
        wait_until(lambda: server.log.count('udp.example. udp 29') >= load.sent, 5, "the last lines")
        assert server.log.count("[INFO] 127.0.0.1:") == load.sent
        assert "again" in server.log


def test_a_bound_on_lines(tmp_path: Path) -> None:
    with Server(tmp_path, COREFILE, environ={"FASTDNS_LOG_LINES_S": "10"}, workers=1) as server:
        for _ in range(100):
            server.query("udp.example.", "A")
        server.wait_for_log("plugin/log: ")
        dropped = server.total("fastdns_log_dropped_total")
        assert dropped > 50
        assert server.stop() == 0
        told = sum(int(count) for count in re.findall(r"plugin/log: ([0-9]+) queries not logged", server.log))
        assert told == dropped and told + len(UDP.findall(server.log)) == 100


def test_a_bound_that_is_none_is_an_error(tmp_path: Path) -> None:
    with Server(tmp_path, COREFILE, environ={"FASTDNS_LOG_LINES_S": "none"}, wait=False) as server:
        assert server.process.wait(20) == 1
        assert "FASTDNS_LOG_LINES_S must be 1 to 10000000, got 'none'" in server.log


class Pipe:
    """A named pipe in place of a server's output, read only when asked to."""

    def __init__(self, server: Server) -> None:
        os.mkfifo(server.output)
        self.fd = os.open(server.output, os.O_RDONLY | os.O_NONBLOCK)
        self.text = ""

    def read(self) -> str:
        """All that has come so far."""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self.fd, 1 << 16):
                self.text += part.decode()
        return self.text


def test_a_reader_that_sleeps_costs_no_answer_and_is_told_how_many_lines(tmp_path: Path) -> None:
    server = Server(tmp_path, COREFILE, wait=False)
    pipe = Pipe(server)
    try:
        with server:
            # Nobody else shall open it.
            server.output = tmp_path / "nothing"
            wait_until(lambda: "fastdns-" in pipe.read(), 30)
            with Load(server.port, 10_000, "udp.example.") as load:
                wait_until(lambda: server.total("fastdns_log_dropped_total") > 1000, 60)
            assert load.lost == 0
            # A heart that had stopped would have been noticed by now.
            assert len(server.pids().workers) == 2

            def accounted() -> bool:
                text = pipe.read()
                return len(UDP.findall(text)) + sum(map(int, TOLD.findall(text))) == load.sent

            wait_until(accounted, 30, "every line or its count")
            assert "died" not in pipe.text
            assert server.stop() == 0
    finally:
        os.close(pipe.fd)
