"""top in a server: what /top tells beside what was asked; a reload, and a worker that is killed."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.top.config import Config
from tests.support import MANIFESTS, WEB, Server, wait_until

COREFILE = """\
cluster.local:DNS_PORT {
    bind 127.0.0.1
    top 1024 {
        address 127.0.0.1:OTHER_PORT
        window 1h
        slow 50ms
    }
    kubernetes {
        manifests "MANIFESTS"
        pods verified
    }
}
slow.example:DNS_PORT {
    bind 127.0.0.1
    top 1024 {
        address 127.0.0.1:OTHER_PORT
        window 1h
        slow 50ms
    }
    erratic {
        drop 0
        truncate 0
        delay 1 60ms
    }
}
"""


# The test itself asks from its address.
POD = """\
---
apiVersion: v1
kind: Pod
metadata: {name: tester-1, namespace: shop}
status: {podIP: 127.0.0.1, phase: Running}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("top", Config(4096, 0.1, 60.0, "localhost", 6054)),
        ("top 64", Config(64)),
        ("top {\n}", Config()),
        ("top 16384 {\naddress :1234\n}", Config(16384, host="", port=1234)),
        ("top {\nslow 1s\nwindow 5m\naddress [::1]:1\n}", Config(4096, 1.0, 300.0, "::1", 1)),
    ],
)
def test_options(text: str, expected: Config) -> None:
    assert load(f". {{\n{text}\n}}\n").blocks[0].plugins["top"] == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("top 63", "the number of entries must be a whole number from 64 to 16384, got 63"),
        ("top 16385", "from 64 to 16384"),
        ("top many", "from 64 to 16384, got 'many'"),
        ("top 64 128", "at most one argument"),
        ("top\ntop", "once"),
        ("top {\nslow\n}", "a duration"),
        ("top {\nslow 0s\n}", "slow must be from 0.001s to 60s"),
        ("top {\nwindow 2h\n}", "window must be from 1s to 3600s"),
        ("top {\naddress 127.0.0.1\n}", "is no address"),
        ("top {\nrows 5\n}", "unknown option 'rows'"),
    ],
)
def test_mistakes(text: str, error: str) -> None:
    with pytest.raises(CorefileError) as caught:
        load(f". {{\n{text}\n}}\n")
    assert error in str(caught.value) and "Corefile:" in str(caught.value)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("top"), COREFILE, manifests=MANIFESTS + POD, workers=2) as server:
        yield server


def page(server: Server) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.ports['OTHER_PORT']}/top", timeout=20) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        found: dict[str, Any] = json.load(answer)
        return found


def queries(found: dict[str, Any], kind: str, key: str = "name") -> dict[str, int]:
    assert all(row["at_most"] >= row["queries"] for row in found[kind])
    return {row[key]: row["queries"] for row in found[kind]}


def test_what_was_asked_is_told_through_reload_and_death(server: Server) -> None:
    nobody = "nobody.shop.svc.cluster.local."
    for number in range(12):
        assert server.query(WEB, tcp=number % 4 == 0).answer
    for _ in range(5):
        server.query(nobody)
    server.query("a.slow.example")
    found = page(server)
    assert found["schema"] == "fastdns-top/1" and found["entries"] == 1024 and found["queries"] == 18
    assert queries(found, "names") == {f"{WEB.rstrip('.')}.": 12, nobody: 5, "a.slow.example.": 1}
    assert queries(found, "nxdomains") == {nobody: 5}
    assert queries(found, "slow") == {"a.slow.example.": 1}
    assert found["clients"] == [
        {"address": "127.0.0.1", "queries": 18, "at_most": 18, "namespace": "shop", "pod": "tester-1"}
    ]
    assert [one["process"] for one in found["workers"]] == ["worker 1", "worker 2"]
    assert sum(one["queries"] for one in found["workers"]) == 18
    with urllib.request.urlopen(f"http://127.0.0.1:{server.ports['OTHER_PORT']}/metrics", timeout=20) as answer:
        assert b"fastdns_queries_total 18.0" in answer.read()

    server.reload()
    server.query(WEB)
    assert queries(page(server), "names")[f"{WEB.rstrip('.')}."] == 13, "a reload keeps the counts"

    before = server.pids().workers
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(now := server.pids().workers) == 2 and not {*now.values()} & {*before.values()})
    wait_until(lambda: server.query(WEB, timeout_s=5).answer)
    assert queries(page(server), "names")[f"{WEB.rstrip('.')}."] >= 14, "counts outlive workers"

    server.write_corefile(COREFILE.replace("1024", "2048"))
    server.reload(2)
    server.query(WEB)
    found = page(server)
    assert found["entries"] == 2048
    assert queries(found, "names") == {f"{WEB.rstrip('.')}.": 1}, "other bounds begin anew"

    server.write_corefile(COREFILE.replace("1024", "512", 1))
    server.send_signal(signal.SIGUSR1)
    server.wait_for_log("SIZE and window must be those of the top at")


def test_nobody_else_can_ask_by_default() -> None:
    """The page says who asks for what: it is for this host, unless the Corefile says otherwise."""
    assert Config().host == "localhost"
