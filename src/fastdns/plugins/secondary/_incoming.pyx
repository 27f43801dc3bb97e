"""Zones as primaries send them: see _incoming.pxd."""

from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

from fastdns.authoritative._denial cimport MAX_ITERATIONS, SHELF_LABEL_BYTES, shelf_label
from fastdns.dns._cursor cimport Cursor, lower, read_u16, read_u32
from fastdns.dns._numbers cimport (
    CLASS_IN, FLAG_QR, FLAG_TC, HEADER_BYTES, MAX_NAME_BYTES, TYPE_A, TYPE_A6, TYPE_AAAA, TYPE_DS, TYPE_IXFR,
    TYPE_NAPTR, TYPE_OPT, TYPE_RRSIG, TYPE_SOA, TYPE_TXT,
)
from fastdns.dns._replies cimport RdataLayout, expand_name, naptr_fixed, rdata_layout
from fastdns.rrsets._draft cimport extend, key_bytes, key_size
from fastdns.rrsets._layout cimport name_bytes
from fastdns.rrsets._order cimport Key, compare_keys, key_of_name
from fastdns.dns.mnemonics import RCODES, TYPES
from fastdns.dns.names import text_name
from fastdns.errors import SourceError
from fastdns.zonefiles._sifting import omit_conflicts

cdef enum:
    TYPE_SIG = 24
    TYPE_NXT = 30
    TYPE_NSEC = 47
    TYPE_NSEC3 = 50
    TYPE_NSEC3PARAM = 51
    SOA_NUMBERS_BYTES = 20
    RRSIG_FIXED_BYTES = 18
    SERIAL_HALF = 0x80000000    # RFC 1982
    MAX_SHELVES = 16            # sets of NSEC3 parameters at a time
    MAX_SAID = 10

cdef enum Fault:
    SOUND = 0
    CUT_OFF = 1
    NO_NAME = 2
    NOT_OF_TYPE = 3

FAULTS = ("", "a record is cut off", "a record has a malformed name", "rdata has not the form of its type")

cdef packed struct UnshelvedHead:
    uint32_t ttl_s
    uint16_t rdata_len
    uint8_t label_len           # with its length byte


cdef inline bint is_newer(uint32_t serial, uint32_t known) noexcept nogil:
    return serial != known and <uint32_t>(serial - known) < SERIAL_HALF


cdef uint32_t soa_serial(const uint8_t* rdata, uint32_t size) noexcept nogil:
    rdata += size - SOA_NUMBERS_BYTES
    return <uint32_t>rdata[0] << 24 | <uint32_t>rdata[1] << 16 | <uint32_t>rdata[2] << 8 | rdata[3]


# ------------------------------------------------------------------------------------------------ rdata


cdef bint is_bitmap(const uint8_t* at, uint32_t size) noexcept nogil:
    """Windows of types, in order: RFC 4034 section 4.1.2."""
    cdef int32_t last = -1
    while size:
        if size < 3 or at[0] <= last or not 1 <= at[1] <= 32 or at[1] > size - 2:
            return False
        last = at[0]
        size -= 2 + at[1]
        at += 2 + at[1]
    return True


cdef bint are_strings(const uint8_t* at, uint32_t size) noexcept nogil:
    if size == 0:
        return False
    while size:
        if at[0] >= size:
            return False
        size -= 1 + at[0]
        at += 1 + at[0]
    return True


cdef bint has_form(uint16_t rrtype, const uint8_t* rdata, uint32_t size, uint32_t tail) noexcept nogil:
    """Whether unpacked rdata has the form of its type, where the server reads it. tail: bytes behind its names."""
    cdef uint32_t used
    if rrtype == TYPE_A:
        return size == 4
    if rrtype == TYPE_AAAA:
        return size == 16
    if rrtype == TYPE_TXT:
        return are_strings(rdata, size)
    if rrtype == TYPE_SOA:
        return tail == SOA_NUMBERS_BYTES
    if rrtype == TYPE_DS:
        return size > 4
    if rrtype == TYPE_RRSIG:
        if size <= RRSIG_FIXED_BYTES:
            return False
        used = name_bytes(rdata + RRSIG_FIXED_BYTES, size - RRSIG_FIXED_BYTES)
        return used != 0 and RRSIG_FIXED_BYTES + used < size
    if rrtype == TYPE_NSEC:
        used = name_bytes(rdata, size)
        return used != 0 and used < size and is_bitmap(rdata + used, size - used)
    if rrtype == TYPE_NSEC3 or rrtype == TYPE_NSEC3PARAM:
        if size < 5 or rdata[4] > size - 5:
            return False
        used = 5 + rdata[4]
        if rrtype == TYPE_NSEC3PARAM:
            return used == size
        if used >= size or rdata[used] == 0 or rdata[used] > size - used - 1:
            return False
        used += 1 + rdata[used]
        return is_bitmap(rdata + used, size - used)
    if rrtype == TYPE_SIG or rrtype == TYPE_NXT:
        return True
    return tail == 0


