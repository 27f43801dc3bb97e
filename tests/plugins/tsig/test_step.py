"""The tsig step without a server: who is let through, and what leaves."""

from __future__ import annotations

import dns.message
import dns.name
import dns.tsig
import pytest

from fastdns.dns._signatures import KeyRing
from fastdns.plugins.tsig._step import TsigStep
from fastdns.serve._zones import NativeStep
from tests.plugins.tsig.messages import NAME, SECRET, Said, key, query, read
from tests.serve._service import WAITS, PlayedService, Trial, Wait
from tests.serve._steps import Answer, Ask, Rewrite
from tests.serve.support import reply_to, trial, wire

pytestmark = pytest.mark.native

LONG = ".".join(["k" * 63] * 3 + ["k" * 59, ""])
RING = KeyRing({wire(NAME): SECRET, wire(LONG): SECRET})
A, AXFR = 1, 252
ANSWER = Answer(wire("example.org."), bytes([192, 0, 2, 1]))


def step(
    qtypes: tuple[int, ...] | None = (), opcodes: tuple[int, ...] | None = (), zone: str = "example.org."
) -> TsigStep:
    return TsigStep(RING, [zone], qtypes, opcodes)


def ask(server: Trial, asked: object, signed: dns.tsig.Key | None = None) -> Said:
    """What a server says at once."""
    reply = server.ask(asked.wire)  # type: ignore[attr-defined]
    assert reply is not WAITS
    return read(reply, asked, signed)


CASES = [
    (step(), "a.example.org.", None, Said("NOERROR", "none", 1), "not signed, and need not be"),
    (step(), "a.example.org.", key(), Said("NOERROR", "", 1), "signed, and need not be"),
    (step(None), "a.example.org.", None, Said("REFUSED", "none"), "not signed, all types"),
    (step((A,)), "a.example.org.", None, Said("REFUSED", "none"), "not signed, this type"),
    (step((AXFR, A)), "a.example.org.", None, Said("REFUSED", "none"), "not signed, one of the types"),
    (step((AXFR,)), "a.example.org.", None, Said("NOERROR", "none", 1), "not signed, another type"),
    (step((), (0,)), "a.example.org.", None, Said("REFUSED", "none"), "not signed, this opcode"),
    (step((), (4, 5)), "a.example.org.", None, Said("NOERROR", "none", 1), "not signed, other opcodes"),
    (step((), None), "a.example.org.", None, Said("REFUSED", "none"), "not signed, all opcodes"),
    (step(None), "a.example.org.", key(), Said("NOERROR", "", 1), "signed, and must be"),
    (step(None), "a.EXAMPLE.org.", key(), Said("NOERROR", "", 1), "in any case"),
    (step(None, zone="sub.example.org."), "a.example.org.", None, Said("NOERROR", "none", 1), "of another zone"),
    (step(None, zone="sub.example.org."), "a.example.org.", key(), Said("NOERROR", "none", 1),
     "signed, of another zone"),
    (step(), "a.example.org.", key(secret=b"other"), Said("NOTAUTH", "BADSIG"), "another secret"),
    (step(), "a.example.org.", key("other."), Said("NOTAUTH", "BADKEY"), "another key"),
    (step(), "a.example.org.", key(algorithm=dns.tsig.HMAC_MD5), Said("NOTAUTH", "BADKEY"), "another algorithm"),
    (step(None), "a.example.org.", key(LONG), Said("NOERROR", "", 1), "a key with the longest name"),
]  # fmt: skip


@pytest.mark.parametrize(("step", "qname", "signed", "expected", "why"), CASES, ids=[case[-1] for case in CASES])
@pytest.mark.parametrize("edns", [None, 0], ids=["", "EDNS"])
def test_who_is_let_through(
    step: TsigStep, qname: str, signed: dns.tsig.Key | None, expected: Said, why: str, edns: int | None
) -> None:
    assert ask(trial(step, ANSWER), query(qname, signed=signed, use_edns=edns), signed) == expected


@pytest.mark.parametrize(("late_s", "error"), [(0, ""), (295, ""), (-295, ""), (310, "BADTIME"), (-310, "BADTIME")])
def test_time(late_s: int, error: str) -> None:
    expected = Said("NOTAUTH", error) if error else Said("NOERROR", "", 1)
    assert ask(trial(step(), ANSWER), query("a.example.org.", signed=key(), late_s=late_s), key()) == expected


def test_a_malformed_record() -> None:
    asked = query("a.example.org.", signed=key())
    server = trial(step(), ANSWER)
    reply = dns.message.from_wire(server.ask(asked.wire.replace(b"\0\xfa\0\xff", b"\0\xfa\0\1")))
    assert reply.rcode() == dns.rcode.FORMERR and not reply.had_tsig and reply.question == asked.question


