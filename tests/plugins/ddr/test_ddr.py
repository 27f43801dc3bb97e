"""ddr: what is told of encrypted transports, and of the zone resolver.arpa."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.ddr.config import Config
from fastdns.plugins.ddr.plugin import listening
from fastdns.plugins.ddr.records import svcb
from tests.plugins.forward.certificates import Authority
from tests.support import Server

NAME = b"\3dns\7example\0"
COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    ddr dns.example {
        hint 192.0.2.53 2001:db8::53 192.0.2.54
        port tls 853
        ttl 60
    }
    whoami
}
tls://.:OTHER_PORT {
    bind 127.0.0.1
    tls server.crt server.key
    ddr dns.example
    whoami
}
"""
# The zone of RFC 6303 section 3.
SOA = "resolver.arpa. 10800 IN SOA resolver.arpa. nobody.invalid. 1 3600 1200 604800 10800"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("ddr")
    authority = Authority(folder)
    authority.issue("server", ("dns.example",))
    with Server(folder, COREFILE, workers=1) as server:
        yield server


RECORD = '_dns.resolver.arpa. 60 IN SVCB 1 dns.example. alpn="dot" port="853" '
RECORD += 'ipv4hint="192.0.2.53,192.0.2.54" ipv6hint="2001:db8::53"'
CASES = [
    ("_dns.resolver.arpa.", "SVCB", [RECORD], [], "RFC 9462 section 4"),
    ("_DNS.Resolver.ARPA.", "SVCB", [RECORD.replace("_dns.resolver.arpa.", "_DNS.Resolver.ARPA.")], [], "any case"),
    ("_dns.dns.example.", "SVCB", [RECORD.replace("resolver.arpa", "dns.example")], [], "by the server's name"),
    ("_dns.resolver.arpa.", "A", [], [SOA], "no data of other types"),
    ("resolver.arpa.", "SVCB", [], [SOA], "no data at the top"),
    ("x.y.resolver.arpa.", "SVCB", [], [SOA], "no data below, and no NXDOMAIN"),
]


def texts(section: list[object]) -> list[str]:
    return [line for rrset in section for line in str(rrset).splitlines()]


@pytest.mark.parametrize(("name", "kind", "answer", "authority", "why"), CASES, ids=[case[-1] for case in CASES])
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_answers(
    server: Server, name: str, kind: str, answer: list[str], authority: list[str], why: str, tcp: bool
) -> None:
    reply = server.query(name, kind, tcp=tcp)
    assert reply.rcode() == 0
    assert (texts([*reply.answer]), texts([*reply.authority])) == (answer, authority)


@pytest.mark.parametrize("name", ["_dns.dns.example.", "xresolver.arpa.", "arpa.", ".", "dns.example."])
def test_others_are_not_its_own(server: Server, name: str) -> None:
    # whoami answers.
    assert len(server.query(name, "A").additional) == 2


def test_kdig(server: Server) -> None:
    import subprocess

    kdig = shutil.which("kdig")
    if kdig is None:
        pytest.skip("there is no kdig")
    command = [kdig, "@127.0.0.1", "-p", str(server.port), "_dns.resolver.arpa", "SVCB", "+short"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout
    assert said.startswith("1 dns.example. alpn=dot port=853 ipv4hint=192.0.2.53,192.0.2.54"), said


def test_listeners_of_https_are_told_with_their_path() -> None:
    config = load("https://. tls://. grpc://. .:53 {\nddr dns.example\nwhoami\n}")
    assert sorted(listening(config)) == [("https", 443), ("tls", 853)]
    found = svcb(NAME, listening(config), {}, [], "/dns-query{?dns}")
    assert [b"\2h2\x08http/1.1" in rdata and b"/dns-query{?dns}" in rdata for rdata in found] == [False, True]


def test_records() -> None:
    """All transports, the encrypted ones alone, in order; a port of one's own; a path over HTTP only."""
    found = svcb(NAME, [("dns", 53), ("https", 443), ("tls", 8853), ("tls", 8854)], {"https": 8443}, [], "/q{?dns}")
    assert found == [
        b"\0\1" + NAME + b"\0\1\0\4\3dot" + b"\0\3\0\2" + (8853).to_bytes(2, "big"),
        b"\0\2" + NAME + b"\0\1\0\x0c\2h2\x08http/1.1" + b"\0\3\0\2" + (8443).to_bytes(2, "big")
        + b"\0\7\0\x08/q{?dns}",
    ]  # fmt: skip
    assert svcb(NAME, [("dns", 53)], {}, [], "/") == []


def test_a_server_without_encrypted_transports(tmp_path: Path) -> None:
    with Server(tmp_path, ".:DNS_PORT {\nbind 127.0.0.1\nddr dns.example\nwhoami\n}\n", workers=1) as server:
        assert "[WARNING] plugin/ddr: no encrypted transport" in server.log
        reply = server.query("_dns.resolver.arpa.", "SVCB")
        assert (texts([*reply.answer]), texts([*reply.authority])) == ([], [SOA])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ddr dns.example", Config("dns.example.")),
        (
            "ddr DNS.example. {\nttl 1\ndohpath /x{?dns}\nhint ::1\nhint 127.0.0.1 ::ffff:192.0.2.1\n"
            "port tls 1\nport https 2\nport tls 3\n}",
            Config("dns.example.", 1, "/x{?dns}", (b"\x7f\0\0\1", b"\xc0\0\2\1"), (("https", 2), ("tls", 3))),
        ),
    ],
)
def test_options(text: str, wanted: Config) -> None:
    assert load(f". {{\n{text}\n}}", environ={}).blocks[0].plugins["ddr"] == wanted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ddr", "Corefile:2 - .*name that this server's certificates bear"),
        ("ddr a b", "Corefile:2 - .*one argument"),
        ("ddr .", "Corefile:2 - .*no name of a server"),
        ("ddr 10.0.0.0/8", "Corefile:2"),
        ("ddr a\nddr b", "Corefile:3 - .*only once"),
        ("ddr a {\nttl -1\n}", "Corefile:3 - .*ttl"),
        ("ddr a {\ndohpath dns-query{?dns}\n}", "Corefile:3 - .*no path"),
        ("ddr a {\ndohpath /dns-query\n}", "Corefile:3 - .*no path"),
        ("ddr a {\nhint\n}", "Corefile:3 - .*1 to 8 addresses"),
        ("ddr a {\nhint dns.example\n}", "Corefile:3 - .*no IP address"),
        ("ddr a {\nhint fe80::1%lo\n}", "Corefile:3 - .*no IP address"),
        ("ddr a {\nport tls\n}", "Corefile:3 - .*a transport and a number"),
        ("ddr a {\nport dns 53\n}", "Corefile:3 - .*no encrypted transport"),
        ("ddr a {\nport tls 65536\n}", "Corefile:3 - .*port of tls"),
        ("ddr a {\nalpn dot\n}", "Corefile:3 - .*'alpn'"),
    ],
)
def test_errors(text: str, expected: str) -> None:
    with pytest.raises(CorefileError, match=expected):
        load(f". {{\n{text}\n}}", environ={})
