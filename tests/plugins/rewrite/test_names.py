"""Names of questions and of replies: what the step asks below and shows above, against a plain reference."""

from __future__ import annotations

import re

import dns.message
import dns.name
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.dns.names import text_name
from tests.plugins.rewrite.steps import step_of
from tests.serve._service import WAITS, PlayedService, Wait
from tests.serve._steps import Answer
from tests.serve.support import trial

pytestmark = pytest.mark.native

LABELS = st.sampled_from(
    [b"a", b"b", b"ab", b"ba", b"A", b"aB", b"a.b", b"\\", b"\0", b"{1}", b"(x)", b"a-b", b"x" * 63]
)
NAMES = st.lists(LABELS, min_size=0, max_size=5).map(
    lambda labels: b"".join(bytes([len(x)]) + x for x in labels) + b"\0"
)
# What rules look for, and put in its place: text as in a Corefile.
TEXTS = st.sampled_from(["a", "b", "ab", "a.b", ".b", "b.a.", ".", "a\\.b", "x" * 63, "c", "c..d", "y" * 64])
LONG = "l" * 60


def query(name: bytes, *, qtype: int = 1) -> bytes:
    return b"\0\7\1\0\0\1\0\0\0\0\0\0" + name + qtype.to_bytes(2, "big") + b"\0\1"


def lowered(name: bytes) -> str:
    return text_name(name).lower()


def wire(text: str) -> bytes | None:
    """The wire form of a text, lowered; None where it is no name. By the rules of RFC 1035 sections 3.1 and 5.1."""
    try:
        name = dns.name.from_text(text.encode().decode("latin-1"))
    except Exception:
        return None
    return name.to_wire().lower()


def normal(text: str) -> str:
    return text.lower() if text.endswith(".") and not text.endswith("\\.") else text.lower() + "."


def reference(kind: str, text: str, to: str, name: str) -> str | None:
    """What a rule makes of a name as text; None: it does not match."""
    text, to = normal(text), normal(to)
    if kind == "exact":
        return to if name == text else None
    if kind == "prefix":
        return to + name[len(text) :] if name.startswith(text) else None
    if kind == "suffix":
        return name[: len(name) - len(text)] + to if name.endswith(text) else None
    return name.replace(text, to) if text in name else None


def asked_below(rules: str, name: bytes) -> bytes | None:
    """The name that the step below is asked, lowered; None: nobody asks, the client gets SERVFAIL."""
    service = PlayedService("played")
    server = trial(step_of(rules), Wait("played"), services=(service,))
    reply = server.ask(query(name))
    if reply is not WAITS:
        assert isinstance(reply, bytes)
        assert reply[3] & 0xF == 2
        assert reply[12 : 12 + len(name)] == name, "the question is the client's"
        return None
    return server.asked(service)[0][0]


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(["exact", "prefix", "suffix", "substring"]), text=TEXTS, to=TEXTS, name=NAMES)
def test_a_name_becomes_what_the_reference_says(kind: str, text: str, to: str, name: bytes) -> None:
    if len(name) > 255:
        return
    wanted = reference(kind, text, to, lowered(name))
    # As it is written in a Corefile: an empty word cannot be.
    asked = asked_below(f'rewrite name {kind} "{text}" "{to}"', name)
    assert asked == (name.lower() if wanted is None else wire(wanted))


PATTERNS = st.sampled_from(
    [r"(a)(.*)", r"^a\.", r"(.*)\.(b|ab)\.$", r"([a-z]+)-?([a-z]*)", r"(\\)", r"(x{3})(y)?", r"(.*)"]
)
PIECES = st.lists(st.sampled_from(["{0}", "{1}", "{2}", "a.", ".", "b", "{9}"]), min_size=1, max_size=4).map(
    "".join
)


