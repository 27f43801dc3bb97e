"""Zone files: what is read, what is left out, what is wrong and where; and files that nobody meant to write."""

from __future__ import annotations

import io
import os
import random
import resource
import struct
import subprocess
import sys
from pathlib import Path

import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.zone
import dns.zonefile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.errors import SourceError
from fastdns.zonefiles import reading
from fastdns.zonefiles._sifting import rows
from fastdns.zonefiles.child import MAX_OPEN_FILES, read
from fastdns.zonefiles.frames import Job
from fastdns.zonefiles.reading import Collector, EntryTokenizer, UnchangedError, read_zone
from tests.authoritative.served import draft_of, zone_of
from tests.authoritative.signing import Parameters, with_nsec3
from tests.authoritative.test_semantics import ORIGIN, made
from tests.authoritative.test_signed import lines_of

pytestmark = pytest.mark.native

HEAD = "$TTL 300\n@ 60 IN SOA ns host 7 2 3 4 5\n@ IN NS ns\n"
RR = tuple[str, str, int, str]


def rrs_of(made: bytes) -> list[RR]:
    """Rows as text: owner, type, TTL, rdata."""
    found = []
    at = 0
    while at < len(made):
        size, rrtype, ttl_s, rdata_size = struct.unpack_from("=BHIH", made, at)
        at += 9
        owner = dns.name.from_wire(made, at)[0]
        kind = dns.rdatatype.to_text(rrtype)
        rdata = dns.rdata.from_wire(dns.rdataclass.IN, rrtype, made, at + size, rdata_size)
        found.append((owner.to_text(), kind, ttl_s, rdata.to_text()))
        at += size + rdata_size
    return sorted(found)


def write(folder: Path, text: str | bytes) -> str:
    path = folder / "db"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def test_a_file(tmp_path: Path) -> None:
    more = "ns A 192.0.2.1\n  AAAA 2001:db8::1\n$ORIGIN sub.z.test.\nw ( A\n 192.0.2.2 ) ; two\n"
    file = write(tmp_path, HEAD + more)
    text = read_zone(file, "z.test.")
    assert (text.serial, text.rrs, text.said, text.left_out, text.files) == (7, 5, [], 0, [file])
    assert rrs_of(b"".join(text.rows)) == [
        ("ns.z.test.", "A", 300, "192.0.2.1"),
        ("ns.z.test.", "AAAA", 300, "2001:db8::1"),
        ("w.sub.z.test.", "A", 300, "192.0.2.2"),
        ("z.test.", "NS", 300, "ns.z.test."),
        ("z.test.", "SOA", 60, "ns.z.test. host.z.test. 7 2 3 4 5"),
    ]
    with pytest.raises(UnchangedError):
        read_zone(file, "z.test.", 7)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", 'file "FILE" has no SOA record for origin z.test.; expected one: @ 3600 IN SOA MNAME RNAME SERIAL'),
        ("$TTL 5\na A 192.0.2.1\n", 'file "FILE" has no SOA record for origin z.test.; expected one: @ 3600'),
        (
            "\nother.test. 5 SOA ns host 1 2 3 4 5\n",
            'FILE:2 - file "FILE" has no SOA record for origin z.test.: that here is of other.test.; write @ as '
            "its owner, or serve the zone other.test.",
        ),
        (
            "$ORIGIN z.test.\n$ORIGIN a\n@ 5 SOA ns host 1 2 3 4 5\n",
            'FILE:3 - file "FILE" has no SOA record for origin z.test.: that here is of a.z.test.; write @',
        ),
        (HEAD + "a A 192.0.2.999\n", "FILE:4 - "),
        (
            HEAD + "\n; comment\na NOTYPE x\n",
            "FILE:6 - 'NOTYPE' is no type of records; expected [OWNER] [TTL] [IN] TYPE RDATA",
        ),
        (HEAD + "a CH A 192.0.2.1\n", "FILE:4 - its class is not IN; expected [OWNER] [TTL] [IN] A IPV4-ADDRESS"),
        (HEAD + "a..b A 192.0.2.1\n", "FILE:4 - A DNS label is empty; expected"),
        (HEAD + f"{'a' * 64} A 192.0.2.1\n", "FILE:4 - A DNS label is > 63 octets long; expected"),
        (HEAD + "a ( A 192.0.2.1\n", "FILE:4 - "),
        (HEAD + 'a TXT "open\n', "FILE:4 - "),
        (HEAD + "$INCLUDE missing\n", "FILE:4 - $INCLUDE missing: No such file or directory"),
        (HEAD + "$ODD x\n", "FILE:4 - "),
        ("a A 192.0.2.1\n", "FILE:1 - it has no TTL, and no $TTL stands above it; expected [OWNER] [TTL] "),
        (HEAD.encode() + b'a TXT "\xff"\n', "FILE:4 - "),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str | bytes, said: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(SourceError) as raised:
        read_zone(file, "z.test.")
    assert str(raised.value).startswith(said.replace("FILE", file)), raised.value


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a.other.test. A 192.0.2.1", "a.other.test. A: it is not in the zone z.test."),
        ("c A 192.0.2.1\nc CNAME x", "c.z.test. A: its name has a CNAME record"),
        ("c CNAME x\nc CNAME y", "c.z.test. CNAME: its name has another CNAME record"),
        ("c DNAME x\nc DNAME y", "c.z.test. DNAME: its name has another DNAME record"),
        ("@ CNAME x", "z.test. CNAME: the zone itself has no CNAME record"),
        ("c SOA ns host 1 2 3 4 5", "c.z.test. SOA: only the zone itself has an SOA record"),
        ("\\000x.z.test. A 192.0.2.1", "\\000x.z.test. A: names that begin so are the server's own"),
        ("h NSEC3 1 0 151 - 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM A", "h.z.test. NSEC3: it has over 150 iterations"),
        (
            "h.x NSEC3 1 0 0 - 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM A",
            "h.x.z.test. NSEC3: it is not right below the zone",
        ),
    ],
)
def test_what_cannot_be_served_is_left_out_and_said(tmp_path: Path, line: str, said: str) -> None:
    file = write(tmp_path, f"{HEAD}{line}\nlast A 192.0.2.3\n")
    text = read_zone(file, "z.test.")
    assert text.left_out == 1
    place = f"{file}:{4 + line.count(chr(10)) * ('another' in said)} - "
    assert text.said == [place + said]
    assert ("last.z.test.", "A", 300, "192.0.2.3") in rrs_of(b"".join(text.rows))


