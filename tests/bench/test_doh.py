"""DNS over HTTPS of the generator, against a server on python-h2, and the URIs of requests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("h2")

from fastdns.bench.address import Server
from fastdns.bench.errors import BenchError
from fastdns.bench.exchange import query
from fastdns.bench.runner import How
from fastdns.bench.transport import HttpOptions, TlsOptions, parse_uri
from fastdns.bench.tsig import parse_key
from fastdns.errors import FastdnsError
from fastdns.transports._nghttp2 import load
from tests.bench.doh_server import Ways, doh
from tests.bench.servers import answered, label, server_tls, tcp
from tests.bench.test_generator import QUERIES, ask, is_whole

try:
    load()
except FastdnsError as error:
    pytest.skip(str(error), allow_module_level=True)

pytestmark = pytest.mark.native

DOH = How(count=70, outstanding=8, clients=2, timeout_s=10.0, transport="doh")
POST = HttpOptions(method="POST")


@pytest.mark.parametrize("http", [HttpOptions(), POST], ids=["GET", "POST"])
@pytest.mark.parametrize(
    "ways",
    [Ways(), Ways(bytes_at_once=7), Ways(informs=True), Ways(streams=1)],
    ids=["whole", "in pieces", "after an informational response", "one stream at a time"],
)
def test_every_query_is_answered(tmp_path: Path, http: HttpOptions, ways: Ways) -> None:
    ways = replace(ways, answer=lambda message: [(0.0, answered(message, rcode=int(label(message)[1:])))])
    with doh(tmp_path, ways) as port:
        result = ask(port, replace(DOH, http=http, processes=2))
    assert (result.rcodes, result.lost, result.mismatched, result.errors) == ((10,) * 7 + (0,) * 9, 0, 0, 0)
    assert (result.set_ups.count, result.reconnects, result.stream_errors) == (2, 0, 0)
    assert is_whole(result)
    assert result.query_bytes == sum(map(len, QUERIES)) * 10 == result.answer_bytes


@pytest.mark.parametrize("http", [HttpOptions(), POST], ids=["GET", "POST"])
def test_messages_of_any_size_arrive_whole(tmp_path: Path, http: HttpOptions) -> None:
    """base64 has three cases; long contents need several frames, and larger windows."""
    asked = [query("long.example") + bytes(range(256)) * (size // 256) + b"x" * (size % 256)
             for size in (0, 1, 2, 1000, 10000)]  # fmt: skip

    def same(message: bytes) -> list[tuple[float, bytes]]:
        return [(0.0, message[:2] + b"\x81\0" + message[4:] * 2 if message in asked else b"")]

    with doh(tmp_path, Ways(answer=same)) as port:
        # python-h2 does not wait for a larger window.
        result = ask(port, replace(DOH, http=http, count=20, outstanding=1, clients=1), queries=asked)
    assert (result.answered, result.answer_bytes) == (20, 4 * sum(2 * len(one) - 4 for one in asked))


def test_requests_have_the_fields_of_the_uri(tmp_path: Path) -> None:
    wants = (
        (":authority", "dns.example"), (":scheme", "https"), (":method", "POST"), (":path", "/ask?x=1"),
        ("accept", "application/dns-message"), ("content-type", "application/dns-message"),
        ("content-length", str(len(QUERIES[0]))),
    )  # fmt: skip
    http = replace(parse_uri("https://dns.example/ask?x=1"), method="POST")
    with doh(tmp_path, Ways(wants=wants)) as port:
        assert ask(port, replace(DOH, http=http, count=7), queries=QUERIES[:1]).answered == 7
        wrong = ask(port, replace(DOH, http=POST, count=7), queries=QUERIES[:1])
    assert (wrong.answered, wrong.lost, wrong.stream_errors) == (0, 7, 7)


def test_what_is_no_answer_is_lost_at_once_and_counted(tmp_path: Path) -> None:
    with doh(tmp_path, Ways(resets=7)) as port:
        result = ask(port, replace(DOH, clients=1))
    assert (result.answered, result.lost, result.stream_errors, result.reconnects) == (60, 10, 10, 0)
    assert is_whole(result)
    with doh(tmp_path, Ways(answer=lambda message: [(0.0, b"\xff" * 40)])) as port:
        result = ask(port, replace(DOH, count=7, timeout_s=0.3))
    assert (result.answered, result.mismatched, result.lost) == (0, 7, 7)


def test_a_server_that_goes_away_is_connected_to_again(tmp_path: Path) -> None:
    with doh(tmp_path, Ways(goes_after=10)) as port:
        result = ask(port, replace(DOH, clients=1, outstanding=1))
        many = ask(port, replace(DOH, clients=1, queries_per_connection=7))
    assert (result.answered, result.lost) == (70, 0)
    assert 6 <= result.reconnects <= 7
    assert (many.answered, many.lost) == (70, 0)
    assert 9 <= many.reconnects <= 10


def test_without_tls(tmp_path: Path) -> None:
    """As behind a proxy that ends TLS."""
    with doh(None) as port:
        result = ask(port, replace(DOH, http=parse_uri("http://localhost/dns-query")))
    assert (result.answered, result.lost) == (70, 0)


def test_queries_are_signed(tmp_path: Path) -> None:
    with doh(tmp_path, Ways(answer=lambda message: [(0.0, answered(message, rcode=message[11]))])) as port:
        for http in (HttpOptions(), POST):
            result = ask(port, replace(DOH, http=http, tsig=parse_key("hmac-sha256:key.example:c2VjcmV0")))
            assert result.rcodes[1] == 70


def test_a_certificate_is_verified_by_the_uri(tmp_path: Path) -> None:
    right = replace(DOH, tls=TlsOptions(authorities=tmp_path / "cert.pem"), http=parse_uri("https://localhost/"))
    with doh(tmp_path) as port:
        assert ask(port, right).answered == 70
        with pytest.raises(BenchError, match=r"TLS: [Hh]ostname mismatch"):
            ask(port, replace(right, http=parse_uri("https://elsewhere/")))


def test_a_server_of_something_else_is_said(tmp_path: Path) -> None:
    with tcp(tls=server_tls(tmp_path)) as port, pytest.raises(BenchError, match="did not select the protocol"):
        ask(port, DOH)
    with tcp() as port:
        result = ask(port, replace(DOH, count=7, timeout_s=0.3, http=parse_uri("http://localhost/")))
    assert result.answered == 0


@pytest.mark.parametrize(
    ("text", "scheme", "authority", "path"),
    [
        ("https://localhost/dns-query", "https", "localhost", "/dns-query"),
        ("https://dns.example:8443/a{?dns}", "https", "dns.example:8443", "/a"),
        ("https://[::1]:443/a?b=c", "https", "[::1]:443", "/a?b=c"),
        ("http://a", "http", "a", "/"),
    ],
)
def test_uris(text: str, scheme: str, authority: str, path: str) -> None:
    assert parse_uri(text) == HttpOptions(scheme, authority, path)


@pytest.mark.parametrize("text", ["", "localhost", "ftp://a/", "https:///a", "https://a/{dns}", "https://a/b c"])
def test_no_uris(text: str) -> None:
    with pytest.raises(ValueError, match="https://HOST/PATH expected"):
        parse_uri(text)


@pytest.mark.parametrize(
    ("server", "scheme", "authority"),
    [
        (Server("::1", 443), "https", "[::1]"),
        (Server("dns.example", 8443), "https", "dns.example:8443"),
        (Server("dns.example", 443), "http", "dns.example:443"),
        (Server("dns.example", 80), "http", "dns.example"),
    ],
)
def test_the_authority_is_the_server_where_there_is_no_uri(server: Server, scheme: str, authority: str) -> None:
    assert HttpOptions(scheme).towards(server).authority == authority
    assert HttpOptions(scheme, "a").towards(server).authority == "a"
