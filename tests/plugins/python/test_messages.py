"""Messages as steps in Python have them: names and rdata of any bytes, and what is no message."""

from __future__ import annotations

import random

import dns.message
import dns.name
import dns.rdata
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.dns.names import text_name
from fastdns.plugins.messages import read_message
from fastdns.plugins.python import UnreadableError, label_of, read, text_of

LABELS = st.lists(st.binary(min_size=1, max_size=63), max_size=3)


@given(LABELS)
def test_a_name_and_its_text(labels: list[bytes]) -> None:
    """From the message to text and back: whatever is in it."""
    name = dns.name.Name((*labels, b""))
    record = read_message(dns.message.make_query(name, "A").to_wire())
    assert record.q.qname.label == tuple(labels)
    text = text_of(record.q.qname)
    assert text == text_name(name.to_wire()) and label_of(text) == record.q.qname
    assert dns.name.from_text(text) == name


@pytest.mark.parametrize(
    ("kind", "rdata"),
    [
        pytest.param("CAA", b"\x00\x05issue\xff", id="a CAA value that is not UTF-8"),
        pytest.param("APL", b"", id="no rdata"),
        pytest.param("CNAME", b"\x03a\xffb\x03www\x00", id="a target that is not UTF-8"),
        pytest.param("MX", b"\x00\x0a\x01\xe9\x00", id="a host that is not UTF-8"),
        pytest.param("TXT", b"\x02\xff\xfe", id="a text that is not UTF-8"),
        pytest.param("TYPE65280", b"\xff\x00", id="a type without a name"),
    ],
)
def test_an_rr_is_read_and_written(kind: str, rdata: bytes) -> None:
    """The first two and those with names raised an exception: the client got SERVFAIL."""
    message = dns.message.make_response(dns.message.make_query("www.example.", kind))
    found = dns.rdata.GenericRdata(1, dns.rdatatype.from_text(kind), rdata)
    message.answer.append(dns.rrset.from_rdata("www.example.", 5, found))
    again = dns.message.from_wire(bytes(read_message(message.to_wire()).pack()))
    assert [data.to_wire() for data in again.answer[0]] == [rdata]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(b"\xc0\x0c", id="a pointer to itself"),
        pytest.param(b"\xc0\xff\x00", id="a pointer forwards"),
        pytest.param(b"\x01a\xc0\x0c", id="a pointer to its own beginning"),
        pytest.param(b"\x40" + b"a" * 64 + b"\0", id="a label of 64 bytes"),
        pytest.param((b"\x3f" + b"a" * 63) * 4 + b"\0", id="a name of 257 bytes"),
        pytest.param(b"\x05ab", id="an end within a label"),
        pytest.param(b"", id="no name"),
    ],
)
def test_what_is_no_name(name: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(b"\0\1\x81\x80\0\1\0\0\0\0\0\0" + name + b"\0\1\0\1")


def test_random_damage_is_an_error_or_a_message() -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    message = dns.message.make_response(dns.message.make_query("www.example.", "MX"))
    message.answer.append(dns.rrset.from_text("www.example.", 5, "IN", "MX", "1 a.example.", "2 b.www.example."))
    whole = message.to_wire()
    for _ in range(2000):
        damaged = bytearray(whole[: chance.randint(0, len(whole))] if chance.random() < 0.3 else whole)
        for _ in range(chance.randint(1, 4)):
            if damaged:
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            read(bytes(damaged)).pack()
        except UnreadableError:
            pass
        except Exception as error:
            raise AssertionError(f"seed {seed}: {bytes(damaged)!r}") from error