cdef Fault read_rdata(Cursor* c, uint32_t length, Record* rr) noexcept nogil:
    """Unpack rdata of so many bytes, which are there."""
    cdef RdataLayout layout = rdata_layout(rr.rrtype)
    cdef uint32_t end = c.pos + length
    cdef uint32_t _i
    cdef int32_t size
    if rr.rrtype == TYPE_NAPTR:
        layout.names = 1
        layout.fixed = <uint16_t>min(naptr_fixed(c.msg + c.pos, length), <uint32_t>0xFFFF)
    elif rr.rrtype == TYPE_A6 and length and c.msg[c.pos] <= 128:
        layout.fixed = 1 + (128 - c.msg[c.pos] + 7) // 8
        layout.names = 1 if c.msg[c.pos] else 0
    if layout.names == 0:
        memcpy(rr.rdata, c.msg + c.pos, length)
        rr.rdata_len = length
        c.pos = end
        return SOUND if has_form(rr.rrtype, rr.rdata, length, 0) else NOT_OF_TYPE
    if layout.fixed > length:
        return NOT_OF_TYPE
    memcpy(rr.rdata, c.msg + c.pos, layout.fixed)
    rr.rdata_len = layout.fixed
    c.pos += layout.fixed
    for _i in range(layout.names):
        if c.pos >= end:
            return NOT_OF_TYPE
        size = expand_name(c, rr.rdata + rr.rdata_len, MAX_NAME_BYTES)
        if size < 0 or c.pos > end:
            return NO_NAME
        rr.rdata_len += <uint32_t>size
    memcpy(rr.rdata + rr.rdata_len, c.msg + c.pos, end - c.pos)
    rr.rdata_len += end - c.pos
    length = end - c.pos
    c.pos = end
    return SOUND if has_form(rr.rrtype, rr.rdata, rr.rdata_len, length) else NOT_OF_TYPE


cdef Fault read_record(Cursor* c, Record* rr) noexcept nogil:
    cdef int32_t size = expand_name(c, rr.owner, MAX_NAME_BYTES)
    cdef uint32_t length
    cdef int32_t i
    if size < 0:
        return NO_NAME
    for i in range(size):
        rr.owner[i] = lower(rr.owner[i])
    rr.owner_len = <uint32_t>size
    rr.rrtype = read_u16(c)
    rr.rrclass = read_u16(c)
    rr.ttl_s = read_u32(c)
    length = read_u16(c)
    if c.failed or length > c.length - c.pos:
        return CUT_OFF
    return read_rdata(c, length, rr)


# --------------------------------------------------------------------------------------------- messages


cdef uint32_t open_message(Cursor* c, const uint8_t* msg, uint32_t length, uint16_t message_id, bytes zone,
                           uint16_t qtype) except? 0xFFFFFFFF:
    """Check a message up to its records. Returns how many records answer."""
    cdef uint8_t name[256]
    cdef uint16_t flags, questions
    cdef uint32_t answers
    cdef int32_t size, i
    cdef bint same
    if length < HEADER_BYTES:
        raise SourceError("a message is cut off")
    c.msg = msg
    c.length = length
    c.pos = 0
    c.failed = False
    if read_u16(c) != message_id:
        raise SourceError("a message has another ID")
    flags = read_u16(c)
    if flags & 0xF800 != FLAG_QR or flags & FLAG_TC:
        raise SourceError("a message is not a whole reply to a query")
    if flags & 15:
        raise SourceError(f"{TYPES[qtype]}: rcode is {RCODES.get(flags & 15, flags & 15)}")
    questions = read_u16(c)
    answers = read_u16(c)
    c.pos = HEADER_BYTES
    if questions > 1:
        raise SourceError("a message has several questions")
    if questions:
        size = expand_name(c, name, MAX_NAME_BYTES)
        same = size == len(zone)
        if same:
            for i in range(size):
                same = same and lower(name[i]) == zone[i]
        if not same or read_u16(c) != qtype or read_u16(c) != CLASS_IN or c.failed:
            raise SourceError("a message has another question")
    if answers == 0:
        raise SourceError("a message has no records")
    return answers