def test_the_last_soa_record_counts(tmp_path: Path) -> None:
    """As in CoreDNS; a file that a transfer has left has the same one twice, which is no mistake."""
    text = read_zone(write(tmp_path, HEAD + "@ 60 IN SOA ns host 8 2 3 4 5\n"), "z.test.")
    assert (text.serial, text.left_out) == (8, 1)
    text = read_zone(write(tmp_path, HEAD + "@ 60 IN SOA ns host 7 2 3 4 5\n"), "z.test.")
    assert (text.serial, text.left_out) == (7, 0)


def test_signatures_stand_beside_aliases(tmp_path: Path) -> None:
    lines = "c CNAME x\nc NSEC d CNAME RRSIG NSEC\n"
    signature = "c RRSIG CNAME 13 3 60 20300101000000 20200101000000 1 z.test. AAAA\n"
    text = read_zone(write(tmp_path, HEAD + lines + signature), "z.test.")
    assert (text.rrs, text.left_out) == (5, 0)


def test_nsec3_records_are_put_on_their_shelf(tmp_path: Path) -> None:
    """Where tests of answers put them, too; with their signatures, whichever comes first."""
    zone = made({("a",): [("A", ["192.0.2.1"])], ("b", "c"): [("A", ["192.0.2.2"])]})
    text = with_nsec3(zone, ORIGIN, lines_of(zone), Parameters(5, b"A\xbb"))
    draft = draft_of(zone_of(text, "z.test."))
    expected = rrs_of(rows(draft, 0, 1 << 20, bytes(len(draft)))[0])
    assert sum("NSEC3 " in f"{kind} {rdata} " for _, kind, _, rdata in expected) == 2 * 4
    for lines in (text.splitlines(), reversed(text.splitlines())):
        found = read_zone(write(tmp_path, "\n".join(lines) + "\n"), "z.test.")
        assert (rrs_of(b"".join(found.rows)), found.left_out) == (expected, 0)


