"""DNS over QUIC and over HTTP/3 of the generator, against a server on qh3."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("qh3", reason="no qh3: fastdns[quic] installs it")

from fastdns.bench._book import Book
from fastdns.bench._questions import Questions
from fastdns.bench.errors import BenchError
from fastdns.bench.exchange import query
from fastdns.bench.runner import How
from fastdns.bench.transport import HttpOptions, TlsOptions, parse_uri
from fastdns.bench.tsig import parse_key
from tests.bench.quic_server import Ways, quic
from tests.bench.servers import answered, bound, label
from tests.bench.test_generator import QUERIES, ask, is_whole
from tests.certificates import write_certificate

pytestmark = pytest.mark.native

DOQ = How(count=70, outstanding=8, clients=2, timeout_s=10.0, transport="doq")
PROTOCOLS = {
    "doq": DOQ,
    "doh3 GET": replace(DOQ, transport="doh3"),
    "doh3 POST": replace(DOQ, transport="doh3", http=HttpOptions(method="POST")),
}
each_protocol = pytest.mark.parametrize("how", PROTOCOLS.values(), ids=PROTOCOLS)


@each_protocol
def test_every_query_is_answered(tmp_path: Path, how: How) -> None:
    ways = Ways(answer=lambda message: [(0.0, answered(message, rcode=int(label(message)[1:])))])
    with quic(tmp_path, how.transport, ways) as port:
        result = ask(port, replace(how, processes=2))
    assert (result.rcodes, result.lost, result.mismatched, result.errors) == ((10,) * 7 + (0,) * 9, 0, 0, 0)
    assert (result.set_ups.count, result.reconnects, result.stream_errors) == (2, 0, 0)
    assert is_whole(result)
    assert result.query_bytes == sum(map(len, QUERIES)) * 10 == result.answer_bytes


@each_protocol
def test_streams_without_an_answer_are_counted(tmp_path: Path, how: How) -> None:
    with quic(tmp_path, how.transport, Ways(resets=7)) as port:
        result = ask(port, replace(how, clients=1))
    assert (result.answered, result.lost, result.stream_errors, result.reconnects) == (60, 10, 10, 0)
    assert is_whole(result)


@pytest.mark.parametrize("ways", [Ways(cuts=True), Ways(status=503)], ids=["cut", "HTTP 503"])
def test_what_is_no_message_is_no_answer(tmp_path: Path, ways: Ways) -> None:
    how = PROTOCOLS["doq" if ways.cuts else "doh3 GET"]
    with quic(tmp_path, how.transport, ways) as port:
        result = ask(port, replace(how, count=7))
    assert (result.answered, result.lost, result.stream_errors) == (0, 7, 7)


def test_requests_have_the_fields_of_the_uri(tmp_path: Path) -> None:
    wants = (
        (":authority", "dns.example"), (":scheme", "https"), (":method", "POST"), (":path", "/ask"),
        ("accept", "application/dns-message"), ("content-type", "application/dns-message"),
        ("content-length", str(len(QUERIES[0]))),
    )  # fmt: skip
    how = replace(DOQ, transport="doh3", count=7)
    http = replace(parse_uri("https://dns.example/ask"), method="POST")
    with quic(tmp_path, "doh3", Ways(wants=wants)) as port:
        assert ask(port, replace(how, http=http), queries=QUERIES[:1]).answered == 7
        assert ask(port, how, queries=QUERIES[:1]).stream_errors == 7


@pytest.mark.parametrize("resumes", [False, True])
@pytest.mark.parametrize("protocol", ["doq", "doh3"])
def test_connections_are_made_anew_and_resumed_where_that_is_wanted(
    tmp_path: Path, protocol: str, resumes: bool
) -> None:
    how = replace(DOQ, transport=protocol, queries_per_connection=7, tls=TlsOptions(resumes=resumes))
    with quic(tmp_path, protocol) as port:
        result = ask(port, how)
    assert (result.answered, result.lost) == (70, 0)
    assert 8 <= result.reconnects <= 10
    assert result.set_ups.count == result.reconnects + 2
    assert result.resumed == (result.reconnects if resumes else 0)


def test_a_connection_that_is_closed_is_made_anew(tmp_path: Path) -> None:
    with quic(tmp_path, "doq", Ways(closes_after=10)) as port:
        result = ask(port, replace(DOQ, clients=1, outstanding=1, timeout_s=1.0, rate=200))
    assert result.answered + result.lost == 70
    assert result.reconnects >= 1
    assert is_whole(result)


def test_a_rate_is_held(tmp_path: Path) -> None:
    with quic(tmp_path, "doq") as port:
        result = ask(port, replace(DOQ, count=0, seconds=0.4, rate=100, outstanding=100))
    assert (result.sent + result.unsent, result.lost) == (40, 0)
    assert 0.38 < result.elapsed_s < 5


def test_a_certificate_is_verified_where_that_is_wanted(tmp_path: Path) -> None:
    write_certificate(tmp_path, "other")
    right = TlsOptions(name="localhost", authorities=tmp_path / "ca.pem")
    with quic(tmp_path, "doq") as port:
        assert ask(port, replace(DOQ, tls=right)).answered == 70
        for wrong in (replace(right, name="elsewhere"), replace(right, authorities=tmp_path / "othercert.pem")):
            with pytest.raises(BenchError, match="certificate"):
                ask(port, replace(DOQ, tls=wrong))
    with pytest.raises(BenchError, match=r"none\.pem: no file"):
        ask(port, replace(DOQ, tls=replace(right, authorities=tmp_path / "none.pem")))


def test_queries_are_signed_and_have_local_ports(tmp_path: Path) -> None:
    with quic(tmp_path, "doq", Ways(answer=lambda message: [(0.0, answered(message, rcode=message[11]))])) as port:
        result = ask(port, replace(DOQ, tsig=parse_key("hmac-sha256:key.example:c2VjcmV0")))
    assert result.rcodes[1] == 70


def test_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(BenchError, match=f":{port}: connection refused: no program listens there over UDP"):
        ask(port, DOQ)


def test_a_server_of_something_else_is_said(tmp_path: Path) -> None:
    with bound(socket.SOCK_DGRAM) as silent, pytest.raises(BenchError, match="timed out"):
        ask(silent.getsockname()[1], replace(DOQ, timeout_s=0.2))
    with quic(tmp_path, "doh3") as port, pytest.raises(BenchError, match=f"127.0.0.1:{port}: "):
        ask(port, replace(DOQ, timeout_s=2.0))


# ------------------------------------------------------------------------------------------------- the book


def book(**how: object) -> Book:
    made = Book(Questions(QUERIES), **{"lanes": 2, "outstanding": 4, "timeout_s": 0.05, **how})  # type: ignore[arg-type]
    made.begin(0, 10, 1)
    return made


def test_a_book_gives_no_more_than_is_wanted() -> None:
    one = book()
    taken = [one.take(lane) for lane in (0, 0, 0, 1, 1, 1)]
    assert [query and query[1] for query in taken] == [QUERIES[0], QUERIES[1], None, QUERIES[2], QUERIES[3], None]
    assert (one.under_way, one.waits(0), one.asks) == (4, True, True)
    for lane in (2, 100):
        with pytest.raises(IndexError):
            one.take(lane)


def test_what_becomes_of_queries() -> None:
    one = book()
    first, second, third, fourth = (one.take(lane) for lane in (0, 0, 1, 1))
    assert first and second and third and fourth
    one.has_answer(0, first[0], answered(first[1]))
    one.has_answer(0, first[0], answered(first[1]))
    one.is_refused(0, second[0])
    one.has_answer(1, third[0], answered(query("other.example")))
    one.is_closed(1, True)
    # A place is no index beyond the lane's places.
    one.has_answer(1, 65535, b"")
    result = one.end()
    assert (result.answered, result.duplicates, result.lost, result.mismatched) == (1, 1, 3, 2)
    assert (result.stream_errors, result.errors, result.interrupted) == (1, 1, 0)
    assert is_whole(result)


def test_a_book_has_an_end() -> None:
    with pytest.raises(ValueError, match="neither seconds nor count"):
        book().begin(0, 0, 1)
    with pytest.raises(ValueError, match="outstanding must be 1 to 16384"):
        book(outstanding=1 << 20)
    one = book(outstanding=2, lanes=1)
    one.take(0)
    assert one.end(gone=True).unsent == 9
