"""Steps in Python in a whole server: what they may say and ask, over UDP and TCP, and how they fail."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import pytest

from tests.plugins.forward.engine.support import Upstream, good
from tests.plugins.python.support import install, path_to
from tests.process.test_worker import IMPORTS
from tests.support import Server, wait_until

pytestmark = pytest.mark.native

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    errors
    prometheus 127.0.0.1:METRICS_PORT
    outer 0.4
    cache
    inner 0.4
    forward . UPSTREAM
}
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(tcp=good) as up:
        yield up


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, packages: Path, upstream: Upstream) -> Iterator[Server]:
    corefile = COREFILE.replace("UPSTREAM", upstream.to)
    with Server(
        tmp_path_factory.mktemp("server"), corefile, workers=1, environ=path_to(packages)
    ) as running:
        yield running


def texts(reply: dns.message.Message) -> list[str]:
    return sorted(b"".join(data.strings).decode() for rrset in reply.answer for data in rrset)


def counts(server: Server, plugin: str) -> dict[str, int]:
    """What a step has seen: calls, running, cancelled; this one included."""
    return {name: int(count) for name, _, count in (
        text.partition("=") for text in texts(server.query(f"count.{plugin}.test.", "TXT"))
    )}  # fmt: skip


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
class TestAnswers:
    @pytest.mark.parametrize("plugin", ["outer", "inner"])
    def test_of_its_own(self, server: Server, tcp: bool, plugin: str) -> None:
        reply = server.query(f"say-Hello.{plugin}.test.", "TXT", tcp=tcp)
        assert texts(reply) == ["Hello"] and reply.flags & dns.flags.AA
        assert reply.question[0].name == reply.answer[0].name

    def test_it_repeats_of_the_flags_what_is_right(self, server: Server, tcp: bool) -> None:
        """AD of a query says that the client understands it (RFC 6840 section 5.7); of a reply it is a claim."""
        query = dns.message.make_query("say-x.outer.test.", "TXT", want_dnssec=True)
        query.flags |= dns.flags.AD | dns.flags.CD
        ask = dns.query.tcp if tcp else dns.query.udp
        reply = ask(query, "127.0.0.1", 5, port=server.port)
        said = dns.flags.QR | dns.flags.AA | dns.flags.RD | dns.flags.RA | dns.flags.CD
        assert reply.flags == said and reply.edns == 0

    def test_what_it_knows_of_the_query(self, server: Server, tcp: bool) -> None:
        where = f"dns://127.0.0.1:{server.port}"
        told = texts(server.query("who.outer.test.", "TXT", tcp=tcp))
        assert told == sorted(["127.0.0.1", "stream" if tcp else "datagram", where, ".", "at 127.0.0.1"])

    def test_nothing_of_its_own(self, server: Server, tcp: bool) -> None:
        """Both steps pass; the query waits for each of them, and for the upstream."""
        assert server.addresses(f"plain-{tcp}.example.org.", tcp=tcp) == ["192.0.2.1"]

    def test_what_the_next_plugins_say(self, server: Server, tcp: bool) -> None:
        """With another TTL. Behind this step is the cache: it asks the upstream once."""
        name = f"next-{tcp}.outer.test."
        for _ in range(2):
            reply = server.query(name, tcp=tcp)
            assert [str(rrset) for rrset in reply.answer] == [f"{name} 7 IN A 192.0.2.1"]

    def test_answers_to_other_questions(self, server: Server, tcp: bool) -> None:
        told = texts(server.query(f"ask-x{tcp}.outer.test.", "TXT", tcp=tcp))
        assert told == ["asked.test. 192.0.2.1", "more.test. 192.0.2.1"]

    @pytest.mark.parametrize("label", [b"\xff", b"\xc3", b"a.b", b"a\\b", b"\0 \x7f", "\u00e4".encode()], ids=repr)
    def test_a_name_of_any_bytes(self, server: Server, tcp: bool, label: bytes) -> None:
        """A name that is not UTF-8 got SERVFAIL: dnslib does not read it."""
        name = dns.name.Name((b"bytes-" + label, b"outer", b"test", b""))
        query = dns.message.make_query(name, "TXT")
        reply = (dns.query.tcp if tcp else dns.query.udp)(query, "127.0.0.1", 5, port=server.port)
        below = dns.name.Name((*name.labels[:-1], b"asked", b"test", b""))
        assert [rrset.name for rrset in reply.answer] == [name, below]
        *addresses, said = texts(reply)
        assert addresses == ["192.0.2.1 of DNSLabel", "192.0.2.1 of str"]
        assert dns.name.from_text(said) == name

    def test_a_large_one(self, server: Server, tcp: bool) -> None:
        """Over UDP it is cut, and says so."""
        reply = server.query("large-250.outer.test.", "TXT", tcp=tcp)
        assert len(texts(reply)) == 250 if tcp else reply.flags & dns.flags.TC

    def test_another_class_of_opcode_passes(self, server: Server, tcp: bool) -> None:
        assert server.query("address.outer.test.", "A", tcp=tcp).answer[0].ttl == 60


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    ("command", "reason", "result", "log"),
    [
        ("raise", "panic", "exception", "in server: \"dns://127.0.0.1:{}\" ValueError('it went wrong')"),
        ("cancelled", "panic", "exception", "CancelledError()"),
        ("sleep-1000", "step_timeout", "timeout", "plugin/errors: 2 sleep-1000.outer.test. TXT: plugin/outer: no"),
        ("bad-text", "step_reply", "bad_reply", "plugin/outer: its step returned 'no record'; expected a DNS"),
        ("bad-question", "step_reply", "bad_reply", "returned a record that is no reply to the question"),
        ("bad-query", "step_reply", "bad_reply", "returned a record that is no reply to the question"),
        ("bad-opcode", "step_reply", "bad_reply", "returned a record that is no reply to the question"),
        ("bad-pack", "step_reply", "bad_reply", "its step returned a record that cannot be packed: DNSLabelError"),
        ("large-330", "step_reply", "bad_reply", "bytes; expected 65535 at most"),
    ],
)
def test_a_failure(server: Server, tcp: bool, command: str, reason: str, result: str, log: str) -> None:
    """SERVFAIL, logged, and counted once by each counter."""
    said = ("fastdns_queries_failed_total", "fastdns_python_step_queries_total", "coredns_panics_total")

    def counted() -> list[float]:
        labels = ({"reason": reason}, {"result": result, "plugin": "outer"}, {})
        return [server.total(name, **which) for name, which in zip(said, labels, strict=True)]

    before = counted()
    assert server.query(f"{command}.outer.test.", "TXT", tcp=tcp).rcode() == dns.rcode.SERVFAIL
    after = counted()
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, reason == "panic"]
    server.wait_for_log(log.replace("{}", str(server.port)))


def test_silence(server: Server) -> None:
    before = server.total("fastdns_python_step_queries_total", result="silence")
    with pytest.raises(dns.exception.Timeout):
        server.query("silence.outer.test.", "TXT", timeout_s=0.3)
    assert server.total("fastdns_python_step_queries_total", result="silence") == before + 1


def test_a_task_is_cancelled_at_its_timeout(server: Server) -> None:
    before = counts(server, "inner")
    begun = time.monotonic()
    assert server.query("sleep-60000.inner.test.", "TXT").rcode() == dns.rcode.SERVFAIL
    assert time.monotonic() - begun >= 0.4
    wait_until(lambda: counts(server, "inner")["cancelled"] == before["cancelled"] + 1)
    assert counts(server, "inner")["running"] == 1
    assert server.total("fastdns_python_step_waiting") == 0


def test_one_that_ignores_its_end_is_answered_for(server: Server) -> None:
    """What it says in the end changes nothing."""
    assert server.query("stubborn-800.outer.test.", "TXT").rcode() == dns.rcode.SERVFAIL
    assert counts(server, "outer")["running"] == 2
    wait_until(lambda: counts(server, "outer")["running"] == 1)
    assert texts(server.query("say-well.outer.test.", "TXT")) == ["well"]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_one_that_asks_itself_without_end(server: Server, tcp: bool) -> None:
    before = counts(server, "outer")["calls"]
    assert server.query("again.outer.test.", "TXT", tcp=tcp).rcode() == dns.rcode.SERVFAIL
    assert counts(server, "outer")["calls"] == before + 10, "9 times, and the count"
    server.wait_for_log("TooDeepError('a question inside of more than 8 others')")


def test_a_cache_keeps_what_upstreams_say_only(server: Server, upstream: Upstream) -> None:
    """A step behind the cache is asked each time for what it says itself."""
    before = counts(server, "inner")["calls"]
    for _ in range(2):
        server.query("say-again.inner.test.", "TXT")
    assert counts(server, "inner")["calls"] == before + 3
    asked = len(upstream.asked)
    for _ in range(2):
        assert server.addresses("kept.example.org.") == ["192.0.2.1"]
    assert len(upstream.asked) == asked + 1
    assert counts(server, "inner")["calls"] == before + 5, "the second time the cache answers before it"


def test_many_at_once(server: Server) -> None:
    """They overlap, and none is lost."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect(("127.0.0.1", server.port))
        for number in range(200):
            client.send(dns.message.make_query("sleep-200.outer.test.", "TXT", id=number).to_wire())
        replies = [dns.message.from_wire(client.recv(512)) for _ in range(200)]
    assert {reply.id for reply in replies} == set(range(200))
    assert {tuple(texts(reply)) for reply in replies} == {("awake",)}


