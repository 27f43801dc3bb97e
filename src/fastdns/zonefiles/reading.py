"""One zone file: the RRs that dnspython reads of it, in wire form. Runs in a child process (child.py) only.

Errors end reading, with file and line: what is no zone file, and a zone without an SOA record. What cannot be
served is left out and said: RRs outside of the zone, and RRs beside CNAME records (_sifting.pyx).

dnspython reads some ten thousand RRs a second. So plain lines are taken out of the text before it sees them
(_lines.pyx). NSEC3 records are put on the shelf that authoritative/_denial.pxd describes.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import dns.exception
import dns.grange
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.zonefile

from fastdns.dns.names import text_name
from fastdns.errors import SourceError
from fastdns.rrsets._draft import Draft
from fastdns.zonefiles import mistakes
from fastdns.zonefiles._lines import simple_lines
from fastdns.zonefiles._sifting import conflicts, rows

MAX_FILE_BYTES = 1 << 30
MAX_RRS = 20_000_000
# As in CoreDNS: a line may say more than a machine has room for.
MAX_GENERATED = 65_536
# A file that includes another one twice, which includes a third one twice, and so on.
MAX_INCLUDES = 1000
# Of the RRs that are left out, so many are said.
MAX_SAID = 10
# RRs are collected up to here, then handed on.
BATCH_BYTES = 1 << 16
BATCH_LINES = 4096
# NSEC3 with more iterations: see authoritative/_denial.pxd.
MAX_ITERATIONS = 150
MAX_LABEL_SALT_BYTES = 40
# An RRset's bound, see rrsets/_layout.pxd.
MAX_RDATA_BYTES = 64_998

SOA, RRSIG, NSEC3 = 6, 46, 50
ROW = struct.Struct("=BHIH")

Place = tuple[str, int]


class UnchangedError(Exception):
    """The zone has the serial that it had."""


@dataclass(slots=True)
class ZoneText:
    """What a file holds. rrs: how many RRs; rows: they, some at a time. said: what is left out, the first of
    left_out. files: which files were read."""

    serial: int
    rrs: int
    rows: Iterator[bytes]
    said: list[str] = field(default_factory=list)
    left_out: int = 0
    files: list[str] = field(default_factory=list)


class Collector:
    """What dns.zonefile.Reader writes into: it plays a dns.transaction.Transaction."""

    def __init__(self, origin: dns.name.Name, known_serial: int | None) -> None:
        self.origin = origin
        self.zone = origin.to_wire() or b""
        self.known_serial = known_serial
        self.serial: int | None = None
        # The last SOA record that is not the zone's, and its owner.
        self.other_soa: tuple[Place, str] | None = None
        self.draft = Draft(self.zone)
        self.batch: list[bytes] = []
        self.batch_bytes = 0
        # By the number of an RR in the draft: which of the files, and the line.
        self.files: list[str] = []
        self.file_of = array("B")
        self.line_of = array("I")
        self.where: Callable[[], Place] = lambda: ("", 0)
        self.said: list[str] = []
        self.left_out = 0
        self.last_name: dns.name.Name | None = None
        self.last_owner = b""
        # By hash, in wire form: the label of its shelf; and the signatures that are to stand there.
        self.shelves: dict[bytes, bytes] = {}
        self.unshelved: list[tuple[bytes, int, bytes, Place]] = []

    # What the Reader asks for. Its names are absolute, and none are passed over for being outside of the zone.

    @property
    def manager(self) -> Collector:
        return self

    def origin_information(self) -> tuple[dns.name.Name, bool, dns.name.Name]:
        return dns.name.root, False, dns.name.root

    def check_put_rdataset(self, check: Any) -> None:
        """Its check is of a zone in memory, which there is not."""

    def add_unicode(self, word: str) -> None:
        """How names in Unicode are read, which the Reader knows itself."""

    def _set_origin(self, origin: dns.name.Name) -> None:
        """The zone has the name that the Corefile gives it."""

    def add(self, name: dns.name.Name, ttl_s: int, rdata: dns.rdata.Rdata) -> None:
        """One RR."""
        if name is not self.last_name:
            self.last_name = name
            self.last_owner = (name.to_wire() or b"") if name.is_subdomain(self.origin) else b""
        owner, rrtype = self.last_owner, int(rdata.rdtype)
        if rrtype == SOA and name != self.origin:
            self.other_soa = self.where(), name.to_text()
        if not owner:
            self.leave_out(self.where(), name.to_text(), rrtype, f"it is not in the zone {self.origin}")
            return
        wire = rdata.to_wire() or b""
        if len(wire) > MAX_RDATA_BYTES:
            self.leave_out(self.where(), name.to_text(), rrtype, "it does not fit into a message")
            return
        if rrtype == SOA and name == self.origin:
            self.serial = int.from_bytes(wire[-20:-16], "big")
            if self.serial == self.known_serial:
                raise UnchangedError
        if rrtype == NSEC3 or (rrtype == RRSIG and wire[:2] == NSEC3.to_bytes(2, "big")):
            self.shelve(name, rrtype, ttl_s, wire)
        elif name != self.origin and name.labels[-len(self.origin) - 1][:1] == b"\0":
            self.leave_out(self.where(), name.to_text(), rrtype, "names that begin so are the server's own")
        else:
            self.keep(owner, rrtype, ttl_s, wire, self.where())

    def shelve(self, name: dns.name.Name, rrtype: int, ttl_s: int, wire: bytes) -> None:
        """Put an NSEC3 record on its shelf; signatures follow when all shelves are known."""
        hashed = bytes((len(name.labels[0]),)) + name.labels[0].lower()
        if name == self.origin or name.parent() != self.origin:
            self.leave_out(self.where(), name.to_text(), rrtype, "it is not right below the zone")
        elif rrtype == RRSIG:
            self.unshelved.append((hashed, ttl_s, wire, self.where()))
        elif int.from_bytes(wire[2:4], "big") > MAX_ITERATIONS:
            self.leave_out(self.where(), name.to_text(), rrtype, f"it has over {MAX_ITERATIONS} iterations")
        else:
            label = b"\0" + wire[2:4] + wire[5 : 5 + wire[4]][:MAX_LABEL_SALT_BYTES]
            shelf = self.shelves[hashed] = bytes((len(label),)) + label
            self.keep(hashed + shelf + self.zone, rrtype, ttl_s, wire, self.where())

    def keep(self, owner: bytes, rrtype: int, ttl_s: int, wire: bytes, where: Place) -> None:
        """Take an RR into the draft."""
        self.batch += (ROW.pack(len(owner), rrtype, ttl_s, len(wire)), owner, wire)
        self.batch_bytes += len(owner) + len(wire)
        self.file_of.append(self.file_number(where[0]))
        self.line_of.append(where[1])
        if self.batch_bytes > BATCH_BYTES:
            self.flush()

    def keep_rows(self, made: bytes, lines: bytes, file: str) -> None:
        """Take RRs of plain lines into the draft. lines: of each (u32)."""
        self.flush()
        self.draft.add_rows(made)
        self.line_of.frombytes(lines)
        self.file_of.frombytes(bytes((self.file_number(file),)) * (len(lines) // 4))

    def file_number(self, file: str) -> int:
        """The number of a file. Of very many the last ones are not told apart."""
        if file not in self.files[-1:] and file not in self.files:
            self.files.append(file)
        return min(self.files.index(file), 255)

    def flush(self) -> None:
        """Hand on what is collected."""
        self.draft.add_rows(b"".join(self.batch))
        self.batch.clear()
        self.batch_bytes = 0
        if len(self.draft) > MAX_RRS:
            raise SourceError(f"{named(self.where())} - a zone has at most {MAX_RRS} records")

    def leave_out(self, where: Place, owner: str, rrtype: int, why: str) -> None:
        """Say what is not served."""
        self.left_out += 1
        if self.left_out > MAX_RRS:
            raise SourceError(f"{named(where)} - a zone file has at most {MAX_RRS} records that are left out")
        if len(self.said) < MAX_SAID:
            kind = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rrtype))
            self.said.append(f"{where[0]}:{where[1]} - {owner} {kind}: {why}")

    def finish(self) -> bytearray:
        """All is read. Returns a byte for each RR of the draft, in order: not 0 for what is left out."""
        for hashed, ttl_s, wire, where in self.unshelved:
            if hashed in self.shelves:
                self.keep(hashed + self.shelves[hashed] + self.zone, RRSIG, ttl_s, wire, where)
        self.flush()
        without = bytearray(len(self.draft))
        for place, number, relative, rrtype, why in conflicts(self.draft):
            without[place] = 1
            where = (self.files[self.file_of[number]], self.line_of[number])
            self.leave_out(where, text_name(relative + self.zone), rrtype, why)
        return without


class Characters:
    """A file's text, a character at a time. after_line: whether the next one begins a line."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.at = 0
        self.line = ""
        self.place = 0

    @property
    def after_line(self) -> bool:
        return self.place == len(self.line)

    def read(self, size: int) -> str:
        """The next character, or an empty string."""
        if self.place == len(self.line):
            end = self.text.find(b"\n", self.at) + 1 or len(self.text)
            taken = self.text[self.at : end]
            # A text that is no UTF-8 is an error where it matters: it may stand in a comment.
            self.line = taken.replace(b"\r\n", b"\n").decode("utf-8", "surrogateescape")
            self.place = 0
            self.at = end
            if not taken:
                return ""
        self.place += 1
        return self.line[self.place - 1]


