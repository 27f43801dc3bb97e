"""The options of grpc, its packets, and what a step makes of names: without a server."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.corefile import load
from fastdns.errors import CorefileError, FastdnsError
from fastdns.plugins.grpc.config import Config, NameserverFile, TlsFiles, Upstream
from fastdns.plugins.grpc.counts import MAX_UPSTREAMS, Counts
from fastdns.plugins.grpc.packets import MAX_BYTES, message_of, packet
from fastdns.plugins.grpc.routes import context_of, upstreams_of
from fastdns.plugins.nameservers import NameserverFiles

FILES = NameserverFiles(logging.getLogger("test"))
HERE, V6 = Upstream("127.0.0.1", 53), Upstream("::1", 53)
ALL = """grpc Example.org 10.0.0.1:5300 [::1]:5301 {
except a.example.org b.example.org
except C.example.org.
tls c.pem k.pem /r/a.pem
tls_servername dns.example
policy round_robin
fallthrough example.org
}"""


def parsed(text: str) -> Config:
    config = load(f".:5300 {{\nroot /z\n{text}\n}}\n").blocks[0].plugins["grpc"]
    assert isinstance(config, Config)
    return config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("grpc . 127.0.0.1", Config(".", (HERE,))),
        ("grpc . 127.0.0.1:53 ::1 [::1] [2003::1]:54", Config(".", (HERE, V6, V6, Upstream("2003::1", 54)))),
        ("grpc . grpc://127.0.0.1 dns://127.0.0.1", Config(".", (Upstream("127.0.0.1", 443), HERE))),
        ("grpc . unix:///run/g.sock", Config(".", (Upstream("/run/g.sock", 0),))),
        ("grpc . a.conf /b.conf", Config(".", (NameserverFile("/z/a.conf"), NameserverFile("/b.conf")))),
        ("grpc . 127.0.0.1 {\ntls\n}", Config(".", (HERE,), tls=TlsFiles())),
        ("grpc . 127.0.0.1 {\ntls a.pem\n}", Config(".", (HERE,), tls=TlsFiles(authority="/z/a.pem"))),
        ("grpc . 127.0.0.1 {\ntls_servername n\n}", Config(".", (HERE,), tls=TlsFiles(), tls_servername="n")),
        ("grpc . 127.0.0.1 {\nfallthrough\n}", Config(".", (HERE,), fallthrough=(".",))),
        (
            ALL,
            Config(
                "example.org.", (Upstream("10.0.0.1", 5300), Upstream("::1", 5301)),
                ("a.example.org.", "b.example.org.", "c.example.org."),
                TlsFiles("/z/c.pem", "/z/k.pem", "/r/a.pem"), "dns.example", "round_robin", ("example.org.",),
            ),
        ),
    ],
)  # fmt: skip
def test_options(text: str, expected: Config) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("grpc", "a zone, and at least one upstream"),
        ("grpc .", "a zone, and at least one upstream"),
        ("grpc . tls://127.0.0.1", "'tls://127.0.0.1' is no upstream"),
        ("grpc . unix://", "'unix://' is no upstream"),
        ("grpc . 127.0.0.1:x", "the port of"),
        ("grpc . 127.0.0.999", "must specify an IP address"),
        ("grpc . 127.0.0.1\ngrpc . 127.0.0.2", "once"),
        ("grpc . " + "127.0.0.1 " * 16, "at most 15 upstreams"),
        ("grpc . 127.0.0.1 {\nexcept\n}", "the names that are not asked here"),
        ("grpc . 127.0.0.1 {\ntls a b c d\n}", "at most three files"),
        ("grpc . 127.0.0.1 {\ntls_servername\n}", "expected one argument"),
        ("grpc . 127.0.0.1 {\npolicy best\n}", "'best' is none of"),
        ("grpc . 127.0.0.1 {\nmax_fails 2\n}", "unknown option 'max_fails'"),
        ("grpc " + "x" * 64 + " 127.0.0.1", "x" * 64),
    ],
)
def test_errors(text: str, error: str) -> None:
    with pytest.raises(CorefileError) as caught:
        parsed(text)
    assert error in str(caught.value) and caught.value.line >= 3


def test_files(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("search x\nnameserver 192.0.2.1\nnameserver ::1\nnameserver 192.0.2.1\n")
    (tmp_path / "empty").write_text("search x\n")
    config = parsed(f"grpc . 192.0.2.1 {tmp_path}/resolv.conf")
    assert [one.to for one in upstreams_of(config, FILES)] == ["192.0.2.1:53", "[::1]:53"]
    for name, error in (("empty", "names no nameserver"), ("missing", "No such file")):
        with pytest.raises(FastdnsError, match=error):
            upstreams_of(parsed(f"grpc . {tmp_path}/{name}"), FILES)
    for files in (TlsFiles(authority=f"{tmp_path}/empty"), TlsFiles(f"{tmp_path}/empty", f"{tmp_path}/missing")):
        with pytest.raises(FastdnsError, match="in PEM format expected"):
            context_of(files)


@given(st.binary(max_size=70_000))
def test_packets(message: bytes) -> None:
    assert message_of(packet(message)) == message
    assert len(packet(message)) <= len(message) + 10
    assert len(packet(bytes(65535))) <= MAX_BYTES


@given(st.binary(max_size=200))
def test_what_is_no_packet(body: bytes) -> None:
    """An error, or a part of it."""
    for data in (body, b"\0" + len(body).to_bytes(4, "big") + body):
        try:
            found = message_of(data)
        except ValueError:
            continue
        assert found in data


def test_other_fields_are_passed_over() -> None:
    field = b"\x10\x96\x01" + b"\x0a\x02no" + b"\x1a\x03abc" + b"\x0a\x02ok" + b"\x25abcd" + b"\x29abcdefgh"
    assert message_of(b"\0" + len(field).to_bytes(4, "big") + field) == b"ok"


def test_counters_of_more_upstreams_than_there_are_rows() -> None:
    counts = Counts(2)
    rows = [counts.row_of(f"192.0.2.{number}:53") for number in range(MAX_UPSTREAMS + 5)]
    last = MAX_UPSTREAMS - 1
    assert rows[:last] == [*range(last)] and set(rows[last:]) == {last}
    counts.replied(0, rows[0], 3, 0.01)
    counts.replied(1, rows[0], 300, 100.0)
    counts.failed(1, rows[-1])
    totals = counts.totals()
    assert sum(totals["192.0.2.0:53"][:25]) == 2 and totals["192.0.2.0:53"][3] == totals["192.0.2.0:53"][24] == 1
    assert totals["other"][-1] == 1 and len(totals) == MAX_UPSTREAMS
