"""dnstap of a running server: what a collector is told, and what becomes of it when collectors and workers fail."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import pytest

from tests.certificates import write_certificate
from tests.plugins.beside import COREDNS, CoreDNS
from tests.plugins.dnstap.collector import CONTENT_TYPE, Collector, control
from tests.plugins.dnstap.protobuf import (
    CLIENT_QUERY,
    CLIENT_RESPONSE,
    FORWARDER_QUERY,
    FORWARDER_RESPONSE,
    INET,
    TCP,
    UDP,
)
from tests.plugins.forward.engine.support import Upstream
from tests.support import Load, Server, free_port, wait_until

LOCAL = socket.inet_aton("127.0.0.1")

COREFILE = """\
example.:DNS_PORT {
    bind 127.0.0.1
    metadata
    prometheus 127.0.0.1:METRICS_PORT
    dnstap full.sock full {
        identity here
        version 1.2
        extra "{name} {type} {proto} {>id} {/forward/upstream} {remote}:{port} {local} {rcode}"
    }
    dnstap short.sock {
        identity ""
    }
    forward . 127.0.0.1:UPSTREAM
}
who.:DNS_PORT {
    bind 127.0.0.1
    dnstap short.sock {
        identity ""
    }
    whoami
}
refused.:DNS_PORT {
    bind 127.0.0.1
    dnstap short.sock {
        identity ""
    }
    acl {
        block
    }
}
"""


@pytest.fixture(scope="module")
def tapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Collector, Collector, Upstream]]:
    folder = tmp_path_factory.mktemp("dnstap")
    with (
        Collector(folder / "full.sock") as full, Collector(folder / "short.sock") as short, Upstream() as upstream,
        Server(folder, COREFILE.replace("UPSTREAM", str(upstream.port)), workers=2) as server,
    ):  # fmt: skip
        wait_until(lambda: full.connections and short.connections, 20, "the connections")
        yield server, full, short, upstream


def test_what_a_collector_is_told(tapped: tuple[Server, Collector, Collector, Upstream]) -> None:
    server, full, _, upstream = tapped
    full.messages.clear()
    before = time.time_ns()
    reply = server.query("a.example.", "A")
    client, asked, replied, answered = full.wait_for(4)
    after = time.time_ns()
    assert [m.type for m in (client, asked, replied, answered)] == [
        CLIENT_QUERY, FORWARDER_QUERY, FORWARDER_RESPONSE, CLIENT_RESPONSE,
    ]  # fmt: skip
    for m in (client, asked, replied, answered):
        assert (m.identity, m.version, m.family, m.protocol) == (b"here", b"1.2", INET, UDP)
        assert m.query_ns is not None
        assert before - 10**7 <= m.query_ns <= after + 10**7
    assert client.query is not None and answered.response is not None
    assert asked.query is not None and replied.response is not None
    # Whose they are.
    assert (client.query_address, client.response_address, client.response_port) == (LOCAL, LOCAL, server.port)
    assert (answered.query_port, answered.response_port) == (client.query_port, server.port)
    assert (asked.query_address, asked.response_address, asked.response_port) == (LOCAL, LOCAL, upstream.port)
    assert (replied.query_port, replied.response_port) == (asked.query_port, upstream.port)
    assert asked.query_port not in (None, 0, client.query_port)
    # What they say.
    assert dns.message.from_wire(answered.response) == reply
    assert dns.message.from_wire(client.query).question == reply.question
    assert asked.query == upstream.asked[-1].wire
    assert replied.response[:2] == asked.query[:2]
    assert client.response is None and answered.query is None
    # When.
    assert client.response_ns is None and asked.response_ns is None
    assert replied.response_ns is not None and answered.response_ns is not None
    assert client.query_ns <= asked.query_ns <= replied.response_ns <= answered.response_ns  # type: ignore[operator]
    assert (replied.query_ns, answered.query_ns) == (asked.query_ns, client.query_ns)
    # The text.
    end = f"127.0.0.1:{client.query_port} 127.0.0.1 -"
    to = f"127.0.0.1:{upstream.port}"
    number = int.from_bytes(client.query[:2], "big")
    wire_number = int.from_bytes(asked.query[:2], "big")
    assert client.extra == f"a.example. A udp {number} - {end}".encode()
    assert answered.extra == f"a.example. A udp {number} {to} {end}".encode()
    assert asked.extra == replied.extra == f"a.example. A udp {wire_number} {to} -:- - -".encode()


def test_short_messages_have_no_dns_message(tapped: tuple[Server, Collector, Collector, Upstream]) -> None:
    server, _, short, _ = tapped
    short.messages.clear()
    server.query("b.example.", "A")
    for m in short.wait_for(4):
        assert (m.query, m.response, m.identity, m.extra) == (None, None, None, None)
        assert m.version is not None and m.version.startswith(b"fastdns-")


@pytest.mark.parametrize(
    ("name", "tcp", "why"),
    [("a.who.", False, "another block"), ("b.who.", True, "over TCP"), ("a.refused.", False, "no plugin's reply")],
)
def test_other_queries(
    tapped: tuple[Server, Collector, Collector, Upstream], name: str, tcp: bool, why: str
) -> None:
    """Blocks with equal taps share the connection."""
    server, _, short, _ = tapped
    short.messages.clear()
    server.query(name, "A", tcp=tcp)
    asked, answered = short.wait_for(2)
    assert (asked.type, answered.type) == (CLIENT_QUERY, CLIENT_RESPONSE)
    assert asked.protocol == answered.protocol == (TCP if tcp else UDP)
    assert short.connections == 1


def test_metrics(tapped: tuple[Server, Collector, Collector, Upstream]) -> None:
    server, full, _, _ = tapped
    server.query("m.example.", "A")
    name = "fastdns_dnstap_messages_total"
    wait_until(lambda: server.total(name, destination="unix://full.sock") == full.count, 5, "the count of messages")
    assert server.total("fastdns_dnstap_dropped_messages_total") == 0
    assert server.total("fastdns_dnstap_connections", destination="unix://full.sock") == 1


# ------------------------------------------------------------------------------------------------- failures

ONE = """\
.:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    dnstap SOCKET
    whoami
}
"""


def ask(server: Server, count: int) -> None:
    for _ in range(count):
        server.query("example.", "A")


def counts(server: Server) -> tuple[float, float]:
    """Messages sent and dropped."""
    return server.total("fastdns_dnstap_messages_total"), server.total("fastdns_dnstap_dropped_messages_total")


def test_a_collector_that_comes_late_gets_what_waited(tmp_path: Path) -> None:
    with Server(tmp_path, ONE.replace("SOCKET", "d.sock")) as server:
        ask(server, 5)
        server.wait_for_log("No connection to dnstap endpoint: No such file or directory: unix://d.sock")
        with Collector(tmp_path / "d.sock") as collector:
            assert [m.type for m in collector.wait_for(10)].count(CLIENT_RESPONSE) == 5
        assert counts(server) == (10, 0)


def test_a_collector_that_goes_and_comes(tmp_path: Path) -> None:
    with Server(tmp_path, ONE.replace("SOCKET", "d.sock")) as server:
        for _ in range(2):
            with Collector(tmp_path / "d.sock") as collector:
                wait_until(lambda: collector.connections, 20, "a connection")
                ask(server, 1)
                collector.wait_for(2)
        server.wait_for_log("the other side has closed the connection")
        assert server.log.count("[ERROR]") <= 4


def test_a_worker_that_is_killed_loses_nothing_and_a_reload_keeps_the_connection(tmp_path: Path) -> None:
    with (
        Collector(tmp_path / "d.sock") as collector,
        Server(tmp_path, ONE.replace("SOCKET", "d.sock"), workers=1) as server,
    ):
        ask(server, 3)
        collector.wait_for(6)
        os.kill(next(iter(server.pids().workers.values())), signal.SIGKILL)
        ask(server, 3)
        collector.wait_for(12)
        server.write_corefile(ONE.replace("SOCKET", "d.sock").replace("whoami", "whoami\n    any"))
        server.reload()
        ask(server, 3)
        collector.wait_for(18)
        assert collector.connections == 1
        assert counts(server) == (18, 0)
        assert server.stop() == 0
        wait_until(lambda: collector.finished, 5, "the end of the stream")


def test_a_reload_without_it_ends_the_connection(tmp_path: Path) -> None:
    with Collector(tmp_path / "d.sock") as collector, Server(tmp_path, ONE.replace("SOCKET", "d.sock")) as server:
        wait_until(lambda: collector.connections, 20, "a connection")
        server.write_corefile(ONE.replace("    dnstap SOCKET\n", ""))
        server.reload()
        wait_until(lambda: collector.finished, 10, "the end of the stream")


def test_a_collector_that_does_not_read_delays_nobody(tmp_path: Path) -> None:
    """The queue and the buffers fill up; then messages are dropped, counted and said."""
    corefile = ONE.replace("SOCKET", "d.sock full {\n        extra " + "x" * 1000 + "\n    }")
    with (
        Collector(tmp_path / "d.sock", reads=False) as collector,
        Server(tmp_path, corefile, workers=1) as server,
    ):
        wait_until(lambda: collector.connections, 20, "a connection")
        with Load(server.port, 3000, "example.") as load:
            load.run_for(1.5)
        assert load.lost == 0
        wait_until(lambda: counts(server)[1] > 0, 5, "dropped messages")
        assert server.stop() == 0
        assert "[WARNING] plugin/dnstap: Dropped dnstap messages: " in server.log


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "a control frame of"),
        (control(2, b"protobuf:dnstap.Dnstap"), "a frame ACCEPT expected"),
        (control(1, b"protobuf:other"), "the reader does not take"),
    ],
    ids=["another protocol", "another frame", "other data"],
)
def test_what_is_no_collector(tmp_path: Path, answer: bytes, said: str) -> None:
    with Collector(tmp_path / "d.sock", answer=answer), Server(tmp_path, ONE.replace("SOCKET", "d.sock")) as server:
        server.wait_for_log(said)
        ask(server, 2)


# ----------------------------------------------------------------------------------------------- transports


def test_over_tls(tmp_path: Path) -> None:
    write_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    port = free_port()
    corefile = ONE.replace("SOCKET", f"tls://localhost:{port} {{\n        OPTION\n    }}")
    with Collector(port, tls=context) as collector:
        with Server(tmp_path, corefile.replace("OPTION", "skipverify")) as server:
            ask(server, 1)
            collector.wait_for(2)
        with Server(tmp_path, corefile.replace("OPTION", "version 1")) as server:
            server.wait_for_log("certificate verify failed")


LISTEN = """\
.:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    dnstap listen d.sock full
    dnstap listen tls://127.0.0.1:TAP_PORT {
        tls cert.pem key.pem
    }
    whoami
}
"""


def test_collectors_connect_to_a_listener(tmp_path: Path) -> None:
    """One place accepts for all workers. A socket that was left behind is taken over, and removed at the end."""
    write_certificate(tmp_path)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "d.sock"))
    port = free_port()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with Server(tmp_path, LISTEN.replace("TAP_PORT", str(port)), workers=2) as server:
        ask(server, 3)

        def connected(collector: Collector) -> bool:
            try:
                collector.connect()
            except OSError:
                return False
            return True

        first, second = Collector(tmp_path / "d.sock"), Collector(tmp_path / "d.sock")
        over_tls = Collector(port, tls=context)
        for collector in (first, second, over_tls):
            wait_until(lambda: connected(collector), 5, "a listener")  # noqa: B023
            wait_until(lambda: collector.connections, 5, "a start")  # noqa: B023
        wait_until(lambda: wants(server, first, second, over_tls), 5, "messages")
        assert {m.type for m in first.messages} == {CLIENT_QUERY, CLIENT_RESPONSE}
        assert all(m.query or m.response for m in second.messages)
        assert not any(m.query or m.response for m in over_tls.messages)
        second.cut()
        wait_until(lambda: server.total("fastdns_dnstap_connections", destination="unix://d.sock") == 1, 5)
        assert server.stop() == 0
        wait_until(lambda: first.finished and over_tls.finished, 5, "the end of the streams")
        assert not (tmp_path / "d.sock").exists()


def wants(server: Server, *collectors: Collector) -> bool:
    """Whether all collectors have been told of a query."""
    ask(server, 1)
    return all(len(collector.messages) >= 2 for collector in collectors)


# ------------------------------------------------------------------------------------------- beside CoreDNS

LABELS = "{name} {type} {class} {proto} {size} {remote} {>id} {>opcode} {>do} {>bufsize} {rcode} {what}"
ALIKE = f"""\
.:DNS_PORT {{
    bind 127.0.0.1
    dnstap SOCKET full {{
        identity a
        version b
        extra "{LABELS}"
    }}
    whoami
}}
"""


def told(collector: Collector, port: int) -> list[tuple[object, ...]]:
    """What a server says of three queries, but for its reply: that has the port of the client in it."""
    for number, tcp in enumerate((False, True, False)):
        query = dns.message.make_query("Www.Example.", "AAAA", id=number, use_edns=number == 2)
        (dns.query.tcp if tcp else dns.query.udp)(query, "127.0.0.1", 5, port)
    messages = collector.wait_for(6)
    assert all(m.query_port and m.query_ns for m in messages)
    assert all((m.response is not None) == (m.response_ns is not None) for m in messages)
    return sorted(
        (m.type, m.identity, m.version, m.extra, m.family, m.protocol, m.query_address, m.query or b"")
        for m in messages
    )


@pytest.mark.skipif(COREDNS is None, reason="CoreDNS is not in PATH")
def test_coredns_says_the_same(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.sock", tmp_path / "theirs.sock"
    with Collector(ours) as collector, Server(tmp_path, ALIKE.replace("SOCKET", str(ours)), workers=1) as server:
        said = told(collector, server.port)
    with Collector(theirs) as collector, CoreDNS(tmp_path, ALIKE.replace("SOCKET", str(theirs))) as coredns:
        assert told(collector, coredns.port) == said


# ---------------------------------------------------------------------------------- readers of other makers


def test_fstrm_capture_and_dnstap_ldns(tmp_path: Path) -> None:
    """libfstrm's collector, and the reader of NLnet Labs' library. Debian: fstrm-bin, dnstap-ldns."""
    try:
        capture = subprocess.Popen(
            ["fstrm_capture", "-t", CONTENT_TYPE, "-u", tmp_path / "d.sock", "-w", tmp_path / "d.fstrm"],
            stderr=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        pytest.skip("fstrm_capture is not installed")
    try:
        with Server(tmp_path, ONE.replace("SOCKET", "d.sock full"), workers=1) as server:
            server.wait_for_log("fastdns-")
            ask(server, 3)
            server.query("example.", "AAAA", tcp=True)
            wait_until(lambda: counts(server) == (8, 0), 20, "8 messages")
            server.stop()
    finally:
        capture.terminate()
        capture.wait(10)
    try:
        read = subprocess.run(
            ["dnstap-ldns", "-r", tmp_path / "d.fstrm", "-q"],
            capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("dnstap-ldns is not installed")
    # Date, time, direction, client, protocol, size, question.
    lines = [line.split() for line in read.stdout.splitlines()]
    assert sorted(" ".join((*line[2:5], *line[6:])) for line in lines) == [
        'CQ 127.0.0.1 TCP "example." IN AAAA', *['CQ 127.0.0.1 UDP "example." IN A'] * 3,
        'CR 127.0.0.1 TCP "example." IN AAAA', *['CR 127.0.0.1 UDP "example." IN A'] * 3,
    ]  # fmt: skip
    assert all(int(line[5].removesuffix("b")) >= 25 for line in lines)


def test_the_go_tool(tmp_path: Path) -> None:
    """dnstap of golang-dnstap, which reads and prints what comes: in PATH as dnstap."""
    try:
        reader = subprocess.Popen(
            ["dnstap", "-u", tmp_path / "d.sock", "-j"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("dnstap is not installed")
    try:
        with Server(tmp_path, ONE.replace("SOCKET", "d.sock full"), workers=1) as server:
            ask(server, 2)
            wait_until(lambda: counts(server) == (4, 0), 20, "4 messages")
            server.stop()
        assert reader.stdout is not None
        lines = [reader.stdout.readline() for _ in range(4)]
    finally:
        reader.terminate()
        reader.wait(10)
    assert sum('"type":"CLIENT_QUERY"' in line for line in lines) == 2
    assert sum('"type":"CLIENT_RESPONSE"' in line for line in lines) == 2
