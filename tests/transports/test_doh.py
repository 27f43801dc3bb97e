"""DNS over HTTPS without HTTP: what requests ask, which are refused, and how long replies are fresh."""

from __future__ import annotations

import base64
from typing import NamedTuple
from urllib.parse import parse_qs, quote_from_bytes

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.transports._doh import MEDIA_TYPE, fresh_s, question
from fastdns.transports.doh import answered, refused

pytestmark = pytest.mark.native

QUERY = dns.message.make_query("a.example.", "A", id=0).to_wire()
TEXT = base64.urlsafe_b64encode(QUERY).rstrip(b"=")
ESCAPED = quote_from_bytes(TEXT).replace("A", "%41").encode()


class Case(NamedTuple):
    why: str
    status: int
    target: bytes = b"/dns-query?dns=" + TEXT
    method: bytes = b"GET"
    media_type: bytes | None = None
    content: bytes = b""


CASES = [
    Case("GET", 200),
    Case("HEAD is GET without the content", 200, method=b"HEAD"),
    Case("POST", 200, b"/dns-query", b"POST", MEDIA_TYPE, QUERY),
    Case("a media type has no case", 200, b"/dns-query", b"POST", b"Application/DNS-Message", QUERY),
    Case("nor do its parameters matter", 200, b"/dns-query", b"POST", MEDIA_TYPE + b"; a=b", QUERY),
    Case("POST says nothing in its target", 200, b"/dns-query?dns=!", b"POST", MEDIA_TYPE, QUERY),
    Case("other parameters", 200, b"/dns-query?a=b&dns=" + TEXT + b"&c"),
    Case("a parameter that begins alike", 200, b"/dns-query?dnssec=1&dn=2&&dns=" + TEXT),
    Case("a URL escapes what it likes", 200, b"/%64ns-quer%79?d%6es=" + ESCAPED),
    Case("another path", 404, b"/"),
    Case("a longer path", 404, b"/dns-query/?dns=" + TEXT),
    Case("a shorter path", 404, b"/dns-quer?dns=" + TEXT),
    Case("an escape that is none", 404, b"/dns-quer%7?dns=" + TEXT),
    Case("another path matters before another method", 404, b"/", b"PUT"),
    Case("another method", 405, method=b"PUT"),
    Case("a method has case", 405, method=b"get"),
    Case("no parameters", 400, b"/dns-query"),
    Case("no message", 400, b"/dns-query?a=b"),
    Case("no value", 400, b"/dns-query?dns"),
    Case("an empty value", 400, b"/dns-query?dns="),
    Case("twice", 400, b"/dns-query?dns=" + TEXT + b"&dns=" + TEXT),
    Case("padding", 400, b"/dns-query?dns=" + TEXT + b"="),
    Case("base64 of another alphabet", 400, b"/dns-query?dns=" + TEXT[:-2] + b"+/"),
    Case("one character too many", 400, b"/dns-query?dns=" + base64.urlsafe_b64encode(QUERY[:24]) + b"A"),
    Case("an escape that is cut", 400, b"/dns-query?dns=" + TEXT + b"%4"),
    Case("no header of DNS", 400, b"/dns-query?dns=AAAA"),
    Case("a reply", 400, b"/dns-query", b"POST", MEDIA_TYPE, QUERY[:2] + b"\x80" + QUERY[3:]),
    Case("no content", 400, b"/dns-query", b"POST", MEDIA_TYPE),
    Case("no media type", 415, b"/dns-query", b"POST", None, QUERY),
    Case("another media type", 415, b"/dns-query", b"POST", b"application/dns-json", QUERY),
    Case("a longer media type", 415, b"/dns-query", b"POST", MEDIA_TYPE + b"s", QUERY),
    Case("more than a message can have", 413, b"/dns-query", b"POST", MEDIA_TYPE, bytes(65536)),
]


@pytest.mark.parametrize("case", CASES, ids=[case.why for case in CASES])
def test_requests(case: Case) -> None:
    asked = question(case.method, case.target, case.media_type, case.content)
    assert asked == (case.status, QUERY if case.status == 200 else b"")


