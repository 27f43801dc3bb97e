"""Which class a reply is of, and which rule decides whether it is logged."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field
from typing import Any

import dns.message
import dns.opcode
import pytest

from fastdns.dns.names import wire_name
from fastdns.metrics._stats import Stats
from fastdns.plugins.log._lines import LineReader
from fastdns.plugins.log._step import LogStep, log_reply
from fastdns.plugins.log.format import Part
from tests.plugins.log.support import ROOT, query, reader, ring

pytestmark = pytest.mark.native

A, NS, SOA, RRSIG = 1, 2, 6, 46
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, YXDOMAIN = range(7)
DAY_S = 86400


def signature(begins_s: float, ends_s: float) -> tuple[int, bytes]:
    """The rdata of an RRSIG up to the signer's name; times are relative to now."""
    now = int(time.time())
    times = (int(now + ends_s) & 0xFFFFFFFF, int(now + begins_s) & 0xFFFFFFFF)
    return RRSIG, struct.pack(">HBBIIIH", A, 13, 2, 60, *times, 1) + b"\0" + b"s" * 64


def notify() -> bytes:
    made = dns.message.make_query("www.example.org.", "SOA")
    made.set_opcode(dns.opcode.NOTIFY)
    return made.to_wire()


ADDRESS = (A, b"\1\2\3\4")
ZONE = (SOA, b"\0\0" + bytes(20))
SERVER = (NS, b"\0")
GOOD = signature(-DAY_S, DAY_S)
OVER = signature(-2 * DAY_S, -DAY_S)
TO_COME = signature(DAY_S, 2 * DAY_S)
WITH_DO = query(use_edns=0, want_dnssec=True)


@dataclass(frozen=True)
class Case:
    """A reply, as log_reply takes it."""

    of: str
    why: str
    reply: dict[str, Any] = field(default_factory=dict)
    message: bytes = query()


CASES = [
    Case("success", "an answer", {"answer": [ADDRESS]}),
    Case("success", "an answer, and the zone's SOA record", {"answer": [ADDRESS], "authority": [ZONE]}),
    Case("success", "a delegation", {"authority": [SERVER]}),
    Case("success", "nothing at all, and no SOA record"),
    Case("success", "additional records only", {"additional": [ADDRESS]}),
    Case("success", "a SOA record in the additional section", {"additional": [ZONE]}),
    Case("denial", "no data", {"authority": [ZONE]}),
    Case("denial", "no data, with name servers", {"authority": [SERVER, ZONE]}),
    Case("denial", "no such name", {"rcode": NXDOMAIN, "authority": [ZONE]}),
    Case("denial", "no such name, without a SOA record", {"rcode": NXDOMAIN}),
    Case("error", "no such name, but an answer", {"rcode": NXDOMAIN, "answer": [ADDRESS]}),
    Case("error", "SERVFAIL that a plugin wrote", {"rcode": SERVFAIL}),
    Case("error", "SERVFAIL with an answer", {"rcode": SERVFAIL, "answer": [ADDRESS]}),
    Case("error", "SERVFAIL that none wrote", {"rcode": SERVFAIL, "written": False}),
    Case("error", "REFUSED", {"rcode": REFUSED}),
    Case("error", "REFUSED that none wrote", {"rcode": REFUSED, "written": False}),
    Case("error", "FORMERR that none wrote", {"rcode": FORMERR, "written": False}),
    Case("error", "NOTIMP that none wrote", {"rcode": NOTIMP, "written": False}),
    Case("error", "a response code of updates", {"rcode": YXDOMAIN}),
    Case("error", "a dropped query", {"written": False}),
    Case("error", "a whole transfer", {"answer": [ADDRESS]}, query(kind="AXFR")),
    Case("error", "an incremental transfer", {"answer": [ADDRESS]}, query(kind="IXFR")),
    Case("error", "NOTIFY", {"answer": [ADDRESS]}, notify()),
    Case("success", "a good signature", {"answer": [ADDRESS, GOOD]}, WITH_DO),
    Case("error", "an old signature of the answer", {"answer": [ADDRESS, OVER]}, WITH_DO),
    Case("error", "one old signature of two", {"answer": [GOOD, OVER]}, WITH_DO),
    Case("error", "a signature that does not count yet", {"answer": [ADDRESS, TO_COME]}, WITH_DO),
    Case("error", "an old signature of a denial", {"rcode": NXDOMAIN, "authority": [ZONE, OVER]}, WITH_DO),
    Case("error", "an old signature elsewhere", {"answer": [ADDRESS], "additional": [OVER]}, WITH_DO),
    Case("success", "an old signature that nobody looks at", {"answer": [ADDRESS, OVER]}),
    Case("success", "an old signature, EDNS without DO", {"answer": [ADDRESS, OVER]}, query(use_edns=0)),
    Case("success", "a signature that is cut off", {"answer": [ADDRESS, (RRSIG, OVER[1][:12])]}, WITH_DO),
]