@settings(max_examples=150, deadline=None)
@given(pattern=PATTERNS, to=PIECES, name=NAMES)
def test_a_regex_becomes_what_the_reference_says(pattern: str, to: str, name: bytes) -> None:
    groups = re.compile(pattern).groups
    if len(name) > 255 or sum(f"{{{n}}}" in to for n in range(101)) > groups:
        return
    text = lowered(name)
    found = re.search(pattern, text)
    wanted = name.lower()
    if found is not None:
        filled = re.sub(
            r"\{(\d+)\}", lambda m: (found[int(m[1])] or "") if int(m[1]) <= groups else m[0], normal(to)
        )
        wanted = wire(filled)
    quoted = pattern.replace('"', '\\"')
    assert asked_below(f'rewrite name regex "{quoted}" "{to}"', name) == wanted


@pytest.mark.parametrize(
    ("rule", "name", "why"),
    [
        ("name suffix . .1234567890.", ".".join([LONG] * 4) + ".", "256 bytes"),
        (r"name regex (.*)\. {1}.{1}", ".".join([LONG] * 3) + ".", "twice 184 bytes"),
        ("name prefix a. " + "b" * 64, "a.test.", "a label of 64 bytes"),
        ("name exact a.test a..test", "a.test.", "an empty label"),
        ("name exact a.test .test", "a.test.", "a dot in front"),
    ],
)
def test_what_is_no_name_is_a_failure(rule: str, name: str, why: str) -> None:
    assert asked_below(f"rewrite {rule}", dns.name.from_text(name).to_wire()) is None, why


def test_255_bytes_are_a_name() -> None:
    name = dns.name.from_text(".".join([LONG] * 4) + ".").to_wire()
    longest = asked_below("rewrite name suffix . .123456789.", name)
    assert longest == name[:-1] + b"\x09123456789\0"
    assert len(longest) == 255


def test_bytes_that_do_not_print_keep_what_they_are() -> None:
    """A name is text with escapes for rules, and the same bytes below."""
    name = b"\4\0.\xff\\\4test\0"
    assert asked_below("rewrite name suffix .test. .other.", name) == b"\4\0.\xff\\\5other\0"
    pattern = r"^(\\000\\\.\\255\\\\)\.test"
    assert asked_below(f"rewrite name regex {pattern} {{1}}.other", name) == b"\4\0.\xff\\\5other\0"


# ------------------------------------------------------------------------------------------------- replies

ADDRESS = bytes([192, 0, 2, 1])


def shown(rules: str, name: bytes, below: bytes = b"\0", *, qtype: int = 1) -> dns.message.Message:
    """The reply to a client, where the step below answers all names below one with an address."""
    reply = trial(step_of(rules), Answer(below, ADDRESS)).ask(query(name, qtype=qtype))
    assert isinstance(reply, bytes)
    assert reply[12 : 12 + len(name)] == name, "the question is the client's"
    return dns.message.from_wire(reply)


@settings(max_examples=100, deadline=None)
@given(kind=st.sampled_from(["exact", "prefix", "suffix", "substring"]), text=TEXTS, to=TEXTS, name=NAMES)
def test_answer_auto_gives_the_owner_that_was_asked(kind: str, text: str, to: str, name: bytes) -> None:
    asked = asked_below(f'rewrite name {kind} "{text}" "{to}"', name) if len(name) <= 255 else None
    if asked is None:
        return
    wanted: bytes | None = name.lower()
    if kind == "suffix" and reference(kind, text, to, lowered(name)) is not None:
        # It is put back at the end of whatever ends in it, a backslash in front of it or not.
        back = reference(kind, to, text, lowered(asked))
        wanted = asked if back is None else wire(back)
    reply = shown(f'rewrite name {kind} "{text}" "{to}" answer auto', name)
    owners = [rrset.name.to_wire().lower() for rrset in reply.answer]
    assert owners == ([] if wanted is None else [wanted])
    assert reply.rcode() == (2 if wanted is None else 0)