class EntryTokenizer(dns.tokenizer.Tokenizer):
    """Takes plain lines out of the text where the Reader asks for the first word of an entry.

    entry_line: where the entry begins that is read now.
    """

    def __init__(self, text: bytes, file: str, collector: Collector) -> None:
        self.characters = Characters(text)
        super().__init__(self.characters, file)
        self.collector = collector
        self.reader: Any = None
        self.entry_line = 1

    def get(self, want_leading: bool = False, want_comment: bool = False) -> dns.tokenizer.Token:
        if want_leading and want_comment and self.ungotten_token is None and self.ungotten_char is None:
            if self.characters.after_line and not self.multiline:
                self.take_lines()
            self.entry_line = self.line_number
        return super().get(want_leading, want_comment)

    def take_lines(self) -> None:
        """Read plain lines, with the origin, the owner and the TTLs that the Reader has come to."""
        reader, zone = self.reader, self.collector.zone
        # Other defaults follow rules of dnspython's own.
        known = reader.default_ttl_known and not getattr(reader, "default_ttl_from_soa", True)
        implicit_ttl_s = reader.default_ttl if known else -1
        origin = reader.current_origin.to_wire()
        name = reader.last_name
        owner = name.to_wire() if name is not None and name.is_subdomain(self.collector.origin) else b""
        while True:
            at, line, made, lines, last, ttl_s = simple_lines(
                self.characters.text, self.characters.at, zone, origin, owner, implicit_ttl_s, self.line_number,
                BATCH_LINES,
            )  # fmt: skip
            stuck = at == self.characters.at
            self.characters.at = at
            self.line_number = line
            if lines:
                self.collector.keep_rows(made, lines, self.filename)
                if last != owner:
                    owner = last
                    reader.last_name = dns.name.from_wire(last, 0)[0]
                if ttl_s >= 0:
                    reader.last_ttl, reader.last_ttl_known = ttl_s, True
            if stuck or len(lines) < 4 * BATCH_LINES:
                return