def serial_in(const uint8_t[::1] message not None, bytes zone not None, uint16_t message_id):
    """The serial that a reply to a question for the SOA record has. zone: in lower case. Raises SourceError."""
    cdef Cursor c
    cdef Record* rr = <Record*>malloc(sizeof(Record))
    cdef uint32_t answers, _i
    cdef Fault fault
    if rr == NULL:
        raise MemoryError
    try:
        answers = open_message(&c, &message[0] if message.shape[0] else NULL, <uint32_t>message.shape[0],
                               message_id, zone, TYPE_SOA)
        for _i in range(answers):
            fault = read_record(&c, rr)
            if fault != SOUND:
                raise SourceError(FAULTS[<int>fault])
            if rr.rrtype == TYPE_SOA and rr.rrclass == CLASS_IN and rr.owner[:rr.owner_len] == zone:
                return soa_serial(rr.rdata, rr.rdata_len)
    finally:
        free(rr)
    raise SourceError("no SOA record")


def newer(uint32_t serial, uint32_t known):
    """Whether a serial is newer than another one (RFC 1982)."""
    return is_newer(serial, known)


cdef class Incoming:
    """One transfer. zone: its name in lower-case wire form; qtype: AXFR or IXFR; serial: of the version that is
    there, None: there is none. wanted: types whose records are collected in kept. max_rrs, max_bytes, max_changes:
    what may come.

    When it is complete: whole says whether draft is the zone; else changes lead from the known serial to the new
    one; where serial is not newer than the known one, neither is there. soa, soa_ttl_s: the new SOA record. rrs,
    unpacked_bytes: what has come. left_out: RRs that are not served, of which said has the first ones as text;
    is_partial: there are some that belong into the zone.
    """

    def __cinit__(self, bytes zone not None, uint16_t qtype, uint16_t message_id, *, serial=None,
                  frozenset wanted=frozenset(), uint64_t max_rrs, uint64_t max_bytes,
                  uint32_t max_changes=0):
        self.zone = zone
        self.draft = Draft(zone)
        self.zone_bytes = zone
        self.zone_len = <uint32_t>len(zone)
        self.qtype = qtype
        self.message_id = message_id
        self.has_known = serial is not None
        self.known = serial or 0
        self.wanted = wanted
        self.max_rrs = max_rrs
        self.max_bytes = max_bytes
        self.max_changes = max_changes
        self.changes = []
        self.kept = []
        self.said = []
        self.shelves = set()
        self.soa = b""
        self.rr = <Record*>malloc(sizeof(Record))
        if self.rr == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.rr)
        free(self.unshelved.at)

    def take(self, const uint8_t[::1] message not None):
        """Read the next message. Returns whether the transfer is complete. Raises SourceError."""
        cdef Cursor c
        cdef uint32_t answers, _i
        cdef Fault fault
        answers = open_message(&c, &message[0] if message.shape[0] else NULL, <uint32_t>message.shape[0],
                               self.message_id, self.zone, self.qtype)
        for _i in range(answers):
            if self.part == COMPLETE:
                raise SourceError("there are records behind the last SOA record")
            fault = read_record(&c, self.rr)
            if fault != SOUND:
                raise SourceError(FAULTS[<int>fault])
            self.rrs += 1
            self.unpacked_bytes += self.rr.owner_len + self.rr.rdata_len
            if self.rrs > self.max_rrs or self.unpacked_bytes > self.max_bytes:
                raise SourceError(f"the zone has over {self.max_rrs} records, or {self.max_bytes} bytes")
            self.take_record()
        if self.part == SECOND and not is_newer(self.serial, self.known):
            self.part = COMPLETE
        return self.part == COMPLETE

    cdef int take_record(self) except -1:
        cdef Record* rr = self.rr
        cdef uint32_t serial = 0
        cdef bint is_soa = rr.rrtype == TYPE_SOA and rr.owner_len == self.zone_len \
            and memcmp(rr.owner, self.zone_bytes, self.zone_len) == 0
        if rr.rrclass != CLASS_IN:
            raise SourceError("a record is not of class IN")
        if rr.rrtype == 0 or rr.rrtype == TYPE_OPT or 128 <= rr.rrtype <= 255:
            raise SourceError(f"no zone has records of type {TYPES.get(rr.rrtype, rr.rrtype)}")
        if is_soa:
            serial = soa_serial(rr.rdata, rr.rdata_len)
        if self.part == OPENING:
            if not is_soa:
                raise SourceError("the first record is no SOA record")
            self.read_soa()
            self.part = SECOND if self.qtype == TYPE_IXFR else NAMES
            self.whole = self.part == NAMES
            return self.keep() if self.whole else 0
        if self.part == SECOND:
            if is_soa and serial != self.serial:
                if not self.has_known or serial != self.known:
                    raise SourceError("the differences begin at another serial")
                self.current = serial
                self.part = REMOVED
                return 0
            # The whole zone.
            self.whole = True
            self.part = NAMES
            self.draft.add(self.zone, TYPE_SOA, self.soa_ttl_s, self.soa)
        if self.part == NAMES:
            if not is_soa:
                return self.keep()
            if serial != self.serial:
                raise SourceError("the last SOA record has another serial than the first")
            self.part = COMPLETE
            return 0
        if not is_soa:
            return self.change(self.part == ADDED)
        if self.part == REMOVED:
            if not is_newer(serial, self.current):
                raise SourceError("a difference leads to a serial that is not newer")
            self.current = serial
            self.part = ADDED
        elif serial != self.current:
            raise SourceError("the differences do not follow on each other")
        else:
            self.part = COMPLETE if serial == self.serial else REMOVED
        return 0

    cdef int read_soa(self) except -1:
        self.serial = soa_serial(self.rr.rdata, self.rr.rdata_len)
        self.soa = self.rr.rdata[:self.rr.rdata_len]
        self.soa_ttl_s = self.rr.ttl_s
        return 0

    cdef int leave_out(self, object why, bint is_partial) except -1:
        self.left_out += 1
        self.is_partial = self.is_partial or is_partial
        if len(self.said) < MAX_SAID:
            name = text_name(self.rr.owner[:self.rr.owner_len])
            self.said.append(f"{name} {TYPES.get(self.rr.rrtype, f'TYPE{self.rr.rrtype}')}: {why}")
        return 0

    cdef int keep(self) except -1:
        """Take a record of the whole zone."""
        cdef Record* rr = self.rr
        if not self.shelve():
            return 0
        self.draft.put(rr.owner, rr.owner_len, rr.rrtype, rr.ttl_s, rr.rdata, rr.rdata_len)
        if self.wanted and rr.rrtype in self.wanted:
            self.kept.append((rr.owner[:rr.owner_len], rr.rrtype, rr.rdata[:rr.rdata_len]))
        return 0

    cdef int change(self, bint added) except -1:
        """Take a record of a difference. Signatures of NSEC3 records stand where they are in the zone."""
        cdef Record* rr = self.rr
        if len(self.changes) == self.max_changes:
            raise SourceError(f"the differences have over {self.max_changes} records")
        if self.shelve():
            self.changes.append((added, rr.owner[:rr.owner_len], rr.rrtype, rr.ttl_s, rr.rdata[:rr.rdata_len]))
        return 0

    cdef bint shelve(self) except -1:
        cdef Record* rr = self.rr
        cdef uint8_t label[SHELF_LABEL_BYTES]
        cdef int before = self.draft.relative_size(rr.owner, rr.owner_len)
        cdef int last = 0, labels = 0, at = 0
        cdef uint32_t size, iterations
        cdef uint8_t* out
        cdef UnshelvedHead* head
        if before < 0:
            self.leave_out("it is not in the zone", False)
            return False
        while at < before:
            last = at
            labels += 1
            at += rr.owner[at] + 1
        if rr.rrtype != TYPE_NSEC3 and not (rr.rrtype == TYPE_RRSIG and rr.rdata[0] == 0
                                            and rr.rdata[1] == TYPE_NSEC3):
            if before and rr.owner[last + 1] == 0:
                self.leave_out("names that begin so are the server's own", True)
                return False
            return True
        if labels != 1:
            self.leave_out("it is not right below the zone", True)
            return False
        if rr.rrtype == TYPE_RRSIG:
            if not self.whole:
                return True
            out = extend(&self.unshelved, sizeof(UnshelvedHead) + before + rr.rdata_len)
            head = <UnshelvedHead*>out
            head.ttl_s = rr.ttl_s
            head.rdata_len = <uint16_t>min(rr.rdata_len, <uint32_t>0xFFFF)
            head.label_len = <uint8_t>before
            memcpy(out + sizeof(UnshelvedHead), rr.owner, before)
            memcpy(out + sizeof(UnshelvedHead) + before, rr.rdata, rr.rdata_len)
            return False
        iterations = <uint32_t>rr.rdata[2] << 8 | rr.rdata[3]
        if iterations > MAX_ITERATIONS:
            self.leave_out(f"it has over {MAX_ITERATIONS} iterations", True)
            return False
        size = shelf_label(label, iterations, rr.rdata + 5, rr.rdata[4])
        if before + size + self.zone_len > MAX_NAME_BYTES:
            self.leave_out("its name is too long", True)
            return False
        shelf = label[:size]
        if shelf not in self.shelves:
            if len(self.shelves) == MAX_SHELVES:
                raise SourceError(f"the zone has over {MAX_SHELVES} sets of NSEC3 parameters")
            self.shelves.add(shelf)
        memcpy(rr.owner + before, label, size)
        memcpy(rr.owner + before + size, self.zone_bytes, self.zone_len)
        rr.owner_len = before + size + self.zone_len
        return True

    cdef int place_signatures(self) except -1:
        """Put the signatures of NSEC3 records beside these; others prove nothing."""
        cdef Draft draft = self.draft
        cdef uint32_t sorted_rrs = draft.count
        cdef uint8_t owner[512]
        cdef size_t at = 0
        cdef UnshelvedHead head
        cdef bytes shelf
        cdef uint32_t size
        cdef Key key
        draft.prepare()
        # What is added from here on goes behind what is in order.
        while at < self.unshelved.size:
            memcpy(&head, self.unshelved.at + at, sizeof(UnshelvedHead))
            at += sizeof(UnshelvedHead)
            memcpy(owner, self.unshelved.at + at, head.label_len)
            at += head.label_len
            for shelf in self.shelves:
                size = head.label_len + <uint32_t>len(shelf)
                memcpy(owner + head.label_len, <const uint8_t*>shelf, len(shelf))
                if size + self.zone_len <= MAX_NAME_BYTES and key_of_name(owner, size, &key) \
                        and is_there(draft, sorted_rrs, &key):
                    memcpy(owner + size, self.zone_bytes, self.zone_len)
                    draft.put(owner, size + self.zone_len, TYPE_RRSIG, head.ttl_s, self.unshelved.at + at,
                              head.rdata_len)
                    break
            at += head.rdata_len
        return 0

    def finish(self):
        """Put the draft of a whole zone in order: in a thread, as it takes long where a zone is large."""
        cdef Draft draft = self.draft
        if self.unshelved.size:
            self.place_signatures()
        count, examples = omit_conflicts(draft, MAX_SAID)
        examples = [(name + self.zone, rrtype, why) for name, rrtype, why in examples] + draft.examples
        self.left_out += count + sum(draft.left_out.values())
        self.is_partial = self.is_partial or count > 0 or len(draft.left_out) > 0
        for name, rrtype, why in examples[:MAX_SAID - len(self.said)]:
            self.said.append(f"{text_name(name)} {TYPES.get(rrtype, f'TYPE{rrtype}')}: {why}")


cdef bint is_there(Draft draft, uint32_t count, const Key* key) noexcept nogil:
    """Whether the first RRs of a draft, which are in order, have a name."""
    cdef uint32_t low = 0, high = count, middle
    cdef int order
    while low < high:
        middle = (low + high) // 2
        order = compare_keys(key_bytes(&draft.rrs[middle]), key_size(&draft.rrs[middle]), key.bytes, key.size)
        if order == 0:
            return True
        if order < 0:
            low = middle + 1
        else:
            high = middle
    return False
