"""Who gets the identifier of the server, beside CoreDNS."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import dns.edns
import dns.message
import dns.query
import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.nsid.config import Config
from tests.plugins.beside import Both
from tests.plugins.scripted import Upstream

# An upstream has an identifier of its own, which is not this server's.
COREFILE = """
example.org:DNS_PORT {
    nsid Use  The "Force now"
    whoami
}
host.example:DNS_PORT {
    nsid
    whoami
}
empty.example:DNS_PORT {
    nsid ""
    whoami
}
far.example:DNS_PORT {
    nsid here
    forward . 127.0.0.1:UPSTREAM
}
fails.example:DNS_PORT {
    nsid here
}
none.example:DNS_PORT {
    whoami
}
"""
NSID = dns.edns.OptionType.NSID
COOKIE = dns.edns.OptionType.COOKIE
ASKS = dns.edns.GenericOption(NSID, b"")


def say_there(reply: dns.message.Message) -> dns.message.Message:
    reply.use_edns(0, options=[dns.edns.GenericOption(NSID, b"there")])
    return reply


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with Upstream({"a.far.example.": "a.far.example. 60 IN A 192.0.2.1"}, say_there) as upstream:
        corefile = COREFILE.replace("UPSTREAM", str(upstream.port))
        with Both(tmp_path_factory.mktemp("nsid"), corefile) as both:
            yield both


def identifiers(
    port: int, zone: str, options: list[dns.edns.Option] | None, tcp: bool = False
) -> list[bytes] | None:
    """The identifiers in a reply; None: it has no EDNS record."""
    query = dns.message.make_query(f"a.{zone}.", "A", use_edns=None if options is None else 0, options=options)
    send = dns.query.tcp if tcp else dns.query.udp
    reply = send(query, "127.0.0.1", 5, port)
    if reply.edns < 0:
        return None
    return [option.to_wire() or b"" for option in reply.options if option.otype == NSID]


@pytest.mark.parametrize(
    ("zone", "options", "expected", "theirs"),
    [
        pytest.param("example.org", [ASKS], [b"Use The Force now"], "same", id="words are joined by spaces"),
        pytest.param(
            "example.org", [dns.edns.GenericOption(COOKIE, bytes(8)), ASKS], [b"Use The Force now"], "same",
            id="behind another option",
        ),
        pytest.param(
            "example.org", [dns.edns.GenericOption(NSID, b"who")], [b"Use The Force now"], "same",
            id="what the client says is not repeated",
        ),
        pytest.param("example.org", [], [], "same", id="with EDNS, not asked for"),
        pytest.param("example.org", None, None, "same", id="without EDNS"),
        pytest.param("host.example", [ASKS], [socket.gethostname().encode()], "same", id="the host"),
        pytest.param("empty.example", [ASKS], [b""], "same", id="an empty one"),
        pytest.param("far.example", [ASKS], [b"here"], "same", id="in place of an upstream's"),
        pytest.param("none.example", [ASKS], [b""], "same", id="without nsid the option is repeated"),
        pytest.param("fails.example", [ASKS], [b"here"], [b""], id="an error that no plugin wrote"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
def test_identifiers(both: Both, zone: str, options, expected, theirs, tcp: bool) -> None:
    # The upstream has UDP only; fastdns asks it as it was asked.
    tcp = tcp and zone != "far.example"
    assert identifiers(both.fastdns.port, zone, options, tcp) == expected
    if both.coredns is not None:
        assert identifiers(both.coredns.port, zone, options, tcp) == (expected if theirs == "same" else theirs)


def options(text: str) -> Config:
    return load(f". {{\n{text}\n}}", environ={}).blocks[0].plugins["nsid"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nsid", None),
        ("nsid a", b"a"),
        ("nsid a 'b' c", b"a 'b' c"),
        ("nsid é", "é".encode()),
        ("nsid " + 255 * "x", 255 * b"x"),
    ],
)
def test_options(text: str, expected: bytes | None) -> None:
    assert options(text) == Config(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nsid a\nnsid b", "Corefile:3 - .*only once"),
        ("nsid a {\ndata b\n}", "nsid takes no options"),
        ("nsid " + 256 * "x", "at most 255 bytes, got 256"),
    ],
)
def test_errors(text: str, expected: str) -> None:
    with pytest.raises(CorefileError, match=expected):
        options(text)
