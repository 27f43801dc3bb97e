"""Profiles of a server that answers: what they hold, and in which formats; who is asked, and who is left alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.pprof.config import Config
from tests.plugins.pprof.reader import read
from tests.support import Server, wait_until

PAGE = "/debug/pprof"
COREFILE = """\
example.org:DNS_PORT {
    bind 127.0.0.1
    pprof 127.0.0.1:OTHER_PORT {
        block 2000000
    }
    template IN A example.org {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
    }
}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pprof", Config("localhost", 6053, 0)),
        ("pprof 1.2.3.4:1234", Config("1.2.3.4", 1234, 0)),
        ("pprof :1234", Config("", 1234, 0)),
        ("pprof [::1]:1 {\n}", Config("::1", 1, 0)),
        ("pprof {\nblock\n}", Config("localhost", 6053, 1)),
        ("pprof :1234 {\nblock 20\n}", Config("", 1234, 20)),
    ],
)
def test_options(text: str, expected: Config) -> None:
    assert load(f". {{\n{text}\n}}\n").blocks[0].plugins["pprof"] == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("pprof :1234 -1", "at most one argument"),
        ("pprof /foo", "'/foo' is no address"),
        ("pprof {\na b\n}", "unknown option 'a'"),
        ("pprof {\nblock 20 30\n}", "at most one argument"),
        ("pprof {\nblock invalid\n}", "the rate of block"),
        ("pprof {\nblock 0\n}", "the rate of block"),
        ("pprof\npprof", "once"),
    ],
)
def test_what_coredns_refuses(text: str, error: str) -> None:
    with pytest.raises(CorefileError) as caught:
        load(f". {{\n{text}\n}}\n")
    assert error in str(caught.value) and "Corefile:" in str(caught.value)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("pprof"), COREFILE, workers=2) as server:
        yield server


def get(server: Server, path: str, timeout_s: float = 30.0) -> tuple[int, bytes]:
    url = f"http://127.0.0.1:{server.ports['OTHER_PORT']}{path}"
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@contextmanager
def asked(server: Server) -> Iterator[None]:
    """Queries over UDP and TCP meanwhile, so that there is something to see."""
    over = threading.Event()

    def ask() -> None:
        number = 0
        while not over.is_set():
            number += 1
            assert server.query(f"n{number}.example.org", tcp=number % 2 == 0).answer

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_profile_names_what_all_processes_did(server: Server) -> None:
    with asked(server):
        # A thread that has little to do may not be sampled the first time.
        for _ in range(5):
            status, body = get(server, f"{PAGE}/profile?seconds=1.5")
            assert status == 200
            profile = read(body)
            if any("fastdns.transports._udp" in name for names, _, _ in profile.samples for name in names):
                break
    assert profile.kinds == [("samples", "count"), ("cpu", "nanoseconds")]
    assert profile.interval_ns == 10_000_000 and 1.4e9 < profile.took_ns < 10e9
    assert not profile.comments
    assert all(values[1] == values[0] * 10_000_000 and values[0] for _, values, _ in profile.samples)
    processes = {labels["process"] for _, _, labels in profile.samples}
    assert processes <= {"supervisor", "worker-0", "worker-1"} and processes & {"worker-0", "worker-1"}
    by_thread: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for functions, values, labels in profile.samples:
        for function in set(functions):
            by_thread[labels["thread"] == "main"][function] += values[0]
    # The event loop's thread is in Python, the other one in native code.
    assert any("fastdns.transports._udp" in name for name in by_thread[False]), by_thread
    assert any(name.startswith("main") or "run" in name for name in by_thread[True]), by_thread
    assert not any(name.startswith(("__pyx_f_", "__pyx_pw_")) for names in by_thread.values() for name in names)
    total_s = sum(values[1] for _, values, _ in profile.samples) / 1e9
    assert 0 < total_s < profile.took_ns / 1e9 * 2 * len(os.sched_getaffinity(0))


def test_the_tool_reads_it(server: Server, tmp_path: Path) -> None:
    pprof = shutil.which("pprof")
    if pprof is None:
        pytest.skip("there is no pprof")
    with asked(server):
        _, body = get(server, f"{PAGE}/profile?seconds=1")
    (tmp_path / "profile").write_bytes(body)
    command = [pprof, "-tags", str(tmp_path / "profile")]
    told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "worker-" in told.stdout and "process: Total" in told.stdout


