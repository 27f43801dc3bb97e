"""From stanzas to addresses: files, host names, certificates."""

from __future__ import annotations

import logging
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dnslib import AAAA, CNAME, QTYPE, RR, A, DNSRecord

from fastdns.errors import CorefileError
from fastdns.plugins.forward import upstreams
from fastdns.plugins.forward.upstreams import Upstream, UpstreamError, resolve, tls_context, watched_files
from fastdns.plugins.nameservers import NameserverFiles, digest
from tests.plugins.forward.certificates import Authority
from tests.plugins.forward.support import stanza_of
from tests.support import free_port


def resolved(text: str) -> list[str]:
    return [f"{one.transport}://{one.to}" for one in resolve(stanza_of(text))]


# Addresses


def test_addresses_keep_their_order() -> None:
    assert resolve(stanza_of("forward . tls://192.0.2.2%a.example ::1 https://192.0.2.1:8443")) == (
        Upstream("tls", "192.0.2.2", 853, "a.example"),
        Upstream("dns", "::1", 53),
        Upstream("https", "192.0.2.1", 8443),
    )


def test_each_upstream_is_asked_once_however_it_is_written() -> None:
    text = "forward . 192.0.2.1 ::1 192.0.2.1:53 dns://192.0.2.1 [0:0::1]:53 ::ffff:192.0.2.1 tls://192.0.2.1:53"
    assert resolved(text) == ["dns://192.0.2.1:53", "dns://[::1]:53", "tls://192.0.2.1:53"]


def test_tls_servername_is_of_encrypted_upstreams_only() -> None:
    stanza = stanza_of("forward . 192.0.2.1 tls://192.0.2.1 https://::1 {;tls_servername dns.example;}")
    assert [(one.server_name, one.verified_name) for one in resolve(stanza)] == [
        (None, "192.0.2.1"),
        ("dns.example", "dns.example"),
        ("dns.example", "dns.example"),
    ]


# Files


def test_nameservers_of_a_file(resolv_conf: Path) -> None:
    assert resolved(f"forward . {resolv_conf} 192.0.2.1 192.0.2.9") == [
        "dns://192.0.2.1:53",
        "dns://[2001:db8::1]:53",
        "dns://192.0.2.9:53",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nameserver 192.0.2.1", ["dns://192.0.2.1:53"]),
        ("\tnameserver\t192.0.2.1 # comment\r\n", ["dns://192.0.2.1:53"]),
        ("nameserver fe80::1%eth0\n", ["dns://[fe80::1%eth0]:53"]),
        ("nameserver 2001:db8::1%eth0\nnameserver 192.0.2.1%eth0\n", ["dns://[2001:db8::1]:53", "dns://192.0.2.1:53"]),
        ("# nameserver 192.0.2.2\n;nameserver 192.0.2.3\nnameserver\nnameserver 192.0.2.1\n", ["dns://192.0.2.1:53"]),
        ("\ufeffnameserver 192.0.2.1\nnameserver 192.0.2.2\n", ["dns://192.0.2.2:53"]),
        ("Nameserver 192.0.2.2\nnameserver 192.0.2.1 192.0.2.3\n", ["dns://192.0.2.1:53"]),
    ],
)
def test_lines_of_a_file(tmp_path: Path, text: str, found: list[str]) -> None:
    (tmp_path / "resolv.conf").write_text(text)
    assert resolved(f"forward . {tmp_path}/resolv.conf") == found


@pytest.mark.parametrize("text", ["", "# nameserver 192.0.2.1\n", "search example.org\n"])
def test_a_file_without_nameservers_is_skipped_unless_it_is_all(tmp_path: Path, text: str) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(text)
    assert resolved(f"forward . {path} 192.0.2.1") == ["dns://192.0.2.1:53"]
    with pytest.raises(UpstreamError, match=r"Corefile:2 .* no upstream is left"):
        resolve(stanza_of(f"forward . {path} /dev/null"))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nameserver dns.example.org", "a nameserver must be an IP address, got 'dns.example.org'"),
        ("nameserver 10.96.0.999", "a nameserver must be an IP address, got '10.96.0.999'"),
        ("nameserver 192.0.2.1:53", "a nameserver must be an IP address, got '192.0.2.1:53'"),
        ("nameserver", "a nameserver must be an IP address, got nothing"),
        ("nameserver fe80::1", "fe80::1 is a link-local address and needs its interface, as in fe80::1%eth0"),
    ],
)
def test_a_bad_line_is_skipped_said_once_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, line: str, says: str
) -> None:
    """The start ended there, though a good nameserver stood beside it: a DHCP client writes that file."""
    path = tmp_path / "resolv.conf"
    path.write_text(f"nameserver 192.0.2.1\n{line}\nnameserver 192.0.2.2\n")
    files = NameserverFiles(logging.getLogger("plugin/forward"))
    stanza = stanza_of(f"forward . {path}")
    for _ in range(3):
        assert [one.to for one in resolve(stanza, files)] == ["192.0.2.1:53", "192.0.2.2:53"]
    assert caplog.messages == [f"{path}:2 - {says}; the line is skipped"]
    assert files.skipped.counts == {str(path): 1}
    path.write_text(f"nameserver 192.0.2.1\n{line}\nnameserver also.bad\n")
    resolve(stanza, files)
    assert len(caplog.messages) == 2, "only the new one is said"
    assert files.skipped.counts == {str(path): 2}