def test_metrics_say_which_plugins_have_steps(server: Server) -> None:
    samples = server.samples()
    for name in ("outer", "inner"):
        assert samples["coredns_plugin_enabled", tuple(sorted({
            "name": name, "server": f"dns://127.0.0.1:{server.port}", "view": "", "zone": "."
        }.items()))] == 1  # fmt: skip
        seen = sum(
            value for (of, labels), value in samples.items()
            if of == "fastdns_python_step_queries_total" and dict(labels)["plugin"] == name
        )  # fmt: skip
        assert seen == server.total("fastdns_python_step_duration_seconds_count", plugin=name) > 0
    assert server.total("fastdns_python_step_shed_total") == 0


# ----------------------------------------------------------------------------------------- servers of their own


def test_a_cache_may_keep_what_a_step_says(tmp_path: Path, packages: Path) -> None:
    """And serves it stale while the step does not answer in time."""
    corefile = (
        ".:DNS_PORT {\nbind 127.0.0.1\ncache {\nserve_stale 1h verify 100ms\n}\ninner 2 cacheable\n"
        "prometheus 127.0.0.1:METRICS_PORT\n}\n"
    )
    with Server(tmp_path, corefile, workers=1, environ=path_to(packages)) as server:
        assert texts(server.query("brief-1.inner.test.", "TXT")) == ["1"]
        assert texts(server.query("brief-1.inner.test.", "TXT")) == ["1"]
        time.sleep(1.1)
        # The second call takes a second: what is stale is served, and its answer is kept when it comes.
        begun = time.monotonic()
        stale = server.query("brief-1.inner.test.", "TXT")
        assert texts(stale) == ["1"] and time.monotonic() - begun < 0.9
        wait_until(lambda: texts(server.query("brief-1.inner.test.", "TXT")) != ["1"])
        assert server.total("coredns_cache_served_stale_total") >= 1
        assert server.total("fastdns_python_step_queries_total", result="timeout") == 0


