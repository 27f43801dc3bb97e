"""``--check``: its lines, and which answers are as expected."""

from __future__ import annotations

import random

import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import pytest

from fastdns.bench._answers import said
from fastdns.bench._questions import Questions
from fastdns.bench.address import Server
from fastdns.bench.errors import BenchError
from fastdns.bench.expected import Expected, as_answer, parse_expected
from fastdns.bench.messages import message
from fastdns.bench.runner import How, run
from tests.bench.servers import udp

pytestmark = pytest.mark.native

NAME = "web.shop.svc.cluster.local"


def expected(line: str) -> Expected:
    [one] = parse_expected([line], "file")
    return one


def answer(line: str, rcode: int, *records: str) -> bytes:
    """A message of another library, compressed, to the question of a line. records: OWNER TYPE RDATA."""
    asked = dns.message.from_wire(message(expected(line).query))
    reply = dns.message.make_response(asked)
    reply.set_rcode(rcode)
    for record in records:
        owner, kind, rdata = record.split(" ", 2)
        rrset = dns.rrset.from_text(owner + ".", random.randrange(1, 1000), "IN", kind, rdata)
        reply.find_rrset(reply.answer, rrset.name, rrset.rdclass, rrset.rdtype, create=True).update(rrset)
    wire: bytes = reply.to_wire()
    return wire


# line, then whether right, the answer's rcode and records, and why.
CASES = [
    (f"{NAME} A NOERROR 10.0.0.1", True, 0, [f"{NAME} A 10.0.0.1"], "one record"),
    (f"{NAME} A NOERROR 10.0.0.1", False, 0, [f"{NAME} A 10.0.0.2"], "another one"),
    (f"{NAME} A NOERROR 10.0.0.1", False, 0, [], "none"),
    (f"{NAME} A NOERROR 10.0.0.1", False, 3, [f"{NAME} A 10.0.0.1"], "another rcode"),
    (f"{NAME} A NOERROR 10.0.0.1 10.0.0.2", True, 0, [f"{NAME} A 10.0.0.2", f"{NAME} A 10.0.0.1"], "any order"),
    (f"{NAME} A NOERROR 10.0.0.1 10.0.0.2", False, 0, [f"{NAME} A 10.0.0.2"], "one of two"),
    (f"{NAME} A NOERROR 10.0.0.1", False, 0, [f"{NAME} A 10.0.0.2", f"{NAME} A 10.0.0.1"], "two for one"),
    (f"{NAME} AAAA NOERROR", True, 0, [], "no data"),
    (f"{NAME} AAAA NOERROR", False, 0, [f"{NAME} AAAA ::1"], "data where none is expected"),
    (f"{NAME} AAAA NOERROR 0:0::1", True, 0, [f"{NAME} AAAA ::1"], "an address written otherwise"),
    (f"{NAME} A nxdomain", True, 3, [], "no such name"),
    (f"{NAME} A NOERROR *", True, 0, [f"{NAME} A 10.0.0.9"], "any record"),
    (f"{NAME} A NOERROR *", False, 0, [], "any record, and none"),
    (f"{NAME} A NOERROR 10.0.0.1", True, 0, [f"{NAME} CNAME x.example.", "x.example A 10.0.0.1"], "an alias"),
    (f"{NAME} CNAME NOERROR X.example", True, 0, [f"{NAME} CNAME x.Example."], "names without case"),
    (f"{NAME} SRV NOERROR 0 100 80 {NAME}", True, 0, [f"{NAME} SRV 0 100 80 {NAME}."], "a compressed name, or not"),
    (f"{NAME} SRV NOERROR 0 100 80 {NAME}", False, 0, [f"{NAME} SRV 0 100 81 {NAME}."], "another port"),
    (f"{NAME} SRV NOERROR 0 50 80 a.b 0 50 81 c.d", True, 0,
     [f"{NAME} SRV 0 50 81 c.d.", f"{NAME} SRV 0 50 80 a.b."], "four words a record"),
    (f"{NAME} MX NOERROR 10 mx.{NAME}.", True, 0, [f"{NAME} MX 10 mx.{NAME}."], "compressed behind a number"),
    (f"{NAME} PTR NOERROR a.{NAME}", True, 0, [f"{NAME} PTR a.{NAME}."], "a compressed name"),
    (f"{NAME} SOA NOERROR ns.{NAME} h.{NAME} 1 2 3 4 5", True, 0, [f"{NAME} SOA ns.{NAME}. h.{NAME}. 1 2 3 4 5"],
     "two names and five numbers"),
    (f"{NAME} SOA NOERROR ns.{NAME} h.{NAME} 1 2 3 4 5", False, 0, [f"{NAME} SOA ns.{NAME}. h.{NAME}. 1 2 3 4 6"],
     "the end of an SOA"),
    (f'{NAME} TXT NOERROR "1.1.0"', True, 0, [f'{NAME} TXT "1.1.0"'], "text"),
    (f'{NAME} TXT NOERROR "a  b" c', True, 0, [f'{NAME} TXT "c"', f'{NAME} TXT "a  b"'], "a record a string"),
    (rf'{NAME} TXT NOERROR "a\"b\007"', True, 0, [rf'{NAME} TXT "a\"b\007"'], "escapes"),
    (f"{NAME} TYPE731 NOERROR \\# 3 abcdef", True, 0, [f"{NAME} TYPE731 \\# 3 abcdef"], "an unknown type"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "right", "rcode", "records"), [case[:4] for case in CASES], ids=[c[4] for c in CASES]
)
def test_which_answers_are_right(line: str, right: bool, rcode: int, records: list[str]) -> None:
    one = expected(line)
    questions = Questions([message(one.query)])
    questions.expect(0, one.rcode, as_answer(one))
    reply = answer(line, rcode, *records)
    with udp(lambda asked: [(0.0, asked[:2] + reply[2:])]) as port:
        result = run(Server("127.0.0.1", port), questions, How(count=1, clients=1, timeout_s=10.0)).result
    assert (result.answered, result.checked, result.wrong) == (1, 1, 0 if right else 1)
    assert [(sample.query, sample.answer[2:]) for sample in result.wrong_samples] == (
        [] if right else [(0, reply[2:])]
    )