def test_a_file_full_of_bad_lines_does_not_fill_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver no\n" * 5000 + "nameserver 192.0.2.1\n")
    files = NameserverFiles(logging.getLogger("plugin/forward"))
    assert [one.to for one in resolve(stanza_of(f"forward . {path}"), files)] == ["192.0.2.1:53"]
    assert len(caplog.messages) == 11
    assert files.skipped.counts == {str(path): 5000}


def test_only_where_no_line_is_left_it_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("search example.org\nnameserver dns.example\n")
    with pytest.raises(UpstreamError) as caught:
        resolve(stanza_of(f"forward . {path}"))
    assert isinstance(caught.value, CorefileError)
    assert str(caught.value) == (
        f"plugin/forward: Corefile:2 - Error during parsing: no upstream is left: there is no line like "
        f"'nameserver 192.0.2.1' in {path} ({path}:2 - a nameserver must be an IP address, got "
        "'dns.example'; the line is skipped); correct the file, or name the address of an upstream here"
    )


def test_a_file_that_has_gone(resolv_conf: Path) -> None:
    stanza = stanza_of(f"forward . {resolv_conf}")
    resolv_conf.unlink()
    with pytest.raises(UpstreamError, match=r"Corefile:2 .* no upstream is left.*cannot read .*resolv.conf: No"):
        resolve(stanza)


def test_a_file_that_has_gone_leaves_its_nameservers_and_those_of_others(
    resolv_conf: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = NameserverFiles(logging.getLogger("plugin/forward"))
    other = tmp_path / "other.conf"
    other.write_text("nameserver 192.0.2.8\n")
    stanza = stanza_of(f"forward . {resolv_conf} {other}")
    resolve(stanza, files)
    resolv_conf.unlink()
    other.write_text("nameserver 192.0.2.9\n")
    assert [one.to for one in resolve(stanza, files)] == ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.9:53"]
    assert caplog.messages == [
        f"cannot read {resolv_conf}: No such file or directory; its last nameservers stay in use"
    ]


def test_of_a_file_with_any_number_of_nameservers_the_first_are_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("".join(f"nameserver 192.0.{i // 256}.{i % 256}\n" for i in range(1000)))
    found = resolve(stanza_of(f"forward . {path}"))
    assert (len(found), found[0].address, found[-1].address) == (128, "192.0.0.0", "192.0.0.127")
    assert caplog.messages == ["Corefile:2 - 1000 upstreams are found; only the first 128 are used"]


# Changes of files


def test_watched_files(resolv_conf: Path) -> None:
    stanza = stanza_of(f"forward . 192.0.2.1 {resolv_conf} dns.example /dev/null")
    assert watched_files(stanza) == (str(resolv_conf), "/dev/null")
    assert watched_files(stanza_of("forward . 192.0.2.1")) == ()


def rewritten(path: Path) -> None:
    path.write_text("nameserver 192.0.2.3\n")


def replaced_by_one_of_the_same_age_and_size(path: Path) -> None:
    state = path.stat()
    other = path.with_name("new")
    other.write_bytes(path.read_bytes().replace(b"192.0.2.1", b"192.0.2.2"))
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [rewritten, replaced_by_one_of_the_same_age_and_size, Path.unlink])
def test_digest_tells_a_change(resolv_conf: Path, change: Callable[[Path], None]) -> None:
    paths = (str(resolv_conf), "/dev/null")
    before = digest(paths)
    assert digest(paths) == before
    change(resolv_conf)
    assert digest(paths) != before