def test_a_reload_while_steps_run(tmp_path: Path, packages: Path) -> None:
    """The old worker finishes what it has, with the step that it had."""
    corefile = ".:DNS_PORT {\nbind 127.0.0.1\nouter 10\n}\n"
    with Server(tmp_path, corefile, workers=1, environ=path_to(packages)) as server:
        replies: list[dns.message.Message] = []
        ask = [
            threading.Thread(target=lambda tcp=tcp: replies.append(
                server.query("sleep-2000.outer.test.", "TXT", tcp=tcp, timeout_s=10)
            ))
            for tcp in (False, True)
        ]  # fmt: skip
        for thread in ask:
            thread.start()
        wait_until(lambda: counts(server, "outer")["running"] == 3)
        server.write_corefile(corefile.replace("outer 10", "outer 9"))
        server.reload()
        assert counts(server, "outer") == {"calls": 1, "running": 1, "cancelled": 0}, "another worker"
        for thread in ask:
            thread.join()
        assert [texts(reply) for reply in replies] == [["awake"], ["awake"]]


def test_a_stop_while_steps_run(tmp_path: Path, packages: Path) -> None:
    """Whoever still waits when the worker gives up gets SERVFAIL, and the steps are closed."""
    corefile = ".:DNS_PORT {\nbind 127.0.0.1\nouter 60\n}\n"
    with Server(tmp_path, corefile, workers=1, environ=path_to(packages)) as server:
        replies: list[dns.message.Message] = []
        ask = [
            threading.Thread(target=lambda tcp=tcp: replies.append(
                server.query("sleep-60000.outer.test.", "TXT", tcp=tcp, timeout_s=15)
            ))
            for tcp in (False, True)
        ]  # fmt: skip
        for thread in ask:
            thread.start()
        wait_until(lambda: counts(server, "outer")["running"] == 3)
        assert server.stop() == 0
        for thread in ask:
            thread.join()
        assert [reply.rcode() for reply in replies] == [dns.rcode.SERVFAIL] * 2
        server.wait_for_log("step of outer closed, 2 calls cancelled")


