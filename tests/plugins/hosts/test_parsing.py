"""The native reader of hosts files against a plain one."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastdns.memory._store import Store, Writer
from fastdns.plugins.hosts._parsing import HostsReader
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from tests.plugins.hosts.reference import PTR, A, Names, name_of, read
from tests.rrsets import _reading

pytestmark = pytest.mark.native

SOURCE = 4


def published(*texts: bytes) -> tuple[Names, HostsReader]:
    """What the zone store has of these texts, and what the reader says."""
    draft = Draft(b"\0")
    reader = HostsReader()
    for text in texts:
        reader.read(draft, text)
    assert draft.left_out == {}
    store = Store(1 << 22)
    ZoneWriter(Writer(store), SOURCE).replace(draft)
    names: Names = {}
    for name in _reading.names(store, SOURCE, b"\0") or ():
        rrsets = _reading.rrsets(store, SOURCE, b"\0", name)
        assert rrsets is not None
        names[name + b"\0"] = {rrtype: rrs for rrtype, (_, rrs) in rrsets.items()}
    return names, reader


def check(*texts: bytes) -> None:
    names, addresses, pointers, skipped = read(*texts)
    found, reader = published(*texts)
    assert found == names
    assert (reader.addresses, reader.pointers, reader.skipped) == (addresses, pointers, skipped)
    assert bool(reader.first_skipped) == bool(skipped)


ADDRESS = st.one_of(
    st.ip_addresses().map(lambda address: str(address).encode()),
    st.ip_addresses(v=4).map(lambda address: b"::ffff:" + str(address).encode()),
    st.sampled_from([
        b"0.0.0.0", b"127.0.0.1", b"::1", b"::", b"fe80::1%eth0", b"1.2.3.4%x", b"1.2.3.4%", b"010.0.0.1",
        b"1.2.3.4.5", b"256.1.1.1", b"1.2.3.4/24", b"::ffff:1.2.3.04", b"1::2::3", b":::", b"1:2:3:4:5:6:7:8::",
        b"1:2:3:4:5:6:7::8:9", b"1:2:3:4:5:6:7::", b"::1.2.3.4", b"0x7f.1", b"1..2.3", b"-1.2.3.4", b"12345::",
        b"%", b"1.2.3", b"x" * 300, b"fe80::%" + b"z" * 200,
    ]),
)  # fmt: skip
NAME = st.one_of(
    st.from_regex(rb"\A[a-zA-Z0-9_-]{1,12}(\.[a-zA-Z0-9_-]{1,12}){0,3}\.?\Z"),
    st.sampled_from([
        b"localhost", b"a.example", b"A.EXAMPLE", b"*.w.example", b"*", b"*.", b"x*.example", b"a.*.example",
        b".", b"..", b".a", b"a..b", b"a" * 63, b"a" * 64, b".".join([b"a" * 49] * 5), b".".join([b"a" * 63] * 4),
        b"a\\.b.example", b"\\065.example", b"\\256.x", b"a\\", b"\\1", b"\\12", b"a\\032b.x",
        b"b\xc3\xbccher.example", b"\x01x", b"\x7f", b"x" * 5000,
        b".".join([b"a" * 63] * 3) + b"." + b"b" * 61, b".".join([b"a" * 63] * 3) + b"." + b"b" * 62,
        b".".join([b"a" * 63] * 3) + b"." + b"b" * 61 + b".",
    ]),
    st.binary(min_size=1, max_size=6),
)  # fmt: skip
SPACE = st.sampled_from([b" ", b"\t", b"  \t ", b"\x0b", b"\x0c", b"\r"])
END = st.sampled_from([b"", b" ", b"#x", b" # y z", b"\r"])
LINE = st.one_of(
    st.tuples(
        ADDRESS, st.lists(st.tuples(SPACE, NAME), max_size=4), st.sampled_from([b"", b" ", b"#x", b" # y z", b"\r"])
    ).map(lambda parts: parts[0] + b"".join(space + name for space, name in parts[1]) + parts[2]),
    st.binary(max_size=30),
    st.sampled_from([b"", b"#", b"   ", b"# 1.2.3.4 a", b"1.2.3.4", b"a.example 1.2.3.4"]),
)
TEXT = st.tuples(st.lists(LINE, max_size=12), st.booleans()).map(
    lambda parts: b"\n".join(parts[0]) + b"\n" * parts[1]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=3))
@example([b"1.2.3.4 a\n1.2.3.4 a\n1.2.3.5 a\n::1 a"])
@example([b"::1 *.a\n1.2.3.4 a.b", b"1.2.3.4 a.b c.d"])
def test_texts_are_read_as_hosts_5_says(texts: list[bytes]) -> None:
    check(*texts)


@pytest.mark.parametrize("word", [
    b"a.example", b"a.example.", b".", b"*", b"a" * 64, b"\\0651", b"\\999", b"..",
])  # fmt: skip
def test_a_name_by_itself(word: bytes) -> None:
    names, reader = published(b"10.0.0.1 " + word)
    name = name_of(word)
    assert (name in names) == (name is not None) and reader.skipped == (name is None)


def test_lines_may_have_any_length() -> None:
    """Go's scanner ends at a line of 64 KiB, and what stands behind it is lost."""
    many = (
        b"10.0.0.1 "
        + b" ".join(b"host%d.example" % number for number in range(9000))
        + b"\n10.0.0.2 behind.example"
    )
    assert len(many) > 128 << 10
    names, reader = published(many)
    assert names[b"\6behind\7example\0"] == {A: [b"\x0a\0\0\2"]}
    assert reader.addresses == 9001


def test_an_address_points_to_as_many_names_as_a_message_holds() -> None:
    """A block list has all its names at one address; other addresses come between them."""
    chance = random.Random(1)
    lines = [b"0.0.0.0 n%d.example" % number for number in range(6000)]
    for number in range(300):
        lines.insert(chance.randrange(len(lines)), b"10.0.%d.1 other%d.example" % (number % 256, number))
    names, reader = published(b"\n".join(lines))
    assert reader.pointers == 6300
    pointed = names[b"\1" + b"0\1" * 3 + b"0\7in-addr\4arpa\0"][PTR]
    assert 2000 < len(pointed) <= 4096 and sum(2 + len(name) for name in pointed) <= 65000
    assert len([name for name in names if name.endswith(b"\7in-addr\4arpa\0")]) == 257


@pytest.mark.parametrize("seed", range(4))
def test_mangled_bytes_end(seed: int) -> None:
    """Whatever stands in a file is read to its end (the sanitizers see that nothing beyond it is)."""
    chance = random.Random(seed)
    whole = b"".join(b"10.0.%d.%d host%d.example *.w%d.example # x\n" % (n, n, n, n) for n in range(200))
    for _ in range(60):
        mangled = bytearray(whole)
        for _ in range(chance.randrange(1, 300)):
            mangled[chance.randrange(len(mangled))] = chance.choice(
                (0, 9, 10, 32, 35, 37, 46, 58, 92, 255, chance.randrange(256))
            )
        check(bytes(mangled[: chance.randrange(len(mangled))]))


def test_names_are_below_the_root_only() -> None:
    with pytest.raises(ValueError, match="below the root"):
        HostsReader().read(Draft(b"\1a\0"), b"")
