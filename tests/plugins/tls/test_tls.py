"""A whole server over TLS: what clients are asked for, certificates that change, sessions with any worker."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dns.edns
import dns.message
import dns.query
import dns.rdatatype
import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.tls.config import Config
from fastdns.servertls import ServerTls
from fastdns.tls import bare_client_context
from tests.plugins.forward.certificates import Authority
from tests.support import Server, wait_until

NAME = "dns.example"
COREFILE = """\
tls://example.org:OTHER_PORT example.org:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    tls server.crt server.key CA {
        client_auth MODE
    }
    template IN A example.org {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
    }
    template IN TXT example.org {
        answer "{{ .Name }} 60 IN TXT TEXT"
    }
}
"""


def corefile(mode: str = "nocert", authority: str = "") -> str:
    return COREFILE.replace("MODE", mode).replace("CA {", f"{authority} {{").replace("TEXT", "x" * 200)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    authority.issue("server", (NAME,))
    authority.issue("client", ("client.example",))
    authority.issue("stranger", ("stranger.example",), own=True)
    authority.issue("other", (NAME,))
    return authority


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    authority.put(folder)
    with Server(folder, corefile(), workers=2) as server:
        yield server


def trusting(authority: Authority, client: str = "") -> ssl.SSLContext:
    context = bare_client_context()
    context.load_verify_locations(authority.ca)
    if client:
        context.load_cert_chain(authority.directory / f"{client}.crt", authority.directory / f"{client}.key")
    return context


def ask(server: Server, context: ssl.SSLContext, kind: str = "A") -> dns.message.Message:
    query = dns.message.make_query("www.example.org", kind)
    port = server.ports["OTHER_PORT"]
    return dns.query.tls(query, "127.0.0.1", 5, port, server_hostname=NAME, ssl_context=context)


def test_an_answer(server: Server, authority: Authority) -> None:
    reply = ask(server, trusting(authority))
    assert [str(data) for rrset in reply.answer for data in rrset] == ["192.0.2.1"]
    # The other key of the block has no TLS.
    assert server.addresses("www.example.org") == ["192.0.2.1"]
    assert server.addresses("www.example.org", tcp=True) == ["192.0.2.1"]


def test_kdig(server: Server, authority: Authority) -> None:
    kdig = shutil.which("kdig")
    if kdig is None:
        pytest.skip("there is no kdig")
    command = [
        kdig, "@127.0.0.1", "-p", str(server.ports["OTHER_PORT"]), f"+tls-ca={authority.ca}",
        f"+tls-hostname={NAME}", "+keepopen", "a.example.org", "A", "b.example.org", "TXT",
    ]  # fmt: skip
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout
    assert "TLS session (TLS1.3)" in told and "192.0.2.1" in told and told.count("status: NOERROR") == 2, told


@pytest.mark.parametrize("kind", ["A", "TXT", "MX"])
def test_padding(server: Server, authority: Authority, kind: str) -> None:
    """RFC 8467 section 4.1: replies to padded queries are multiples of 468 bytes, and nobody else's."""
    query = dns.message.make_query("www.example.org", kind, use_edns=0, pad=128)
    port = server.ports["OTHER_PORT"]
    context = trusting(authority)
    padded = dns.query.tls(query, "127.0.0.1", 5, port, server_hostname=NAME, ssl_context=context)
    assert dns.edns.OptionType.PADDING in {option.otype for option in padded.options}
    assert len(padded.wire or b"") == 468
    clear = dns.query.tcp(query, "127.0.0.1", 5, server.ports["DNS_PORT"])
    assert dns.edns.OptionType.PADDING not in {option.otype for option in clear.options}
    assert clear.answer == padded.answer
    unasked = dns.message.make_query("www.example.org", kind, use_edns=0)
    reply = dns.query.tls(unasked, "127.0.0.1", 5, port, server_hostname=NAME, ssl_context=context)
    assert dns.edns.OptionType.PADDING not in {option.otype for option in reply.options}


def test_kdig_with_padding(server: Server, authority: Authority) -> None:
    kdig = shutil.which("kdig")
    if kdig is None:
        pytest.skip("there is no kdig")
    command = [
        kdig, "@127.0.0.1", "-p", str(server.ports["OTHER_PORT"]), f"+tls-ca={authority.ca}",
        f"+tls-hostname={NAME}", "+padding", "a.example.org", "TXT",
    ]  # fmt: skip
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout
    assert "PADDING" in told and "Received 468 B" in told, told