class ZoneReader(dns.zonefile.Reader):
    """Reads included files as it reads the first one, and makes at most MAX_GENERATED RRs of a line."""

    _tok: EntryTokenizer

    @property
    def tok(self) -> EntryTokenizer:
        """What it reads now. It is set to an ordinary tokenizer where a file is included."""
        return self._tok

    @tok.setter
    def tok(self, tokens: dns.tokenizer.Tokenizer) -> None:
        if not isinstance(tokens, EntryTokenizer):
            assert self.current_file is not None and tokens.filename is not None
            tokens = EntryTokenizer(self.current_file.buffer.read(), tokens.filename, self._tok.collector)
        tokens.reader = self
        self._tok = tokens

    def where(self) -> Place:
        """The file and the line where the entry begins that is read now."""
        return self.tok.filename, self.tok.entry_line

    def said(self, what: str) -> SourceError:
        """The error of that entry."""
        line = self.tok.characters.text.split(b"\n", self.tok.entry_line)[self.tok.entry_line - 1 :][:1]
        entry = b"".join(line).decode("utf-8", "replace")
        return SourceError(f"{named(self.where())} - {mistakes.said(what, entry)}")

    def _generate_line(self) -> None:
        token = self.tok.get()
        try:
            start, stop, step = dns.grange.from_text(token.value)
        except Exception:
            # The Reader's own error.
            start, stop, step = 0, 0, 1
        if (made := (stop - start) // step + 1) > MAX_GENERATED:
            what = f"$GENERATE {token.value} makes {made} records; expected at most {MAX_GENERATED}"
            raise SourceError(f"{named(self.where())} - {what}")
        self.tok.unget(token)
        super()._generate_line()  # type: ignore[no-untyped-call]


def read_zone(file: str, zone: str, known_serial: int | None = None) -> ZoneText:
    """The RRs of a zone file. zone: its name, which relative names end in.

    Raises OSError if the file cannot be read, SourceError with file and line if it is no zone file, and
    UnchangedError if its serial is the known one.
    """
    # A pipe would be waited for, and a device be read without end.
    status = Path(file).stat()
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{file}: expected a regular file")
    if status.st_size > MAX_FILE_BYTES:
        raise SourceError(f"{file} has {status.st_size} bytes; at most {MAX_FILE_BYTES} are read")
    text = Path(file).read_bytes()
    origin = dns.name.from_text(zone)
    collector = Collector(origin, known_serial)
    tokens = EntryTokenizer(text, file, collector)
    reader = ZoneReader(tokens, dns.rdataclass.IN, collector, allow_include=True)  # type: ignore[arg-type]
    reader.current_origin = reader.last_name = origin
    collector.where = reader.where
    included.count = 0
    here = Path.cwd()
    # As in CoreDNS, files that this one includes are found beside it.
    os.chdir(Path(file).parent)
    try:
        reader.read()
    except (UnchangedError, SourceError):
        raise
    except dns.exception.SyntaxError as error:
        # It begins with a place: where dnspython is by then, which may be behind the entry.
        what = str(error).partition(": ")[2]
        raise reader.said(what) from None
    except OSError as error:
        name = str(error.filename).strip() or "FILE expected"
        raise SourceError(f"{named(reader.where())} - $INCLUDE {name}: {error.strerror}") from None
    except Exception as error:
        raise reader.said(str(error) or type(error).__name__) from None
    finally:
        os.chdir(here)
        # dnspython leaves included files open where reading ends early. This process may have more to read.
        for opened in (reader.current_file, *(state[3] for state in reader.saved_state)):
            if opened is not None:
                opened.close()
    if collector.serial is None:
        raise SourceError(no_soa(file, zone, collector.other_soa))
    without = collector.finish()
    draft = collector.draft
    return ZoneText(
        serial=collector.serial,
        rrs=len(draft) - sum(without),
        rows=batches(draft, without),
        said=collector.said,
        left_out=collector.left_out,
        files=[file, *(str(Path(file).parent / name) for name in collector.files if name != file)],
    )


class Included:
    """Opens what a zone file includes, in place of dnspython. count: how many files it was since the last zone."""

    count = 0

    def open(self, file: str, encoding: str) -> IO[str]:
        """Raises OSError, also if it is no regular file."""
        self.count += 1
        if self.count > MAX_INCLUDES:
            raise OSError(errno.EMFILE, f"a zone file includes at most {MAX_INCLUDES} files", file)
        # A pipe would be waited for, and a device be read without end.
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_FILE_BYTES:
            return os.fdopen(fd, encoding=encoding)
        os.close(fd)
        raise OSError(errno.EINVAL, f"expected a regular file of at most {MAX_FILE_BYTES} bytes", file)


included = Included()
# The Reader has no argument for it.
vars(dns.zonefile)["open"] = included.open


def no_soa(file: str, zone: str, other: tuple[Place, str] | None) -> str:
    """The error of a file without an SOA record of its zone (RFC 1035 section 5.2). other: one of another name."""
    said = f'file "{file}" has no SOA record for origin {zone}'
    if other is None:
        return f"{said}; expected one: @ 3600 IN SOA MNAME RNAME SERIAL REFRESH RETRY EXPIRE MINIMUM"
    place, owner = other
    return f"{named(place)} - {said}: that here is of {owner}; write @ as its owner, or serve the zone {owner}"


def named(place: Place) -> str:
    """FILE:LINE"""
    return f"{place[0]}:{place[1]}"


def batches(draft: Draft, without: bytearray) -> Iterator[bytes]:
    """The RRs of a draft, some at a time."""
    place = 0
    while place < len(draft):
        made, place = rows(draft, place, BATCH_BYTES, without)
        yield made
