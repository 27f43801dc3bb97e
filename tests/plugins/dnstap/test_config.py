"""What directives become, as CoreDNS's parser has it, and what they refuse."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.dnstap.config import VERSION, Config, Destination, Tap
from fastdns.plugins.dnstap.extra import Piece, pieces
from fastdns.servertls import ServerTls

HOST = socket.gethostname().encode()


def tap(to: Destination, *, full: bool = False, identity: bytes = HOST, version: bytes = VERSION.encode(),
        extra: tuple[Piece, ...] = ()) -> Tap:  # fmt: skip
    return Tap(to, full, identity, version, extra)


def unix(path: str, **more: object) -> Destination:
    return Destination("unix", path, **more)  # type: ignore[arg-type]


def tcp(host: str, port: int, **more: object) -> Destination:
    return Destination("tcp", "", host, port, **more)  # type: ignore[arg-type]


def tls(host: str, port: int, **more: object) -> Destination:
    return Destination("tls", "", host, port, **more)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Case:
    """Directives by ``;`` instead of newlines, and the taps that they make."""

    text: str
    taps: list[Tap]
    why: str


@dataclass(frozen=True)
class Bad:
    """line: counted from 2, where the first directive stands."""

    text: str
    message: str
    why: str
    line: int = 2


CASES = [
    Case("dnstap dnstap.sock full", [tap(unix("dnstap.sock"), full=True)], why="a path"),
    Case("dnstap unix://dnstap.sock", [tap(unix("dnstap.sock"))], why="a path with a scheme"),
    Case("dnstap unix:///tmp/d.sock", [tap(unix("/tmp/d.sock"))], why="an absolute path"),
    Case("dnstap tcp://127.0.0.1:6000", [tap(tcp("127.0.0.1", 6000))], why="an address"),
    Case("dnstap tcp://[::1]:6000", [tap(tcp("::1", 6000))], why="an IPv6 address"),
    Case("dnstap tcp://example.com:6000", [tap(tcp("example.com", 6000))], why="a name"),
    Case("dnstap tls://127.0.0.1:6000", [tap(tls("127.0.0.1", 6000))], why="over TLS"),
    Case("dnstap tls://h:6000 {;skipverify;}", [tap(tls("h", 6000, verify=False))], why="unverified"),
    Case(
        "dnstap d full {;identity NAME;version VER;extra EXTRA;}",
        [tap(unix("d"), full=True, identity=b"NAME", version=b"VER", extra=(Piece(literal="EXTRA"),))],
        why="all texts",
    ),
    Case('dnstap d {;identity "";}', [tap(unix("d"), identity=b"")], why="an empty identity is left out"),
    Case("dnstap d full 1024 2048", [tap(unix("d", write_buffer_mib=1024, queue=2048), full=True)], why="sizes"),
    Case("dnstap d full 2", [tap(unix("d", write_buffer_mib=2), full=True)], why="a write buffer"),
    Case("dnstap a full;dnstap b", [tap(unix("a"), full=True), tap(unix("b"))], why="two taps"),
    Case("dnstap listen tcp://127.0.0.1:6000", [tap(tcp("127.0.0.1", 6000, listen=True))], why="a listener"),
    Case("dnstap listen tcp://:6000 full", [tap(tcp("", 6000, listen=True), full=True)], why="at every address"),
    Case("dnstap listen /tmp/d.sock full", [tap(unix("/tmp/d.sock", listen=True), full=True)], why="at a path"),
    Case(
        "dnstap listen tls://127.0.0.1:6000 {;tls c.pem k.pem ca.pem;}",
        [tap(tls("127.0.0.1", 6000, listen=True, tls=ServerTls("c.pem", "k.pem", "ca.pem", "require_and_verify")))],
        why="readers show certificates",
    ),
    Case(
        "dnstap listen tls://127.0.0.1:6000 {;tls c.pem k.pem ca.pem;skipverify;}",
        [tap(tls("127.0.0.1", 6000, listen=True, verify=False,
                 tls=ServerTls("c.pem", "k.pem", "ca.pem", "verify_if_given")))],
        why="readers may show certificates",
    ),
    Case(
        "dnstap listen tls://127.0.0.1:6000 {;tls c.pem k.pem;}",
        [tap(tls("127.0.0.1", 6000, listen=True, tls=ServerTls("c.pem", "k.pem")))],
        why="readers show nothing",
    ),
]  # fmt: skip

BAD = [
    Bad("dnstap", "expected SOCKET", why="no socket"),
    Bad("dnstap {;identity NAME;}", "expected SOCKET", why="no socket before the options"),
    Bad("dnstap listen", "expected listen SOCKET", why="no socket to listen at"),
    Bad("dnstap d all", "'full' expected", why="CoreDNS takes any word for the lack of full"),
    Bad("dnstap d full 1 1 1", "expected SOCKET", why="one argument too many"),
    Bad("dnstap listen d full 1", "expected listen SOCKET", why="a listener has no sizes"),
    Bad("dnstap d full 0", "1 to 1024", why="no write buffer"),
    Bad("dnstap d full 1025 1", "1 to 1024", why="too large a write buffer"),
    Bad("dnstap d full x 10", "the write buffer in MiB", why="no number"),
    Bad("dnstap d full 1 0", "1 to 4096", why="no queue"),
    Bad("dnstap d full 1 4097", "1 to 4096", why="too long a queue"),
    Bad("dnstap d full 1 y", "tens of thousands", why="no number"),
    Bad("dnstap tcp://127.0.0.1", "tcp://HOST:PORT expected", why="no port"),
    Bad("dnstap tcp://127.0.0.1:70000", "ort", why="no such port"),
    Bad("dnstap unix://", "the path of a socket expected", why="no path"),
    Bad("dnstap d {;identity;}", "one argument", why="no identity", line=3),
    Bad("dnstap d {;version;}", "one argument", why="no version", line=3),
    Bad("dnstap d {;extra;}", "one argument", why="no extra", line=3),
    Bad("dnstap d {;extra a b;}", "one argument", why="two texts", line=3),
    Bad("dnstap d {;identitiy NAME;}", "did you mean 'identity'", why="no such option", line=3),
    Bad("dnstap d {;identity " + "x" * 1025 + ";}", "at most 1024 bytes", why="it stands in every message", line=3),
    Bad("dnstap d {;tls c k;}", "dnstap listen tls://", why="only a listener has a certificate", line=4),
    Bad("dnstap listen tls://h:1", "needs the option tls", why="CoreDNS starts without the listener"),
    Bad("dnstap listen tls://h:1 {;tls c;}", "certificate and its key", why="no key", line=3),
    Bad("dnstap listen tls://h:1 {;tls a b c d;}", "certificate and its key", why="too many files", line=3),
]


def config_of(text: str) -> Config:
    body = text.replace(";", "\n")
    config: Config = load(f". {{\n{body}\n}}", environ={}).blocks[0].plugins["dnstap"]
    return config


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_directives(case: Case) -> None:
    assert list(config_of(case.text).taps) == case.taps


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.why)
def test_mistakes_are_said_with_their_place(bad: Bad) -> None:
    with pytest.raises(CorefileError) as caught:
        config_of(bad.text)
    assert bad.message in str(caught.value)
    assert f"Corefile:{bad.line} " in str(caught.value) or f"Corefile:{bad.line}:" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("a", (Piece(literal="a"),)),
        ("{type}", (Piece(label="{type}"),)),
        ("a {name} b", (Piece(literal="a "), Piece(label="{name}"), Piece(literal=" b"))),
        ("up: {/forward/upstream}", (Piece(literal="up: "), Piece(value="forward/upstream"))),
        ("{ {name} }", (Piece(literal="{ "), Piece(label="{name}"), Piece(literal=" }"))),
        ("{what} {rcode}", (Piece(literal="{what} -"),)),
        ("} {/}", (Piece(literal="} -"),)),
    ],
)
def test_extra_is_split_as_coredns_splits_it(text: str, expected: tuple[Piece, ...]) -> None:
    assert pieces(text) == expected


def test_values_need_metadata() -> None:
    config = load('. {\ndnstap d {\nextra "{/forward/upstream}"\n}\n}', environ={})
    assert any("{/forward/upstream} is always '-'" in text for text in config.warnings)