def test_waiting_is_seen_with_block(server: Server) -> None:
    status, body = get(server, f"{PAGE}/block?seconds=1")
    assert status == 200
    profile = read(body)
    assert profile.kinds[1] == ("delay", "nanoseconds") and profile.interval_ns == 2_000_000
    # Idle threads wait for the whole second: each of three processes has at least one.
    waited_s = Counter[str]()
    for functions, values, labels in profile.samples:
        if any("epoll" in name for name in functions):
            waited_s[labels["process"]] += values[1]
    assert {"supervisor", "worker-0", "worker-1"} <= waited_s.keys()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        (PAGE, 200, b"worker-0"),
        (f"{PAGE}/", 200, b"profile?seconds=30"),
        (f"{PAGE}/cmdline", 200, b"\0-conf\0Corefile"),
        (f"{PAGE}/symbol", 200, b"num_symbols: 0"),
        (f"{PAGE}/heap", 404, b"Go's runtime"),
        (f"{PAGE}/goroutine?debug=2", 404, b"Go's runtime"),
        (f"{PAGE}/other", 404, b"not found"),
        (f"{PAGE}/profile?seconds=0", 400, b"up to 300"),
        (f"{PAGE}/profile?seconds=301", 400, b"up to 300"),
        (f"{PAGE}/profile?seconds=nan", 400, b"up to 300"),
        (f"{PAGE}/profile?seconds=-1", 400, b"up to 300"),
        (f"{PAGE}/profile?seconds=x", 400, b"up to 300"),
        (f"{PAGE}/profile?format=png", 400, b"pprof, svg, folded"),
    ],
)
def test_pages(server: Server, path: str, status: int, words: bytes) -> None:
    found, body = get(server, path)
    assert (found, words in body) == (status, True), body


def test_a_flame_graph_and_stacks_as_lines(server: Server) -> None:
    with asked(server):
        status, image = get(server, f"{PAGE}/profile?seconds=0.5&format=svg")
        assert status == 200
        status, lines = get(server, f"{PAGE}/profile?seconds=0.5&format=folded")
    root = xml.etree.ElementTree.fromstring(image)
    boxes = [one for one in root.iter() if one.tag.endswith("title")]
    assert any("samples, 100.0%" in (one.text or "") for one in boxes)
    assert status == 200
    for line in lines.decode().splitlines():
        stack, _, count = line.rpartition(" ")
        assert int(count) > 0 and len(stack.split(";")) >= 3


def test_one_profile_at_a_time(server: Server) -> None:
    first: list[tuple[int, bytes]] = []
    thread = threading.Thread(target=lambda: first.append(get(server, f"{PAGE}/profile?seconds=1.5")))
    thread.start()
    time.sleep(0.5)
    status, body = get(server, f"{PAGE}/profile?seconds=1")
    thread.join()
    assert (status, body) == (500, b"Could not enable CPU profiling: cpu profiling already in use\n")
    assert first[0][0] == 200
    assert get(server, f"{PAGE}/profile?seconds=0.2")[0] == 200


def test_a_client_that_leaves_ends_its_profile(server: Server) -> None:
    with pytest.raises(OSError, match="timed out"):
        get(server, f"{PAGE}/profile?seconds=60", timeout_s=0.5)
    wait_until(lambda: get(server, f"{PAGE}/profile?seconds=0.1")[0] == 200)


def test_who_was_there_before_is_left_alone(tmp_path: Path) -> None:
    """A reload brings pprof. The signal would end a process that does not know it; the new ones do."""
    without = COREFILE.replace("pprof 127.0.0.1:OTHER_PORT {\n        block 2000000\n    }", "")
    with Server(tmp_path, without, workers=1) as server:
        server.write_corefile(COREFILE.replace("192.0.2.1", "192.0.2.2"))
        server.reload()
        status, body = get(server, f"{PAGE}/profile?seconds=0.3")
        assert status == 200
        read(body)
        page = get(server, PAGE)[1]
        assert b"worker-0" in page and b"supervisor" in page
        # Another reload: those that serve now are asked.
        server.write_corefile(COREFILE.replace("192.0.2.1", "192.0.2.3"))
        server.reload()
        assert get(server, f"{PAGE}/profile?seconds=0.3")[0] == 200
        assert server.addresses("x.example.org") == ["192.0.2.3"]
        # And a worker that is killed meanwhile is missing, and nothing else.
        profile = threading.Thread(target=get, args=(server, f"{PAGE}/profile?seconds=1"))
        profile.start()
        time.sleep(0.3)
        [pid] = server.pids().workers.values()
        os.kill(pid, 9)
        profile.join()
        wait_until(lambda: get(server, f"{PAGE}/profile?seconds=0.1")[0] == 200)
        assert "killed by" in server.log and "Traceback" not in server.log