def test_a_worker_that_dies_while_steps_run(tmp_path: Path, packages: Path) -> None:
    corefile = ".:DNS_PORT {\nbind 127.0.0.1\nouter 60\nprometheus 127.0.0.1:METRICS_PORT\n}\n"
    started = Server(tmp_path, corefile, workers=1, environ=path_to(packages))
    with started as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", server.port))
        for _ in range(5):
            client.send(dns.message.make_query("sleep-60000.outer.test.", "TXT").to_wire())
        wait_until(lambda: server.total("fastdns_python_step_waiting") == 5)
        pid = server.pids().workers["worker 1"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: server.pids().workers.get("worker 1", pid) != pid)
        wait_until(lambda: texts(server.query("say-x.outer.test.", "TXT")) == ["x"])
        assert server.total("fastdns_python_step_waiting") == 0
        assert server.total("fastdns_queries_failed_total", reason="worker_died") == 5


def test_a_step_that_blocks_the_event_loop(tmp_path: Path, packages: Path) -> None:
    """Other names are answered over UDP meanwhile, and the worker is replaced."""
    corefile = (
        "outer.test:DNS_PORT {\nbind 127.0.0.1\nouter 1\n}\nother.test:DNS_PORT {\nbind 127.0.0.1\nwhoami\n}\n"
    )
    with Server(tmp_path, corefile, workers=1, environ=path_to(packages)) as server:
        pid = server.pids().workers["worker 1"]
        begun = time.monotonic()
        # The timer of its thread answers in its place.
        assert server.query("block-60000.outer.test.", "TXT").rcode() == dns.rcode.SERVFAIL
        for _ in range(20):
            assert server.query("x.other.test.", timeout_s=1).rcode() == dns.rcode.NOERROR
        assert time.monotonic() - begun < 3
        wait_until(lambda: server.pids().workers.get("worker 1", pid) != pid, 20, "another worker")
        wait_until(lambda: texts(server.query("say-x.outer.test.", "TXT")) == ["x"])


def test_a_step_that_cannot_start(tmp_path: Path, packages: Path) -> None:
    """A reload with it fails, and the old worker serves on."""
    corefile = ".:DNS_PORT {\nbind 127.0.0.1\nouter 1\n}\n"
    with Server(tmp_path, corefile, workers=1, environ=path_to(packages)) as server:
        server.write_corefile(corefile.replace("outer 1", "outer 1 broken"))
        server.send_signal(signal.SIGUSR1)
        server.wait_for_log("plugin/outer: its step cannot start: OSError('no such thing')", 20)
        server.wait_for_log("Restart failed: the new workers did not become ready", 30)
        assert texts(server.query("say-x.outer.test.", "TXT")) == ["x"]


def test_with_debug_an_exception_ends_the_worker(tmp_path: Path, packages: Path) -> None:
    corefile = ".:DNS_PORT {\nbind 127.0.0.1\ndebug\nouter 1\n}\n"
    with Server(tmp_path, corefile, workers=1, environ=path_to(packages)) as server:
        pid = server.pids().workers["worker 1"]
        assert server.query("raise.outer.test.", "TXT").rcode() == dns.rcode.SERVFAIL
        wait_until(lambda: server.pids().workers.get("worker 1", pid) != pid)
        server.wait_for_log('raise ValueError("it went wrong")')
        assert "Recovered" not in server.log


def test_a_worker_imports_nothing_after_the_fork(tmp_path: Path, packages: Path) -> None:
    """All workers share what steps need."""
    corefile = ".:DNS_PORT {\nbind 127.0.0.1\nouter 1\nwhoami\n}\n"
    server = Server(tmp_path, corefile, workers=1, environ=path_to(packages))
    server.command[-4:-2] = ["-c", IMPORTS]
    with server:
        for command in ("say-x", "next-x", "ask-x", "bad-pack", "raise"):
            server.query(f"{command}.outer.test.", "TXT")
        server.wait_for_log("imported:")
        said = next(line for line in server.log.splitlines() if line.startswith("imported:"))
    assert said.split()[1:] == []


def test_a_server_without_such_steps_has_no_dnslib(tmp_path: Path) -> None:
    corefile = ".:DNS_PORT {\nbind 127.0.0.1\nprometheus 127.0.0.1:METRICS_PORT\nwhoami\n}\n"
    with Server(tmp_path, corefile, workers=1) as server:
        maps = Path(f"/proc/{server.pids().workers['worker 1']}/maps").read_text()
        assert "serve/python" not in maps and "fastdns/serve/_chain" in maps
        assert server.total("fastdns_python_step_waiting") == 0
        assert "fastdns_python_step" not in server.http("/metrics")[1]