def test_digest_follows_links(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "resolv.conf").write_text(f"nameserver 192.0.2.1\n# {name}\n")
    (tmp_path / "data").symlink_to("a")
    before = digest((f"{tmp_path}/data/resolv.conf",))
    (tmp_path / "data").unlink()
    (tmp_path / "data").symlink_to("b")
    assert digest((f"{tmp_path}/data/resolv.conf",)) != before


def test_a_file_that_comes_back_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    before = digest((str(path),))
    assert before == (None,)
    path.write_text("")
    assert digest((str(path),)) != before


# Host names


ZONE = {
    ("one.example.", "A"): [A("192.0.2.1"), A("192.0.2.2")],
    ("two.example.", "A"): [A("192.0.2.2"), A("192.0.2.3")],
    ("both.example.", "A"): [A("192.0.2.1")],
    ("both.example.", "AAAA"): [AAAA("2001:db8::1")],
    ("alias.example.", "A"): [CNAME("one.example."), A("192.0.2.1")],
}


def answer(query: DNSRecord) -> bytes:
    reply = query.reply()
    kind = QTYPE[query.q.qtype]
    for data in ZONE.get((str(query.q.qname).lower(), kind), []):
        reply.add_answer(RR(query.q.qname, getattr(QTYPE, type(data).__name__), rdata=data))
    return bytes(reply.pack())


def lie(query: DNSRecord) -> list[bytes]:
    """Replies that are none, then the true one."""
    true = answer(query)
    other = DNSRecord.question("other.example", "A")
    other.header.id = query.header.id
    return [
        bytes([true[0] ^ 1]) + true[1:],
        bytes(query.pack()),
        answer(other),
        b"",
        b"x",
        true[:2] + b"\xff" * 20,
        true,
    ]


