"""EDNS options: what upstreams are told, and what clients are shown, beside CoreDNS."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import dns.edns
import dns.message
import dns.query
import pytest

from tests.plugins.beside import Both
from tests.plugins.forward.engine.support import Asked, Upstream, a, response

LOCAL, OTHER, NSID, SUBNET = 0xFFEE, 0xFFEF, 3, 8
SUBNET_24 = b"\0\1\x18\0\x7f\0\0"
SUBNET_32 = b"\0\1\x20\0\x7f\0\0\1"
SUBNET_NONE = b"\0\1\0\0"


@dataclass(frozen=True)
class Case:
    """rules: of a block. client: the options of a query; None: it has no OPT record. sent: what the upstream gets
    for our sake. shown: the options of a reply of the server's own; None: it has no OPT record.

    coredns: why CoreDNS does otherwise. P stands for a client's port, S for the server's.
    """

    rules: str
    client: Mapping[int, bytes] | None
    sent: Mapping[int, bytes | str]
    shown: Mapping[int, bytes | str] | None
    why: str
    coredns: str = ""


NO_OPT = "it answers with an OPT record where there was none in the query (RFC 6891 section 7 forbids that)"
WILDCARD = "a listener on all addresses does not know to which one a query was sent"
APPENDS = "it appends where there is such an option, against its README"

CASES = [
    Case("edns0 local set 0xffee 0x61626364", {}, {LOCAL: b"abcd"}, {LOCAL: b"abcd"}, "the README's example"),
    Case("edns0 local set 65518 abcd", {}, {LOCAL: b"abcd"}, {LOCAL: b"abcd"}, "its equivalent"),
    Case("edns0 local set 0xffee abcd", {LOCAL: b"old"}, {LOCAL: b"abcd"}, {LOCAL: b"abcd"}, "set takes the place"),
    Case("edns0 local set 0xffee abcd", None, {LOCAL: b"abcd"}, None, "a client without EDNS", NO_OPT),
    Case("edns0 local append 0xffee abcd", {}, {LOCAL: b"abcd"}, {LOCAL: b"abcd"}, "append where there is none"),
    Case(
        "edns0 local append 0xffee abcd", {LOCAL: b"old"}, {}, {LOCAL: b"old"}, "append to what is there", APPENDS
    ),
    Case("edns0 local append 0xffee {qtype}", {LOCAL: b"old"}, {}, {LOCAL: b"old"}, "a variable is not appended"),
    Case("edns0 local replace 0xffee abcd", {}, {}, {}, "there is nothing to replace"),
    Case("edns0 local replace 0xffee abcd", {LOCAL: b"old"}, {LOCAL: b"abcd"}, {LOCAL: b"abcd"}, "replace"),
    Case("edns0 local unset 0xffee", {LOCAL: b"old", OTHER: b"x"}, {}, {}, "unset; other options are not echoed"),
    Case("edns0 local unset 0xffee", {}, {}, {}, "there is nothing to unset"),
    Case("edns0 nsid set", {}, {NSID: b""}, {NSID: b""}, "nsid set"),
    Case("edns0 nsid set", {NSID: b"x"}, {NSID: b""}, {NSID: b""}, "nsid set empties it"),
    Case("edns0 nsid append", {}, {NSID: b""}, {NSID: b""}, "nsid append"),
    Case("edns0 nsid replace", {}, {}, {}, "nsid replace"),
    Case("edns0 nsid unset", {NSID: b"x"}, {}, {}, "nsid unset"),
    Case("edns0 subnet set 24 56", {}, {SUBNET: SUBNET_24}, {}, "subnet set"),
    Case(
        "edns0 subnet set 32 56", {SUBNET: SUBNET_24}, {SUBNET: SUBNET_32}, {}, "subnet set in the place of another"
    ),
    Case("edns0 subnet set 0 56", None, {SUBNET: SUBNET_NONE}, None, "no bits; no OPT record", NO_OPT),
    Case(
        "edns0 subnet append 32 56",
        {SUBNET: SUBNET_24},
        {SUBNET: SUBNET_24},
        {},
        "subnet append keeps what is there",
    ),
    Case("edns0 subnet replace 32 56", {}, {}, {}, "subnet replace"),
    Case("edns0 subnet unset", {SUBNET: SUBNET_24}, {}, {}, "subnet unset"),
    Case("edns0 local set 0xffee abcd revert", {}, {LOCAL: b"abcd"}, {}, "revert takes it away"),
    Case(
        "edns0 local set 0xffee abcd revert",
        {LOCAL: b"old"},
        {LOCAL: b"abcd"},
        {LOCAL: b"old"},
        "revert puts it back",
    ),
    Case(
        "continue { edns0 local set 0xffee abcd }; edns0 local replace 0xffee bcde revert",
        {},
        {LOCAL: b"bcde"},
        {LOCAL: b"abcd"},
        "the README's two rules",
    ),
    Case(
        "continue edns0 local set 0xffee a revert; edns0 local set 0xffee b",
        {},
        {LOCAL: b"b"},
        {},
        "what the first one added is taken away",
    ),
    Case(
        "edns0 nsid set revert",
        {NSID: b"x"},
        {NSID: b""},
        {NSID: b"x"},
        "nsid revert",
        "it does not put an NSID back",
    ),
    Case(
        "edns0 local replace 0xffee a; edns0 local set 0xffee b",
        {LOCAL: b"old"},
        {LOCAL: b"a"},
        {LOCAL: b"a"},
        "stop",
    ),
    Case(
        "edns0 local replace 0xffee a; edns0 local set 0xffee b",
        {},
        {LOCAL: b"b"},
        {LOCAL: b"b"},
        "not taken: next",
    ),
    Case(
        "continue edns0 local set 0xffee a; continue edns0 nsid set; edns0 subnet set 24 56",
        {},
        {LOCAL: b"a", NSID: b"", SUBNET: SUBNET_24},
        {LOCAL: b"a", NSID: b""},
        "three rules",
    ),
    Case("edns0 local set 0xffee {qname}", {}, {LOCAL: "QNAME"}, {LOCAL: "QNAME"}, "the name as it was spelled"),
    Case(
        "continue name suffix .test. .TEST.; edns0 local set 0xffee {qname}",
        {},
        {LOCAL: "qname"},
        {LOCAL: "qname"},
        "the name that it has by now",
    ),
    Case("edns0 local set 0xffee {qtype}", {}, {LOCAL: b"\0\1"}, {LOCAL: b"\0\1"}, "the type"),
    Case(
        "continue type A AAAA; edns0 local set 0xffee {qtype}",
        {},
        {LOCAL: b"\0\x1c"},
        {LOCAL: b"\0\x1c"},
        "the new type",
    ),
    Case("edns0 local set 0xffee {client_ip}", {}, {LOCAL: b"\x7f\0\0\1"}, {LOCAL: b"\x7f\0\0\1"}, "the client"),
    Case("edns0 local set 0xffee {client_port}", {}, {LOCAL: "P"}, {LOCAL: "P"}, "its port"),
    Case("edns0 local set 0xffee {protocol}", {}, {LOCAL: b"udp"}, {LOCAL: b"udp"}, "the protocol"),
    Case(
        "edns0 local set 0xffee {server_ip}",
        {},
        {LOCAL: b"\x7f\0\0\1"},
        {LOCAL: b"\x7f\0\0\1"},
        "the server",
        WILDCARD,
    ),
    Case("edns0 local set 0xffee {server_port}", {}, {LOCAL: "S"}, {LOCAL: "S"}, "its port"),
    Case("edns0 local set 0xffee {no/value}", {LOCAL: b"old"}, {}, {LOCAL: b"old"}, "a value that nobody provides"),
]


def blocks(upstream: Upstream) -> Iterator[str]:
    """Two blocks for each case: one asks the upstream, one answers by itself."""
    for number, case in enumerate(CASES):
        rules = "\n".join(f"rewrite {rule}" for rule in case.rules.split("; "))
        rules = rules.replace("{ edns0", "{\n edns0").replace("abcd }", "abcd\n}")
        yield f"c{number}.up.test:DNS_PORT {{\n{rules}\nforward . {upstream.to}\n}}"
        yield f"c{number}.own.test:DNS_PORT {{\n{rules}\nwhoami\n}}"


def answer(asked: Asked) -> dns.message.Message:
    return a(response(asked.message))


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(answer) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Both]:
    with Both(tmp_path_factory.mktemp("edns0"), "\n".join(blocks(upstream))) as both:
        yield both


def options_of(options: Sequence[dns.edns.Option]) -> list[tuple[int, bytes]]:
    """(code, data), sorted."""
    return sorted((int(option.otype), option.to_wire() or b"") for option in options)


@dataclass
class Exchange:
    """What came of a query to a case's name: of the reply the options, None without an OPT record."""

    shown: list[tuple[int, bytes]] | None
    client_port: int