@given(st.binary(min_size=12, max_size=300))
def test_every_message_comes_through(message: bytes) -> None:
    target = b"/dns-query?dns=" + base64.urlsafe_b64encode(message).rstrip(b"=")
    expected = (400, b"") if message[2] & 0x80 else (200, message)
    assert question(b"GET", target, None, b"") == expected


@given(st.text("dns=&%6eE?A_-+", max_size=30))
def test_parameters_are_read_as_others_read_them(text: str) -> None:
    """What is refused for its message alone is refused the same way by both."""
    values = parse_qs(text, keep_blank_values=True).get("dns", [])
    status, message = question(b"GET", b"/dns-query?" + text.encode(), None, b"")
    assert status in (200, 400)
    if status == 200:
        assert len(values) == 1
        assert base64.urlsafe_b64decode(values[0] + "=" * (-len(values[0]) % 4)) == message


def reply(answer: str = "", authority: str = "", additional: str = "", rcode: str = "NOERROR") -> bytes:
    """Records as lines of a zone."""
    message = dns.message.make_response(dns.message.make_query("a.example.", "A", use_edns=True))
    message.set_rcode(dns.rcode.from_text(rcode))
    for section, lines in zip(message.sections[1:], (answer, authority, additional), strict=True):
        for line in filter(None, lines.split("\n")):
            owner, ttl, rrtype, rdata = line.split(" ", 3)
            section.append(dns.rrset.from_text(owner, int(ttl), "IN", rrtype, rdata))
    return message.to_wire()


A = "a.example. {} A 192.0.2.1"
SOA = "example. {} SOA ns.example. host.example. 1 2 3 4 {}"
AGES = [
    ("the only record", reply(A.format(77)), 77),
    ("the least of an answer", reply(A.format(77) + "\nb.example. 20 A 192.0.2.1"), 20),
    ("the least of all", reply(A.format(77), "example. 60 NS ns.example.", "b.example. 9 A 192.0.2.3"), 9),
    ("an hour at most", reply(A.format(86400)), 3600),
    ("no time", reply(A.format(0)), 0),
    ("a denial: the TTL of its SOA record", reply("", SOA.format(30, 90), rcode="NXDOMAIN"), 30),
    ("a denial: the MINIMUM of its SOA record", reply("", SOA.format(90, 30)), 30),
    ("an answer with an SOA record is no denial", reply(A.format(77), SOA.format(90, 30)), 77),
    ("a denial without an SOA record", reply(rcode="NXDOMAIN"), 5),
    ("no records", reply(), 5),
    ("a referral", reply("", "example. 60 NS ns.example.", "ns.example. 60 A 192.0.2.3"), 5),
    ("a failure", reply(rcode="SERVFAIL"), 5),
    ("a refusal with a record", reply(A.format(77), rcode="REFUSED"), 5),
    ("a denial with an answer", reply(A.format(77), rcode="NXDOMAIN"), 5),
    ("no message", b"", 5),
    ("a reply that is cut", reply(A.format(77))[:-15], 5),
]  # fmt: skip


@pytest.mark.parametrize(("message", "age_s"), [case[1:] for case in AGES], ids=[case[0] for case in AGES])
def test_how_long_a_reply_is_fresh(message: bytes, age_s: int) -> None:
    assert fresh_s(message) == age_s


@given(st.binary(max_size=120), st.integers(0, 12))
def test_no_bytes_are_read_behind_a_message(tail: bytes, records: int) -> None:
    assert 0 <= fresh_s(b"\0\0\x80\0\0\1\0" + bytes([records, 0, 1, 0, 1]) + tail) <= 3600


def test_what_responses_say() -> None:
    message = reply(A.format(77))
    fields, content = answered(message)
    assert dict(fields)[b"cache-control"] == b"max-age=77"
    assert dict(fields)[b"content-length"] == b"%d" % len(message)
    assert content == message
    assert refused(400)[1] == b"invalid request\n"
    assert dict(refused(405)[0])[b"allow"] == b"GET, HEAD, POST"
    assert refused(431)[1] == b"Request Header Fields Too Large\n"