@contextmanager
def resolver(say: Callable[[DNSRecord], list[bytes]] = lambda query: [answer(query)]) -> Iterator[str]:
    """A resolver on the loopback, over UDP and TCP; over TCP it always says the truth."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp = socket.socket()
    address = "127.0.0.1", free_port()
    udp.bind(address)
    tcp.bind(address)
    tcp.listen()

    def serve_udp() -> None:
        while (got := udp.recvfrom(4096))[0] != b"end":
            for message in say(DNSRecord.parse(got[0])):
                udp.sendto(message, got[1])

    def serve_tcp() -> None:
        while True:
            try:
                connection = tcp.accept()[0]
            except OSError:
                return
            with connection:
                reply = answer(DNSRecord.parse(connection.recv(4096)[2:]))
                connection.sendall(struct.pack(">H", len(reply)) + reply)

    threads = [threading.Thread(target=target, daemon=True) for target in (serve_udp, serve_tcp)]
    for thread in threads:
        thread.start()
    yield f"127.0.0.1:{address[1]}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
        ending.sendto(b"end", address)
    tcp.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(5)
    udp.close()
    tcp.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "LOOKUP_S", 0.2)


def test_host_names_become_addresses_in_the_order_of_their_naming() -> None:
    with resolver() as at:
        text = f"forward . one.example two.example:5353 192.0.2.2 192.0.2.9 {{;resolver {at};}}"
        assert resolved(text) == [
            "dns://192.0.2.1:53", "dns://192.0.2.2:53", "dns://192.0.2.2:5353", "dns://192.0.2.3:5353",
            "dns://192.0.2.9:53",
        ]  # fmt: skip


def test_both_families_and_aliases() -> None:
    with resolver() as at:
        assert resolved(f"forward . both.example {{;resolver {at};}}") == ["dns://192.0.2.1:53", "dns://[2001:db8::1]:53"]
        assert resolved(f"forward . alias.example {{;resolver {at};}}") == ["dns://192.0.2.1:53"]


@pytest.mark.parametrize(
    ("to", "options", "name"),
    [
        ("tls://one.example", "", "one.example"),
        ("https://One.example.", "", "one.example"),
        ("tls://one.example", "tls_servername a.example", "a.example"),
        ("tls://one.example%b.example", "", "b.example"),
        ("one.example", "", None),
    ],
)
def test_the_certificate_is_for_the_name(to: str, options: str, name: str | None) -> None:
    with resolver() as at:
        found = resolve(stanza_of(f"forward . {to} {{;resolver {at};{options};}}"))
    assert {one.server_name for one in found} == {name}


def test_a_name_that_is_not_there() -> None:
    with resolver() as at, pytest.raises(UpstreamError, match=r"Corefile:2 .*'no.example': it has no address"):
        resolve(stanza_of(f"forward . no.example {{;resolver {at};}}"))


def test_replies_that_are_none_do_not_count(quick: None) -> None:
    with resolver(lie) as at:
        assert resolved(f"forward . both.example {{;resolver {at};}}") == ["dns://192.0.2.1:53", "dns://[2001:db8::1]:53"]


def test_a_truncated_reply_is_asked_for_over_tcp() -> None:
    def truncate(query: DNSRecord) -> list[bytes]:
        reply = query.reply()
        reply.header.tc = 1
        return [bytes(reply.pack())]

    with resolver(truncate) as at:
        assert resolved(f"forward . one.example {{;resolver {at};}}") == ["dns://192.0.2.1:53", "dns://192.0.2.2:53"]


def test_the_next_resolver_is_asked_where_one_is_silent_or_dead_or_knows_nothing(quick: None) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{holder.getsockname()[1]}"
        with resolver(lambda query: []) as silent, resolver(lambda query: [bytes(query.reply().pack())]) as empty:
            with resolver() as at:
                text = f"forward . one.example {{;resolver {dead} {silent} {empty} {at};}}"
                assert resolved(text) == ["dns://192.0.2.1:53", "dns://192.0.2.2:53"]
            with pytest.raises(UpstreamError, match=r"failed to resolve 'one.example': timed out"):
                resolve(stanza_of(f"forward . one.example {{;resolver {silent};}}"))


def test_why_a_dead_resolver_cannot_be_asked() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{holder.getsockname()[1]}"
        with pytest.raises(UpstreamError, match=r"failed to resolve 'one.example': Connection refused"):
            resolve(stanza_of(f"forward . one.example {{;resolver {dead};}}"))


def test_addresses_are_enough_where_the_second_question_fails(quick: None) -> None:
    with resolver(lambda query: [answer(query)] if query.q.qtype == QTYPE.A else []) as at:
        assert resolved(f"forward . both.example {{;resolver {at};}}") == ["dns://192.0.2.1:53"]


def test_the_system_is_asked_without_a_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(name: str, *_: Any, **__: Any) -> list[Any]:
        assert name == "dns.example"
        ends = [("192.0.2.1", 0), ("fe80::1%eth0", 0, 0, 2), ("192.0.2.1", 0)]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", end) for end in ends]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert resolved("forward . dns.example") == ["dns://192.0.2.1:53", "dns://[fe80::1%2]:53"]


def test_the_system_does_not_know_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(UpstreamError, match=r"'dns.example': Name or service not known"):
        resolve(stanza_of("forward . dns.example"))


def test_localhost() -> None:
    assert "dns://127.0.0.1:5353" in resolved("forward . localhost:5353")


# TLS files


def test_tls_files_are_tried_where_an_upstream_needs_them(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("resolve")
    other_key = authority.issue("resolve-other")[1]
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("nonsense")
    for files, message in [
        (f"{authority.ca}", ""),
        (f"{certificate} {key}", ""),
        (f"{certificate} {key} {authority.ca}", ""),
        ("/no/ca", "cannot read certificate authorities from /no/ca: No such file"),
        (f"{nonsense}", "no PEM file of that kind"),
        (f"/no/crt {key}", "cannot read the certificate /no/crt .* No such file"),
        (f"{certificate} {nonsense}", "no PEM file of that kind"),
        (f"{certificate} {other_key}", "KEY_VALUES_MISMATCH"),
    ]:
        stanza = stanza_of(f"forward . 192.0.2.1 tls://192.0.2.1 {{;tls {files};}}")
        if not message:
            assert len(resolve(stanza)) == 2
            continue
        with pytest.raises(UpstreamError, match=f"Corefile:2 .*{message}"):
            resolve(stanza)
        assert resolve(stanza_of(f"forward . 192.0.2.1 {{;tls {files};}}"))


def test_a_key_with_a_password_is_refused_without_a_question(authority: Authority) -> None:
    from cryptography.hazmat.primitives import serialization

    certificate, key = authority.issue("secret")
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(UpstreamError, match="cannot read the certificate"):
        resolve(stanza_of(f"forward . tls://192.0.2.1 {{;tls {certificate} {key};}}"))


def test_an_own_authority_takes_the_place_of_the_systems(authority: Authority) -> None:
    context = tls_context(stanza_of(f"forward . tls://192.0.2.1 {{;tls {authority.ca};}}"))
    assert len(context.get_ca_certs()) == 1
    assert context.check_hostname
    assert context.minimum_version.name == "TLSv1_2"