def logged(step: LogStep, case: Case) -> bool:
    one = ring()
    log_reply(step, one, case.message, **case.reply)
    return bool(reader("x").read(one))


@pytest.mark.parametrize("case", CASES, ids=[case.why for case in CASES])
def test_class(case: Case) -> None:
    of = {name for name in ("success", "denial", "error") if logged(LogStep(0, [(ROOT, [name])]), case)}
    assert of == {case.of}
    assert logged(LogStep(0, [(ROOT, ["all"])]), case)
    assert logged(LogStep(0, [(ROOT, ["all", "success"])]), case)
    others = sorted({"success", "denial", "error"} - {case.of})
    assert not logged(LogStep(0, [(ROOT, others)]), case)
    assert logged(LogStep(0, [(ROOT, [case.of, others[0]])]), case)


@dataclass(frozen=True)
class Ruled:
    """rules: (name, classes); by: the number of the rule that logs, None: not logged."""

    rules: list[tuple[str, str]]
    by: int | None
    why: str
    name: str = "www.Example.org."


RULED = [
    Ruled([(".", "all")], 0, "the root holds every name"),
    Ruled([(".", "all")], 0, "the root itself", name="."),
    Ruled([("example.org.", "all")], 0, "below the name"),
    Ruled([("example.org.", "all")], 0, "the name itself", name="EXAMPLE.ORG."),
    Ruled([("EXAMPLE.org.", "all")], 0, "names have no case"),
    Ruled([("example.net.", "all")], None, "another name"),
    Ruled([("ample.org.", "all")], None, "a label is whole"),
    Ruled([("a.www.example.org.", "all")], None, "above the name"),
    Ruled([("example.net.", "all"), ("example.org.", "all")], 1, "the second name"),
    Ruled([(".", "all"), ("example.org.", "all")], 0, "the first that holds it, not the longest"),
    Ruled([("example.org.", "denial"), (".", "all")], None, "the first that holds it decides alone"),
    Ruled([("example.org.", "success"), (".", "denial")], 0, "its class is the first's"),
    Ruled([], None, "no rule"),
]


@pytest.mark.parametrize("case", RULED, ids=[case.why for case in RULED])
def test_rule(case: Ruled) -> None:
    step = LogStep(3, [(wire_name(name), [of]) for name, of in case.rules])
    one = ring()
    log_reply(step, one, query(case.name), answer=[ADDRESS])
    formats = LineReader({3: [(Part("", str(number)),) for number in range(len(case.rules))]})
    assert formats.read(one) == (b"" if case.by is None else f"[INFO] {case.by}\n".encode())


def test_blocks_have_their_own_formats() -> None:
    one = ring()
    for block in (5, 0, 5):
        log_reply(LogStep(block, [(ROOT, ["all"])]), one, query())
    formats = LineReader({0: [(Part("", "first"),)], 5: [(Part("", "sixth"),)]})
    assert formats.read(one) == b"[INFO] sixth\n[INFO] first\n[INFO] sixth\n"


def test_what_is_not_logged_takes_no_room() -> None:
    one = ring()
    log_reply(LogStep(0, [(ROOT, ["denial"])]), one, query(), times=1000)
    assert one.used_bytes == 0 and one.dropped == 0


def test_dropped_lines_are_in_the_counters() -> None:
    stats = Stats(2)
    assert stats.thread(1)["log_dropped"] == 0
    stats.count_log_dropped(1, 7)
    assert stats.thread(1)["log_dropped"] == 7
    stats.fold(1, 0)
    assert stats.thread(0)["log_dropped"] == 7