def test_the_client_sees_its_own_spelling() -> None:
    name = b"\3wWw\4TeSt\0"
    assert shown("rewrite name www.test other.org", name).answer[0].name.to_wire() == name
    assert shown("rewrite name suffix .test .org answer auto", name).answer[0].name.to_wire() == name


def test_names_that_end_in_the_question_are_written_out() -> None:
    """The SOA record below has pointers into a question that the client does not see."""
    zone = b"\5other\3org\0"
    reply = shown("rewrite name suffix .test .other.org answer auto", b"\1a\4test\0", zone, qtype=16)
    assert reply.rcode() == 3
    assert reply.authority[0].to_text() == "other.org. 60 IN SOA ns.test. root.other.org. 1 2 3 4 5"
    reply = shown("rewrite name suffix .test .a.other.org", b"\1a\4test\0", zone, qtype=16)
    assert reply.authority[0].to_text() == "other.org. 60 IN SOA ns.other.org. root.other.org. 1 2 3 4 5"


def test_values_are_rewritten_where_the_question_stays_as_it_is() -> None:
    zone = b"\3org\0"
    reply = shown(r"rewrite name suffix .org .org answer value (ns)\.org {1}.test", b"\1a\3org\0", zone, qtype=16)
    assert reply.authority[0].to_text() == "org. 60 IN SOA ns.test. root.org. 1 2 3 4 5"


def test_an_owner_that_is_no_name_is_a_failure() -> None:
    reply = shown("rewrite name suffix .test .org answer name (.*) {1}.a..b", b"\1a\4test\0")
    assert (reply.rcode(), reply.answer, reply.authority) == (2, [], [])


def test_an_owner_that_is_too_long_is_a_failure() -> None:
    name = dns.name.from_text(".".join([LONG] * 3) + ".test.").to_wire()
    reply = shown("rewrite name suffix .test .org answer name (.*) {1}{1}", name)
    assert (reply.rcode(), reply.answer) == (2, [])


def test_a_large_reply_is_rewritten_as_long_as_there_is_room() -> None:
    """Each record of a large answer has the one owner: it is rewritten once."""
    reply = trial(
        step_of(r"rewrite name regex (.*)\.test {1}.org answer name (.*)\.org {1}.long.name.net"),
        Answer(b"\0", ADDRESS, records=4000),
    ).ask(query(b"\1a\4test\0"), tcp=True)
    assert isinstance(reply, bytes)
    message = dns.message.from_wire(reply, one_rr_per_rrset=True)
    assert len(message.answer) == 4000
    assert {rrset.name.to_text() for rrset in message.answer} == {"a.long.name.net."}


def test_codes_that_need_edns_are_failures_without() -> None:
    rules = "rewrite rcode suffix . NOERROR BADCOOKIE"
    assert shown(rules, b"\1a\0").rcode() == 2
    asked = dns.message.make_query("a.", "A", use_edns=0).to_wire()
    reply = trial(step_of(rules), Answer(b"\0", ADDRESS)).ask(asked)
    assert isinstance(reply, bytes)
    assert dns.message.from_wire(reply).rcode() == 23


def test_16_is_said_as_a_reply_not_as_a_wrong_version() -> None:
    asked = dns.message.make_query("a.", "A", use_edns=0).to_wire()
    reply = trial(step_of("rewrite rcode suffix . NOERROR BADSIG"), Answer(b"\0", ADDRESS)).ask(asked)
    assert isinstance(reply, bytes)
    message = dns.message.from_wire(reply)
    assert (message.rcode(), message.payload, len(message.answer)) == (16, 1232, 1)


def test_rcode_rules_apply_once() -> None:
    """Not once for each record, in the reverse of their order."""
    rules = "rewrite continue rcode suffix . NOERROR NXDOMAIN\nrewrite continue rcode suffix . NXDOMAIN REFUSED"
    reply = trial(step_of(rules), Answer(b"\0", ADDRESS, records=3)).ask(query(b"\1a\0"))
    assert isinstance(reply, bytes)
    assert reply[3] & 0xF == 3