def test_handshakes_are_counted(server: Server, authority: Authority) -> None:
    """By version and resumption; those that fail by reason."""
    port = server.ports["OTHER_PORT"]

    def count(what: str, **labels: str) -> float:
        return server.total(f"fastdns_tls_handshakes{what}_total", **labels)

    def shake(context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSession | None:
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname=NAME, session=session) as tls,
        ):
            query = dns.message.make_query("www.example.org", "A").to_wire()
            tls.sendall(len(query).to_bytes(2, "big") + query)
            assert tls.recv(65536)
            return tls.session

    def send(data: bytes) -> None:
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.sendall(data)
            plain.shutdown(socket.SHUT_WR)
            while plain.recv(4096):
                pass

    before = count("", version="1.3", resumed="yes"), count("", version="1.2", resumed="no")
    context = trusting(authority)
    shake(context, shake(context))
    old = trusting(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    shake(old)
    send(b"GET / HTTP/1.1\r\n\r\n")
    send(b"\x16\x03\x01")
    with pytest.raises(ssl.SSLError):
        shake(bare_client_context())
    wait_until(lambda: count("", version="1.3", resumed="yes") >= before[0] + 1)
    wait_until(lambda: count("", version="1.2", resumed="no") >= before[1] + 1)
    for reason in ("malformed", "closed", "alert"):
        wait_until(lambda reason=reason: count("_failed", reason=reason) >= 1)  # type: ignore[misc]


def test_a_client_without_a_certificate_is_counted(tmp_path: Path, authority: Authority) -> None:
    authority.put(tmp_path)
    with Server(tmp_path, corefile("require_and_verify", str(authority.ca)), workers=1) as server:
        with pytest.raises((OSError, EOFError)):
            ask(server, trusting(authority))
        wait_until(lambda: server.total("fastdns_tls_handshakes_failed_total", reason="certificate") == 1)


def test_it_is_counted_as_tcp(server: Server, authority: Authority) -> None:
    """As in CoreDNS, the server's name has the transport, and the label proto that of the socket."""
    ask(server, trusting(authority))
    labels = {"server": f"tls://127.0.0.1:{server.ports['OTHER_PORT']}", "proto": "tcp"}
    wait_until(lambda: server.total("coredns_dns_requests_total", **labels) >= 1)


def test_a_session_with_any_worker(server: Server, authority: Authority) -> None:
    """Its keys were made before the workers were. A client's next connection may come to the other one."""
    context = trusting(authority)
    session = None
    reused = []
    for _ in range(12):
        with (
            socket.create_connection(("127.0.0.1", server.ports["OTHER_PORT"])) as plain,
            context.wrap_socket(plain, server_hostname=NAME, session=session) as tls,
        ):
            query = dns.message.make_query("www.example.org", "A").to_wire()
            tls.sendall(len(query).to_bytes(2, "big") + query)
            assert tls.recv(65536)
            reused.append(tls.session_reused)
            session = tls.session
    assert reused == [False] + [True] * 11


def served_certificate(server: Server) -> bytes:
    """The one that a new connection is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", server.ports["OTHER_PORT"])) as plain,
        context.wrap_socket(plain) as tls,
    ):
        return tls.getpeercert(binary_form=True) or b""


def test_files_that_change(tmp_path: Path, authority: Authority) -> None:
    """Taken up without a reload, and without an end to connections; what does not fit is said once, and waits."""
    authority.put(tmp_path)
    with Server(tmp_path, corefile(), workers=1) as server:
        context = trusting(authority)
        first = served_certificate(server)
        with (
            socket.create_connection(("127.0.0.1", server.ports["OTHER_PORT"])) as plain,
            context.wrap_socket(plain, server_hostname=NAME) as open_before,
        ):
            query = dns.message.make_query("www.example.org", "A").to_wire()
            open_before.sendall(len(query).to_bytes(2, "big") + query)
            assert open_before.recv(65536)
            # The key of another certificate.
            shutil.copy(authority.directory / "other.key", tmp_path / "server.key")
            wait_until(lambda: "the previous certificate stays in use" in server.log, 15)
            assert served_certificate(server) == first
            authority.put(tmp_path, "other")
            wait_until(lambda: served_certificate(server) != first, 15)
            assert ask(server, context).answer
            open_before.sendall(len(query).to_bytes(2, "big") + query)
            assert open_before.recv(65536)
        second = served_certificate(server)
        # Other options of the block: the files are the same, and so are the keys of sessions.
        server.write_corefile(corefile().replace("192.0.2.1", "192.0.2.9"))
        server.reload()
        assert served_certificate(server) == second
        assert [str(one) for rrset in ask(server, context).answer for one in rrset] == ["192.0.2.9"]
        # A reload to files that are none is refused.
        server.write_corefile(corefile().replace("server.crt", "nothing.crt"))
        server.send_signal(10)
        wait_until(lambda: "nothing.crt" in server.log)
        assert ask(server, context).answer
        assert server.log.count("the previous certificate stays in use") == 1


def test_a_worker_that_is_killed_takes_its_connections_only(tmp_path: Path, authority: Authority) -> None:
    authority.put(tmp_path)
    with Server(tmp_path, corefile(), workers=2) as server:
        context = trusting(authority)
        [one, other] = server.pids().workers.values()
        kept = []
        for _ in range(16):
            plain = socket.create_connection(("127.0.0.1", server.ports["OTHER_PORT"]))
            kept.append(context.wrap_socket(plain, server_hostname=NAME))
        query = dns.message.make_query("www.example.org", "A").to_wire()
        framed = len(query).to_bytes(2, "big") + query
        os.kill(one, 9)
        wait_until(lambda: len(server.pids().workers) == 2 and one not in server.pids().workers.values())
        answered = 0
        for tls in kept:
            try:
                tls.sendall(framed)
                answered += bool(tls.recv(65536))
            except OSError:
                pass
            tls.close()
        assert 0 < answered < 16 or other not in server.pids().workers.values()
        assert ask(server, context).answer


def test_keylog(tmp_path: Path, authority: Authority) -> None:
    authority.put(tmp_path)
    text = corefile().replace("client_auth nocert", "keylog keys.log")
    with Server(tmp_path, text, workers=1) as server:
        ask(server, trusting(authority))
        wait_until(lambda: "SERVER_TRAFFIC_SECRET_0" in (tmp_path / "keys.log").read_text())
        assert "Writing TLS Key Log to" in server.log


def test_without_tls_it_is_not_encrypted(tmp_path: Path) -> None:
    """As in CoreDNS; a warning says so."""
    text = "tls://example.org:OTHER_PORT {\n    bind 127.0.0.1\n    whoami\n}\n"
    with Server(tmp_path, text, workers=1, wait=False) as server:
        port = server.ports["OTHER_PORT"]

        def answers() -> bool:
            try:
                dns.query.tcp(dns.message.make_query("example.org", "A"), "127.0.0.1", 1, port)
            except OSError:
                return False
            return True

        wait_until(answers, 20)
        assert "messages are not encrypted there" in server.log


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tls a.pem b.pem", ServerTls("/r/a.pem", "/r/b.pem")),
        ("tls a.pem /k/b.pem c.pem", ServerTls("/r/a.pem", "/k/b.pem", "/r/c.pem")),
        ("tls a b {\n}", ServerTls("/r/a", "/r/b")),
        ("tls a b c {\nclient_auth require\nkeylog k\n}", ServerTls("/r/a", "/r/b", "/r/c", "require", "/r/k")),
        ("tls a b\ntls c d", ServerTls("/r/c", "/r/d")),
    ],
)
def test_options(text: str, expected: ServerTls) -> None:
    config = load(f"tls://. {{\nroot /r\n{text}\n}}\n")
    assert config.blocks[0].plugins["tls"] == Config(expected)
    assert config.listeners[0].port == 853


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("tls a", "Wrong argument count"),
        ("tls a b c d", "Wrong argument count"),
        ("tls a b {\nunknown\n}", "unknown"),
        ("tls a b {\nclient_auth\n}", "client_auth"),
        ("tls a b {\nclient_auth none bogus\n}", "bogus"),
        ("tls a b {\nclient_auth bogus\n}", "bogus"),
        ("tls a b {\nkeylog\n}", "keylog"),
    ],
)
def test_mistakes(text: str, error: str) -> None:
    with pytest.raises(CorefileError) as caught:
        load(f"tls://. {{\n{text}\n}}\n")
    assert error.lower() in str(caught.value).lower() and "Corefile:" in str(caught.value)


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ("missing.crt server.key", "missing.crt: No such file or directory"),
        ("server.crt missing.key", "missing.key: No such file or directory"),
        ("server.crt other.key", "a certificate and its key in PEM format expected"),
        ("Corefile Corefile", "a certificate and its key in PEM format expected"),
        ("server.crt server.key Corefile {\nclient_auth verify_if_given\n}", "certificates in PEM format expected"),
        ("server.crt server.key {\nkeylog no/such/folder\n}", "unable to write TLS Key Log"),
    ],
)
def test_a_start_without_its_files(tmp_path: Path, authority: Authority, files: str, error: str) -> None:
    authority.put(tmp_path)
    shutil.copy(authority.directory / "other.key", tmp_path)
    (tmp_path / "Corefile").write_text(f"tls://.:853 {{\ntls {files}\nwhoami\n}}\n")
    command = [sys.executable, "-m", "fastdns.cli", "check", "-conf", "Corefile"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert told.returncode != 0 and error in told.stderr and "plugin/tls: Corefile:2" in told.stderr, told.stderr


def test_time_is_not_spent_on_files_that_stay(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastdns import servertls

    files = ServerTls(str(authority.directory / "server.crt"), str(authority.directory / "server.key"))
    one = servertls.served(files)
    before = one.context
    monkeypatch.setattr(time, "monotonic", lambda: one.looked_at + servertls.LOOK_S - 1)
    looked: list[int] = []
    monkeypatch.setattr(servertls.Served, "look", lambda self: looked.append(1))
    one.accept()
    servertls.look_for_changes()
    assert not looked and servertls.SERVED[files, ()].context is before
    monkeypatch.setattr(time, "monotonic", lambda: one.looked_at + servertls.LOOK_S)
    servertls.look_for_changes()
    assert looked
    # A process that does not accept with them has no need to look, nor has one that was forked from this.
    monkeypatch.setattr(one, "accepting_in", one.accepting_in + 1)
    servertls.look_for_changes()
    assert len(looked) == 1