def test_files_that_are_included_stand_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("a A 192.0.2.1\nb.other. A 192.0.2.1\n")
    file = write(tmp_path, HEAD + "$INCLUDE more\n$INCLUDE more sub\n")
    text = read_zone(file, "z.test.")
    assert text.files == [file, str(tmp_path / "more")]
    assert [rr[0] for rr in rrs_of(b"".join(text.rows))] == ["a.sub.z.test.", "a.z.test.", "z.test.", "z.test."]
    assert text.said == ["more:2 - b.other. A: it is not in the zone z.test."] * 2


def test_a_file_that_includes_itself_ends(tmp_path: Path) -> None:
    file = write(tmp_path, HEAD + "$INCLUDE db\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, hard))
    try:
        with pytest.raises(SourceError, match="Too many open files"):
            read_zone(file, "z.test.")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.timeout(20)
def test_pipes_and_devices_are_not_included(tmp_path: Path) -> None:
    """A pipe was waited for, by a start and a reload too, and /dev/zero filled the memory."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "/dev/zero"):
        file = write(tmp_path, f"{HEAD}$INCLUDE {name}\n")
        with pytest.raises(SourceError, match=rf":4 - \$INCLUDE {name}: expected a regular file"):
            read_zone(file, "z.test.")


def test_too_many_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_RRS", 1000)
    file = write(tmp_path, HEAD + "$GENERATE 1-4000 h$ A 192.0.2.1\n")
    with pytest.raises(SourceError, match=r":4 - a zone has at most 1000 records"):
        read_zone(file, "z.test.")
    file = write(tmp_path, HEAD + "$GENERATE 1-4000 h$.other. A 192.0.2.1\n")
    with pytest.raises(SourceError, match=r":4 - a zone file has at most 1000 records that are left out"):
        read_zone(file, "z.test.")


def test_generate_with_many_steps_is_refused_at_once(tmp_path: Path) -> None:
    """A thousand million steps took minutes and gigabytes."""
    text = read_zone(write(tmp_path, HEAD + "$GENERATE 0-131071/2 h$ A 192.0.2.1\n"), "z.test.")
    assert text.rrs == 65_536 + 2
    file = write(tmp_path, HEAD + "$GENERATE 1-1000000000 h$ A 192.0.2.1\n")
    with pytest.raises(SourceError, match=r":4 - \$GENERATE 1-1000000000 makes 1000000000 records; expected"):
        read_zone(file, "z.test.")


def test_includes_of_includes_are_bounded(tmp_path: Path) -> None:
    """Each file includes the next one twice: 2 to the power of 40 files were read."""
    for number in range(40):
        (tmp_path / f"f{number}").write_text(f"$INCLUDE f{number + 1}\n" * 2)
    (tmp_path / "f40").write_text("a A 192.0.2.1\n")
    file = write(tmp_path, HEAD + "$INCLUDE f0\n")
    with pytest.raises(SourceError, match="a zone file includes at most 1000 files"):
        read_zone(file, "z.test.")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("@ 99999999999 IN A 192.0.2.1", "'99999999999' is no TTL, which is 0 to 4294967295 seconds or like 1h30m"),
        ("a IN -1 A 192.0.2.1", "'-1' is no TTL, which is 0 to 4294967295 seconds or like 1h30m"),
        ("$GENERATE 1-3 a$ 99999999999 A 192.0.2.$", "'99999999999' is no TTL, which is 0 to"),
        ("$TTL 99999999999", "the TTL is not 0 to 4294967295; expected $TTL SECONDS"),
        ("$TTL x", "the TTL is not 0 to 4294967295, nor like 1h30m; expected $TTL SECONDS"),
        ("a", "it is malformed; expected [OWNER] [TTL] [IN] TYPE RDATA"),
        ("a A 192.0.2", "it is malformed; expected [OWNER] [TTL] [IN] A IPV4-ADDRESS"),
        ("a A 192.0.2.1 192.0.2.2", "'192.0.2.2' is one word too many; expected [OWNER] [TTL] [IN] A IPV4-ADDRESS"),
        ("a MX mail", "a number is missing; expected [OWNER] [TTL] [IN] MX PREFERENCE HOST"),
        ("a RRSIG A 5", "a word is missing; expected [OWNER] [TTL] [IN] RRSIG RDATA"),
        ("$GENERATE 1-x a$ A 192.0.2.1", "it is malformed; expected $GENERATE START-STOP[/STEP] OWNER"),
        ("$GENERATE 1-3 a$ A", "its type and what follows are missing; expected $GENERATE START-STOP[/STEP] OWNER"),
        ("$ODD x", "$ODD is no directive; expected one of $GENERATE, $INCLUDE, $ORIGIN, $TTL, $UNICODE"),
        ("$INCLUDE", "$INCLUDE FILE expected: No such file or directory"),
    ],
)  # fmt: skip
def test_a_mistake_says_what_was_expected(tmp_path: Path, line: str, said: str) -> None:
    """A long TTL was called an unknown rdatatype, and words that are missing malformed input."""
    file = write(tmp_path, f"{HEAD}{line}\n")
    with pytest.raises(SourceError) as raised:
        read_zone(file, "z.test.")
    assert str(raised.value).startswith(f"{file}:4 - {said}"), raised.value
    (tmp_path / "within").write_text(f"\n{line}\n")
    with pytest.raises(SourceError) as raised:
        read_zone(write(tmp_path, f"{HEAD}$INCLUDE within\n"), "z.test.")
    assert str(raised.value).startswith(f"within:2 - {said}"), raised.value


@pytest.mark.parametrize("what", ["/dev/zero", ".", "missing"])
def test_what_is_no_file(tmp_path: Path, what: str) -> None:
    said = read(Job(str(tmp_path / what), "z.test."), io.BytesIO(), rows=True)
    assert said.error and said.unreadable == (what == "missing")


# ------------------------------------------------------------------------------------------------ plain lines

OWNERS = st.sampled_from(
    ["a", "B.c", "*", "@", "x.z.test.", "", "", "deep.er", "1", "in", "_s._tcp", "o.other.", "-"]
)  # fmt: skip
TTLS = st.sampled_from(["", "", "5", "0", "4294967295", "1h", "99999999999", "2147483648"])
CLASSES = st.sampled_from(["", "", "IN", "in"])
NAMES = st.sampled_from(["a", "b.c", "@", ".", "host.other.", "A.Z.test.", "x" * 63, "x" * 64, "a..b", "$x", "é"])
TIMES = st.sampled_from(
    [
        "20300101000000", "20240229235959", "20230229000000", "20000229000000", "21000229000000", "21000301000000",
        "21060207062815", "21060207062816", "19700101000000", "19691231235959", "20301301000000", "20300431000000",
        "20300101240000", "20300101000060", "1893456000", "2030010100000x", "203001010000000",
    ]
)  # fmt: skip
SIGNATURES = st.builds(
    "{} {} {} {} {} {} {} {} {}".format,
    st.sampled_from(["A", "a", "NSEC", "CAA", "NSEC3", "TYPE65400", "x"]),
    st.sampled_from(["13", "013", "256", "RSASHA256"]),
    st.sampled_from(["2", "255", "256"]),
    st.sampled_from(["300", "300", "1h", "4294967295", "4294967296"]),
    TIMES, TIMES,
    st.sampled_from(["1", "65535", "65536"]),
    NAMES,
    st.sampled_from(["AAAA", "+/0z", "AAA=", "AB==", "A===", "AAA", "AAAA=", "!!!!", "AAAA AAAA", "", "=AAA"]),
)  # fmt: skip
RDATA = st.one_of(
    st.tuples(
        st.just("A"), st.sampled_from(["192.0.2.1", "1.2.3", "01.2.3.4", "1.2.3.256", "0.0.0.0", "1.2.3.4.5"])
    ),
    st.tuples(st.just("AAAA"), st.sampled_from(["::", "2001:db8::1", "::ffff:1.2.3.4", "1:2", "fe80::1%eth0"])),
    st.tuples(st.sampled_from(["NS", "cname", "PTR"]), NAMES),
    st.tuples(st.just("MX"), NAMES.map(lambda name: f"10 {name}")),
    st.tuples(st.just("SRV"), NAMES.map(lambda name: f"1  2\t3 {name}")),
    st.tuples(st.just("MX"), st.sampled_from(["65536 a", "-1 a", "a", "1"])),
    st.tuples(
        st.just("TXT"),
        st.sampled_from(
            ['"a b"', '"a" "b"', '""', "bare", '"a""b"', '"\\""', '"a;b"', '"(x"', f'"{"y" * 255}"', "é"]
        ),
    ),
    st.tuples(st.just("RRSIG"), SIGNATURES),
    st.tuples(
        st.just("NSEC"),
        st.builds("{} {}".format, NAMES, st.sampled_from(
            ["A RRSIG NSEC", "nsec A A", "CAA URI", "TYPE1234 A", "", "x", "TYPE0", "NSEC3", "HTTPS DNSKEY ; x"]
        )),
    ),
    st.tuples(st.sampled_from(["CAA", "TYPE1", "NOTYPE"]), st.sampled_from(['0 issue "x"', "\\# 4 01020304"])),
)
ENDS = st.sampled_from(["", "", " ", "\t; comment", ";x", " extra", " )"])


@st.composite
def entries(draw: st.DrawFn) -> str:
    """One line of a zone file, mostly a right one."""
    owner, ttl, rrclass, (kind, rdata) = draw(OWNERS), draw(TTLS), draw(CLASSES), draw(RDATA)
    words = [ttl, rrclass] if draw(st.booleans()) else [rrclass, ttl]
    return f"{owner} {' '.join(words)} {kind} {rdata}{draw(ENDS)}"


OTHERS = st.sampled_from(["", "; comment", "   ", "$TTL 77", "$ORIGIN sub", "$ORIGIN z.test.", "$ORIGIN other."])


def read_text(text: str, *, plain: bool) -> tuple[str, list[RR], list[str]]:
    """(error, RRs, what was left out), with plain lines read natively or not."""
    collector = Collector(dns.name.from_text("z.test."), None)
    tokens = EntryTokenizer(text.encode(), "db", collector)
    if not plain:
        tokens.take_lines = lambda: None  # type: ignore[method-assign]
    reader = dns.zonefile.Reader(tokens, dns.rdataclass.IN, collector, allow_include=True)  # type: ignore[arg-type]
    reader.current_origin = reader.last_name = collector.origin
    tokens.reader = reader
    collector.where = lambda: (tokens.filename, tokens.entry_line)
    error = ""
    try:
        reader.read()
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    collector.flush()
    made = b"".join(reading.batches(collector.draft, bytearray(len(collector.draft))))
    return error, rrs_of(made), collector.said


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(entries(), entries(), OTHERS), max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans()
)
def test_plain_lines_are_what_dnspython_reads(lines: list[str], newline: str, ends: bool) -> None:
    """The same RRs, TTLs, left out lines, and errors at the same line."""
    text = newline.join([*HEAD.splitlines(), *lines]) + newline * ends
    assert read_text(text, plain=True) == read_text(text, plain=False)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2**32))
def test_hostile_files_end_in_an_error_or_a_zone(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, seed: int
) -> None:
    """Noise, and a right file that is mangled: never anything but a Read."""
    rng = random.Random(seed)
    data = bytearray(
        HEAD.encode() + b'a A 192.0.2.1\nb MX 10 a\nc TXT "x" "y"\n'
        b"$GENERATE 1-9 h$ A 192.0.2.$\nd ( SRV\n1 2 3 a )\n"
    )  # fmt: skip
    for _ in range(rng.randrange(8)):
        at = rng.randrange(len(data))
        data[at : at + rng.randrange(3)] = bytes([rng.choice(b'\0\xff"(\\\n$ 9')])[: rng.randrange(2)]
    folder = tmp_path_factory.getbasetemp()
    for content in (noise, HEAD.encode() + noise, bytes(data)):
        if b"-" in content.partition(b"GENERATE")[2] and b"1-9 " not in content:
            # A range of billions is bounded, but takes its time.
            continue
        said = read(Job(write(folder, content), "z.test."), io.BytesIO(), rows=True)
        assert said.error or said.serial >= 0


def test_only_the_child_imports_dnspython() -> None:
    """Its memory would be every worker's."""
    modules = "fastdns.plugins.file.source, fastdns.plugins.file.step, fastdns.plugins.auto.source"
    program = f"import sys, {modules}, fastdns.zonefiles.asking\nassert 'dns' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