def test_truncated_answers_are_not_compared() -> None:
    one = expected(f"{NAME} A NOERROR 10.0.0.1")
    questions = Questions([message(one.query)])
    questions.expect(0, one.rcode, as_answer(one))
    with udp(lambda asked: [(0.0, asked[:2] + b"\x82\0" + asked[4:])]) as port:
        result = run(Server("127.0.0.1", port), questions, How(count=1, clients=1, timeout_s=10.0)).result
    assert (result.answered, result.truncated, result.checked) == (1, 1, 0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a.b A", "file:1 - NAME TYPE RCODE expected, with an RCODE as NOERROR or NXDOMAIN, got nothing"),
        (
            "a.b A 10.0.0.1",
            "file:1 - NAME TYPE RCODE expected, with an RCODE as NOERROR or NXDOMAIN, got '10.0.0.1'",
        ),
        ("a.b A NOERROR x", "file:1 - A: Expected 4 octets in 'x'"),
        ("a.b AAAA NOERROR 1.2.3.4", "file:1 - AAAA: "),
        ("a.b SRV NOERROR 1 2 3", "file:1 - SRV: 4 words for each record expected, got '1 2 3'"),
        ("a.b SRV NOERROR 1 2 65536 x", "file:1 - SRV: a number of 0 to 65535 expected, got '65536'"),
        ("a.b PTR NOERROR x..y", "file:1 - PTR: 'x..y' is not a domain name"),
        ("a.b CAA NOERROR x", r"file:1 - CAA: only the form \# LENGTH HEX is known, got 'x'"),
        (r"a.b CAA NOERROR \# 2 ab", "file:1 - CAA: 2 bytes expected, got 1"),
        (r"a.b CAA NOERROR \# 2", r"file:1 - CAA: \# LENGTH HEX expected"),
        ("a.b TXT NOERROR " + "x" * 256, "file:1 - TXT: a string of at most 255 bytes expected, got 256"),
        (r"a.b TXT NOERROR \999", "file:1 - TXT: "),
        ("a.b A NOERROR\n\nA.B. A NXDOMAIN", "file:3 - A.B. A is expected to differ at file:1"),
        ("a.b A * NOERROR", "file:1 - NAME TYPE RCODE expected"),
        ("", "file: nothing expected"),
    ],
)
def test_wrong_lines(text: str, says: str) -> None:
    with pytest.raises(BenchError) as error:
        parse_expected(text.splitlines(), "file")
    assert says in str(error.value)


def test_a_line_may_stand_twice() -> None:
    assert len(parse_expected(["a.b A NOERROR 1.1.1.1 2.2.2.2", "A.b. A NOERROR 2.2.2.2 1.1.1.1"], "file")) == 2


# ------------------------------------------------------------------------------------------ hostile answers


def test_an_answer_cut_anywhere_is_read_no_further() -> None:
    line = f"{NAME} SRV NOERROR 0 100 80 a.{NAME}"
    reply = answer(line, 0, f"{NAME} SRV 0 100 80 a.{NAME}.", f"{NAME} SRV 0 100 81 b.{NAME}.")
    end = len(message(expected(line).query))
    assert said(reply, end, 33) is not None
    for size in range(len(reply)):
        assert said(reply[:size], end, 33) is None


@pytest.mark.parametrize(
    "name",
    [b"\xc0\x19", b"\xc0\xff", b"\xff\xff", b"\x40a\0", b"\x3fa", b"\1a\xc0\x19", b"\1a" * 130 + b"\0", b"\xc0"],
    ids=[
        "itself",
        "forwards",
        "far forwards",
        "a reserved label",
        "longer than the message",
        "a loop",
        "too many",
        "half",
    ],
)
def test_names_that_lead_nowhere(name: bytes) -> None:
    head = bytes.fromhex("0000 8000 0001 0001 0000 0000") + b"\7example\0\0\1\0\1"
    body = head + name + b"\0\1\0\1\0\0\0\0\0\4abcd"
    assert said(head + b"\xc0\x0c" + body[len(head + name) :], 25, 1) is not None
    assert said(body, 25, 1) is None


def test_random_bytes_end() -> None:
    rng = random.Random(1)
    reply = bytearray(answer(f"{NAME} MX NOERROR 1 a", 0, *(f"{NAME} MX {i} m{i}.{NAME}." for i in range(8))))
    end = len(message(expected(f"{NAME} MX NOERROR 1 a").query))
    for _ in range(20000):
        mangled = bytearray(reply)
        for _ in range(rng.randrange(1, 6)):
            mangled[rng.randrange(6, len(mangled))] = rng.randrange(256)
        said(bytes(mangled), end, 15)