def exchange(port: int, name: str, case: Case) -> Exchange:
    query = dns.message.make_query(name, "A")
    if case.client is not None:
        query.use_edns(0, options=[dns.edns.GenericOption(code, data) for code, data in case.client.items()])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        reply = dns.query.udp(query, "127.0.0.1", 5, port, sock=sock, ignore_unexpected=True)
        return Exchange(options_of(reply.options) if reply.edns >= 0 else None, sock.getsockname()[1])


def filled(options: Mapping[int, bytes | str], name: str, port: int, client_port: int) -> list[tuple[int, bytes]]:
    """The options of a case, with what stands for ports and names replaced."""
    said = {"P": client_port.to_bytes(2, "big"), "S": port.to_bytes(2, "big"), "QNAME": name.encode()}
    said["qname"] = name.lower().encode()
    return sorted((code, said[data] if isinstance(data, str) else data) for code, data in options.items())


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{case.rules} {case.why}" for case in CASES])
def test_the_upstream_is_told(both: Both, upstream: Upstream, number: int) -> None:
    case = CASES[number]
    name = f"Ab.c{number}.up.test."
    before = len(upstream.asked)
    ours = exchange(both.fastdns.port, name, case)
    (asked,) = upstream.asked[before:]
    told = filled(case.sent, name, both.fastdns.port, ours.client_port)
    assert options_of(asked.message.options) == told
    assert asked.message.edns == (0 if case.client is not None or told else -1)
    if both.coredns is not None:
        theirs = exchange(both.coredns.port, name, case)
        asked = upstream.asked[-1]
        told = filled(case.sent, name, both.coredns.port, theirs.client_port)
        # It also sends on what the client has said to it alone.
        assert set(told) <= set(options_of(asked.message.options)) or case.coredns == WILDCARD


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{case.rules} {case.why}" for case in CASES])
def test_the_client_is_shown(both: Both, number: int) -> None:
    case = CASES[number]
    name = f"Ab.c{number}.own.test."

    def wanted(port: int, client_port: int) -> list[tuple[int, bytes]] | None:
        return None if case.shown is None else filled(case.shown, name, port, client_port)

    ours = exchange(both.fastdns.port, name, case)
    assert ours.shown == wanted(both.fastdns.port, ours.client_port)
    if both.coredns is not None:
        theirs = exchange(both.coredns.port, name, case)
        same = theirs.shown == wanted(both.coredns.port, theirs.client_port)
        assert same != bool(case.coredns), theirs
