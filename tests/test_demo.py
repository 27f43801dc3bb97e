"""``fastdns demo``: its ports, and what it shows of an edit."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdns import demo
from fastdns.cli import main
from tests.support import Server, free_port, http_get, wait_until


@contextlib.contextmanager
def taken(port: int, kind: socket.SocketKind) -> Iterator[None]:
    """A program of its own has a port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, kind) as held:
        held.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            held.listen()
        yield


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["UDP", "TCP"])
def test_a_port_that_is_taken_is_left_alone(kind: socket.SocketKind, monkeypatch: pytest.MonkeyPatch) -> None:
    port, http = free_port(), free_port()
    monkeypatch.setattr(demo, "DNS_PORT", port)
    monkeypatch.setattr(demo, "HTTP_PORTS", {"/health": http, "/ready": http})
    with taken(port, kind):
        ports = demo.choose_ports(None)
        assert port not in ports.values() and ports["/health"] == http
        assert len(set(ports.values())) == 3
        assert main(["demo", "-p", str(port)]) == 1
    assert demo.choose_ports(None)["dns"] == port


def test_ports_that_were_moved_are_said() -> None:
    ports = {"dns": 5353, "/health": 8080, "/ready": 9, "/metrics": 9153}
    assert any("have the ports 1053 (dns), 8181 (/ready)" in line for line in demo.told(ports, Path("x"), None))
    ports["/ready"] = 8181
    assert not any("Other programs" in line for line in demo.told(ports, Path("x"), 5353))


def test_the_example_of_a_package_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit of the package's own file would stay for ever."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "copies"
    folder.mkdir()
    assert demo.example(folder) == folder / "cluster.yaml"
    assert "web" in (folder / "cluster.yaml").read_text()


SERVICES = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.20, ports: [{name: http, port: 80, protocol: TCP}]}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: other}, spec: {clusterIP: 10.96.0.21, ports: [{port: 1}]}}
- {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
"""


def test_names_are_those_of_services(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SERVICES)
    (tmp_path / "b.yaml").write_text("broken: [")
    (tmp_path / "c.txt").write_text(SERVICES.replace("web", "text"))
    (tmp_path / "d.json").write_text("[1, null]")
    assert demo.names_in(tmp_path) == ["web.shop.svc.cluster.local", "other.default.svc.cluster.local"]


def test_changes_are_told() -> None:
    before = {("a", "A"): ("10.0.0.1",), ("a", "AAAA"): ("no data",), ("b", "A"): ("10.0.0.2",)}
    after = {
        ("a", "A"): ("10.0.0.1", "10.0.0.3"), ("a", "AAAA"): ("no data",), ("b", "A"): ("NXDOMAIN",),
        ("b", "AAAA"): ("NXDOMAIN",), ("c", "A"): ("10.0.0.4",), ("c", "AAAA"): ("no data",),
    }  # fmt: skip
    assert list(demo.changes(before, after)) == [
        "  a A: 10.0.0.1 -> 10.0.0.1 10.0.0.3",
        "  b A: 10.0.0.2 -> NXDOMAIN",
        "  c A: NXDOMAIN -> 10.0.0.4",
    ]


def shown(server: Server, text: str) -> None:
    wait_until(lambda: text in server.log, 20)


def test_an_edit_shows_on_its_way_into_the_answer(tmp_path: Path) -> None:
    manifests = tmp_path / "served" / "cluster.yaml"
    manifests.parent.mkdir()
    manifests.write_text(SERVICES)
    arguments = ("demo", "-manifests", str(manifests), "-p", "DNS_PORT")
    with Server(tmp_path, arguments=arguments, wait=False) as server:
        shown(server, "End with Ctrl-C")
        assert server.addresses() == ["10.96.0.20"]
        ready = re.search(r"http://127\.0\.0\.1:(\d+)/ready", server.log)
        assert ready and http_get(int(ready[1]), "/ready") == (200, "OK")
        # The process that tells begins a moment later; an edit before it knows the answers is none to it.
        deadline = time.monotonic() + 20
        number = 30
        while "seen in answers" not in server.log and time.monotonic() < deadline:
            manifests.write_text(SERVICES.replace("10.96.0.20", f"10.96.0.{number}"))
            number += 1
            time.sleep(1)
        shown(server, "cluster.yaml has changed; seen in answers ")
        assert re.search(r"\n  web\.shop\.svc\.cluster\.local A: 10\.96\.0\.\d+ -> 10\.96\.0\.\d+\n", server.log)
        # A second one takes other ports.
        command = [sys.executable, "-m", "fastdns.cli", "demo", "-manifests", str(manifests)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as second:
            assert second.stdout is not None
            lines = iter(second.stdout.readline, "")
            said = []
            for line in lines:
                said.append(line)
                if "End with Ctrl-C" in line:
                    break
            second.send_signal(signal.SIGINT)
        assert "Other programs have the ports" in "".join(said)
        assert server.stop(signal.SIGINT) == 0