@pytest.mark.parametrize("name", [NAME, LONG])
@pytest.mark.parametrize("udp_bytes", [0, 512, 1232])
def test_a_signature_has_room_in_any_reply(name: str, udp_bytes: int) -> None:
    """Records are left out for it, and the rest is signed."""
    many = Answer(wire("example.org."), bytes(4), 1, 100)
    edns = {"use_edns": 0, "payload": udp_bytes} if udp_bytes else {}
    asked = query("a.example.org.", signed=key(name), **edns)
    said = ask(trial(step(), many), asked, key(name))
    assert (said.rcode, said.signature, said.truncated) == ("NOERROR", "", True)
    reply = trial(step(), many).ask(asked.wire)
    assert len(reply) <= max(512, udp_bytes)


def test_two_names_of_the_greatest_length() -> None:
    """The question is left out, so that the client can verify that the reply is truncated."""
    qname = ".".join(["x" * 63] * 3 + ["y" * 49, "example.org."])
    assert len(wire(qname)) == 255
    asked = query(qname, signed=key(LONG))
    reply = trial(step(), ANSWER).ask(asked.wire)
    assert len(reply) <= 512 and reply[4:6] == b"\0\0"
    said = ask(trial(step(), ANSWER), asked, key(LONG))
    assert said == Said("NOERROR", "", 0, truncated=True)


def test_nothing_is_signed_where_not_even_that_has_room() -> None:
    """A name that is no key's, with an algorithm that there is not: the reply says NOTAUTH."""
    qname = ".".join(["x" * 63] * 3 + ["y" * 49, "example.org."])
    asked = query(qname, signed=key())
    odd = ".".join(["z" * 63] * 3 + ["z" * 59, ""])
    rdata = wire(odd) + bytes(6) + b"\1\x2c" + b"\0\x20" + bytes(32) + b"\0\0\0\0\0\0"
    record = wire(odd) + b"\0\xfa\0\xff\0\0\0\0" + len(rdata).to_bytes(2, "big") + rdata
    message = dns.message.make_query(qname, "A", id=asked.id).to_wire()
    reply = trial(step(), ANSWER).ask(message[:11] + b"\1" + message[12:] + record)
    assert reply[3] & 0xF == 9 and reply[2] & 2 and len(reply) <= 512 and reply[6:12] == bytes(6)


@pytest.mark.parametrize("steps", [(), (ANSWER,)], ids=["no plugin answers", "whole"])
def test_what_other_steps_come_to_is_signed(steps: tuple[NativeStep, ...]) -> None:
    asked = query("a.example.org.", signed=key())
    said = ask(trial(step(None), *steps), asked, key())
    assert said == (Said("NOERROR", "", 1) if steps else Said("SERVFAIL", ""))


@pytest.mark.parametrize("signed", [key(), None])
def test_a_query_that_waits(signed: dns.tsig.Key | None) -> None:
    """It is served again from its bytes, and looked at again as of the time when it came."""
    service = PlayedService("played")
    server = trial(step(), Wait("played"), services=(service,))
    asked = query("a.example.org.", signed=signed, late_s=298)
    assert server.ask(asked.wire) is WAITS
    server.sleep(60)
    reply = server.say(service, reply_to(server.asked(service)[0], "a.example.org. 60 IN A 192.0.2.9"))
    assert read(reply, asked, signed) == Said("NOERROR", "none" if signed is None else "", 1)


def test_a_query_that_has_waited_before_it_comes_here() -> None:
    """A step before tsig has let it wait: that is no way around."""
    service = PlayedService("played")
    server = trial(Wait("played", passes=True), step(None), ANSWER, services=(service,))
    for signed, expected in ((None, "REFUSED"), (key(secret=b"other"), "NOTAUTH"), (key(), "NOERROR")):
        asked = query("a.example.org.", signed=signed)
        assert server.ask(asked.wire) is WAITS
        reply = server.say(service, reply_to(server.asked(service)[0]))
        assert read(reply, asked, signed).rcode == expected


def test_no_step_leads_around_it() -> None:
    """A step behind puts another question in the place of the client's, or asks one."""
    guard = TsigStep(RING, ["guarded.example.org."], None, ())
    behind = Answer(wire("guarded.example.org."), bytes([192, 0, 2, 7]))
    rewrite = Rewrite(wire("example.org."), wire("x.guarded.example.org."))
    for signed, expected in ((None, "REFUSED"), (key(), "NOERROR"), (key(secret=b"other"), "REFUSED")):
        asked = query("a.example.org.", signed=signed)
        reply = trial(guard, rewrite, behind).ask(asked.wire)
        assert dns.message.from_wire(reply, keyring=False).rcode() == dns.rcode.from_text(expected), expected


@pytest.mark.parametrize("below", [False, True])
def test_questions_inside_a_query(below: bool) -> None:
    """They are asked for the client: its message is what has to be signed."""
    asks = Ask(wire("example.org."), [wire("x.example.org.")], below=below)
    for signed, expected in ((None, "REFUSED"), (key(), "NOERROR")):
        asked = query("example.org.", signed=signed)
        assert ask(trial(step(None), asks, ANSWER), asked, signed).rcode == expected


def test_a_step_is_made_once() -> None:
    with pytest.raises(ValueError, match="once"):
        TsigStep.__init__(step(), RING, ["."], (), ())
